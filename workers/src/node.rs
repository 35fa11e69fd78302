//! The worker as a node of the control plane: what it reports.

use std::sync::{Arc, atomic::Ordering};

use backends::edge::Dependencies;
use protocol::{
    link::OwnedPartition,
    node::{Desired, Register, Report, Role},
};
use tokio::sync::watch;

use crate::worker::{Worker, WorkerStats};

/// A worker in its role as a node.
pub struct WorkerNode {
    name: String,
    incarnation: u64,
    stats: Arc<WorkerStats>,
    owned: watch::Receiver<Vec<OwnedPartition>>,
    dependencies: Dependencies,
}

impl WorkerNode {
    /// Speaks for a running worker. `incarnation` is higher than that of every earlier life of it.
    pub fn new(worker: &Worker, incarnation: u64) -> Self {
        let (stats, owned) = (worker.stats().clone(), worker.owned());
        let dependencies = worker.dependencies().clone();
        Self { name: worker.node().to_string(), incarnation, stats, owned, dependencies }
    }
}

impl backends::node::Node for WorkerNode {
    fn register(&self) -> Register {
        Register {
            node: self.name.clone(),
            role: Role::Worker.into(),
            incarnation: self.incarnation,
            software: concat!("chatfleet ", env!("CARGO_PKG_VERSION")).to_owned(),
            ..Register::default()
        }
    }

    fn report(&self) -> Report {
        let count = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        let waiting = count(&self.stats.waiting);
        // Numbered here and not stored yet, and records whose conversation cannot be loaded.
        let unstored = count(&self.stats.numbered).saturating_sub(count(&self.stats.stored));
        let waits = if waiting > 0 { format!("{waiting} records wait for the message store") } else { String::new() };
        let down = self.dependencies.trouble();
        let trouble: Vec<&str> = [&*waits, &down].into_iter().filter(|trouble| !trouble.is_empty()).collect();
        Report {
            accepted_total: count(&self.stats.numbered),
            delivered_total: count(&self.stats.deliveries),
            lag_records: unstored + waiting,
            partitions: self.owned.borrow().len() as u32,
            trouble: trouble.join("; "),
            ..Report::default()
        }
    }

    fn apply(&self, _: &Desired) -> Result<(), String> {
        // Nothing of the desired state concerns a worker yet.
        Ok(())
    }
}
