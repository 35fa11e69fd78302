//! `chatctl breaker`.

use std::time::Duration;

use clap::Subcommand;
use clap_complete::ArgValueCompleter;
use protocol::admin::{Breaker, BreakerState, CreateOverride, Lever};

use super::overrides;
use crate::{
    complete,
    duration::parse_duration,
    error::CommandError,
    output::{Cell, Column, Tabular, Tone, format_span},
    session::Session,
};

/// Look at circuit breakers, hold them open or closed, let them go
#[derive(Debug, Subcommand)]
pub enum Args {
    /// List breakers: one for each store and node
    List {
        /// Only those that are not closed, or held
        #[arg(long)]
        odd: bool,
    },
    /// Hold a breaker open: calls of that store are answered with an error at once
    Open(Force),
    /// Hold a breaker closed: calls of that store are made however many fail
    Close(Force),
    /// Let a breaker go: it moves by itself again
    Auto {
        /// The store: log, messages, dedup, registry, presence, directory
        name: String,
        /// Where: `fleet`, or a node
        #[arg(long, default_value = "fleet", add = ArgValueCompleter::new(complete::scopes))]
        scope: String,
    },
}

/// What `open` and `close` take.
#[derive(Debug, clap::Args)]
pub struct Force {
    /// The store: log, messages, dedup, registry, presence, directory
    name: String,
    /// Where: `fleet`, or a node
    #[arg(long, default_value = "fleet", add = ArgValueCompleter::new(complete::scopes))]
    scope: String,
    /// For how long: it lets itself go then, control plane up or not
    #[arg(long = "for", value_parser = parse_duration, value_name = "TIME")]
    lasts: Duration,
}

impl Force {
    /// The call's body.
    pub(crate) fn request(self, state: BreakerState, reason: &str) -> CreateOverride {
        CreateOverride {
            lever: Lever::Breaker { name: self.name, state },
            scope: self.scope,
            for_ms: self.lasts.as_millis() as u64,
            reason: reason.to_owned(),
            dry_run: false,
        }
    }
}

impl Tabular for Breaker {
    const COLUMNS: &'static [Column] = &[
        Column("BREAKER", false),
        Column("NODE", false),
        Column("STATE", false),
        Column("FOR", false),
        Column("SET BY", false),
        Column("CALLS", false),
        Column("ERRORS", false),
        Column("P99", false),
        Column("TROUBLE", false),
        Column("OVERRIDE", true),
    ];

    fn row(&self) -> Vec<Cell> {
        let state = match self.state {
            BreakerState::Closed => Tone::Good,
            BreakerState::HalfOpen => Tone::Busy,
            BreakerState::Open => Tone::Bad,
        };
        let percent = (self.errors * 100).checked_div(self.calls).unwrap_or(0);
        let trouble = if self.trouble.is_empty() { Tone::Plain } else { Tone::Bad };
        vec![
            (&self.name).into(),
            (&self.node).into(),
            Cell::new(self.state, state),
            format_span(self.for_ms).into(),
            (&self.set_by).into(),
            self.calls.into(),
            format!("{percent}%").into(),
            format!("{} ms", self.p99_ms).into(),
            Cell::new(&self.trouble, trouble),
            self.forced_by.clone().unwrap_or_default().into(),
        ]
    }
}

pub(super) async fn run(session: &Session, args: Args) -> Result<(), CommandError> {
    let api = session.api()?;
    match args {
        Args::List { odd } => {
            session
                .ui
                .repeat(async || {
                    let mut breakers = api.breakers().await?;
                    breakers.retain(|it| !odd || it.state != BreakerState::Closed || it.forced_by.is_some());
                    session.ui.list(&breakers)
                })
                .await
        }
        Args::Open(force) => hold(session, force, BreakerState::Open).await,
        Args::Close(force) => hold(session, force, BreakerState::Closed).await,
        Args::Auto { name, scope } => {
            let none = format!("no breaker {name} is held on {scope}");
            overrides::revert_slot(session, &api, &format!("breaker {name}"), Some(scope), &none).await
        }
    }
}

async fn hold(session: &Session, force: Force, state: BreakerState) -> Result<(), CommandError> {
    overrides::create(session, force.request(state, &session.global.reason)).await
}
