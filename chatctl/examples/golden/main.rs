//! What every command says, on a fleet of processes over the real stack: the scenes that the test `dev` plays on a fleet in
//! one process, compared with chatctl/tests/golden.
//!
//! Needs the real stack, with one node of Cassandra, and built programs: `deploy/local/stack up`, `cargo build --workspace
//! --bins --examples`. Exits with 1 when something is said otherwise than the golden files have it; `CHATCTL_GOLDEN=write`
//! writes them anew.

// Real processes in real time, and no runtime.
#![allow(clippy::disallowed_methods)]

// The soak's, which uses all of it.
#[allow(dead_code)]
#[path = "../soak/fleet.rs"]
mod fleet;
// The test's.
#[path = "../../tests/dev/golden/play/mod.rs"]
mod play;

use std::process::ExitCode;

use self::fleet::Fleet;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("golden: {why}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    let with_faults = |text: &str| {
        let node = |text: String, kind: &str| text.replace(kind, &format!("{kind}\nallow_faults = true"));
        node(node(text.to_owned(), "[[gateways]]"), "[[workers]]")
    };
    let fleet = Fleet::up("golden", with_faults)?;
    if fleet.has_ring {
        return Err("the golden files are of a stack with one node of Cassandra".to_owned());
    }
    let dir = fleet.logs().join("scratch");
    std::fs::create_dir_all(&dir).map_err(|error| error.to_string())?;
    let context = fleet.json(&["context", "show"])?;
    let stage = play::Stage {
        chatctl: Box::new(|| fleet.command(&[])),
        place: play::Place::Fleet,
        dir,
        context: context["name"].as_str().unwrap_or_default().to_owned(),
    };
    if let Err(why) = play::play(&stage) {
        return Err(format!("{why}\nthe logs of the fleet are in {}", fleet.logs().display()));
    }
    drop(stage);
    println!("every command says what it said: {} scenes", play::SCENES.len());
    fleet.remove();
    Ok(())
}
