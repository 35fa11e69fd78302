//! Kills each part of a fleet of processes on the real stack in the middle of traffic, and has the checker say whether
//! anything was lost, shown twice or out of order.
//!
//! Needs the real stack and built programs: `deploy/local/stack up`, `cargo build --release --workspace --examples`.
//! Prints a line for each fault and a table at the end; what is under way goes to stderr. Exits with 1 when a round did not
//! hold.

// Real processes in real time, and no runtime.
#![allow(clippy::disallowed_methods)]

mod faults;
mod fleet;

use std::{path::PathBuf, process::ExitCode, time::Duration};

use clap::Parser;

use self::{
    faults::{FAULTS, Fault},
    fleet::{Fleet, Load, Outcome},
};

/// Kill each part of a fleet in the middle of traffic
#[derive(Debug, Parser)]
struct Args {
    /// Rounds of each fault
    #[arg(long, default_value_t = 20)]
    rounds: u32,
    /// Only faults whose name has this in it
    #[arg(long, default_value = "")]
    only: String,
    /// How long each round sends
    #[arg(long, default_value_t = 12)]
    seconds: u64,
    /// Synthetic clients
    #[arg(long, default_value_t = 60)]
    clients: u32,
    /// Messages a second of them
    #[arg(long, default_value_t = 200)]
    rate: u32,
    /// A chat log that is replayed beside them
    #[arg(long)]
    replay: Option<PathBuf>,
    /// Print the names of the faults
    #[arg(long)]
    list: bool,
}

/// What the rounds of one fault came to.
#[derive(Default)]
struct Tally {
    rounds: u32,
    held: u32,
    accepted: u64,
    lost: u64,
    shown_twice: u64,
    out_of_order: u64,
    /// Of each round, the longest any message took: how long the fault was felt.
    felt_ms: Vec<u64>,
}

impl Tally {
    fn add(&mut self, outcomes: &[Outcome]) {
        self.rounds += 1;
        self.held += u32::from(outcomes.iter().all(|outcome| outcome.holds));
        for outcome in outcomes {
            self.accepted += outcome.accepted;
            self.lost += outcome.lost;
            self.shown_twice += outcome.shown_twice;
            self.out_of_order += outcome.out_of_order;
        }
        self.felt_ms.push(felt_ms(outcomes));
        self.felt_ms.sort_unstable();
    }

    fn row(&self, name: &str) -> String {
        let p50 = self.felt_ms.get(self.felt_ms.len() / 2).copied().unwrap_or(0);
        let max = self.felt_ms.last().copied().unwrap_or(0);
        format!(
            "{name:<26} {:>3}/{:<3} {:>9} {:>5} {:>6} {:>6} {:>9.1} {:>9.1}",
            self.held,
            self.rounds,
            self.accepted,
            self.lost,
            self.shown_twice,
            self.out_of_order,
            p50 as f64 / 1e3,
            max as f64 / 1e3
        )
    }
}

/// The longest that any message took.
fn felt_ms(outcomes: &[Outcome]) -> u64 {
    outcomes.iter().map(|outcome| outcome.latency.max_ms).max().unwrap_or(0)
}

const HEAD: &str = "fault                      held    accepted  lost  twice  order  p50 s felt  max s";

fn main() -> ExitCode {
    let args = Args::parse();
    let chosen: Vec<&Fault> = FAULTS.iter().filter(|fault| fault.name.contains(&args.only)).collect();
    if args.list {
        chosen.iter().for_each(|fault| println!("{:<26} {}", fault.name, fault.what));
        return ExitCode::SUCCESS;
    }
    match run(&args, &chosen) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            eprintln!("soak: {why}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args, faults: &[&Fault]) -> Result<bool, String> {
    if faults.is_empty() {
        return Err(format!("no fault has {:?} in its name; --list shows all", args.only));
    }
    let fleet = Fleet::up("soak", str::to_owned)?;
    println!("{HEAD}");
    let mut rows = Vec::new();
    let mut all_held = true;
    for fault in faults {
        if fault.needs_ring && !fleet.has_ring {
            println!("{:<26} not run: it takes `stack up --cassandra-nodes 3`", fault.name);
            continue;
        }
        let mut tally = Tally::default();
        for round in 1..=args.rounds {
            let outcomes = one_round(args, &fleet, fault, round)?;
            let held = outcomes.iter().all(|outcome| outcome.holds);
            all_held &= held;
            tally.add(&outcomes);
            let (verdict, rounds) = (if held { "held" } else { "DID NOT HOLD" }, args.rounds);
            eprintln!(
                "{} round {round} of {rounds}: {verdict}, felt {:.1} s",
                fault.name,
                felt_ms(&outcomes) as f64 / 1e3
            );
            for outcome in outcomes.iter().filter(|outcome| !outcome.holds) {
                println!("{} round {round} DID NOT HOLD: {}", fault.name, outcome.violations.join("; "));
            }
        }
        println!("{}", tally.row(fault.name));
        rows.push(tally.row(fault.name));
    }
    println!("\n{HEAD}\n{}", rows.join("\n"));
    if all_held {
        fleet.remove();
    } else {
        println!("\nThe logs of the fleet are in {}", fleet.logs().display());
    }
    Ok(all_held)
}

/// Traffic, the fault in its middle, and what the checker says of it.
fn one_round(args: &Args, fleet: &Fleet, fault: &Fault, round: u32) -> Result<Vec<Outcome>, String> {
    fleet.wait_ready()?;
    let seconds = args.seconds.max(fault.seconds + 8);
    let mut loads = vec![Load::synthetic(fleet, args.clients, args.rate, seconds, round)?];
    if let Some(log) = &args.replay {
        loads.push(Load::replay(fleet, log)?);
    }
    std::thread::sleep(Duration::from_secs(3));
    let struck = fault.strike(fleet);
    // What was struck is mended also when striking failed half way.
    let mended = fault.mend(fleet);
    struck.and(mended).map_err(|why| format!("{}: {why}", fault.name))?;
    loads.into_iter().map(Load::finish).collect()
}
