//! `chatctl override`, and what every command that forces something does.

use std::time::Duration;

use clap::Subcommand;
use clap_complete::ArgValueCompleter;
use protocol::admin::{CreateOverride, Override, OverrideState, RevertRequest, Standing};
use tokio::time::{Instant, sleep};

use super::no_dry_run;
use crate::{
    api::Api,
    complete,
    error::{CommandError, Kind},
    output::{Cell, Column, Tabular, Tone, counted, format_ms, format_span},
    session::Session,
};

/// Between two looks while an override is brought to the nodes.
const LOOK: Duration = Duration::from_millis(200);

/// Look at what is forced for a while, end it
#[derive(Debug, Subcommand)]
pub enum Args {
    /// List overrides in force, newest first
    List {
        /// Also those that are over
        #[arg(long)]
        all: bool,
    },
    /// Show one override and how it stands on each node
    Show {
        /// The override
        #[arg(add = ArgValueCompleter::new(complete::overrides))]
        id: String,
    },
    /// End an override before its time
    Revert {
        /// The override
        #[arg(add = ArgValueCompleter::new(complete::overrides))]
        id: String,
    },
}

impl Tabular for Override {
    const COLUMNS: &'static [Column] = &[
        Column("OVERRIDE", false),
        Column("WHAT", false),
        Column("SCOPE", false),
        Column("STATE", false),
        Column("LEFT", false),
        Column("NODES", false),
        Column("WHO", false),
        Column("REASON", false),
        Column("ENDED BY", false),
        Column("CREATED", true),
        Column("ENDED", true),
    ];

    fn row(&self) -> Vec<Cell> {
        let tone = match self.state {
            OverrideState::Pending => Tone::Busy,
            OverrideState::Active if self.lever.is_fault() => Tone::Bad,
            OverrideState::Active => Tone::Busy,
            OverrideState::Ended => Tone::Dim,
            OverrideState::Refused => Tone::Bad,
        };
        let applied = self.nodes.iter().filter(|it| it.standing == Standing::Applied).count();
        vec![
            (&self.id).into(),
            self.lever.to_string().into(),
            (&self.scope).into(),
            Cell::new(self.state, tone),
            if self.left_ms > 0 { format_span(self.left_ms) } else { String::new() }.into(),
            if self.nodes.is_empty() { String::new() } else { format!("{applied}/{}", self.nodes.len()) }.into(),
            (&self.who).into(),
            (&self.reason).into(),
            self.ended_by.clone().unwrap_or_default().into(),
            format_ms(self.created_ms).into(),
            self.ended_ms.map(format_ms).unwrap_or_default().into(),
        ]
    }
}

pub(super) async fn run(session: &Session, args: Args) -> Result<(), CommandError> {
    let api = session.api()?;
    match args {
        Args::List { all } => session.ui.repeat(async || session.ui.list(&api.overrides(all).await?)).await,
        Args::Show { id } => session.ui.repeat(async || session.ui.one(&api.override_show(&id).await?)).await,
        Args::Revert { id } => {
            no_dry_run(session, "revert")?;
            let ended = api.override_end(&id, &session.global.reason).await?;
            session.ui.changed(&ended)
        }
    }
}

/// Asks, then forces something, then, with `--wait`, waits until every node of its scope has it.
pub(super) async fn create(session: &Session, request: CreateOverride) -> Result<(), CommandError> {
    let api = session.api()?;
    let planned = api.override_create(&CreateOverride { dry_run: true, ..request.clone() }).await?;
    let on = match planned.nodes.as_slice() {
        // The scope is that node, or the fleet has but one that this concerns.
        [one] if one.node == planned.scope => String::new(),
        [one] => format!(" ({})", one.node),
        nodes => format!(" ({})", counted(nodes.len() as u64, "nodes")),
    };
    let what = format!("{} on {}{on} for {}", planned.lever, planned.scope, format_span(planned.left_ms));
    if session.global.dry_run {
        return session.ui.say(&format!("dry run: {what}"), &planned);
    }
    session.confirm(&what)?;
    let created = api.override_create(&request).await?;
    let settled = if session.global.wait { settle(session, &api, created).await? } else { created };
    session.ui.one(&settled)
}

/// Waits until an override is in force wherever it can be, or refused.
async fn settle(session: &Session, api: &Api, mut one: Override) -> Result<Override, CommandError> {
    let deadline = Instant::now() + session.global.timeout;
    loop {
        let is_settled = match one.state {
            OverrideState::Pending => false,
            OverrideState::Active => one.nodes.iter().all(|it| it.standing != Standing::Sent),
            OverrideState::Ended => true,
            OverrideState::Refused => {
                let why = one.ended_by.unwrap_or_default();
                return Err(CommandError::new(Kind::Refused, format!("{}: {why}", one.lever)));
            }
        };
        if is_settled {
            return Ok(one);
        }
        if Instant::now() >= deadline {
            let error = CommandError::new(Kind::TimedOut, format!("{} is not in force everywhere yet", one.id));
            return Err(error.hint(format!("chatctl override show {} says where", one.id)));
        }
        sleep(LOOK).await;
        one = api.override_show(&one.id).await?;
    }
}

/// Ends whatever holds something.
pub(super) async fn revert_slot(
    session: &Session,
    api: &Api,
    slot: &str,
    scope: Option<String>,
    none: &str,
) -> Result<(), CommandError> {
    no_dry_run(session, "ending an override")?;
    let request = RevertRequest { slot: slot.to_owned(), scope, reason: session.global.reason.clone() };
    let ended = api.override_revert(&request).await?;
    if ended.is_empty() {
        session.ui.note(&format!("{none}: nothing to do"));
        return session.ui.answer(&ended);
    }
    session.ui.list(&ended)
}
