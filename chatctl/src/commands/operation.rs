//! `chatctl operation`, and what every command that starts one does then.

use std::time::Duration;

use clap::Subcommand;
use clap_complete::ArgValueCompleter;
use futures_util::StreamExt as _;
use protocol::admin::{Changed, Operation, OperationEvent, OperationKind, OperationState};
use tokio::time::{sleep, timeout};

use super::no_dry_run;
use crate::{
    api::Api,
    complete,
    error::{CommandError, Kind},
    output::{Cell, Column, Progress, Tabular, Tone, format_ms},
    session::Session,
    sse::SseReader,
};

/// A broken stream of events is asked for again after this.
const RETRY_DELAY: Duration = Duration::from_millis(500);
/// Streams in a row that may break without a single event.
const RETRIES_MAX: u32 = 20;

/// Look at what goes on, watch it, cancel it
#[derive(Debug, Subcommand)]
pub enum Args {
    /// List operations, newest first
    List {
        /// Only those in this state: running, cancelling, succeeded, failed, cancelled
        #[arg(long, value_parser = parse_state)]
        state: Option<OperationState>,
        /// At most this many
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=500))]
        limit: u32,
    },
    /// Show one operation
    Show {
        /// The operation
        #[arg(add = ArgValueCompleter::new(complete::operations))]
        operation: String,
    },
    /// Watch an operation to its end
    ///
    /// Ctrl-C ends the watching, not the operation. Exit code 0 only when the operation succeeded.
    Watch {
        /// The operation
        #[arg(add = ArgValueCompleter::new(complete::operations))]
        operation: String,
    },
    /// Cancel an operation: it undoes what it did
    Cancel {
        /// The operation
        #[arg(add = ArgValueCompleter::new(complete::operations))]
        operation: String,
    },
}

fn parse_state(text: &str) -> Result<OperationState, String> {
    OperationState::parse(text).ok_or_else(|| "is one of running, cancelling, succeeded, failed, cancelled".to_owned())
}

impl Tabular for Operation {
    const COLUMNS: &'static [Column] = &[
        Column("OPERATION", false),
        Column("KIND", false),
        Column("TARGET", false),
        Column("STATE", false),
        Column("PHASE", false),
        Column("LEFT", false),
        Column("WHO", false),
        Column("REASON", false),
        Column("CREATED", true),
        Column("ENDED", true),
        Column("EPOCH", true),
        Column("ERROR", true),
    ];

    fn row(&self) -> Vec<Cell> {
        let tone = match self.state {
            OperationState::Running | OperationState::Cancelling => Tone::Busy,
            OperationState::Succeeded => Tone::Good,
            OperationState::Failed => Tone::Bad,
            OperationState::Cancelled => Tone::Dim,
        };
        vec![
            (&self.id).into(),
            self.kind.into(),
            (&self.target).into(),
            Cell::new(self.state, tone),
            self.phase.into(),
            left(self).into(),
            (&self.who).into(),
            (&self.reason).into(),
            format_ms(self.created_ms).into(),
            self.ended_ms.map(format_ms).unwrap_or_default().into(),
            self.epoch.into(),
            self.error.clone().unwrap_or_default().into(),
        ]
    }
}

/// Drains count connections; the others count steps.
fn left(operation: &Operation) -> String {
    let progress = &operation.progress;
    match operation.kind {
        OperationKind::Drain | OperationKind::Undrain => {
            format!("{}/{}", progress.connections, progress.connections_at_start)
        }
        _ => format!("{}/{}", progress.total.saturating_sub(progress.done), progress.total),
    }
}

pub(super) async fn run(session: &Session, args: Args) -> Result<(), CommandError> {
    let api = session.api()?;
    match args {
        Args::List { state, limit } => {
            session.ui.repeat(async || session.ui.list(&api.operations(state, limit).await?)).await
        }
        Args::Show { operation } => session.ui.repeat(async || session.ui.one(&api.operation(&operation).await?)).await,
        Args::Watch { operation } => watch(session, &api, &operation).await,
        Args::Cancel { operation } => {
            no_dry_run(session, "cancel")?;
            let operation = api.cancel(&operation, &session.global.reason).await?;
            if !session.global.wait || operation.state.is_final() {
                return session.ui.changed(&operation);
            }
            match watch(session, &api, &operation.id).await {
                // What was asked for.
                Err(error) if error.kind == Kind::Failed => match api.operation(&operation.id).await?.state {
                    OperationState::Cancelled => Ok(()),
                    _ => Err(error),
                },
                done => done,
            }
        }
    }
}

