//! `chatctl capacity`, `chatctl event` and `chatctl prescale`.

use std::time::Duration;

use clap::Subcommand;
use protocol::admin::{CapacityInput, CreateEvent, EventState, PlanRow, PrescalePlan, PrescaleRequest, ScaleEvent};

use super::{no_dry_run, operation};
use crate::{
    duration::parse_duration,
    error::CommandError,
    output::{Cell, Column, Format, Tabular, Tone, format_ms, format_span},
    session::Session,
};

/// What the fleet bears
#[derive(Debug, Subcommand)]
pub enum CapacityArgs {
    /// Show what the fleet bears, what it has, and where each number comes from
    Show,
}

/// Events that the fleet is scaled for
#[derive(Debug, Subcommand)]
pub enum EventArgs {
    /// Plan an event: the fleet is scaled ahead of it and back after it
    Add {
        /// Its name
        name: String,
        /// So many times the load of now
        #[arg(long)]
        factor: f64,
        /// When it begins, from now
        #[arg(long = "in", value_parser = parse_duration, value_name = "TIME")]
        begins_in: Duration,
        /// How long it lasts
        #[arg(long = "for", value_parser = parse_duration, value_name = "TIME")]
        lasts: Duration,
        /// Scale so long ahead [default: the plan's longest lead time, and 5m]
        #[arg(long, value_parser = parse_duration, value_name = "TIME")]
        lead: Option<Duration>,
    },
    /// List events
    List,
    /// Forget an event; a fleet that is scaled for it stays so until `chatctl prescale revert`
    Remove {
        /// Its name
        name: String,
    },
}

/// Add nodes ahead of a load, and take them away again
#[derive(Debug, Subcommand)]
pub enum PrescaleArgs {
    /// Show what a load needs: now, needed, to be added, lead time, cost, assumptions
    Plan {
        /// So many times the load of now
        #[arg(long)]
        factor: f64,
    },
    /// Add what a load needs
    Apply {
        /// So many times the load of now
        #[arg(long)]
        factor: f64,
    },
    /// Take away what the last prescale added: gateways are drained first
    Revert,
}

impl Tabular for PlanRow {
    const COLUMNS: &'static [Column] = &[
        Column("NODES", false),
        Column("NOW", false),
        Column("NEEDED", false),
        Column("ADD", false),
        Column("LEAD TIME", false),
        Column("COST/H", false),
    ];

    fn row(&self) -> Vec<Cell> {
        let tone = if self.add > 0 { Tone::Busy } else { Tone::Good };
        vec![
            (&self.what).into(),
            self.now.into(),
            self.needed.into(),
            Cell::new(format!("+{}", self.add), tone),
            if self.add > 0 { format_span(self.lead_ms) } else { String::new() }.into(),
            if self.cost_per_h > 0.0 { format!("{:.2}", self.cost_per_h) } else { String::new() }.into(),
        ]
    }
}

impl Tabular for CapacityInput {
    const COLUMNS: &'static [Column] =
        &[Column("INPUT", false), Column("VALUE", false), Column("UNIT", false), Column("SOURCE", false)];

    fn row(&self) -> Vec<Cell> {
        let value = format!("{:.1}", self.value);
        vec![(&self.name).into(), value.trim_end_matches(".0").into(), (&self.unit).into(), (&self.source).into()]
    }
}

impl Tabular for ScaleEvent {
    const COLUMNS: &'static [Column] = &[
        Column("EVENT", false),
        Column("FACTOR", false),
        Column("STATE", false),
        Column("SCALES", false),
        Column("BEGINS", false),
        Column("ENDS", false),
        Column("WHO", false),
        Column("OPERATION", false),
        Column("TROUBLE", false),
        Column("REASON", true),
    ];

    fn row(&self) -> Vec<Cell> {
        let tone = match self.state {
            EventState::Planned => Tone::Plain,
            EventState::Scaled => Tone::Busy,
            EventState::Over => Tone::Dim,
        };
        vec![
            (&self.name).into(),
            format!("x{}", self.factor).into(),
            Cell::new(self.state, tone),
            format_ms(self.scales_ms).into(),
            format_ms(self.starts_ms).into(),
            format_ms(self.ends_ms).into(),
            (&self.who).into(),
            self.operation.clone().unwrap_or_default().into(),
            Cell::new(self.trouble.as_deref().unwrap_or("-"), Tone::Plain),
            (&self.reason).into(),
        ]
    }
}

pub(super) async fn capacity(session: &Session, args: CapacityArgs) -> Result<(), CommandError> {
    let CapacityArgs::Show = args;
    let api = session.api()?;
    session.ui.repeat(async || show(session, &api.prescale_plan(1.0).await?)).await
}

pub(super) async fn event(session: &Session, args: EventArgs) -> Result<(), CommandError> {
    let api = session.api()?;
    let ms = |time: Duration| time.as_millis() as u64;
    match args {
        EventArgs::List => session.ui.repeat(async || session.ui.list(&api.scale_events().await?)).await,
        EventArgs::Remove { name } => {
            no_dry_run(session, "remove")?;
            session.ui.changed(&api.event_remove(&name, &session.global.reason).await?)
        }
        EventArgs::Add { name, factor, begins_in, lasts, lead } => {
            let plan = api.prescale_plan(factor).await?;
            if session.global.dry_run {
                return show(session, &plan);
            }
            let now_ms = time::OffsetDateTime::now_utc().unix_timestamp_nanos() / 1_000_000;
            let request = CreateEvent {
                name,
                factor,
                starts_ms: u64::try_from(now_ms).unwrap_or(0) + ms(begins_in),
                lasts_ms: ms(lasts),
                lead_ms: lead.map(ms),
                reason: session.global.reason.clone(),
            };
            session.ui.one(&api.event_add(&request).await?)
        }
    }
}

pub(super) async fn prescale(session: &Session, args: PrescaleArgs) -> Result<(), CommandError> {
    let api = session.api()?;
    let factor = match args {
        PrescaleArgs::Plan { factor } => return show(session, &api.prescale_plan(factor).await?),
        PrescaleArgs::Apply { factor } => {
            let plan = api.prescale_plan(factor).await?;
            if session.global.dry_run {
                return show(session, &plan);
            }
            let adds = plan.rows.iter().filter(|row| row.add > 0).map(|row| format!("{} {}", row.add, row.what));
            let adds: Vec<_> = adds.collect();
            session.confirm(&match adds.is_empty() {
                true => "add nothing: what there is bears that load".to_owned(),
                false => format!("add {} by the provisioner {}", adds.join(", "), plan.provisioner),
            })?;
            Some(factor)
        }
        PrescaleArgs::Revert => {
            no_dry_run(session, "revert")?;
            session.confirm("take away what the last prescale added")?;
            None
        }
    };
    let request = PrescaleRequest { factor, reason: session.global.reason.clone() };
    let begun = api.prescale(&request).await?;
    operation::begun(session, &api, &begun).await
}

fn show(session: &Session, plan: &PrescalePlan) -> Result<(), CommandError> {
    if matches!(session.ui.format(), Format::Json | Format::Yaml) {
        return session.ui.say("", plan);
    }
    session.ui.out(&format!("for {} times the load of now, by the provisioner {}", plan.factor, plan.provisioner))?;
    session.ui.list(&plan.rows)?;
    session.ui.out("")?;
    session.ui.list(&plan.inputs)?;
    for assumption in &plan.assumptions {
        session.ui.note(&format!("assumed: {assumption}"));
    }
    Ok(())
}
