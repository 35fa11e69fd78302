//! The nodes of a simulated fleet: started, crashed, paused, drained.

use std::{collections::BTreeMap, sync::Arc};

use backends::{
    Clock,
    edge::{Behind, Dependencies},
    embedded::{GroupLog, MemoryPresence, MemoryRecent},
    node::{Node, run_node},
    port::{Directory, Log, Messages, Presence, Recent, Registry},
    stream::Switchboard,
};
use control_plane::{Actor, ControlPlane, ControlPlaneConfig, store::MemoryStore};
use domain::{NodeId, Planted};
use gateway::{Addresses, Auth, Gateway, GatewayConfig, GatewayNode, JwtKey};
use protocol::{
    admin::{DrainRequest, Role as AdminRole},
    link::{GatewayFrame, WorkerFrame},
    node::{ControlFrame, NodeFrame},
};
use tokio_util::sync::CancellationToken;
use workers::{Worker, WorkerConfig, WorkerNode};

use super::{
    directory::SimDirectory,
    log::SimLog,
    messages::SimMessages,
    outages::REGISTRY,
    registry::SimRegistry,
    stores::Windy,
    weather::{Power, Weather},
    wire::{Net, SimDial},
};

const CONTROL: &str = "control-plane";
pub(super) const JWT_SECRET: &[u8] = b"simulated";

/// A running node.
struct Running {
    weather: Weather,
    agent: CancellationToken,
    what: What,
}

enum What {
    Gateway(Gateway),
    Worker(Worker),
}

/// Everything but the clients.
pub(super) struct World {
    pub(super) clock: Clock,
    pub(super) net: Net,
    pub(super) log: Arc<SimLog>,
    pub(super) messages: Arc<SimMessages>,
    pub(super) recent: Arc<MemoryRecent>,
    pub(super) registry: Arc<SimRegistry>,
    pub(super) directory: Arc<SimDirectory>,
    presence: Arc<MemoryPresence>,
    groups: Arc<GroupLog<SimLog>>,
    links: Switchboard<WorkerFrame, GatewayFrame>,
    nodes: Switchboard<NodeFrame, ControlFrame>,
    control: Option<ControlPlane>,
    control_store: Arc<MemoryStore>,
    running: BTreeMap<String, Running>,
    incarnation: u64,
    planted: Planted,
    seed: u64,
    stop: CancellationToken,
}

impl World {
    pub(super) fn new(seed: u64, planted: Planted) -> Self {
        let clock = Clock::simulated(1_700_000_000_000);
        let log = SimLog::new(clock);
        let stop = CancellationToken::new();
        tokio::spawn(log.clone().run(seed, stop.clone()));
        Self {
            clock,
            net: Net::default(),
            groups: Arc::new(GroupLog::new(log.clone())),
            log,
            messages: Arc::new(SimMessages::new(seed)),
            recent: Arc::new(MemoryRecent::new(clock)),
            registry: Arc::new(SimRegistry::default()),
            directory: Arc::new(SimDirectory::default()),
            presence: Arc::new(MemoryPresence::new(clock)),
            links: Switchboard::default(),
            nodes: Switchboard::default(),
            control: None,
            control_store: Arc::new(MemoryStore::default()),
            running: BTreeMap::new(),
            incarnation: 0,
            planted,
            seed,
            stop,
        }
    }

    /// The weather of a running node.
    pub(super) fn weather(&self, name: &str) -> Option<Weather> {
        self.running.get(name).map(|running| running.weather.clone())
    }

    /// Clients that said hello to a gateway that runs.
    pub(super) fn connections(&self) -> usize {
        let of = |running: &Running| match &running.what {
            What::Gateway(gateway) => gateway.connections(),
            What::Worker(_) => 0,
        };
        self.running.values().map(of).sum()
    }

    pub(super) fn is_running(&self, name: &str) -> bool {
        self.running.contains_key(name)
    }

    fn next_seed(&mut self) -> u64 {
        self.incarnation += 1;
        self.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(self.incarnation)
    }

    fn agent(&self, name: &str, node: Arc<dyn Node>, seed: u64) -> CancellationToken {
        let stop = CancellationToken::new();
        let dial = SimDial { board: self.nodes.clone(), net: self.net.clone(), from: name.to_owned() };
        tokio::spawn(run_node(node, Arc::new(dial), CONTROL.to_owned(), None, seed, stop.clone()));
        stop
    }

    pub(super) fn start_gateway(&mut self, name: &str) {
        let seed = self.next_seed();
        let weather = Weather::new(seed);
        let mut config = GatewayConfig::new(node_id(name), self.incarnation, name.to_owned(), seed);
        config.planted = self.planted;
        let auth = Auth::new(&JwtKey::Hs256(JWT_SECRET.to_vec())).unwrap_or_else(|_| unreachable!("a secret is a key"));
        let ports = backends::Stores {
            log: self.log_port(&weather),
            messages: self.messages_port(&weather),
            recent: self.recent_port(&weather),
            registry: self.registry_port(&weather),
            presence: Behind::new(self.presence.clone() as Arc<dyn Presence>, Windy::new(&weather, "presence")),
            directory: self.directory_port(&weather),
            dependencies: Dependencies::default(),
        };
        let gateway = Gateway::start(config, self.clock, auth, ports, self.links.listen(name));
        self.net.up(name, &weather, Some(gateway.clone()));
        let node = GatewayNode { gateway: gateway.clone(), addresses: Addresses::default() };
        let agent = self.agent(name, Arc::new(node), seed);
        self.running.insert(name.to_owned(), Running { weather, agent, what: What::Gateway(gateway) });
    }

