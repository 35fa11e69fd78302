//! `kill -9` at any moment loses nothing that was acknowledged; a torn tail is recovered and said; what is no store of
//! ours gives a clear error.

#![allow(clippy::unwrap_used)] // All of it is test code; clippy sees only the test functions as such.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
};

use chatfleet_backends::{
    embedded::{Disk, DiskOptions, LogSource as _},
    port::{Entry, Lane, StoreError, Topic},
};
use rand::{Rng as _, SeedableRng as _, rngs::SmallRng};

const TOPIC: Topic = Topic::Intake(Lane::Direct);
const CHILD: &str = "CHATFLEET_KILL_TEST_DIR";

fn open(path: &Path, was_clean: bool) -> Result<Arc<Disk>, StoreError> {
    Disk::open(path, DiskOptions { partitions: 2, was_clean })
}

fn payload(partition: u32, n: u64) -> String {
    format!("{partition}/{n}/{}", "x".repeat((n % 200) as usize))
}

/// The child: appends to both partitions as fast as it can, and says what was acknowledged.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child_that_is_killed() {
    // Run by itself it has nothing to do.
    let Ok(path) = std::env::var(CHILD) else { return };
    let disk = open(Path::new(&path), false).unwrap();
    let mut tasks = Vec::new();
    for partition in 0..2 {
        let disk = disk.clone();
        tasks.push(tokio::spawn(async move {
            let mut next = disk.end(TOPIC, partition).await.unwrap();
            loop {
                // Several under way, so that a kill meets batches of more than one.
                let batch: Vec<_> = (next..next + 8)
                    .map(|n| disk.append(TOPIC, partition, vec![payload(partition, n).into()]))
                    .collect();
                for (append, n) in batch.into_iter().zip(next..) {
                    let offset = append.await.unwrap();
                    assert_eq!(offset, n);
                    // Past the test harness, which would keep it to itself.
                    writeln!(std::io::stderr(), "ack {partition} {offset}").unwrap();
                }
                next += 8;
            }
        }));
    }
    futures_util::future::join_all(tasks).await;
}

async fn all(disk: &Disk, partition: u32) -> Vec<Entry> {
    let mut entries = Vec::new();
    loop {
        let more = disk.read(TOPIC, partition, entries.len() as u64, 1_000).await.unwrap();
        if more.is_empty() {
            return entries;
        }
        entries.extend(more);
    }
}

/// Everything up to the end is there, in order, as it was appended, and log time never falls.
async fn check(disk: &Disk, partition: u32, acknowledged: u64) -> u64 {
    let entries = all(disk, partition).await;
    let end = disk.end(TOPIC, partition).await.unwrap();
    assert_eq!(entries.len() as u64, end);
    assert!(end >= acknowledged, "partition {partition}: {acknowledged} were acknowledged, {end} are there");
    let mut last_ms = 0;
    for (entry, n) in entries.iter().zip(0..) {
        assert_eq!((entry.offset, entry.payload.as_ref()), (n, payload(partition, n).as_bytes()));
        assert!(entry.time_ms >= last_ms, "log time fell at {n}");
        last_ms = entry.time_ms;
    }
    end
}

