//! The local fleet as its own provisioner: adds gateways and workers, and takes away those that it added.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc};

use parking_lot::Mutex;
use protocol::admin::NodeCounts;
use tokio::{
    sync::{oneshot, watch},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

use super::{
    dialable,
    nodes::{Ground, Slot},
};
use crate::listen::listen;

/// Nodes of a kind that one process is asked to have at most.
const NODES_MAX: u64 = 32;

/// What is needed to add nodes.
pub(super) struct Scaler {
    pub(super) ground: Arc<Ground>,
    /// Those that were there at the start: they stay.
    pub(super) gateways: u64,
    /// Where added gateways listen: on any free port.
    pub(super) bind: std::net::IpAddr,
    pub(super) gateways_stop: CancellationToken,
    pub(super) worker_stop: CancellationToken,
}

struct Added {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Scaler {
    /// Follows the counts until the gateways stop; then takes what was added down with them.
    pub(super) async fn run(self, mut counts: watch::Receiver<Option<NodeCounts>>) {
        let (mut gateways, mut workers) = (BTreeMap::new(), BTreeMap::new());
        loop {
            let wanted = *counts.borrow_and_update();
            if let Some(wanted) = wanted {
                self.gateways(wanted.gateways.min(NODES_MAX), &mut gateways).await;
                self.workers(wanted.workers.min(NODES_MAX), &mut workers).await;
            }
            let changed: Result<(), _> = tokio::select! {
                biased;
                () = self.gateways_stop.cancelled() => break,
                changed = counts.changed() => changed,
            };
            if changed.is_err() {
                break;
            }
        }
        for added in gateways.into_values() {
            end(added).await;
        }
        self.worker_stop.cancelled().await;
        for added in workers.into_values() {
            end(added).await;
        }
    }

    async fn gateways(&self, wanted: u64, added: &mut BTreeMap<u64, Added>) {
        for n in self.gateways + 1..=wanted {
            if added.contains_key(&n) {
                continue;
            }
            let id = format!("gw-{n}");
            let listener = match listen(SocketAddr::new(self.bind, 0)) {
                Ok(listener) => listener,
                Err(error) => return tracing::error!(%error, id, "a gateway cannot be added"),
            };
            let Ok(address) = listener.local_addr() else { return };
            let life = Arc::new(Mutex::new(self.ground.gateway(&id)));
            let slot = Slot { id, address: dialable(address), life };
            let (door, opened) = oneshot::channel();
            let stop = self.gateways_stop.child_token();
            let task = tokio::spawn(self.ground.clone().keep_gateway(slot, listener, opened, stop.clone()));
            let _ = door.send(());
            added.insert(n, Added { stop, task });
        }
        let surplus: Vec<u64> = added.keys().copied().filter(|n| *n > wanted.max(self.gateways)).collect();
        for n in surplus {
            if let Some(added) = added.remove(&n) {
                end(added).await;
            }
        }
    }

    async fn workers(&self, wanted: u64, added: &mut BTreeMap<u64, Added>) {
        for n in 2..=wanted {
            if added.contains_key(&n) {
                continue;
            }
            let worker = self.ground.worker(&format!("worker-{n}"));
            let stop = self.worker_stop.child_token();
            let task = tokio::spawn(self.ground.clone().keep_worker(worker, stop.clone()));
            added.insert(n, Added { stop, task });
        }
        let surplus: Vec<u64> = added.keys().copied().filter(|n| *n > wanted.max(1)).collect();
        for n in surplus {
            if let Some(added) = added.remove(&n) {
                end(added).await;
            }
        }
    }
}

async fn end(added: Added) {
    added.stop.cancel();
    let _ = added.task.await;
}
