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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_store_is_refused_in_words() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "not a directory").unwrap();
    let refused = open(&file, true).err().expect("a file is no store");
    assert!(refused.to_string().starts_with("data directory holds something unreadable"), "{refused}");
}
