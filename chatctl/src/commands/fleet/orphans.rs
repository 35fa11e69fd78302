//! Programs that go on after their supervisor was killed: a new one would start them beside themselves.

use tokio::time::{Instant, sleep};

use super::{
    LOOK, does_not_run,
    place::{Place, terminate},
    plan::Plan,
};
use crate::{
    error::{CommandError, Kind},
    session::Session,
};

/// A program that runs, and its process.
struct Orphan {
    name: String,
    pid: u32,
}

fn orphans(plan: &Plan, place: &Place) -> Vec<Orphan> {
    let of_file = plan.processes.iter().map(|process| process.name.clone());
    let all = of_file.chain(plan.growths.iter().flat_map(|growth| growth.all_names()));
    all.filter_map(|name| Some(Orphan { pid: place.pid(&name)?, name })).collect()
}

fn named(orphans: &[Orphan]) -> String {
    let names: Vec<_> = orphans.iter().map(|orphan| format!("{} (process {})", orphan.name, orphan.pid)).collect();
    names.join(", ")
}

/// Refuses to start a fleet of which programs run already.
pub(super) fn check(plan: &Plan, place: &Place) -> Result<(), CommandError> {
    let left = orphans(plan, place);
    if left.is_empty() {
        return Ok(());
    }
    let why =
        format!("programs of fleet {} run without their supervisor, which was killed: {}", plan.name, named(&left));
    Err(CommandError::new(Kind::Refused, why).hint("chatctl fleet down -f FILE ends them"))
}

/// Ends them as their supervisor would have: SIGTERM, at which each drains or finishes what it has.
pub(super) async fn end(session: &Session, plan: &Plan, place: &Place) -> Result<(), CommandError> {
    let found = orphans(plan, place);
    if found.is_empty() {
        return Err(does_not_run(plan));
    }
    session.ui.note(&format!("the supervisor was killed; these are stopped: {}", named(&found)));
    for orphan in &found {
        terminate(orphan.pid)?;
    }
    let deadline = Instant::now() + session.global.timeout;
    loop {
        let left = orphans(plan, place);
        if left.is_empty() {
            found.iter().for_each(|orphan| place.forget_pid(&orphan.name));
            return Ok(());
        }
        if Instant::now() >= deadline {
            let why = format!("programs of fleet {} are still stopping: {}", plan.name, named(&left));
            return Err(CommandError::new(Kind::TimedOut, why));
        }
        sleep(LOOK).await;
    }
}
