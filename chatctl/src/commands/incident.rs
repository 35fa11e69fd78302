//! `chatctl incident`.

use clap::Subcommand;
use clap_complete::ArgValueCompleter;
use protocol::admin::{Evidence, Incident, IncidentState, Severity};

use super::no_dry_run;
use crate::{
    complete,
    error::CommandError,
    output::{Cell, Column, Format, Tabular, Tone, format_ms, noun},
    runbook,
    session::Session,
};

/// Look at incidents, take them, resolve them
#[derive(Debug, Subcommand)]
pub enum Args {
    /// List incidents that are not resolved, newest first
    List {
        /// Also those that are
        #[arg(long)]
        all: bool,
    },
    /// Show one incident: its evidence and the runbook to run
    Show {
        /// The incident
        #[arg(add = ArgValueCompleter::new(complete::incidents))]
        incident: String,
    },
    /// Take an incident: the others see that somebody has it
    Ack {
        /// The incident
        #[arg(add = ArgValueCompleter::new(complete::incidents))]
        incident: String,
    },
    /// Resolve an incident by hand: it opens again only after its rule was false once
    Resolve {
        /// The incident
        #[arg(add = ArgValueCompleter::new(complete::incidents))]
        incident: String,
    },
}

impl Tabular for Incident {
    const COLUMNS: &'static [Column] = &[
        Column("INCIDENT", false),
        Column("MODE", false),
        Column("SEVERITY", false),
        Column("STATE", false),
        Column("SUMMARY", false),
        Column("OPENED", false),
        Column("RUNBOOK", false),
        Column("BY", false),
        Column("RESOLVED", true),
    ];

    fn row(&self) -> Vec<Cell> {
        let severity = match self.severity {
            _ if self.state == IncidentState::Resolved => Tone::Dim,
            Severity::Warning => Tone::Busy,
            Severity::Critical => Tone::Bad,
        };
        let state = match self.state {
            IncidentState::Open => Tone::Bad,
            IncidentState::Acknowledged => Tone::Busy,
            IncidentState::Resolved => Tone::Good,
        };
        vec![
            (&self.id).into(),
            self.mode.into(),
            Cell::new(self.severity, severity),
            Cell::new(self.state, state),
            (&self.summary).into(),
            format_ms(self.opened_ms).into(),
            (&self.runbook).into(),
            self.resolved_by.clone().or_else(|| self.acknowledged_by.clone()).unwrap_or_default().into(),
            self.resolved_ms.map(format_ms).unwrap_or_default().into(),
        ]
    }
}

impl Tabular for Evidence {
    const COLUMNS: &'static [Column] =
        &[Column("FIGURE", false), Column("VALUE", false), Column("THRESHOLD", false), Column("OF", false)];

    fn row(&self) -> Vec<Cell> {
        let figure = |value: f64| {
            let value = (value * 100.0).round() / 100.0;
            format!("{value} {}", noun(if value == 1.0 { 1 } else { 2 }, &self.unit))
        };
        vec![
            (&self.figure).into(),
            figure(self.value).into(),
            figure(self.threshold).into(),
            self.of.clone().unwrap_or_default().into(),
        ]
    }
}

/// The command that runs an incident's runbook.
pub(crate) fn runbook_command(incident: &Incident) -> String {
    runbook::run_command(&incident.runbook, &incident.params)
}

pub(super) async fn run(session: &Session, args: Args) -> Result<(), CommandError> {
    let (api, reason) = (session.api()?, session.global.reason.as_str());
    match args {
        Args::List { all } => session.ui.repeat(async || session.ui.list(&api.incidents(all).await?)).await,
        Args::Show { incident } => {
            session
                .ui
                .repeat(async || {
                    let incident = api.incident(&incident).await?;
                    session.ui.one(&incident)?;
                    if matches!(session.ui.format(), Format::Table | Format::Wide) {
                        session.ui.out("")?;
                        session.ui.list(&incident.evidence)?;
                        session.ui.note(&format!("what to do: {}", runbook_command(&incident)));
                    }
                    Ok(())
                })
                .await
        }
        Args::Ack { incident } => {
            no_dry_run(session, "ack")?;
            session.ui.changed(&api.incident_ack(&incident, reason).await?)
        }
        Args::Resolve { incident } => {
            no_dry_run(session, "resolve")?;
            session.ui.changed(&api.incident_resolve(&incident, reason).await?)
        }
    }
}
