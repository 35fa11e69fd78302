//! A fleet of processes on the real stack, with two control planes, that grows for a load and shrinks again while clients
//! talk; then its control plane is lost, twice. The checker says whether anything was lost or shown twice.
//!
//! Needs the real stack and built programs: `deploy/local/stack up`, `cargo build --release --workspace --examples`.
//! Prints a line a step. Exits with 1 when one did not hold.

// Real processes in real time, and no runtime.
#![allow(clippy::disallowed_methods)]

// The soak's, which uses all of it.
#[allow(dead_code)]
#[path = "soak/fleet.rs"]
mod fleet;

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    process::ExitCode,
    time::{Duration, Instant},
};

use serde_json::Value;

use self::fleet::{Fleet, Load, until};

/// The control planes, and where they serve.
const PLANES: [(&str, &str); 2] = [("control-1", "127.0.0.1:7800"), ("control-2", "127.0.0.1:7810")];
/// Another control plane leads by then.
const TAKEOVER_MAX: Duration = Duration::from_secs(10);
/// Nodes of the file.
const NODES: usize = 6;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("scale: {why}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    let fleet = Fleet::up("scale", described)?;
    let done = grow(&fleet).and_then(|()| shrink(&fleet)).and_then(|()| lose_control(&fleet));
    match done {
        Ok(()) => fleet.remove(),
        Err(why) => return Err(format!("{why}\nthe logs of the fleet are in {}", fleet.logs().display())),
    }
    Ok(())
}

/// Two control planes that share MySQL, gateways and workers that are soon full.
fn described(text: &str) -> String {
    let url = text.lines().find_map(|line| line.strip_prefix("url = ")).unwrap_or_default();
    let planes = PLANES.map(|(id, listen)| {
        let nodes = listen.replace(":78", ":79");
        format!("[[control_planes]]\nid = \"{id}\"\nlisten = \"{listen}\"\nnodes.listen = \"{nodes}\"\n\n")
    });
    let shared = format!("store.url = {url}\ncapacity.messages_per_s = 70\n\n{}", planes.concat());
    text.replace("listen = \"127.0.0.1:7800\"\nnodes.listen = \"127.0.0.1:7900\"\n", &shared)
        .replace("[[gateways]]", "[[gateways]]\nlimits.connections = 100")
}

/// Three times the load of some clients needs more gateways and workers: they come, and take clients.
fn grow(fleet: &Fleet) -> Result<(), String> {
    held("at its first size", load(fleet, 15)?)?;
    let plan = fleet.json(&["prescale", "plan", "--factor", "3"])?;
    let added = |what| plan["rows"].as_array()?.iter().find(|row| row["what"] == what)?["add"].as_u64();
    let (gateways, workers) = (added("gateways").unwrap_or(0), added("workers").unwrap_or(0));
    if gateways == 0 || workers == 0 {
        return Err(format!("the load was too small to need more: {plan}"));
    }
    let began = Instant::now();
    fleet.json(&["prescale", "apply", "--factor", "3", "--yes", "--wait", "--timeout", "90s"])?;
    fleet.wait_nodes(NODES + (gateways + workers) as usize)?;
    println!("{gateways} gateways and {workers} workers were added in {:.1} s", began.elapsed().as_secs_f64());
    let running = load(fleet, 10)?;
    until("the new gateway has clients", || (connections(fleet, "gw-3")? > 0).then_some(()))?;
    until("the new worker has partitions", || {
        let node = fleet.json(&["node", "show", "added-worker-1"]).ok()?;
        (node["partitions"].as_u64()? > 0).then_some(())
    })?;
    held("grown", running)
}

/// What was added goes again, while clients talk.
fn shrink(fleet: &Fleet) -> Result<(), String> {
    let running = load(fleet, 15)?;
    until("the new gateway has clients", || (connections(fleet, "gw-3")? > 0).then_some(()))?;
    let began = Instant::now();
    fleet.json(&["prescale", "revert", "--yes", "--wait", "--timeout", "90s"])?;
    println!("what was added is gone after {:.1} s", began.elapsed().as_secs_f64());
    held("while it shrank", running)?;
    until("only the programs of the file run", || {
        (fleet.verb("status").ok()?.as_array()?.len() == NODES + PLANES.len()).then_some(())
    })?;
    fleet.wait_ready()
}

/// The control plane that leads dies; then it hangs, and the other one leads. Clients notice neither.
fn lose_control(fleet: &Fleet) -> Result<(), String> {
    let running = load(fleet, 20)?;
    let (name, _) = leader(None)?;
    fleet.signal(name, "KILL")?;
    takes_over("the control plane answers after kill -9 of its leader", || fleet.json(&["node", "list"]).is_ok())?;
    let (name, _) = leader(None)?;
    fleet.signal(name, "STOP")?;
    let other = takes_over("another control plane leads after its leader hung", || leader(Some(name)).is_ok());
    // The supervisor starts it again, as one that waits.
    fleet.signal(name, "KILL")?;
    other?;
    fleet.wait_ready()?;
    held("while control planes were lost", running)
}

fn takes_over(what: &str, so: impl Fn() -> bool) -> Result<(), String> {
    let began = Instant::now();
    until(what, || so().then_some(()))?;
    let took = began.elapsed();
    println!("{what}: {:.1} s", took.as_secs_f64());
    if took <= TAKEOVER_MAX { Ok(()) } else { Err(format!("{what}: it took longer than {TAKEOVER_MAX:?}")) }
}

/// The control plane that leads, if not `but`.
fn leader(but: Option<&str>) -> Result<(&'static str, &'static str), String> {
    let others = || PLANES.into_iter().filter(|(name, _)| Some(*name) != but);
    others().find(|(_, at)| is_ready(at)).ok_or_else(|| "no control plane leads".to_owned())
}

/// It says of itself that it leads.
fn is_ready(at: &str) -> bool {
    let ask = || -> std::io::Result<bool> {
        let at: SocketAddr = at.parse().map_err(std::io::Error::other)?;
        let mut stream = TcpStream::connect_timeout(&at, Duration::from_secs(1))?;
        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        stream.write_all(b"GET /readyz HTTP/1.0\r\n\r\n")?;
        let mut status = [0; 12];
        stream.read_exact(&mut status)?;
        Ok(status.ends_with(b" 200"))
    };
    ask().unwrap_or(false)
}

fn connections(fleet: &Fleet, gateway: &str) -> Option<u64> {
    let gateway: Value = fleet.json(&["gateway", "show", gateway]).ok()?;
    gateway["connections"].as_u64()
}

fn load(fleet: &Fleet, seconds: u64) -> Result<Load, String> {
    Load::synthetic(fleet, 50, 100, seconds, 1)
}

/// Waits until a load is over; the checker must hold.
fn held(when: &str, load: Load) -> Result<(), String> {
    let outcome = load.finish()?;
    let (accepted, lost, twice) = (outcome.accepted, outcome.lost, outcome.shown_twice);
    println!("{when}: {accepted} accepted, {lost} lost, {twice} shown twice");
    if outcome.holds { Ok(()) } else { Err(format!("{when}: {}", outcome.violations.join("; "))) }
}
