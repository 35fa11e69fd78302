//! `chatctl fleet`: a described fleet as processes of this machine.

mod certificates;
mod control_planes;
mod counts;
mod growth;
mod nodes;
mod orphans;
mod place;
mod plan;
mod ports;
mod process;
mod scale;
mod settings;
mod status;
mod supervise;

use std::path::PathBuf;

use clap::Subcommand;
use tokio::time::{Duration, Instant, sleep};

use self::{counts::Direction, place::Place, plan::Plan, scale::What};
use super::no_dry_run;
use crate::{
    error::{CommandError, Kind},
    session::Session,
};

/// Between two looks whether a fleet has stopped.
const LOOK: Duration = Duration::from_millis(100);

/// `chatctl fleet`
#[derive(Debug, Subcommand)]
pub enum Args {
    /// Start every program of the file, and start again what dies; ctrl-C drains and stops
    ///
    /// The programs chat-gateway, chat-worker and chat-control-plane are looked for beside chatctl. Their secrets,
    /// certificates, settings and logs are in the fleet's directory; its context is written and made current.
    Up {
        /// The fleet's description
        #[arg(short, long, value_name = "FILE")]
        file: PathBuf,
        /// At readiness write a JSON file with addresses and secrets; it goes at exit
        #[arg(long, value_name = "PATH")]
        ready_file: Option<PathBuf>,
    },
    /// Stop a fleet that runs: clients are drained, what was accepted is finished
    ///
    /// Also what goes on after its supervisor was killed.
    Down {
        /// The fleet's description
        #[arg(short, long, value_name = "FILE")]
        file: PathBuf,
    },
    /// Say how many gateways or workers a fleet that runs shall have in all; its supervisor starts and stops them
    ///
    /// Those of the file stay. The control plane of a fleet calls this by itself (provision.command), as for
    /// `chatctl prescale` and events; `chatctl fleet status` shows what came of it.
    Scale {
        /// The fleet's description
        #[arg(short, long, value_name = "FILE")]
        file: PathBuf,
        /// What there may be more of
        what: What,
        /// How many there shall be
        count: u64,
        /// Never take away, or never add [default: whichever is needed]
        direction: Option<Direction>,
    },
    /// The programs of a fleet: whether they run, as which process, and where their logs are
    Status {
        /// The fleet's description
        #[arg(short, long, value_name = "FILE")]
        file: PathBuf,
    },
}

pub(super) async fn run(session: &Session, args: Args) -> Result<(), CommandError> {
    match args {
        Args::Up { file, ready_file } => {
            no_dry_run(session, "fleet up")?;
            let plan = Plan::read(&file)?;
            supervise::up(session, plan, ready_file).await
        }
        Args::Down { file } => {
            no_dry_run(session, "fleet down")?;
            down(session, &Plan::read(&file)?).await
        }
        Args::Scale { file, what, count, direction } => {
            scale::scale(session, &Plan::read(&file)?, what, count, direction)
        }
        Args::Status { file } => session.ui.list(&status::status(&Plan::read(&file)?)?),
    }
}

async fn down(session: &Session, plan: &Plan) -> Result<(), CommandError> {
    let place = Place::of(plan)?;
    match place.pid(place::SUPERVISOR) {
        Some(pid) => stop(session, plan, &place, pid).await?,
        None => orphans::end(session, plan, &place).await?,
    }
    session.ui.say(&format!("fleet {} is down", plan.name), &serde_json::json!({ "fleet": plan.name, "state": "down" }))
}

/// Tells the supervisor to stop, and waits until it has ended.
async fn stop(session: &Session, plan: &Plan, place: &Place, pid: u32) -> Result<(), CommandError> {
    place::terminate(pid)?;
    let deadline = Instant::now() + session.global.timeout;
    while place.pid(place::SUPERVISOR).is_some() {
        if Instant::now() >= deadline {
            return Err(CommandError::new(Kind::TimedOut, format!("fleet {} is still stopping", plan.name)));
        }
        sleep(LOOK).await;
    }
    Ok(())
}

fn does_not_run(plan: &Plan) -> CommandError {
    let error = CommandError::new(Kind::NotFound, format!("fleet {} does not run", plan.name));
    error.hint("chatctl fleet up -f FILE starts it")
}
