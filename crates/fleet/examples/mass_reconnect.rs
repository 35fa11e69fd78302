//! A mass reconnect: everybody connects at once, says hello and catches up with one conversation; the clients share
//! the machine. The first round is a cold start: no membership is cached.

mod support;

use clap::Parser;
use support::{Crowd, Failure, cpu_s, crowd};

/// Measures how long a crowd takes to be back.
#[derive(Parser)]
struct Options {
    #[command(flatten)]
    crowd: Crowd,
    /// How many times they come.
    #[arg(long, default_value_t = 4)]
    rounds: usize,
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Some(("clients", rest)) = arguments.split_first().map(|(first, rest)| (first.as_str(), rest)) {
        return crowd::clients(rest).await;
    }
    let options = Options::parse();
    let fleet = support::fleet(gateway::Limits::default()).await?;
    crowd::prepare(&fleet, options.crowd.clients).await?;
    let mut clients = crowd::start(&fleet, options.crowd.clients)?;
    for round in 1..=options.rounds {
        let before = cpu_s()?;
        let came = crowd::connect(&mut clients).await?;
        let cpu = cpu_s()? - before;
        println!(
            "round {round}: {} clients back after {:.2} s (half {:.2} s, 99 % {:.2} s, {} attempts repeated; fleet's processor time {cpu:.2} s)",
            options.crowd.clients, came.all_s, came.p50_s, came.p99_s, came.retries
        );
        crowd::leave(&fleet, &mut clients).await?;
    }
    clients.end()?;
    fleet.shutdown().await;
    Ok(())
}
