//! Memory of an idle connection: resident bytes of the fleet's process for each client that said hello, is registered
//! and caught up; fresh, and again after two mass reconnects. Registry and presence live in the same process, so their
//! entries count too.

mod support;

use clap::Parser;
use support::{Crowd, Failure, crowd, rss_bytes};
use tokio::time::{Duration, sleep};

/// Measures the memory of an idle connection.
#[derive(Parser)]
struct Options {
    #[command(flatten)]
    crowd: Crowd,
    /// How long to wait after each coming, so that what is on its way has settled.
    #[arg(long, default_value_t = 3)]
    settle_s: u64,
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
    // The first handful makes what every process needs once: threads, caches, tables.
    sleep(Duration::from_secs(options.settle_s)).await;
    let before = rss_bytes()?;
    println!("resident before: {:.1} MiB", before as f64 / 1_048_576.0);
    for round in ["fresh", "after 1 mass reconnect", "after 2 mass reconnects"] {
        let came = crowd::connect(&mut clients).await?;
        sleep(Duration::from_secs(options.settle_s)).await;
        let each = rss_bytes()?.saturating_sub(before) as f64 / options.crowd.clients as f64;
        let counted = fleet.gateways[0].gateway().connections();
        println!("{round}: {each:.0} B a connection ({counted} connections, all in after {:.2} s)", came.all_s);
        crowd::leave(&fleet, &mut clients).await?;
    }
    sleep(Duration::from_secs(options.settle_s)).await;
    let left = rss_bytes()?.saturating_sub(before) as f64 / options.crowd.clients as f64;
    println!("all gone: {left:.0} B for each that was there");
    clients.end()?;
    fleet.shutdown().await;
    Ok(())
}
