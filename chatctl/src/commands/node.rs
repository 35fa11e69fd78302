//! `chatctl node`.

use clap::Subcommand;
use clap_complete::ArgValueCompleter;
use protocol::admin::{Node, NodeRole, NodeStatus};

use super::no_dry_run;
use crate::{
    complete,
    error::CommandError,
    output::{Cell, Column, Tabular, Tone},
    session::Session,
};

/// Look at all nodes, forget those that are gone
#[derive(Debug, Subcommand)]
pub enum Args {
    /// List gateways and workers
    List,
    /// Show one node
    Show {
        /// The node
        #[arg(add = ArgValueCompleter::new(complete::scopes))]
        node: String,
    },
    /// Forget a node that is gone for good, and what was ordered of it; one that is heard is refused
    Forget {
        /// The node
        #[arg(add = ArgValueCompleter::new(complete::scopes))]
        node: String,
    },
}

impl Tabular for Node {
    const COLUMNS: &'static [Column] = &[
        Column("NODE", false),
        Column("ROLE", false),
        Column("STATUS", false),
        Column("DESIRED", false),
        Column("ACKED", false),
        Column("LAG", false),
        Column("FANOUT", false),
        Column("TROUBLE", false),
        Column("ROLES", true),
        Column("ZONE", true),
        Column("INCARNATION", true),
        Column("PARTITIONS", true),
        Column("SOFTWARE", true),
        Column("NACK", true),
    ];

    fn row(&self) -> Vec<Cell> {
        let acked = if self.nack.is_some() { Tone::Bad } else { Tone::Plain };
        let trouble = if self.trouble.is_empty() { Tone::Plain } else { Tone::Bad };
        vec![
            (&self.id).into(),
            self.role.into(),
            status(self.status),
            self.desired_version.into(),
            Cell::new(self.acked_version, acked),
            format!("{} / {} ms", self.lag_records, self.lag_ms).into(),
            if fans_out(self) { self.fanout_queue.to_string() } else { String::new() }.into(),
            Cell::new(&self.trouble, trouble),
            self.roles.join(",").into(),
            (&self.zone).into(),
            self.incarnation.into(),
            self.partitions.into(),
            (&self.software).into(),
            self.nack.as_ref().map_or(String::new(), |nack| format!("{}: {}", nack.version, nack.reason)).into(),
        ]
    }
}

/// True when it has a queue of group messages to fan out, or does not tell what it does.
pub(crate) fn fans_out(node: &Node) -> bool {
    node.role == NodeRole::Worker && (node.roles.is_empty() || node.roles.iter().any(|role| role == "fanout"))
}

pub(super) fn status(status: NodeStatus) -> Cell {
    let tone = match status {
        NodeStatus::Live => Tone::Good,
        NodeStatus::Lost => Tone::Bad,
    };
    Cell::new(status, tone)
}

pub(super) async fn run(session: &Session, args: Args) -> Result<(), CommandError> {
    let api = session.api()?;
    match args {
        Args::Show { node } => session.ui.repeat(async || session.ui.one(&api.node(&node).await?)).await,
        Args::Forget { node } => {
            no_dry_run(session, "node forget")?;
            session.confirm(&format!("forget node {node}, and what was ordered of it"))?;
            let forgotten = api.node_forget(&node, &session.global.reason).await?;
            session.ui.note(&format!("node {node} is forgotten"));
            session.ui.answer(&forgotten)
        }
        Args::List => session.ui.repeat(async || session.ui.list(&api.nodes().await?)).await,
    }
}
