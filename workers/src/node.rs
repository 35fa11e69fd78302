//! The worker as a node of the control plane: what it reports, and what it is told to do.

use std::sync::{Arc, atomic::Ordering};

use async_trait::async_trait;
use backends::{edge::Dependencies, levers::Levers};
use protocol::{
    link::OwnedPartition,
    node::{Desired, Register, Report, Role, question},
};
use tokio::sync::watch;

use crate::{
    reconcile,
    worker::{Shared, Worker, WorkerConfig, WorkerStats},
};

/// A worker in its role as a node.
pub struct WorkerNode {
    config: Arc<WorkerConfig>,
    stats: Arc<WorkerStats>,
    owned: watch::Receiver<Vec<OwnedPartition>>,
    levers: Arc<Levers>,
    dependencies: Dependencies,
    shared: Shared,
}

impl WorkerNode {
    /// Speaks for a running worker.
    pub fn new(worker: &Worker) -> Self {
        Self {
            config: worker.config().clone(),
            stats: worker.stats().clone(),
            owned: worker.owned(),
            levers: worker.levers().clone(),
            dependencies: worker.dependencies().clone(),
            shared: worker.shared().clone(),
        }
    }
}

#[async_trait]
impl backends::node::Node for WorkerNode {
    fn register(&self) -> Register {
        Register {
            node: self.config.node.to_string(),
            role: Role::Worker.into(),
            incarnation: self.config.incarnation,
            roles: self.config.roles.iter().map(ToString::to_string).collect(),
            software: concat!("chatfleet ", env!("CARGO_PKG_VERSION")).to_owned(),
            ..Register::default()
        }
    }

    fn report(&self) -> Report {
        let count = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        let (waiting, figures) = (self.stats.waiting.iter().map(count).sum::<u64>(), &self.stats.figures);
        let waits = if waiting > 0 { format!("{waiting} records wait for the message store") } else { String::new() };
        let down = self.dependencies.trouble();
        let trouble: Vec<&str> = [&*waits, &down].into_iter().filter(|trouble| !trouble.is_empty()).collect();
        let now_ms = self.config.clock.now_ms();
        Report {
            accepted_total: count(&self.stats.numbered),
            delivered_total: count(&self.stats.deliveries),
            // Numbered and not stored at quorum yet, and records whose conversation cannot be loaded.
            lag_records: figures.lag_records() + waiting,
            lag_ms: figures.storing_since_ms().map_or(0, |since_ms| now_ms.saturating_sub(since_ms)),
            partitions: self.owned.borrow().len() as u32,
            trouble: trouble.join("; "),
            edges: self.dependencies.report(),
            overrides: self.levers.ids(),
            figures: Some(figures.report()),
            positions: figures.positions(),
            store_nodes: figures.replicas(),
            ..Report::default()
        }
    }

    fn apply(&self, desired: &Desired) -> Result<(), String> {
        self.levers.apply(desired)
    }

    async fn answer(&self, question: question::Kind) -> Result<String, String> {
        let question::Kind::CheckRows(ask) = question else {
            return Err("only gateways answer this".to_owned());
        };
        let ports = &self.shared.ports;
        let checked = reconcile::check(&*ports.log, &*ports.messages, &ask).await.map_err(|error| error.to_string())?;
        serde_json::to_string(&checked).map_err(|error| error.to_string())
    }
}