/// Lets the child run until it acknowledged `acks`, kills it, returns how many of each partition it acknowledged.
fn run_and_kill(path: &Path, acks: u64, acknowledged: &mut [u64; 2]) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child_that_is_killed", "--nocapture"])
        .env(CHILD, path)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut seen = 0;
    for line in BufReader::new(child.stderr.take().unwrap()).lines() {
        let line = line.unwrap();
        let Some(rest) = line.strip_prefix("ack ") else { panic!("the child says: {line}") };
        // The last line may be cut by the kill.
        let Some((partition, offset)) = rest.split_once(' ') else { continue };
        let (Ok(partition), Ok(offset)) = (partition.parse::<usize>(), offset.parse::<u64>()) else { continue };
        // Also those read after the kill: they were said before it.
        acknowledged[partition] = acknowledged[partition].max(offset + 1);
        seen += 1;
        if seen == acks {
            child.kill().unwrap();
        }
    }
    child.wait().unwrap();
    assert!(seen >= acks, "the child ended by itself after {seen}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_by_kills() {
    let dir = tempfile::tempdir().unwrap();
    let mut rng = SmallRng::seed_from_u64(9);
    let mut acknowledged = [0; 2];
    for _ in 0..8 {
        run_and_kill(dir.path(), rng.random_range(1..800), &mut acknowledged);
        let disk = open(dir.path(), false).unwrap();
        for partition in 0..2 {
            // What was not acknowledged may be there or not; if it is, it stays.
            let end = check(&disk, partition, acknowledged[partition as usize]).await;
            acknowledged[partition as usize] = end;
        }
        disk.close();
    }
    assert!(acknowledged.iter().all(|n| *n > 100), "{acknowledged:?}");
}

fn newest_journal(path: &Path) -> PathBuf {
    let journals = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
    let is_journal = |path: &PathBuf| path.extension().is_some_and(|ext| ext == "jnl");
    journals.filter(is_journal).max().expect("a journal")
}

/// Where the written part of a preallocated journal ends.
fn written(bytes: &[u8]) -> usize {
    bytes.iter().rposition(|byte| *byte != 0).unwrap() + 1
}

