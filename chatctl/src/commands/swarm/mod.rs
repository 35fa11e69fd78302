//! `chatctl swarm`: many clients in this process, judged by the checker.

mod replay;
mod run;
mod show;

use std::{sync::Arc, time::Duration};

use clap::Subcommand;
use client::swarm::{Fleet, Outcome, Progress, SwarmError};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::no_dry_run;
use crate::{
    access::{Access, Creator},
    duration::parse_duration,
    error::{CommandError, Kind},
    session::Session,
    signals::Signals,
};

/// Many clients at once: replay a chat log, or make load; then say whether anything was lost, doubled or reordered
#[derive(Debug, Subcommand)]
pub enum Args {
    /// Say a chat log again: everyone who speaks in it is a client, all are members of one new group
    ///
    /// Lines are `[HH:MM] <nick> text`; joins and quits connect and disconnect that client. Exits with 0 only when the
    /// checker holds: nothing lost, nothing shown twice, nothing out of order.
    Replay(replay::Args),
    /// Make load: clients in pairs and groups that send and lose connections
    ///
    /// Exits with 0 only when the checker holds: nothing lost, nothing shown twice, nothing out of order.
    Run(run::Args),
}

pub(super) async fn run(session: &Session, args: Args) -> Result<(), CommandError> {
    no_dry_run(session, "swarm")?;
    match args {
        Args::Replay(args) => replay::run(session, args).await,
        Args::Run(args) => run::run(session, args).await,
    }
}

/// When a swarm that has said all gives up.
#[derive(Debug, clap::Args)]
struct End {
    /// At the end, wait so long while nothing moves; then what is missing counts as lost. Choose more than a store may be away
    #[arg(long, value_parser = parse_duration, default_value = "60s", value_name = "TIME")]
    patience: Duration,
}

/// Files this process needs beside its connections.
const FILES_RESERVED: u64 = 50;

/// Raises the limit of open files: each client holds a socket, and a second one while it moves.
fn check_files(clients: usize) -> Result<(), CommandError> {
    let files = rlimit::increase_nofile_limit(u64::MAX).unwrap_or(1_024);
    if clients as u64 + FILES_RESERVED > files {
        return Err(CommandError::usage(format!(
            "{clients} clients need more open files than this process may have ({files})"
        ))
        .hint(format!("at most {} clients, or raise `ulimit -Hn`", files.saturating_sub(FILES_RESERVED))));
    }
    Ok(())
}

/// Runs a swarm, shows its progress, says how it ended.
async fn play<F>(session: &Session, phase: &str, swarm: impl FnOnce(Fleet) -> F) -> Result<(), CommandError>
where
    F: Future<Output = Result<Outcome, SwarmError>>,
{
    let mut signals = Signals::listen()?;
    let access = Access::find(session).await?;
    let (progress, watched) = watch::channel(Progress::default());
    let cancel = CancellationToken::new();
    let fleet = Fleet {
        connect: access.connect,
        tokens: access.tokens,
        conversations: Arc::new(Creator(access.gateways)),
        progress: Some(progress),
        cancel: cancel.clone(),
    };
    let interrupted = async {
        signals.next().await;
        cancel.cancel();
        session.ui.note("ending early; again to stop at once");
        signals.next().await;
    };
    let work = swarm(fleet);
    let outcome = tokio::select! {
        outcome = show::beside(&session.ui, phase, watched, work) => outcome?,
        () = interrupted => return Err(CommandError::failed("stopped at once: nothing is known")),
    };
    show::outcome(&session.ui, &outcome.map_err(explain)?)
}

fn explain(error: SwarmError) -> CommandError {
    let hint = match &error {
        SwarmError::TooManySpeakers(_) => Some("--speakers 500"),
        SwarmError::NotConnected { .. } | SwarmError::Create(_) => {
            Some("chatctl gateway list shows what the gateways say")
        }
        _ => None,
    };
    let kind = match &error {
        SwarmError::TooManySpeakers(_) | SwarmError::TooFew(_) | SwarmError::Invalid { .. } => Kind::Usage,
        SwarmError::Create(_) | SwarmError::NotConnected { .. } | SwarmError::Cancelled => Kind::Failed,
    };
    let explained = CommandError::new(kind, error.to_string());
    match hint {
        Some(hint) => explained.hint(hint),
        None => explained,
    }
}
