//! Direct messages from end to end: sent, durable on disk, numbered, delivered. First as many as go, with a window of
//! unanswered sends for each pair; then half as many a second, for the latency from send to the other person's socket
//! and to `accepted`. On the embedded stores in this process, or on a fleet that runs (`--fleet READY_FILE`).

mod support;

use std::{
    collections::VecDeque,
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use clap::Parser;
use hdrhistogram::Histogram;
use serde_json::{Value, json};
use support::{
    Failure,
    child::{Clients, told},
    cpu_s, post_to,
    raw::{Raw, frame},
    source, token,
};
use tokio::{
    io::AsyncWriteExt as _,
    sync::{Semaphore, mpsc},
    time::{Duration, Instant, MissedTickBehavior, interval},
};

/// Measures direct messages.
#[derive(Parser)]
struct Options {
    /// Pairs of people; one of each writes.
    #[arg(long, default_value_t = 64)]
    pairs: usize,
    /// Messages of a pair under way from one person to the other.
    #[arg(long, default_value_t = 64)]
    window: usize,
    /// How long each measurement takes.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Between the two measurements, seconds: what the first one left to be stored is not to weigh on the second.
    #[arg(long, default_value_t = 1)]
    settle: u64,
    /// The ready file of a fleet that runs; without it one is started in this process.
    #[arg(long)]
    fleet: Option<PathBuf>,
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Some(("clients", rest)) = arguments.split_first().map(|(first, rest)| (first.as_str(), rest)) {
        return clients(rest).await;
    }
    let options = Options::parse();
    match &options.fleet {
        Some(ready_file) => {
            let ready: Value = serde_json::from_str(&std::fs::read_to_string(ready_file)?)?;
            let http = ready["gateways"][0]["http"].as_str().ok_or("the ready file has no gateway")?;
            let to = http.trim_start_matches("http://").parse()?;
            measure(&options, to, ready["jwt"]["secret"].as_str().ok_or("the ready file has no secret")?).await
        }
        None => {
            let limits =
                gateway::Limits { frames_per_s: 1_000_000, frames_burst: 1_000_000, ..gateway::Limits::default() };
            let fleet = support::fleet(limits).await?;
            measure(&options, fleet.gateways[0].address, &fleet.secrets.jwt_secret).await?;
            fleet.shutdown().await;
            Ok(())
        }
    }
}

async fn measure(options: &Options, to: SocketAddr, secret: &str) -> Result<(), Failure> {
    // A fleet that runs knows the pairs of an earlier measurement.
    let run = std::process::id();
    for n in 0..options.pairs {
        let members = [format!("w{n}-{run}"), format!("r{n}-{run}")];
        let body = json!({"kind": "direct", "members": members, "id": format!("pair-{n}-{run}")});
        post_to(to, secret, "/v1/conversations", &body).await?;
    }
    let arguments = [
        "clients".into(),
        to.to_string(),
        secret.to_owned(),
        run.to_string(),
        options.pairs.to_string(),
        options.window.to_string(),
        options.seconds.to_string(),
    ];
    let mut clients = Clients::start(&arguments)?;
    let before = cpu_s()?;
    let most: f64 = clients.ask("most").await?.parse()?;
    let cores = (cpu_s()? - before) / options.seconds as f64;
    println!("most: {most:.0} messages/s (the fleet used {cores:.2} cores)");
    tokio::time::sleep(Duration::from_secs(options.settle)).await;
    let half = clients.ask(&format!("paced {}", most / 2.0)).await?;
    println!("at half of it: {half}");
    clients.end()
}

/// What the pairs share while they are measured.
struct Counts {
    began: Instant,
    received: AtomicU64,
    /// Of the measurement under way, in microseconds.
    late: Mutex<Histogram<u64>>,
    /// From send to `accepted`, in microseconds.
    accepted: Mutex<Histogram<u64>>,
}

fn locked(histogram: &Mutex<Histogram<u64>>) -> std::sync::MutexGuard<'_, Histogram<u64>> {
    histogram.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The clients' process.
async fn clients(arguments: &[String]) -> Result<(), Failure> {
    let [to, secret, run, pairs, window, seconds] = arguments else { return Err("clients: six arguments".into()) };
    let (to, pairs, window, seconds): (SocketAddr, usize, usize, u64) =
        (to.parse()?, pairs.parse()?, window.parse()?, seconds.parse()?);
    // Up to a minute: saturating past the bounds, an unbounded one would begin at 2 ms.
    let histogram = || Histogram::new_with_bounds(1, 60_000_000, 3).map(Mutex::new);
    let (late, accepted) = (histogram()?, histogram()?);
    let counts = Arc::new(Counts { began: Instant::now(), received: AtomicU64::new(0), late, accepted });
    let mut writers = Vec::new();
    for n in 0..pairs {
        let writer = Raw::connect(to, source(n), &token(secret, &format!("w{n}-{run}"), "user")?, "{}").await?;
        let reader = Raw::connect(to, source(n), &token(secret, &format!("r{n}-{run}"), "user")?, "{}").await?;
        let free = Arc::new(Semaphore::new(window));
        tokio::spawn(read(reader, counts.clone(), free.clone()));
        let (sends, queue) = mpsc::channel(4);
        tokio::spawn(write(format!("pair-{n}-{run}"), writer, queue, counts.clone()));
        writers.push((sends, free));
    }
    while let Some(line) = told().await? {
        let end = Instant::now() + Duration::from_secs(seconds);
        let before = counts.received.load(Ordering::Relaxed);
        locked(&counts.late).reset();
        locked(&counts.accepted).reset();
        let tasks: Vec<_> = match line.split_once(' ') {
            None => writers.iter().cloned().map(|(sends, free)| tokio::spawn(flood(sends, free, end))).collect(),
            Some((_, rate)) => {
                let each = rate.parse::<f64>()? / pairs as f64;
                writers.iter().cloned().map(|(sends, free)| tokio::spawn(pace(sends, free, end, each))).collect()
            }
        };
        for task in tasks {
            task.await?;
        }
        let rate = (counts.received.load(Ordering::Relaxed) - before) as f64 / seconds as f64;
        if line == "most" {
            println!("{rate:.0}");
            continue;
        }
        let of = |histogram: &Mutex<Histogram<u64>>| {
            let histogram = locked(histogram).clone();
            let at = |part| histogram.value_at_quantile(part) as f64 / 1_000.0;
            format!("p50 {:.1} ms, p99 {:.1} ms, most {:.1} ms", at(0.5), at(0.99), at(1.0))
        };
        println!("{rate:.0} messages/s; delivered {}; accepted {}", of(&counts.late), of(&counts.accepted));
    }
    Ok(())
}

/// Sends whenever the window allows it.
async fn flood(sends: mpsc::Sender<usize>, free: Arc<Semaphore>, end: Instant) {
    while Instant::now() < end {
        let Ok(one) = free.acquire().await else { return };
        one.forget();
        let mut n = 1;
        while let Ok(more) = free.try_acquire() {
            more.forget();
            n += 1;
        }
        if sends.send(n).await.is_err() {
            return;
        }
    }
}

/// Sends at a rate.
async fn pace(sends: mpsc::Sender<usize>, free: Arc<Semaphore>, end: Instant, each_s: f64) {
    let mut ticks = interval(Duration::from_millis(5));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut owed = 0.0;
    while Instant::now() < end {
        ticks.tick().await;
        owed += each_s * 0.005;
        for _ in 0..owed as usize {
            let Ok(one) = free.acquire().await else { return };
            one.forget();
            if sends.send(1).await.is_err() {
                return;
            }
        }
        owed -= owed.floor();
    }
}

/// A writer: the body says when it was sent.
async fn write(pair: String, raw: Raw, mut queue: mpsc::Receiver<usize>, counts: Arc<Counts>) {
    let (mut from, mut to, mut frames) = raw.split();
    // `accepted` comes in the order of the sends: each connection's own appends are one after the other in one partition.
    let sent: Arc<Mutex<VecDeque<u64>>> = Arc::default();
    let (sends, told) = (sent.clone(), counts.clone());
    tokio::spawn(async move {
        loop {
            while let Some(text) = frames.next() {
                if text.starts_with(br#"{"type":"error""#) {
                    // Nobody waits for this task: a refused send would hang the measurement.
                    eprintln!("a send was refused: {}", String::from_utf8_lossy(text));
                    std::process::exit(1);
                }
                if text.starts_with(br#"{"type":"accepted""#)
                    && let Some(sent) = sends.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
                {
                    let now = told.began.elapsed().as_micros() as u64;
                    locked(&told.accepted).saturating_record(now.saturating_sub(sent));
                }
            }
            if !frames.fill(&mut from).await.unwrap_or(false) {
                return;
            }
        }
    });
    let (mut bytes, mut n) = (Vec::new(), 0_u64);
    while let Some(messages) = queue.recv().await {
        bytes.clear();
        let now = counts.began.elapsed().as_micros() as u64;
        for _ in 0..messages {
            n += 1;
            sent.lock().unwrap_or_else(PoisonError::into_inner).push_back(now);
            let text = format!(
                r#"{{"type":"send","idempotency_key":"00000000-0000-4000-8000-{n:012x}","conversation":"{pair}","body":"@{now:020} a message of usual length to one person"}}"#
            );
            frame(&mut bytes, &text);
        }
        if to.write_all(&bytes).await.is_err() {
            return;
        }
    }
}

async fn read(mut raw: Raw, counts: Arc<Counts>, free: Arc<Semaphore>) {
    loop {
        let (now, mut received) = (counts.began.elapsed().as_micros() as u64, 0);
        while let Some(text) = raw.frames.next() {
            if let Some(sent) = sent_at(text) {
                received += 1;
                locked(&counts.late).saturating_record(now.saturating_sub(sent));
            }
        }
        counts.received.fetch_add(received, Ordering::Relaxed);
        // A place is free when the other person has the message: nothing piles up between `accepted` and the socket.
        free.add_permits(received as usize);
        if !raw.frames.fill(&mut raw.stream).await.unwrap_or(false) {
            return;
        }
    }
}

/// The time in the body of a `message`.
fn sent_at(text: &[u8]) -> Option<u64> {
    if !text.starts_with(br#"{"type":"message""#) {
        return None;
    }
    let at = text.iter().position(|byte| *byte == b'@')?;
    std::str::from_utf8(text.get(at + 1..at + 21)?).ok()?.parse().ok()
}
