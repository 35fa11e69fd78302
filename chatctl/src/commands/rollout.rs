//! `chatctl rollout`.

use std::time::Duration;

use clap::{Subcommand, ValueEnum};
use clap_complete::ArgValueCompleter;
use protocol::admin::{NodeRole, RolloutDetail, RolloutNode, RolloutRequest, RolloutStep};

use super::{no_dry_run, operation};
use crate::{
    complete,
    duration::parse_duration,
    error::CommandError,
    output::{Cell, Column, Tabular, Tone, format_ms},
    session::Session,
};

/// Restart nodes a few at a time; pause, resume, abort that
#[derive(Debug, Subcommand)]
pub enum Args {
    /// Restart all gateways or all workers, a few at a time
    ///
    /// A gateway is drained first. The next one begins only when the last is back and well, and every other is; it
    /// stops at the first failure. It goes on by itself: --wait only watches.
    Restart {
        /// Which nodes
        #[arg(value_enum)]
        nodes: Nodes,
        /// So many at once
        #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
        max_unavailable: u32,
        /// Window of each gateway's drain [default: 30s]
        #[arg(long, value_parser = parse_duration, value_name = "TIME")]
        deadline: Option<Duration>,
    },
    /// Show how far a rollout is with each node
    Show {
        /// The rollout
        #[arg(add = ArgValueCompleter::new(complete::operations))]
        operation: String,
    },
    /// Pause a rollout: what is begun is finished, nothing new is begun
    Pause {
        /// The rollout
        #[arg(add = ArgValueCompleter::new(complete::operations))]
        operation: String,
    },
    /// Resume a paused rollout
    Resume {
        /// The rollout
        #[arg(add = ArgValueCompleter::new(complete::operations))]
        operation: String,
    },
    /// Abort a rollout: a gateway that drains takes clients again; the rest stays as it is
    Abort {
        /// The rollout
        #[arg(add = ArgValueCompleter::new(complete::operations))]
        operation: String,
    },
}

/// What can be restarted.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Nodes {
    /// All gateways
    Gateways,
    /// All workers
    Workers,
}

impl Args {
    /// The body of the call of `restart`.
    pub(crate) fn request(self, reason: &str) -> Option<RolloutRequest> {
        let Self::Restart { nodes, max_unavailable, deadline } = self else { return None };
        Some(RolloutRequest {
            role: match nodes {
                Nodes::Gateways => NodeRole::Gateway,
                Nodes::Workers => NodeRole::Worker,
            },
            max_unavailable: Some(max_unavailable),
            deadline_ms: deadline.map(|deadline| deadline.as_millis() as u64),
            dry_run: false,
            reason: reason.to_owned(),
        })
    }
}

impl Tabular for RolloutNode {
    const COLUMNS: &'static [Column] =
        &[Column("NODE", false), Column("STEP", false), Column("SINCE", false), Column("INCARNATION", true)];

    fn row(&self) -> Vec<Cell> {
        let tone = match self.step {
            RolloutStep::Waiting => Tone::Dim,
            RolloutStep::Draining | RolloutStep::Restarting => Tone::Busy,
            RolloutStep::Done => Tone::Good,
            RolloutStep::Failed => Tone::Bad,
        };
        let since = format_ms(self.since_ms);
        vec![(&self.node).into(), Cell::new(self.step, tone), since.into(), self.incarnation.into()]
    }
}

pub(super) async fn run(session: &Session, args: Args) -> Result<(), CommandError> {
    let (api, reason) = (session.api()?, session.global.reason.as_str());
    match args {
        args @ Args::Restart { max_unavailable, .. } => {
            let Some(request) = args.request(reason) else { return Ok(()) };
            let planned = api.rollout(&RolloutRequest { dry_run: true, ..request.clone() }).await?;
            let names: Vec<String> = detail(&planned.detail)?.nodes.into_iter().map(|node| node.node).collect();
            let what = format!("restart {}, {max_unavailable} at once", names.join(", "));
            if session.global.dry_run {
                return session.ui.say(&format!("dry run: {what}"), &planned);
            }
            session.confirm(&what)?;
            let operation = api.rollout(&request).await?;
            operation::started(session, &api, &operation).await
        }
        Args::Show { operation } => {
            session
                .ui
                .repeat(async || {
                    let detail = detail(&api.operation(&operation).await?.detail)?;
                    if let Some(blocked) = &detail.blocked {
                        session.ui.note(&format!("blocked: {blocked}"));
                    }
                    session.ui.list(&detail.nodes)
                })
                .await
        }
        Args::Pause { operation } => {
            no_dry_run(session, "pause")?;
            session.ui.changed(&api.operation_pause(&operation, true, reason).await?)
        }
        Args::Resume { operation } => {
            no_dry_run(session, "resume")?;
            session.ui.changed(&api.operation_pause(&operation, false, reason).await?)
        }
        Args::Abort { operation } => {
            no_dry_run(session, "abort")?;
            session.ui.changed(&api.cancel(&operation, reason).await?)
        }
    }
}

fn detail(value: &serde_json::Value) -> Result<RolloutDetail, CommandError> {
    serde_json::from_value(value.clone()).map_err(|_| {
        CommandError::usage("that operation is no rollout").hint("chatctl operation list shows what goes on")
    })
}
