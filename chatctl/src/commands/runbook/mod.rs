//! `chatctl runbook`.
//!
//! - [`library`]: the runbooks themselves: what there is, and what is wrong with one.
//! - [`plan`]: what a run would do.
//! - [`start`]: begins a run, or goes on with one.
//! - [`watch`]: a run while it goes on, its steps, and the words that it asks for.

mod library;
mod plan;
mod start;
mod watch;

use std::path::PathBuf;

use clap::Subcommand;
use clap_complete::ArgValueCompleter;
use protocol::admin::OperationKind;

use self::plan::Which;
use super::no_dry_run;
use crate::{complete, error::CommandError, runbook, session::Session};

/// Run written procedures step by step, with checks, confirmations and a way back
#[derive(Debug, Subcommand)]
pub enum Args {
    /// List the runbooks
    List,
    /// Print a runbook
    Show {
        /// The runbook
        #[arg(add = ArgValueCompleter::new(complete::runbooks))]
        runbook: String,
    },
    /// Say what is wrong with runbooks [default: those that come with chatctl]
    Lint {
        /// Markdown files
        files: Vec<PathBuf>,
    },
    /// Say what a run would do, step by step; what can be tried without harm is tried
    Plan(Which),
    /// Run a runbook
    ///
    /// The control plane makes the calls, with your rights; this only watches and asks. A step that needs a word asks
    /// for it; without a terminal give it with --confirm, else the run is refused before it begins.
    Run(Which),
    /// Go on with a run that failed: checks are made again, finished actions are kept
    Resume {
        /// The run
        #[arg(add = ArgValueCompleter::new(complete::operations))]
        run: String,
        /// The word of a step, as `step=word`
        #[arg(long, value_name = "STEP=WORD")]
        confirm: Vec<String>,
    },
    /// Stop a run and undo what it did, the last first
    Abort {
        /// The run
        #[arg(add = ArgValueCompleter::new(complete::operations))]
        run: String,
    },
    /// List runs, newest first; with a run, its steps
    History {
        /// The run
        #[arg(add = ArgValueCompleter::new(complete::operations))]
        run: Option<String>,
    },
}

pub(super) async fn run(session: &Session, args: Args) -> Result<(), CommandError> {
    match args {
        Args::List => library::list(session),
        Args::Show { runbook } => session.ui.out(&runbook::find(&runbook)?.text),
        Args::Lint { files } => library::lint(session, &files),
        Args::Plan(which) => {
            let request = plan::request(session, &which)?;
            plan::show(session, &request).await
        }
        Args::Run(which) if session.global.dry_run => plan::show(session, &plan::request(session, &which)?).await,
        Args::Run(which) => start::start(session, plan::request(session, &which)?).await,
        Args::Resume { run, confirm } => start::resume(session, &run, &confirm).await,
        Args::Abort { run } => {
            no_dry_run(session, "abort")?;
            let api = session.api()?;
            let operation = api.cancel(&run, &session.global.reason).await?;
            if !session.global.wait || operation.state.is_final() {
                return session.ui.changed(&operation);
            }
            watch::watch(session, &api, &operation).await
        }
        Args::History { run: None } => {
            let mut runs = session.api()?.operations(None, 200).await?;
            runs.retain(|operation| operation.kind == OperationKind::Runbook);
            session.ui.list(&runs)
        }
        Args::History { run: Some(run) } => {
            let api = session.api()?;
            session.ui.repeat(async || session.ui.list(&watch::detail(&api.operation(&run).await?)?.steps)).await
        }
    }
}
