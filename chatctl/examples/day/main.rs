//! A day of an SRE in four minutes, on a fleet of processes over the real stack: the load grows and the fleet with it, writes
//! are lowered to one replica, nodes are lost, writes are restored and verified, everything is restarted under load, rows
//! are checked, and the fleet shrinks again. In the middle of each operation the control plane that leads is lost, and the
//! other one ends it. Clients talk all the while; the checker says whether anything was lost or shown twice.
//!
//! Needs the real stack and built programs: `deploy/local/stack up`, `cargo build --release --workspace --examples`. With
//! `stack up --cassandra-nodes 3` a node of Cassandra is lost, too. Prints a line a step. Exits with 1 when one did not hold.

// Real processes in real time, and no runtime.
#![allow(clippy::disallowed_methods)]

// The soak's, which uses all of it.
#[allow(dead_code)]
#[path = "../soak/fleet.rs"]
mod fleet;
#[path = "../soak/planes.rs"]
mod planes;
mod steps;

use std::{process::ExitCode, time::Instant};

use self::{
    fleet::{Fleet, Load},
    planes::with_two,
    steps::STEPS,
};

/// Clients, and messages a second of them.
const CLIENTS: u32 = 50;
const RATE: u32 = 100;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("day: {why}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    // Gateways and workers that are soon full: some more of everything is needed for three times the load.
    let described = |text: &str| {
        with_two(text, "capacity.messages_per_s = 70").replace("[[gateways]]", "[[gateways]]\nlimits.connections = 100")
    };
    let fleet = Fleet::up("day", described)?;
    let day = || STEPS.iter().try_for_each(|step| one(&fleet, step));
    if let Err(why) = day() {
        return Err(format!("{why}\nthe logs of the fleet are in {}", fleet.logs().display()));
    }
    fleet.remove();
    Ok(())
}

/// A step while clients talk; the checker must hold, and every node be well again.
fn one(fleet: &Fleet, step: &steps::Step) -> Result<(), String> {
    let load = Load::synthetic(fleet, CLIENTS, RATE, step.load_s, 1)?;
    let began = Instant::now();
    let said = (step.run)(fleet);
    let took = began.elapsed();
    let outcome = load.finish()?;
    let said = said.map_err(|why| format!("{}: {why}", step.name))?;
    let (accepted, lost, twice, order) = (outcome.accepted, outcome.lost, outcome.shown_twice, outcome.out_of_order);
    // A busy machine.
    let alone = if took.as_secs() > step.load_s { "; the clients ended before it" } else { "" };
    println!(
        "{:<44} {:>5.1} s  {accepted:>5} accepted, {lost} lost, {twice} twice, {order} out of order  {said}{alone}",
        step.name,
        took.as_secs_f64()
    );
    if outcome.holds { Ok(()) } else { Err(format!("{}: {}", step.name, outcome.violations.join("; "))) }
}
