//! What a dev fleet says at readiness.

use std::{fmt::Write as _, time::Duration};

use fleet::LocalFleet;
use serde_json::json;

use super::{context::NAME, place::Place};
use crate::{error::CommandError, session::Session};

pub(super) fn say(
    session: &Session,
    fleet: &LocalFleet,
    place: &Place,
    has_context: bool,
    took: Duration,
) -> Result<(), CommandError> {
    let gateways = fleet.gateways.iter().map(|one| json!({ "id": one.id, "ws": one.ws(), "http": one.http() }));
    let data = json!({
        "control_plane": format!("http://{}", fleet.control_plane),
        "gateways": gateways.collect::<Vec<_>>(),
        "data": place.path,
        "capacity_per_gateway": fleet.capacity,
        "open_files": fleet.open_files,
        "ready_after_ms": took.as_millis() as u64,
        "pid": std::process::id(),
    });
    session.ui.say(&text(fleet, place, has_context, took), &data)
}

fn text(fleet: &LocalFleet, place: &Place, has_context: bool, took: Duration) -> String {
    let mut rows = vec![("control plane".to_owned(), format!("http://{}", fleet.control_plane))];
    rows.extend(fleet.gateways.iter().map(|one| (one.id.clone(), one.ws())));
    rows.push(("data".to_owned(), place.describe()));
    let why = format!("this process may open {} files", fleet.open_files);
    rows.push(("capacity".to_owned(), format!("{} connections a gateway: {why}", fleet.capacity)));
    let mut text = format!("The fleet is ready, after {:.2} s.\n\n", took.as_secs_f64());
    for (name, value) in &rows {
        let _ = writeln!(text, "  {name:<15}{value}");
    }
    let chatctl = program();
    let flag = if has_context { String::new() } else { format!(" --context {NAME}") };
    text.push_str("\nType next, in another terminal:\n\n");
    let commands = [
        ("gateway list", "how it looks"),
        ("conversation create group alice bob --id tea", "a place to talk"),
        ("chat tea --as alice", "and --as bob in a third terminal"),
        ("swarm run", "load, and whether anything was lost"),
        ("gateway drain gw-1 --wait", "move everyone elsewhere"),
    ];
    let width = commands.iter().map(|(command, _)| command.len()).max().unwrap_or_default();
    for (command, what) in commands {
        let _ = writeln!(text, "  {chatctl}{flag} {command:<width$}  # {what}");
    }
    text.push_str("\nCtrl-C drains and stops.");
    text
}

/// chatctl as this run was started, so that what is printed can be typed.
fn program() -> String {
    match std::env::args().next() {
        Some(path) if path.contains('/') => path,
        _ => "chatctl".to_owned(),
    }
}
