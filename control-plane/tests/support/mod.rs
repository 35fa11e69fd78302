//! A control plane with fake gateways that speak the real node agent.

#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use backends::{
    Clock,
    node::{Node, run_node},
    stream::Switchboard,
};
use chat_control_plane::{
    Actor, ControlPlane, ControlPlaneConfig, Replica,
    store::{MemoryStore, Store},
};
use parking_lot::Mutex;
use protocol::{
    admin::{self, Gateway, Operation, Role, RolloutRequest},
    node::{ControlFrame, Desired, DrainPhase, DrainReport, Figures, NodeFrame, Register, Report, Role as NodeRole},
};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub const ADMIN: &str = "the admin's secret";
const ADDRESS: &str = "control";

/// A gateway that obeys, and whose clients leave when the test says so.
pub struct FakeGateway {
    pub id: String,
    pub incarnation: u64,
    pub state: Mutex<FakeState>,
}

#[derive(Default)]
pub struct FakeState {
    pub connections: u64,
    pub drain: DrainReport,
    pub refuse: Option<&'static str>,
    pub figures: Option<Figures>,
    /// Messages that it accepts between two reports.
    pub accepts: u64,
    pub accepted_total: u64,
}

#[async_trait]
impl Node for FakeGateway {
    fn register(&self) -> Register {
        Register {
            node: self.id.clone(),
            // `worker-1` is a worker, which this stands for as well.
            role: if self.id.starts_with("worker") { NodeRole::Worker } else { NodeRole::Gateway }.into(),
            incarnation: self.incarnation,
            client_url: format!("ws://{}/v1/ws", self.id),
            http_url: format!("http://{}", self.id),
            software: "fake 1".into(),
            capacity: 1_000,
            // `gw-1.east` stands in the zone east; one without a zone in its name has one of its own.
            zone: self.id.split_once('.').map_or(self.id.as_str(), |(_, zone)| zone).into(),
            desired_version: 0,
            roles: Vec::new(),
        }
    }

    fn report(&self) -> Report {
        let mut state = self.state.lock();
        state.accepted_total += state.accepts;
        Report {
            accepted_total: state.accepted_total,
            connections: state.connections,
            users: state.connections,
            drain: Some(state.drain.clone()),
            figures: state.figures,
            ..Report::default()
        }
    }

    fn apply(&self, desired: &Desired) -> Result<(), String> {
        let mut state = self.state.lock();
        if let Some(reason) = state.refuse {
            return Err(reason.to_owned());
        }
        state.drain = match &desired.drain {
            None => DrainReport::default(),
            Some(order) => DrainReport {
                operation: order.operation.clone(),
                phase: DrainPhase::Draining.into(),
                connections_at_start: state.connections,
                ..DrainReport::default()
            },
        };
        Ok(())
    }
}

impl FakeGateway {
    pub fn set(&self, connections: u64, phase: DrainPhase) {
        let mut state = self.state.lock();
        state.connections = connections;
        state.drain.set_phase(phase);
    }
}

pub struct RunningNode {
    pub gateway: Arc<FakeGateway>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl RunningNode {
    pub async fn kill(self) {
        self.stop.cancel();
        self.task.await.unwrap();
    }
}

pub struct Rig {
    pub store: Arc<dyn Store>,
    pub board: Switchboard<NodeFrame, ControlFrame>,
    pub plane: ControlPlane,
    clock: Clock,
}

impl Rig {
    pub async fn start() -> Self {
        Self::with(Arc::new(MemoryStore::default()), Clock::simulated(1_700_000_000_000)).await
    }

    pub async fn with(store: Arc<dyn Store>, clock: Clock) -> Self {
        let board = Switchboard::default();
        let plane = start(&store, &board, clock).await;
        Self { store, board, plane, clock }
    }

    /// Stops the control plane and starts another over the same store.
    pub async fn restart(self) -> Self {
        let store = self.store.clone();
        self.restart_over(store).await
    }

    /// Stops the control plane and starts another over this store.
    pub async fn restart_over(self, store: Arc<dyn Store>) -> Self {
        let Self { board, plane, clock, .. } = self;
        plane.shutdown().await;
        let plane = start(&store, &board, clock).await;
        Self { store, board, plane, clock }
    }

    pub fn now_ms(&self) -> u64 {
        self.clock.now_ms()
    }

    pub fn gateway(&self, id: &str, incarnation: u64, connections: u64) -> RunningNode {
        gateway_on(&self.board, ADDRESS, id, incarnation, connections)
    }

    pub async fn operation_where(&self, id: &str, what: impl Fn(&Operation) -> bool) -> Operation {
        let mut last = None;
        for _ in 0..2_000 {
            let operation = self.plane.operation(id).await.unwrap();
            if what(&operation) {
                return operation;
            }
            last = Some(operation);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("it never happened: {last:?}");
    }

    pub async fn gateway_where(&self, id: &str, what: impl Fn(&Gateway) -> bool) -> Gateway {
        for _ in 0..2_000 {
            if let Some(gateway) = self.plane.gateways().into_iter().find(|gateway| gateway.id == id)
                && what(&gateway)
            {
                return gateway;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("it never happened: {:?}", self.plane.gateways());
    }
}

async fn start(store: &Arc<dyn Store>, board: &Switchboard<NodeFrame, ControlFrame>, clock: Clock) -> ControlPlane {
    start_replica(Replica::default(), store, board, ADDRESS, clock).await
}

/// Restarts the gateways one after another.
pub fn rollout_of_gateways() -> RolloutRequest {
    RolloutRequest {
        role: admin::NodeRole::Gateway,
        max_unavailable: None,
        deadline_ms: None,
        dry_run: false,
        reason: "update".into(),
    }
}

pub async fn start_replica(
    replica: Replica,
    store: &Arc<dyn Store>,
    board: &Switchboard<NodeFrame, ControlFrame>,
    address: &str,
    clock: Clock,
) -> ControlPlane {
    let config = ControlPlaneConfig::new(ADMIN.into(), clock, 7);
    ControlPlane::start_replica(config, replica, store.clone(), board.listen(address)).await.unwrap()
}

/// A gateway that dials these addresses.
pub fn gateway_on(
    board: &Switchboard<NodeFrame, ControlFrame>,
    addresses: &str,
    id: &str,
    incarnation: u64,
    connections: u64,
) -> RunningNode {
    let state = Mutex::new(FakeState { connections, ..FakeState::default() });
    let gateway = Arc::new(FakeGateway { id: id.into(), incarnation, state });
    let (stop, dial) = (CancellationToken::new(), Arc::new(board.clone()));
    let task = tokio::spawn(run_node(gateway.clone(), dial, addresses.into(), None, incarnation, stop.clone()));
    RunningNode { gateway, stop, task }
}

/// Clients of this process make their TLS with ring; the first call counts.
pub fn use_ring() {
    let _ = tokio_rustls::rustls::crypto::ring::default_provider().install_default();
}

/// A client for plain HTTP.
pub fn http_client() -> reqwest::Client {
    use_ring();
    reqwest::Client::builder().tls_certs_only([]).timeout(Duration::from_secs(20)).build().unwrap()
}

pub fn operator() -> Actor {
    Actor::new("otto", Role::Operator)
}
