//! `chatctl fleet scale`: how many gateways or workers there shall be. The control plane calls it as its provisioner.

use clap::ValueEnum;
use protocol::identity::ProgramRole;
use serde_json::json;

use super::{
    counts::{Counts, Direction, wanted},
    does_not_run,
    place::{Place, SUPERVISOR},
    plan::Plan,
};
use crate::{
    error::{CommandError, Kind},
    session::Session,
};

/// What there may be more of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum What {
    Gateways,
    Workers,
    StoreNodes,
}

/// Writes down how many are wanted; the supervisor starts and stops them.
pub(super) fn scale(
    session: &Session,
    plan: &Plan,
    what: What,
    count: u64,
    direction: Option<Direction>,
) -> Result<(), CommandError> {
    let place = Place::of(plan)?;
    if place.pid(SUPERVISOR).is_none() {
        return Err(does_not_run(plan));
    }
    let (name, growth) = match what {
        What::Gateways => ("gateways", plan.growth(ProgramRole::Gateway)),
        What::Workers => ("workers", plan.growth(ProgramRole::Worker)),
        What::StoreNodes => return Err(no_store_nodes()),
    };
    let (role, of_file) = (growth.role, growth.of_file);
    let before = Counts::read(&place)?.of(role);
    let mut added = wanted(before, of_file, count, direction)?;
    if !session.global.dry_run {
        let kept = Counts::change(&place, |counts| {
            counts.set(role, wanted(counts.of(role), of_file, count, direction)?);
            Ok(())
        })?;
        added = kept.of(role);
    }
    let (before, after) = (of_file + before, of_file + added);
    let shall = if session.global.dry_run { "would have" } else { "shall have" };
    let text = format!("fleet {} {shall} {after} {name}, {of_file} of them its file's; it had {before}", plan.name);
    let data = json!({ "fleet": plan.name, "kind": name, "before": before, "count": after, "of_file": of_file });
    session.ui.say(&text, &data)
}

/// The stores of a fleet of processes are somebody else's.
fn no_store_nodes() -> CommandError {
    let why = "a fleet of processes adds no nodes of the message store";
    CommandError::new(Kind::Refused, why)
        .hint("they are started by hand: deploy/local/stack up --cassandra-nodes 3 has three on this machine")
}
