//! `chatctl fleet`: a described fleet as processes of this machine.

mod certificates;
mod place;
mod plan;
mod supervise;

use std::path::PathBuf;

use clap::Subcommand;
use serde::Serialize;
use tokio::time::{Duration, Instant, sleep};

use self::{place::Place, plan::Plan};
use super::no_dry_run;
use crate::{
    error::{CommandError, Kind},
    output::{Cell, Column, Tabular, Tone},
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
    Down {
        /// The fleet's description
        #[arg(short, long, value_name = "FILE")]
        file: PathBuf,
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
        Args::Status { file } => {
            let plan = Plan::read(&file)?;
            session.ui.list(&status(&plan)?)
        }
    }
}

/// A program of a fleet, as `status` shows it.
#[derive(Debug, Serialize)]
struct ProcessStatus {
    name: String,
    program: &'static str,
    state: &'static str,
    pid: Option<u32>,
    log: PathBuf,
}

impl Tabular for ProcessStatus {
    const COLUMNS: &'static [Column] = &[
        Column("NAME", false),
        Column("PROGRAM", false),
        Column("STATE", false),
        Column("PID", false),
        Column("LOG", true),
    ];

    fn row(&self) -> Vec<Cell> {
        let tone = if self.pid.is_some() { Tone::Good } else { Tone::Bad };
        let pid = self.pid.map_or_else(String::new, |pid| pid.to_string());
        vec![
            (&self.name).into(),
            self.program.into(),
            Cell::new(self.state, tone),
            pid.into(),
            self.log.display().to_string().into(),
        ]
    }
}

fn status(plan: &Plan) -> Result<Vec<ProcessStatus>, CommandError> {
    let place = Place::of(plan)?;
    let of = |process: &plan::Process| {
        let pid = place.pid(&process.name);
        let state = if pid.is_some() { "running" } else { "down" };
        let (name, log) = (process.name.clone(), place.log(&process.name));
        ProcessStatus { name, program: process.program(), state, pid, log }
    };
    Ok(plan.processes.iter().map(of).collect())
}

async fn down(session: &Session, plan: &Plan) -> Result<(), CommandError> {
    let place = Place::of(plan)?;
    let Some(pid) = place.pid(place::SUPERVISOR) else {
        let why = format!("fleet {} does not run", plan.name);
        return Err(CommandError::new(Kind::NotFound, why).hint("chatctl fleet up -f FILE starts it"));
    };
    place::terminate(pid)?;
    let deadline = Instant::now() + session.global.timeout;
    while place.pid(place::SUPERVISOR).is_some() {
        if Instant::now() >= deadline {
            return Err(CommandError::new(Kind::TimedOut, format!("fleet {} is still stopping", plan.name)));
        }
        sleep(LOOK).await;
    }
    session.ui.say(&format!("fleet {} is down", plan.name), &serde_json::json!({ "fleet": plan.name, "state": "down" }))
}
