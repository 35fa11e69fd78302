//! The nodes of a local fleet, life after life: an order of the control plane restarts or kills one, and it comes back.

use std::{net::SocketAddr, path::PathBuf, sync::Arc};

use backends::{
    Clock, Products, Stores,
    levers::{FATE_GRACE, Fate, LeverRules, Levers},
    node::{Node, run_node},
    stream::Switchboard,
};
use domain::NodeId;
use gateway::{Addresses, Auth, Gateway, GatewayConfig, GatewayNode, JwtKey, Limits};
use parking_lot::Mutex;
use protocol::{
    link::{GatewayFrame, WorkerFrame},
    node::{ControlFrame, NodeFrame},
};
use tokio::{
    net::TcpListener,
    sync::oneshot,
    task::JoinHandle,
    time::{Duration, sleep},
};
use tokio_util::sync::CancellationToken;
use workers::{Ports, Worker, WorkerConfig, WorkerNode};

use super::{CONTROL, READY_POLL};
use crate::listen::listen;

/// A restart by order moves clients elsewhere first, within this and at this rate.
const DRAIN: Duration = Duration::from_secs(10);
const DRAIN_RATE_PER_S: u32 = 5_000;
/// Between attempts to have the port again.
const LISTEN_AGAIN: Duration = Duration::from_millis(100);

const PRODUCTS: Products = Products { log: "on disk", messages: "on disk", memory: "in memory", directory: "sqlite" };

/// What the nodes stand on.
pub(super) struct Ground {
    pub(super) stores: Stores,
    pub(super) links: Switchboard<WorkerFrame, GatewayFrame>,
    pub(super) control_plane: Arc<Switchboard<NodeFrame, ControlFrame>>,
    pub(super) data: PathBuf,
    pub(super) jwt_secret: String,
    pub(super) limits: Limits,
    pub(super) levers: LeverRules,
    pub(super) clock: Clock,
}

/// A place for a gateway.
pub(super) struct Slot {
    pub(super) id: String,
    pub(super) address: SocketAddr,
    /// The gateway in its present life.
    pub(super) life: Arc<Mutex<Gateway>>,
}

/// Why a gateway may not take clients, but for a drain that somebody ordered before a restart.
pub(super) fn trouble(gateway: &Gateway) -> Option<&'static str> {
    gateway.readiness().err().filter(|why| *why != "draining")
}

/// A node's stream to the control plane, as long as one life of the node.
struct Agent {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Agent {
    async fn end(self) {
        self.stop.cancel();
        let _ = self.task.await;
    }
}

impl Ground {
    /// Starts a life of a gateway.
    pub(super) fn gateway(&self, id: &str) -> Gateway {
        let incarnation = self.clock.now_ms();
        let mut config = GatewayConfig::new(node_id(id), incarnation, id.to_owned(), incarnation);
        config.limits = self.limits;
        config.levers = self.levers;
        let auth = Auth::new(&JwtKey::Hs256(self.jwt_secret.clone().into_bytes()))
            .unwrap_or_else(|_| unreachable!("a shared secret is always a key"));
        Gateway::start(config, self.clock, auth, self.stores.clone().watched(PRODUCTS), self.links.listen(id))
    }

    /// Starts a life of a worker.
    pub(super) fn worker(&self, id: &str) -> Worker {
        let config = WorkerConfig::new(node_id(id), self.clock.now_ms(), self.clock);
        let config = WorkerConfig { levers: self.levers, ..config };
        Worker::start(config, Ports::new(self.stores.clone().watched(PRODUCTS), Arc::new(self.links.clone())))
    }

    fn agent(&self, id: &str, node: Arc<dyn Node>) -> Agent {
        let stop = CancellationToken::new();
        let state_file = Some(self.data.join(format!("{id}.desired")));
        let seed = self.clock.now_ms();
        let running = run_node(node, self.control_plane.clone(), CONTROL.to_owned(), state_file, seed, stop.clone());
        Agent { stop, task: tokio::spawn(running) }
    }

