//! Runs the whole fleet from as many seeds as asked, and prints those that fail.
//!
//! `cargo run --release -p chatfleet-fleet --features simulation --example seeds -- --count 1000`

use std::process::ExitCode;

use chatfleet_fleet::sim::{Plan, run};
use clap::Parser;
use domain::{Bug, Planted};

/// Runs the whole fleet in simulated time from many seeds; a failing seed replays exactly.
#[derive(Parser)]
struct Args {
    /// The first seed.
    #[arg(long, default_value_t = 1)]
    first: u64,
    /// How many seeds.
    #[arg(long, default_value_t = 200)]
    count: u64,
    /// Plant a known bug, and stop at the first seed that finds it.
    #[arg(long)]
    plant: Option<String>,
    /// Print every seed, not only those that fail.
    #[arg(long)]
    verbose: bool,
}

const BUGS: [(&str, Bug); 6] = [
    ("fold-off", Bug::FoldOff),
    ("accept-before-durable", Bug::AcceptBeforeDurable),
    ("no-density-check", Bug::NoDensityCheck),
    ("absence-cached", Bug::AbsenceCached),
    ("no-session-version", Bug::NoSessionVersion),
    ("zombie-writes", Bug::ZombieWrites),
];

fn main() -> ExitCode {
    let args = Args::parse();
    let planted = match args.plant.as_deref().map(|name| BUGS.into_iter().find(|(known, _)| *known == name)) {
        None => Planted::default(),
        Some(Some((_, bug))) => Planted::one(bug),
        Some(None) => {
            let known: Vec<&str> = BUGS.iter().map(|(name, _)| *name).collect();
            eprintln!("no such bug; known are {}", known.join(", "));
            return ExitCode::from(2);
        }
    };
    let mut failed = Vec::new();
    for seed in args.first..args.first + args.count {
        let outcome = run(&Plan { planted, ..Plan::new(seed) });
        if args.verbose || !outcome.holds() {
            println!("{outcome}");
        }
        if !outcome.holds() {
            failed.push(seed);
            if args.plant.is_some() {
                println!("found after {} seeds", failed.last().map_or(0, |seed| seed - args.first + 1));
                return ExitCode::SUCCESS;
            }
        }
    }
    println!(
        "{} seeds, {} failed{}",
        args.count,
        failed.len(),
        failed.iter().map(|s| format!(" {s}")).collect::<String>()
    );
    if failed.is_empty() && args.plant.is_none() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