/// A store that was killed, then damaged at the end of its journal.
async fn damaged(damage: impl Fn(&mut Vec<u8>, usize)) -> (tempfile::TempDir, [u64; 2]) {
    let dir = tempfile::tempdir().unwrap();
    let mut acknowledged = [0; 2];
    run_and_kill(dir.path(), 200, &mut acknowledged);
    // What the kill itself tore is cut off first, so that the damage is all there is.
    open(dir.path(), false).unwrap().close();
    let journal = newest_journal(dir.path());
    let mut bytes = fs::read(&journal).unwrap();
    let end = written(&bytes);
    damage(&mut bytes, end);
    fs::write(&journal, bytes).unwrap();
    (dir, acknowledged)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_torn_tail_is_cut_off_and_the_rest_is_whole() {
    // What a write that a crash cut short leaves: a batch without its end.
    let noise: Vec<u8> = (0..300_u32).map(|n| (n * 7 % 251) as u8 + 1).collect();
    for what in ["appended noise", "half a batch"] {
        let (dir, acknowledged) = damaged(|bytes, end| match what {
            "appended noise" => {
                bytes.truncate(end);
                bytes.extend(&noise);
            }
            // The last batch is torn: it may be an acknowledged one, so only the order is checked for it below.
            _ => bytes.truncate(end - 5),
        })
        .await;
        let disk = open(dir.path(), false).unwrap_or_else(|error| panic!("{what}: {error}"));
        for partition in 0..2 {
            let least = if what == "half a batch" { 1 } else { acknowledged[partition as usize] };
            let end = check(&disk, partition, least).await;
            // It goes on from there.
            let next = disk.append(TOPIC, partition, vec![payload(partition, end).into()]).await.unwrap();
            assert_eq!(next, end);
        }
        disk.close();
        drop(disk);
        let disk = open(dir.path(), true).unwrap();
        check(&disk, 0, 1).await;
        check(&disk, 1, 1).await;
    }
}

/// What this thread logs while `what` runs.
fn logged<T>(what: impl FnOnce() -> T) -> (T, Vec<String>) {
    let lines = Lines::default();
    let result = tracing::subscriber::with_default(lines.clone(), what);
    let lines = lines.0.lock().unwrap().clone();
    (result, lines)
}

/// Keeps every event as `LEVEL message fields`.
#[derive(Clone, Default)]
struct Lines(Arc<std::sync::Mutex<Vec<String>>>);

impl tracing::Subscriber for Lines {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        struct Fields(String);
        impl tracing::field::Visit for Fields {
            fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
                self.0 += &format!(" {field}={value:?}");
            }
        }
        let mut fields = Fields(event.metadata().level().to_string());
        event.record(&mut fields);
        self.0.lock().unwrap().push(fields.0);
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recovery_is_said_in_the_log() {
    let (dir, _) = damaged(|bytes, end| {
        bytes.truncate(end);
        bytes.extend([7; 300]);
    })
    .await;
    let (disk, lines) = logged(|| open(dir.path(), false).unwrap());
    let said: Vec<&String> = lines.iter().filter(|line| line.contains("recovered after a crash")).collect();
    let [said] = said[..] else { panic!("not said once: {lines:?}") };
    assert!(said.starts_with("WARN") && said.contains("a torn tail was cut off"), "{said}");
    assert!(said.contains("torn_bytes=300"), "{said}");
    let records: u64 = disk.end(TOPIC, 0).await.unwrap() + disk.end(TOPIC, 1).await.unwrap();
    assert!(said.contains(&format!("{TOPIC} {records},")), "{said}");
    disk.close();
    drop(disk);

    // A crash that tore nothing is said as such, and an orderly stop is no news.
    let (disk, lines) = logged(|| open(dir.path(), false).unwrap());
    assert!(lines.iter().any(|line| line.contains("the journal was whole")), "{lines:?}");
    disk.close();
    drop(disk);
    let (disk, lines) = logged(|| open(dir.path(), true).unwrap());
    assert!(!lines.iter().any(|line| line.contains("recovered")), "{lines:?}");
    disk.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damage_before_the_end_of_a_journal_is_refused_and_the_file_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    run_and_kill(dir.path(), 250, &mut [0; 2]);
    let journal = newest_journal(dir.path());
    let mut whole = fs::read(&journal).unwrap();
    let end = written(&whole);
    // Without the zeros it is preallocated with, which would only make the test slow.
    whole.truncate(end);
    let mut rng = SmallRng::seed_from_u64(11);
    // Anywhere in the first half: lengths, marks, checksums and payloads; a bit, a block of zeros, noise.
    for n in 0..120 {
        let mut bytes = whole.clone();
        let at = rng.random_range(0..end / 2);
        let what = match n % 3 {
            0 => {
                bytes[at] ^= 1 << rng.random_range(0..8);
                "a bit"
            }
            1 => {
                bytes[at..at + 512].fill(0);
                "zeros"
            }
            _ => {
                rng.fill(&mut bytes[at..at + 64]);
                "noise"
            }
        };
        fs::write(&journal, &bytes).unwrap();
        let refused = open(dir.path(), n % 2 == 0).err();
        let refused = refused.unwrap_or_else(|| panic!("{what} at {at} of {end}: opened"));
        assert!(matches!(refused, StoreError::Corrupt { .. }), "{refused}");
        assert!(fs::read(&journal).unwrap() == bytes, "{what} at {at}: the file was changed");
    }
    // As it was, it is a store again, also after all these attempts.
    fs::write(&journal, whole).unwrap();
    let disk = open(dir.path(), false).unwrap();
    for partition in 0..2 {
        assert!(check(&disk, partition, 1).await > 50);
    }
    disk.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_an_orderly_stop_nothing_may_be_torn() {
    let dir = tempfile::tempdir().unwrap();
    let disk = open(dir.path(), true).unwrap();
    disk.append(TOPIC, 0, vec!["the last word".into()]).await.unwrap();
    disk.close();
    drop(disk);
    let journal = newest_journal(dir.path());
    let mut bytes = fs::read(&journal).unwrap();
    let end = written(&bytes);
    bytes.truncate(end - 5);
    fs::write(&journal, bytes).unwrap();
    let refused = open(dir.path(), true).err().expect("an accepted record is gone");
    assert!(refused.to_string().contains("although the last stop was an orderly one"), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_store_is_refused_in_words() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "not a directory").unwrap();
    let refused = open(&file, true).err().expect("a file is no store");
    assert!(refused.to_string().starts_with("data directory holds something unreadable"), "{refused}");
}