    /// Keeps a gateway alive until `stop`: each order ends a life and begins the next. Clients are taken once `opened`.
    pub(super) async fn keep_gateway(
        self: Arc<Self>,
        slot: Slot,
        listener: TcpListener,
        opened: oneshot::Receiver<()>,
        stop: CancellationToken,
    ) {
        let mut gateway = slot.life.lock().clone();
        let mut door = Some((listener, opened));
        loop {
            let agent =
                self.agent(&slot.id, Arc::new(GatewayNode { gateway: gateway.clone(), addresses: slot.addresses() }));
            if let Some((listener, opened)) = door.take()
                && opened.await.is_ok()
            {
                gateway.serve(listener);
            }
            let fate = fate_of(gateway.levers(), &stop).await;
            if let Some(Fate::Restart) = fate {
                gateway.drain(DRAIN, DRAIN_RATE_PER_S).await;
            }
            agent.end().await;
            match fate {
                None => return gateway.shutdown().await,
                Some(Fate::Kill(until_ms)) => {
                    gateway.crash().await;
                    self.away_until(until_ms, &stop).await;
                }
                Some(Fate::Restart | Fate::Pause(_)) => gateway.shutdown().await,
            }
            if stop.is_cancelled() {
                return;
            }
            tracing::info!(gateway = slot.id, "the next life of this gateway begins");
            gateway = self.gateway(&slot.id);
            *slot.life.lock() = gateway.clone();
            let Some(listener) = ready(&slot, &gateway, &stop).await else { return gateway.shutdown().await };
            gateway.serve(listener);
        }
    }

    /// Keeps a worker alive until `stop`.
    pub(super) async fn keep_worker(self: Arc<Self>, mut worker: Worker, stop: CancellationToken) {
        let id = worker.node().to_string();
        loop {
            let agent = self.agent(&id, Arc::new(WorkerNode::new(&worker)));
            let fate = fate_of(worker.levers(), &stop).await;
            agent.end().await;
            // What was not committed is read again, so for the others an orderly end and a crash are the same.
            worker.shutdown().await;
            match fate {
                None => return,
                Some(Fate::Kill(until_ms)) => self.away_until(until_ms, &stop).await,
                Some(Fate::Restart | Fate::Pause(_)) => {}
            }
            if stop.is_cancelled() {
                return;
            }
            tracing::info!(worker = id, "the next life of this worker begins");
            worker = self.worker(&id);
        }
    }

    async fn away_until(&self, until_ms: u64, stop: &CancellationToken) {
        let left = Duration::from_millis(until_ms.saturating_sub(self.clock.now_ms()));
        tokio::select! {
            biased;
            () = stop.cancelled() => {}
            () = sleep(left) => {}
        }
    }
}

impl Slot {
    fn addresses(&self) -> Addresses {
        let address = self.address;
        Addresses { client_url: format!("ws://{address}/v1/ws"), http_url: format!("http://{address}") }
    }
}

/// Waits for an order to end this life. `None` at the stop.
async fn fate_of(levers: &Levers, stop: &CancellationToken) -> Option<Fate> {
    let mut orders = levers.watch();
    loop {
        let fate = orders.borrow_and_update().fate;
        if let Some(fate) = fate {
            // So that the control plane hears that the node was told.
            sleep(FATE_GRACE).await;
            return Some(fate);
        }
        let changed: Result<(), _> = tokio::select! {
            biased;
            () = stop.cancelled() => return None,
            changed = orders.changed() => changed,
        };
        changed.ok()?;
    }
}

/// Waits until a new life may take clients and has its port again. `None` at the stop.
async fn ready(slot: &Slot, gateway: &Gateway, stop: &CancellationToken) -> Option<TcpListener> {
    loop {
        if stop.is_cancelled() {
            return None;
        }
        if trouble(gateway).is_some() {
            sleep(READY_POLL).await;
            continue;
        }
        match listen(slot.address) {
            Ok(listener) => return Some(listener),
            Err(error) => {
                tracing::debug!(%error, "the port is not free yet");
                sleep(LISTEN_AGAIN).await;
            }
        }
    }
}

fn node_id(name: &str) -> NodeId {
    NodeId::parse(name).unwrap_or_else(|_| unreachable!("names of local nodes are valid"))
}
