//! Who adds and removes nodes: nobody, the program that the control plane is a part of, a command, or Kubernetes.
//!
//! An order says how many nodes there shall be, and may be given twice. One that scales up never takes a node away,
//! however few of them are live just then; nodes of the message store hold data, and no order takes one away.

mod command;
#[cfg(feature = "production")]
mod kubernetes;

use protocol::admin::{NodeCounts, PrescaleDetail};
use tokio::sync::watch;

pub use self::command::Command;
#[cfg(feature = "production")]
pub use self::kubernetes::{Access, Kubernetes, StoreDatacenter};

/// Who adds and removes nodes.
#[derive(Debug, Clone)]
pub enum Provisioner {
    /// Nobody.
    None,
    /// The program that this control plane is a part of: it watches the counts.
    Embedded(watch::Sender<Option<NodeCounts>>),
    /// A program.
    Command(Command),
    /// A cluster's API.
    #[cfg(feature = "production")]
    Kubernetes(Box<Kubernetes>),
}

/// Why an order was not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProvisionError {
    #[error("no provisioner is configured")]
    Nobody,
    #[error("{0}")]
    Command(String),
    #[cfg(feature = "production")]
    #[error("kubernetes: {what}: {why}")]
    Kubernetes { what: String, why: String },
}

/// A kind of node, as orders name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Gateways,
    Workers,
    StoreNodes,
}

impl Provisioner {
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Embedded(_) => "embedded",
            Self::Command(_) => "command",
            #[cfg(feature = "production")]
            Self::Kubernetes(_) => "kubernetes",
        }
    }

    /// Gives the order of a prescale.
    pub(crate) async fn tell(&self, order: &PrescaleDetail) -> Result<(), ProvisionError> {
        match self {
            Self::None => return Err(ProvisionError::Nobody),
            Self::Embedded(counts) => {
                counts.send_modify(|counts| {
                    let told = counts.unwrap_or(order.target);
                    let up = NodeCounts {
                        gateways: order.target.gateways.max(told.gateways),
                        workers: order.target.workers.max(told.workers),
                        store_nodes: order.target.store_nodes.max(told.store_nodes),
                    };
                    *counts = Some(if order.is_down { order.target } else { up });
                });
            }
            Self::Command(command) => {
                for (kind, count) in changes(order) {
                    command.run(kind, count, order.is_down).await?;
                }
            }
            #[cfg(feature = "production")]
            Self::Kubernetes(cluster) => {
                for (kind, count) in changes(order) {
                    cluster.scale(kind, count, order.is_down).await?;
                }
            }
        }
        Ok(())
    }
}

/// What an order says of each kind that it changes.
fn changes(order: &PrescaleDetail) -> Vec<(Kind, u64)> {
    let (before, target) = (order.before, order.target);
    let mut changes = Vec::new();
    // On the way down a node that is not live is still one that was added.
    if order.is_down || target.gateways > before.gateways {
        changes.push((Kind::Gateways, target.gateways));
    }
    if order.is_down || target.workers > before.workers {
        changes.push((Kind::Workers, target.workers));
    }
    if target.store_nodes > before.store_nodes {
        changes.push((Kind::StoreNodes, target.store_nodes));
    }
    changes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(before: [u64; 3], target: [u64; 3], is_down: bool) -> PrescaleDetail {
        let counts = |[gateways, workers, store_nodes]: [u64; 3]| NodeCounts { gateways, workers, store_nodes };
        PrescaleDetail { before: counts(before), target: counts(target), is_down, is_told: false, leaving: Vec::new() }
    }

    #[test]
    fn an_order_names_what_it_changes_and_never_fewer_store_nodes() {
        assert_eq!(changes(&order([2, 4, 3], [5, 4, 3], false)), [(Kind::Gateways, 5)]);
        assert_eq!(changes(&order([2, 4, 3], [2, 4, 4], false)), [(Kind::StoreNodes, 4)]);
        let down = changes(&order([5, 8, 4], [2, 4, 3], true));
        assert_eq!(down, [(Kind::Gateways, 2), (Kind::Workers, 4)]);
    }
}
