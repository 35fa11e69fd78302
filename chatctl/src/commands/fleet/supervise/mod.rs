//! `chatctl fleet up`: starts a fleet's programs, keeps them running, and scales them.

mod follow;
mod keep;
mod readiness;
mod settle;

use std::{path::PathBuf, sync::Arc};

use serde_json::json;
use tokio::time::Instant;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::{
    follow::Follower,
    keep::Keeper,
    readiness::{now_ms, until_ready},
    settle::Settler,
};
use super::{
    orphans,
    place::{Place, SUPERVISOR},
    plan::Plan,
    process::Process,
};
use crate::{
    commands::{
        dev::announce,
        ready::{self, ReadyFile, ReadyGateway},
    },
    context::Context,
    error::{CommandError, Kind},
    session::Session,
    signals::Signals,
};

pub(super) async fn up(session: &Session, plan: Plan, ready_file: Option<PathBuf>) -> Result<(), CommandError> {
    let began = Instant::now();
    let place = Arc::new(Place::of(&plan)?);
    place.make()?;
    if let Some(pid) = place.pid(SUPERVISOR) {
        let why = format!("fleet {} runs already, as process {pid}", plan.name);
        return Err(CommandError::new(Kind::Refused, why).hint("chatctl fleet down -f FILE stops it"));
    }
    orphans::check(&plan, &place)?;
    let mut signals = Signals::listen()?;
    if let Some(path) = &ready_file {
        ready::remove_stale(path);
    }
    place.keep_pid(SUPERVISOR, std::process::id())?;
    let done = run(session, plan, place.clone(), ready_file, &mut signals, began).await;
    place.forget_pid(SUPERVISOR);
    done
}

async fn run(
    session: &Session,
    plan: Plan,
    place: Arc<Place>,
    ready_file: Option<PathBuf>,
    signals: &mut Signals,
    began: Instant,
) -> Result<(), CommandError> {
    let settler = Settler::make(&plan, &place)?;
    let context = settler.context(&plan);
    let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
    let keeper = Keeper { place, settler, stop: stop.clone(), tasks: tasks.clone() };
    let served = start_and_serve(session, plan, keeper, context, ready_file, signals, began).await;
    stop.cancel();
    tasks.close();
    tokio::select! {
        () = tasks.wait() => {}
        () = signals.next() => {
            session.ui.note("stopped at once: the programs are killed");
            std::process::exit(1);
        }
    }
    served
}

/// From the start to the first signal.
async fn start_and_serve(
    session: &Session,
    plan: Plan,
    keeper: Keeper,
    mut context: Context,
    ready_file: Option<PathBuf>,
    signals: &mut Signals,
    began: Instant,
) -> Result<(), CommandError> {
    let since_ms = now_ms();
    let mut processes = plan.processes.clone();
    for process in &mut processes {
        keeper.start(process)?;
    }
    let (stop, tasks) = (keeper.stop.clone(), keeper.tasks.clone());
    let mut follower = Follower::new(&plan, keeper, context.clone());
    processes.extend(follower.start()?);
    tokio::select! {
        ready = until_ready(&processes, &context, since_ms) => ready?,
        () = signals.next() => return Err(CommandError::failed("stopped before the fleet was ready")),
    }
    context.gateways = follower.gateways();
    announce(session, &plan.name, &context);
    let gateways = ready_gateways(&processes);
    let file = match &ready_file {
        Some(path) => Some(ReadyFile::write(path, &gateways, &context, false)?),
        None => None,
    };
    say_ready(session, &plan.name, &context, &gateways, began)?;
    tasks.spawn(follower.run(stop));
    signals.next().await;
    session.ui.note("stopping: clients are drained and what was accepted is finished; again to stop at once");
    drop(file);
    Ok(())
}

fn ready_gateways(processes: &[Process]) -> Vec<ReadyGateway> {
    let gateway = |process: &Process| {
        let listen = process.client_address()?;
        let (ws, http) = (format!("ws://{listen}/v1/ws"), format!("http://{listen}"));
        Some(ReadyGateway { id: process.name.clone(), ws, http })
    };
    processes.iter().filter_map(gateway).collect()
}

fn say_ready(
    session: &Session,
    name: &str,
    context: &Context,
    gateways: &[ReadyGateway],
    began: Instant,
) -> Result<(), CommandError> {
    let (took, control_plane) = (began.elapsed(), &context.control_plane);
    let mut text =
        format!("Fleet {name} is ready, after {:.1} s.\n\n  control plane  {control_plane}\n", took.as_secs_f64());
    for one in gateways {
        text.push_str(&format!("  {:<13}  {}\n", one.id, one.ws));
    }
    text.push_str("\nchatctl in another terminal finds it. Ctrl-C drains and stops.");
    let data = json!({ "fleet": name, "control_plane": control_plane, "gateways": gateways,
        "ready_after_ms": took.as_millis() as u64, "pid": std::process::id() });
    session.ui.say(&text, &data)
}