/// An operation was asked for: says what there was to do, and watches what goes on with `--wait`.
pub(super) async fn begun(session: &Session, api: &Api, operation: &Changed<Operation>) -> Result<(), CommandError> {
    if operation.already.is_some() && operation.state.is_final() {
        return session.ui.changed(operation);
    }
    if let Some(why) = &operation.already {
        session.ui.note(why);
    }
    started(session, api, operation).await
}

/// An operation was begun: says so, and watches it with `--wait`.
pub(super) async fn started(session: &Session, api: &Api, operation: &Operation) -> Result<(), CommandError> {
    if session.global.wait {
        return watch(session, api, &operation.id).await;
    }
    session.ui.one(operation)?;
    session.ui.note(&format!("watch it: chatctl operation watch {}", operation.id));
    Ok(())
}

/// Watches an operation to its end, the timeout, or ctrl-C.
pub(super) async fn watch(session: &Session, api: &Api, id: &str) -> Result<(), CommandError> {
    let goes_on = format!("{id} goes on; end it with `chatctl operation cancel {id}`");
    tokio::select! {
        done = timeout(session.global.timeout, follow(session, api, id)) => match done {
            Ok(done) => done,
            Err(_) => Err(CommandError::new(Kind::TimedOut, format!("{id} has not ended in time")).hint(goes_on)),
        },
        _ = tokio::signal::ctrl_c() => {
            Err(CommandError::failed(format!("stopped watching {id}")).hint(goes_on))
        }
    }
}

/// Follows the events; a stream that breaks is taken up where it ended.
async fn follow(session: &Session, api: &Api, id: &str) -> Result<(), CommandError> {
    let progress = Progress::new(&session.ui);
    let (mut after, mut broken) = (0, 0);
    loop {
        let before = after;
        let why = match stream(api, id, &mut after, &progress).await {
            Ok(Some(last)) => return ended(api, id, &last).await,
            Ok(None) => CommandError::failed(format!("the stream of {id} breaks again and again")),
            Err(error) if error.kind == Kind::Unreachable && before > 0 => error,
            Err(error) => return Err(error),
        };
        broken = if after > before { 0 } else { broken + 1 };
        if broken > RETRIES_MAX {
            return Err(why);
        }
        sleep(RETRY_DELAY).await;
    }
}

/// One stream of events. Gives the last event when the operation ended, `None` when the stream broke before.
async fn stream(
    api: &Api,
    id: &str,
    after: &mut u64,
    progress: &Progress<'_>,
) -> Result<Option<OperationEvent>, CommandError> {
    let mut bytes = api.operation_events(id, *after).await?.bytes_stream();
    let mut reader = SseReader::default();
    while let Some(Ok(bytes)) = bytes.next().await {
        for data in reader.push(&bytes).map_err(CommandError::failed)? {
            let event: OperationEvent = serde_json::from_str(&data)
                .map_err(|_| CommandError::failed("the control plane sent an event this chatctl cannot read"))?;
            *after = event.sequence;
            show(progress, &event)?;
            if event.state.is_final() {
                return Ok(Some(event));
            }
        }
    }
    Ok(None)
}

fn show(progress: &Progress<'_>, event: &OperationEvent) -> Result<(), CommandError> {
    // Drains count connections, all others steps.
    let (all, done) = match event.progress.total {
        0 => {
            let all = event.progress.connections_at_start;
            (all, all.saturating_sub(event.progress.connections))
        }
        total => (total, event.progress.done),
    };
    progress.step(event.phase.as_str(), done, all, &event.message, event)
}

async fn ended(api: &Api, id: &str, last: &OperationEvent) -> Result<(), CommandError> {
    match last.state {
        OperationState::Succeeded => Ok(()),
        OperationState::Cancelled => Err(CommandError::failed(format!("{id} was cancelled"))),
        _ => {
            let error = api.operation(id).await?.error.unwrap_or_else(|| last.message.clone());
            Err(CommandError::failed(format!("{id} failed: {error}")))
        }
    }
}
