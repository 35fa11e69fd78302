//! Catch-up: 1,000 missed messages in 10 conversations, from the dial to `synced`; from the recent tails, and, after
//! `--flush COMMAND` has emptied them, from the message store. On a fleet that runs:
//! `--fleet READY_FILE --flush "deploy/local/stack redis redis-dedup flushall"`.

mod support;

use std::{net::SocketAddr, path::PathBuf};

use clap::Parser;
use hdrhistogram::Histogram;
use serde_json::{Value, json};
use support::{Failure, post_to, raw::Raw, source, token};
use tokio::time::{Duration, Instant, sleep};

const CONVERSATIONS: usize = 10;
const MESSAGES: usize = 100;

/// Measures catch-up.
#[derive(Parser)]
struct Options {
    /// The ready file of a fleet that runs.
    #[arg(long)]
    fleet: PathBuf,
    /// Empties the recent tails.
    #[arg(long)]
    flush: String,
    /// Catch-ups of each kind.
    #[arg(long, default_value_t = 100)]
    rounds: usize,
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<(), Failure> {
    let options = Options::parse();
    let ready: Value = serde_json::from_str(&std::fs::read_to_string(&options.fleet)?)?;
    let http = ready["gateways"][0]["http"].as_str().ok_or("the ready file has no gateway")?;
    let to: SocketAddr = http.trim_start_matches("http://").parse()?;
    let secret = ready["jwt"]["secret"].as_str().ok_or("the ready file has no secret")?;
    let run = std::process::id();
    let (writer, reader) = (format!("writer-{run}"), format!("reader-{run}"));
    let mut resume = serde_json::Map::new();
    for n in 0..CONVERSATIONS {
        let id = format!("missed-{run}-{n}");
        let body = json!({"kind": "group", "members": [writer, reader], "id": id});
        post_to(to, secret, "/v1/conversations", &body).await?;
        for message in 0..MESSAGES {
            let key = format!("{n:08x}-0000-4000-8000-{message:012x}");
            let body = json!({"idempotency_key": key, "sender": writer, "body": format!("{message:0>200}")});
            post_to(to, secret, &format!("/v1/conversations/{id}/messages"), &body).await?;
        }
        resume.insert(id, 0.into());
    }
    let (token, resume) = (token(secret, &reader, "user")?, Value::Object(resume).to_string());
    // The first one waits until all is stored.
    catch_up(to, &token, &resume).await?;
    sleep(Duration::from_secs(2)).await;
    println!("from the tails: {}", measure(&options, to, &token, &resume, None).await?);
    let flush = Some(options.flush.as_str());
    println!("from the store: {}", measure(&options, to, &token, &resume, flush).await?);
    Ok(())
}

async fn measure(
    options: &Options,
    to: SocketAddr,
    token: &str,
    resume: &str,
    flush: Option<&str>,
) -> Result<String, Failure> {
    let mut took = Histogram::<u64>::new(3)?;
    for _ in 0..options.rounds {
        if let Some(command) = flush {
            let emptied = std::process::Command::new("sh").args(["-c", command]).output()?;
            if !emptied.status.success() {
                return Err(format!("{command}: {}", String::from_utf8_lossy(&emptied.stderr)).into());
            }
        }
        took.record(catch_up(to, token, resume).await?)?;
    }
    let at = |part| took.value_at_quantile(part) as f64 / 1e3;
    Ok(format!("p50 {:.1} ms, p99 {:.1} ms, most {:.1} ms", at(0.5), at(0.99), at(1.0)))
}

/// Microseconds from the dial to `synced`.
async fn catch_up(to: SocketAddr, token: &str, resume: &str) -> Result<u64, Failure> {
    let began = Instant::now();
    let raw = Raw::connect(to, source(0), token, resume).await?;
    let took = began.elapsed().as_micros() as u64;
    drop(raw);
    Ok(took)
}