    pub(super) fn start_worker(&mut self, name: &str) {
        let seed = self.next_seed();
        let weather = Weather::new(seed);
        let config = WorkerConfig::new(node_id(name), self.incarnation, self.clock);
        let config = WorkerConfig { planted: self.planted, ..config };
        self.net.up(name, &weather, None);
        let dial = SimDial { board: self.links.clone(), net: self.net.clone(), from: name.to_owned() };
        let ports = workers::Ports {
            log: self.log_port(&weather),
            messages: self.messages_port(&weather),
            recent: self.recent_port(&weather),
            registry: self.registry_port(&weather),
            directory: self.directory_port(&weather),
            dependencies: Dependencies::default(),
            gateways: Arc::new(dial),
        };
        let worker = Worker::start(config, ports);
        let agent = self.agent(name, Arc::new(WorkerNode::new(&worker)), seed);
        self.running.insert(name.to_owned(), Running { weather, agent, what: What::Worker(worker) });
    }

    fn log_port(&self, weather: &Weather) -> Arc<dyn Log> {
        Behind::new(self.groups.clone() as Arc<dyn Log>, Windy::new(weather, "log"))
    }

    fn messages_port(&self, weather: &Weather) -> Arc<dyn Messages> {
        Behind::new(self.messages.clone() as Arc<dyn Messages>, Windy::new(weather, "messages"))
    }

    fn recent_port(&self, weather: &Weather) -> Arc<dyn Recent> {
        Behind::new(self.recent.clone() as Arc<dyn Recent>, Windy::new(weather, "recent"))
    }

    fn registry_port(&self, weather: &Weather) -> Arc<dyn Registry> {
        Behind::new(self.registry.clone() as Arc<dyn Registry>, Windy::new(weather, REGISTRY))
    }

    fn directory_port(&self, weather: &Weather) -> Arc<dyn Directory> {
        Behind::new(self.directory.clone() as Arc<dyn Directory>, Windy::new(weather, "directory"))
    }

    /// A node crashes. `silently`: its machine is gone, and nobody is told that its streams are.
    pub(super) fn crash(&mut self, name: &str, silently: bool) {
        let Some(running) = self.running.remove(name) else { return };
        running.weather.set_power(Power::Off);
        if !silently {
            self.net.cut(name);
        }
        self.net.down(name);
        running.agent.cancel();
        // Without power nothing of this is seen by anybody; it only ends the tasks that can end.
        match running.what {
            What::Gateway(gateway) => tokio::spawn(async move { gateway.shutdown().await }),
            What::Worker(worker) => tokio::spawn(worker.shutdown()),
        };
    }

    /// The session of a worker ran out: its partitions go to others, whether it knows or not.
    pub(super) fn expel(&self, name: &str) {
        self.groups.coordinator().expel(name);
    }

    pub(super) async fn start_control(&mut self) {
        let seed = self.next_seed();
        let config = ControlPlaneConfig::new("simulated-admin".to_owned(), self.clock, seed);
        let weather = Weather::new(seed);
        self.net.up(CONTROL, &weather, None);
        let started = ControlPlane::start(config, self.control_store.clone(), self.nodes.listen(CONTROL)).await;
        match started {
            Ok(control) => self.control = Some(control),
            Err(error) => tracing::error!(%error, "the control plane did not start"),
        }
    }

    pub(super) async fn stop_control(&mut self) {
        self.net.cut(CONTROL);
        self.net.down(CONTROL);
        if let Some(control) = self.control.take() {
            control.shutdown().await;
        }
    }

    /// Asks for a drain; a refusal by a guard is as good an answer as any.
    pub(super) async fn drain(&self, gateway: &str) {
        let Some(control) = &self.control else { return };
        let request = DrainRequest { deadline_ms: Some(5_000), force: true, ..DrainRequest::default() };
        if let Err(error) = control.drain(&actor(), gateway, &request).await {
            tracing::debug!(%error, gateway, "no drain");
        }
    }

    pub(super) async fn undrain(&self, gateway: &str) {
        let Some(control) = &self.control else { return };
        if let Err(error) = control.undrain(&actor(), gateway, "simulated").await {
            tracing::debug!(%error, gateway, "no undrain");
        }
    }

    /// Ends everything; what hangs is dropped with the runtime.
    pub(super) fn stop(&self) {
        self.stop.cancel();
    }
}

fn actor() -> Actor {
    Actor::new("simulation", AdminRole::Admin)
}

fn node_id(name: &str) -> NodeId {
    NodeId::parse(name).unwrap_or_else(|_| unreachable!("names of simulated nodes are valid"))
}
