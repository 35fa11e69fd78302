//! chatctl drives a chat fleet from a terminal: noun, then verb.
//!
//! - [`commands`]: one file a noun; each has `Args`, whose doc comments are the help, and `run`.
//! - [`api`], [`gateway_api`]: the control plane's and a gateway's HTTP, with a deadline on everything.
//! - [`context`]: which fleets there are, and the secrets to talk to them.
//! - [`output`]: tables, JSON, YAML, progress; questions to the person in front.
//! - `tui`: the terminal UI.
//! - [`error`]: what went wrong, what to try, and the exit code.

mod access;
pub mod api;
mod cli;
pub mod commands;
mod complete;
pub mod context;
mod duration;
pub mod error;
pub mod gateway_api;
mod http_client;
mod logging;
pub mod output;
mod runbook;
mod session;
mod signals;
mod sse;
mod tui;

use std::{ffi::OsString, process::ExitCode};

use clap::Parser as _;

pub use self::{
    cli::{Cli, Global},
    session::Session,
};

/// Parses, runs, and gives the exit code.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    complete::answer_shell();
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let session = Session::new(cli.global);
    let quietest = match cli.command {
        Some(commands::Command::Dev(_)) => Some(logging::Quietest::Warn),
        // The terminal UI has the whole screen: a log would be written over it.
        None | Some(commands::Command::Ui(_)) => None,
        _ => Some(logging::Quietest::Error),
    };
    if let Some(quietest) = quietest {
        logging::init(quietest, session.global.verbose, session.ui.has_color());
    }
    let done = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(commands::run(&session, cli.command)),
        Err(error) => Err(error::CommandError::failed(format!("cannot start the async runtime: {error}"))),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            session.ui.error(&error);
            ExitCode::from(error.kind.exit_code())
        }
    }
}
