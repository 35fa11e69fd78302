//! `chatctl consistency`.

use std::time::Duration;

use clap::{Subcommand, ValueEnum};
use protocol::admin::{Consistency, ConsistencyWindow, CreateOverride, Lever, WindowState};
use tokio::time::{Instant, sleep};

use super::overrides;
use crate::{
    api::Api,
    duration::parse_duration,
    error::{CommandError, Kind},
    output::{Cell, Column, Tabular, Tone, counted, format_ms, format_span, thousands},
    session::Session,
};

/// Between two looks while windows are written again.
const LOOK: Duration = Duration::from_millis(500);

/// Look at the consistency of stored messages, lower it for a while, verify what was stored meanwhile
#[derive(Debug, Subcommand)]
pub enum Args {
    /// Show how messages are stored now
    Show,
    /// Store messages at a lower consistency for a while
    ///
    /// Rows are written to one replica; the commit pointer stands still, so Kafka still has everything. When it is over
    /// the rows are written again at quorum, read back, and only then committed.
    Set {
        /// The level
        #[arg(value_enum)]
        level: Level,
        /// For how long: at most 30m at a time
        #[arg(long = "for", value_parser = parse_duration, value_name = "TIME")]
        lasts: Duration,
        /// Also while this node of the store is down: its name, or `any`
        #[arg(long, value_name = "NODE")]
        despite: Option<String>,
    },
    /// End a downgrade before its time
    Restore,
    /// List the windows of downgrades: what each covered, and whether it is at quorum again
    Ledger,
    /// Wait until every window is stored at quorum and found dense
    Verify,
}

/// What can be set.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Level {
    /// One replica
    One,
}

impl Args {
    /// The body of the call of `set`.
    pub(crate) fn request(self, reason: &str) -> Option<CreateOverride> {
        let Self::Set { level: Level::One, lasts, despite } = self else { return None };
        Some(CreateOverride {
            lever: Lever::ConsistencyOne { despite },
            scope: "fleet".to_owned(),
            for_ms: lasts.as_millis() as u64,
            reason: reason.to_owned(),
            dry_run: false,
        })
    }
}

impl Tabular for Consistency {
    const COLUMNS: &'static [Column] = &[
        Column("LEVEL", false),
        Column("LEFT", false),
        Column("REPLICAS", false),
        Column("CANARIES", false),
        Column("LAG", false),
        Column("WINDOWS", false),
        Column("OVERRIDE", false),
        Column("STORE NODES", true),
    ];

    fn row(&self) -> Vec<Cell> {
        let level = if self.override_id.is_some() { Tone::Busy } else { Tone::Good };
        let down = self.store_nodes.iter().filter(|node| !node.up).count();
        let replicas = match (self.store_nodes.len(), down) {
            (1, 0) => Cell::new("one: ONE is quorum", Tone::Plain),
            (n, 0) => Cell::new(format!("{n} up"), Tone::Good),
            (n, down) => Cell::new(format!("{down} of {n} down"), Tone::Bad),
        };
        let (ok, failed) = (self.canaries_ok, self.canaries_failed);
        let names: Vec<String> = self
            .store_nodes
            .iter()
            .map(|node| format!("{}{}", node.name, if node.up { "" } else { " (down)" }))
            .collect();
        vec![
            Cell::new(&self.level, level),
            if self.left_ms > 0 { format_span(self.left_ms) } else { String::new() }.into(),
            replicas,
            if ok + failed > 0 { format!("{ok}/{} at quorum", ok + failed) } else { String::new() }.into(),
            thousands(self.lag_records).into(),
            self.windows.len().to_string().into(),
            self.override_id.clone().unwrap_or_default().into(),
            names.join(", ").into(),
        ]
    }
}

impl Tabular for ConsistencyWindow {
    const COLUMNS: &'static [Column] = &[
        Column("WINDOW", false),
        Column("STATE", false),
        Column("OPENED", false),
        Column("LASTED", false),
        Column("RECORDS", false),
        Column("AT QUORUM", false),
        Column("WHO", false),
        Column("REASON", false),
        Column("VERIFIED", true),
        Column("SPANS", true),
    ];

    fn row(&self) -> Vec<Cell> {
        let tone = match self.state {
            WindowState::Open | WindowState::Rewriting => Tone::Busy,
            WindowState::Verified => Tone::Good,
        };
        let lasted = self.closed_ms.map(|closed_ms| format_span(closed_ms.saturating_sub(self.opened_ms)));
        let spans = self.spans.iter().map(|span| format!("{}/{} {}-{}", span.lane, span.partition, span.from, span.to));
        vec![
            (&self.id).into(),
            Cell::new(self.state, tone),
            format_ms(self.opened_ms).into(),
            lasted.unwrap_or_default().into(),
            thousands(self.records()).into(),
            thousands(self.rewritten()).into(),
            (&self.who).into(),
            (&self.reason).into(),
            self.verified_ms.map(format_ms).unwrap_or_default().into(),
            spans.collect::<Vec<_>>().join(", ").into(),
        ]
    }
}

pub(super) async fn run(session: &Session, args: Args) -> Result<(), CommandError> {
    let api = session.api()?;
    match args {
        Args::Show => session.ui.repeat(async || session.ui.one(&api.consistency().await?)).await,
        Args::Ledger => session.ui.repeat(async || session.ui.list(&api.windows(true).await?)).await,
        args @ Args::Set { .. } => match args.request(&session.global.reason) {
            Some(request) => overrides::create(session, request).await,
            None => Ok(()),
        },
        Args::Restore => {
            overrides::revert_slot(session, &api, "consistency_one", None, "consistency is not lowered").await?;
            if session.global.wait { verify(session, &api).await } else { Ok(()) }
        }
        Args::Verify => verify(session, &api).await,
    }
}

/// Waits for every window of a downgrade that is over.
async fn verify(session: &Session, api: &Api) -> Result<(), CommandError> {
    let deadline = Instant::now() + session.global.timeout;
    loop {
        let now = api.consistency().await?;
        if let Some(id) = &now.override_id {
            let error =
                CommandError::new(Kind::Refused, format!("consistency is ONE for {} more", format_span(now.left_ms)));
            return Err(error.hint(format!("chatctl consistency restore ends {id}, then verify")));
        }
        let (records, rewritten) =
            now.windows.iter().fold((0, 0), |(all, done), window| (all + window.records(), done + window.rewritten()));
        if now.windows.is_empty() {
            return session.ui.say("every row is stored at quorum", &now);
        }
        if Instant::now() >= deadline {
            let why = format!("at quorum again: {rewritten} of {}", counted(records, "records"));
            return Err(CommandError::new(Kind::TimedOut, why).hint("see chatctl consistency ledger"));
        }
        sleep(LOOK).await;
    }
}
