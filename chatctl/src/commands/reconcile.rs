//! `chatctl reconcile`.

use std::time::Duration;

use clap::Subcommand;
use clap_complete::ArgValueCompleter;
use protocol::admin::{Damage, DamageKind, ReconcileDetail, ReconcileRequest};

use super::operation;
use crate::{
    complete,
    duration::parse_duration,
    error::CommandError,
    output::{Cell, Column, Tabular, Tone, counted},
    session::Session,
};

/// Compare stored rows with the log: duplicate numbers, holes, a key twice, a row that differs
#[derive(Debug, Subcommand)]
pub enum Args {
    /// Compare, now or again and again
    ///
    /// With --repair holes are written again and surplus rows are put into quarantine; nothing is deleted. Without
    /// --yes a repair only shows what it would mend.
    Run(Run),
    /// Show what a reconciliation found
    Show {
        /// The operation
        #[arg(add = ArgValueCompleter::new(complete::operations))]
        operation: String,
    },
}

/// What `run` takes.
#[derive(Debug, clap::Args)]
pub struct Run {
    /// So many of the conversations, as `1%` [default: all]
    #[arg(long, value_parser = parse_share, value_name = "SHARE", conflicts_with = "conversation")]
    sample: Option<u32>,
    /// Only this conversation
    #[arg(long)]
    conversation: Option<String>,
    /// Mend what can be mended (with --yes)
    #[arg(long)]
    repair: bool,
    /// Records a second [default: 5000]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    rate: Option<u32>,
    /// Also again and again, so often: 1h to 30d
    #[arg(long, value_parser = parse_duration, value_name = "TIME")]
    every: Option<Duration>,
}

/// `1%` or `0.01%`, as parts of a million.
fn parse_share(text: &str) -> Result<u32, String> {
    let percent = text.strip_suffix('%').ok_or("needs a percent sign, as in 1%")?;
    let percent: f64 = percent.parse().map_err(|_| "is no number with a percent sign, as in 1%")?;
    match (percent * 10_000.0).round() {
        ppm @ 1.0..=1_000_000.0 => Ok(ppm as u32),
        _ => Err("must be 0.0001% to 100%".to_owned()),
    }
}

impl Run {
    /// The call's body.
    pub(crate) fn request(&self, may_mend: bool, reason: &str) -> ReconcileRequest {
        ReconcileRequest {
            sample_ppm: self.sample,
            conversation: self.conversation.clone(),
            repair: self.repair && may_mend,
            rate_per_s: self.rate,
            every_ms: self.every.map(|every| every.as_millis() as u64),
            reason: reason.to_owned(),
        }
    }
}

impl Tabular for Damage {
    const COLUMNS: &'static [Column] = &[
        Column("DAMAGE", false),
        Column("CONVERSATION", false),
        Column("NUMBER", false),
        Column("MESSAGE", false),
        Column("REPAIRED", false),
    ];

    fn row(&self) -> Vec<Cell> {
        let tone = if self.kind == DamageKind::Hole { Tone::Busy } else { Tone::Bad };
        vec![
            Cell::new(self.kind, tone),
            (&self.conversation).into(),
            self.sequence_number.into(),
            (&self.message_id).into(),
            (&self.repaired).into(),
        ]
    }
}

pub(super) async fn run(session: &Session, args: Args) -> Result<(), CommandError> {
    let api = session.api()?;
    match args {
        Args::Run(run) => {
            let may_mend = session.global.yes && !session.global.dry_run;
            if run.repair && !may_mend {
                session.ui.note("a dry run: what would be mended is only shown; --repair --yes mends it");
            }
            let operation = api.reconcile(&run.request(may_mend, &session.global.reason)).await?;
            operation::started(session, &api, &operation).await?;
            if session.global.wait { show(session, &api, &operation.id).await } else { Ok(()) }
        }
        Args::Show { operation } => show(session, &api, &operation).await,
    }
}

async fn show(session: &Session, api: &crate::api::Api, id: &str) -> Result<(), CommandError> {
    let operation = api.operation(id).await?;
    let detail: ReconcileDetail = serde_json::from_value(operation.detail)
        .map_err(|_| CommandError::usage(format!("operation {id} is no reconciliation")))?;
    if detail.damage.is_empty() {
        return session.ui.say(&format!("{} compared, no damage", counted(detail.rows, "rows")), &detail);
    }
    session.ui.list(&detail.damage)?;
    session.ui.note(&format!("{} compared, {} damaged", counted(detail.rows, "rows"), detail.damaged));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_have_a_percent_sign() {
        assert_eq!(parse_share("1%"), Ok(10_000));
        assert_eq!((parse_share("0.5%"), parse_share("100%")), (Ok(5_000), Ok(1_000_000)));
        for bad in ["1", "0%", "101%", "-1%", "%", "x%"] {
            assert!(parse_share(bad).is_err(), "{bad}");
        }
    }
}
