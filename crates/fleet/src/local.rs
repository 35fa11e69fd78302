//! Gateways, a worker and a control plane in one process, on real sockets and the embedded stores.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::PathBuf,
    sync::Arc,
};

use backends::{
    Clock,
    edge::Dependencies,
    embedded::{
        DataDir, DataDirError, Disk, DiskOptions, GroupLog, MemoryPresence, MemoryRecent, MemoryRegistry,
        SqliteDirectory,
    },
    node::{Node, run_node},
    port::StoreError,
    stream::Switchboard,
};
use control_plane::{AppError, ControlPlane, ControlPlaneConfig, store::SqliteStore};
use domain::NodeId;
use gateway::{Addresses, Auth, Gateway, GatewayConfig, GatewayNode, JwtKey, Limits};
use protocol::{
    link::{GatewayFrame, WorkerFrame},
    node::{ControlFrame, NodeFrame},
};
use tokio::time::{Duration, Instant, sleep, timeout};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use workers::{Role, Worker, WorkerConfig, WorkerNode};

use crate::{ListenError, Secrets, listen::listen};

/// Partitions of each topic of a new data directory. More would make smaller batches; fewer would let one busy
/// conversation hold up more of the others.
const PARTITIONS: u32 = 8;
/// A fleet that is not ready by then has failed to start.
const READY_DEADLINE: Duration = Duration::from_secs(10);
/// Between two looks.
const READY_POLL: Duration = Duration::from_millis(5);
/// Files the process needs beside its connections: stores, listeners, streams.
const FILES_RESERVED: u64 = 200;
const CONTROL: &str = "control-plane";

/// How a local fleet is set up.
#[derive(Debug, Clone)]
pub struct FleetOptions {
    /// How many gateways.
    pub gateways: usize,
    /// Where to listen.
    pub bind: IpAddr,
    /// The control plane's port; gateways have the following ones. 0: any free ports.
    pub port: u16,
    /// Where to keep everything. `None`: in a temporary directory that goes with the fleet.
    pub data: Option<PathBuf>,
    /// What each gateway takes; the number of connections is lowered to what the process may open.
    pub limits: Limits,
}

/// Why a fleet did not start.
#[derive(Debug, thiserror::Error)]
pub enum FleetError {
    /// A port cannot be had.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The data directory cannot be used.
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    /// A store cannot be opened.
    #[error("cannot open the stores: {0}")]
    Store(#[from] StoreError),
    /// The control plane did not start.
    #[error("cannot start the control plane: {0}")]
    ControlPlane(#[from] AppError),
    /// The system says no.
    #[error("cannot {what}: {source}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// What the system says.
        source: io::Error,
    },
    /// It started and is not ready.
    #[error("the fleet was not ready within 10 s: {0}")]
    NotReady(&'static str),
}

/// A gateway of a local fleet.
pub struct RunningGateway {
    /// Its name.
    pub id: String,
    /// Where clients connect.
    pub address: SocketAddr,
    gateway: Gateway,
}

impl RunningGateway {
    /// `ws://host:port/v1/ws`
    pub fn ws(&self) -> String {
        format!("ws://{}/v1/ws", self.address)
    }

    /// `http://host:port`
    pub fn http(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The gateway itself.
    pub fn gateway(&self) -> &Gateway {
        &self.gateway
    }

    /// Why it may not take clients, but for a drain that somebody ordered before a restart.
    fn trouble(&self) -> Option<&'static str> {
        self.gateway.readiness().err().filter(|why| *why != "draining")
    }
}

/// A running fleet. [`LocalFleet::shutdown`] ends it in order.
pub struct LocalFleet {
    /// Its gateways.
    pub gateways: Vec<RunningGateway>,
    /// Where the control plane serves.
    pub control_plane: SocketAddr,
    /// Its secrets.
    pub secrets: Secrets,
    /// Connections that each gateway takes, as far as the process may open files.
    pub capacity: usize,
    /// Files that the process may open.
    pub open_files: u64,
    control: ControlPlane,
    worker: Worker,
    disk: Arc<Disk>,
    directory: SqliteDirectory,
    data: DataDir,
    /// Removed when dropped.
    temporary: Option<tempfile::TempDir>,
    stop: CancellationToken,
    nodes: TaskTracker,
}

/// What is opened before anything runs.
struct Stores {
    data: DataDir,
    temporary: Option<tempfile::TempDir>,
    disk: Arc<Disk>,
    directory: SqliteDirectory,
    control: SqliteStore,
    secrets: Secrets,
}

async fn open(options: &FleetOptions) -> Result<Stores, FleetError> {
    let (path, temporary) = match &options.data {
        Some(path) => (path.clone(), None),
        None => {
            let made = tempfile::Builder::new().prefix("chatfleet-").tempdir();
            let dir = made.map_err(|source| FleetError::Io { what: "make a temporary directory", source })?;
            (dir.path().join("data"), Some(dir))
        }
    };
    let data = DataDir::open(&path)?;
    let disk_options = DiskOptions { partitions: PARTITIONS, was_clean: data.was_clean() };
    let log_path = data.join("log");
    let opened = tokio::task::spawn_blocking(move || Disk::open(&log_path, disk_options)).await;
    let disk = opened.map_err(|error| StoreError::corrupt("data directory", error))??;
    let directory = SqliteDirectory::open(&data.join("directory.sqlite")).await?;
    let control = SqliteStore::open(&data.join("control.sqlite")).await;
    let control = control.map_err(|error| StoreError::corrupt("control-plane store", error))?;
    let secrets = Secrets::load_or_make(&data.join("secrets.json")).map_err(|source| match source.kind() {
        io::ErrorKind::InvalidData => StoreError::corrupt("secrets.json", source).into(),
        _ => FleetError::Io { what: "read secrets.json of the data directory", source },
    })?;
    Ok(Stores { data, temporary, disk, directory, control, secrets })
}

/// Raises the soft limit of open files to the hard one; returns it, and how many connections each gateway may take.
fn capacity(options: &FleetOptions) -> (u64, usize) {
    let files = rlimit::increase_nofile_limit(u64::MAX).unwrap_or(1_024);
    // In one process all gateways share the files.
    let share = files.saturating_sub(FILES_RESERVED) as usize / options.gateways.max(1);
    let capacity = options.limits.connections.min(share);
    tracing::info!(files, capacity, gateways = options.gateways, "capacity follows from the open-files limit");
    (files, capacity)
}

impl LocalFleet {
    /// Starts a fleet; ready when it returns.
    pub async fn start(options: FleetOptions) -> Result<Self, FleetError> {
        // Listeners first: a second fleet on the same ports must not touch anything.
        let port = |n: u16| if options.port == 0 { 0 } else { options.port.saturating_add(n) };
        let control_listener = listen(SocketAddr::new(options.bind, port(0)))?;
        let count = options.gateways as u16;
        let listeners =
            (1..=count).map(|n| listen(SocketAddr::new(options.bind, port(n)))).collect::<Result<Vec<_>, _>>()?;
        let stores = open(&options).await?;
        let (open_files, capacity) = capacity(&options);
        let clock = Clock::System;
        let incarnation = clock.now_ms();
        let (links, nodes) =
            (Switchboard::<WorkerFrame, GatewayFrame>::default(), Switchboard::<NodeFrame, ControlFrame>::default());

        let local = |source| FleetError::Io { what: "read a local address", source };
        let control_address = dialable(control_listener.local_addr().map_err(local)?);
        let config = ControlPlaneConfig { admin_token: stores.secrets.admin_token.clone(), clock, seed: incarnation };
        let control = ControlPlane::start(config, Arc::new(stores.control), nodes.listen(CONTROL)).await?;
        control.serve(control_listener).map_err(local)?;

        let log = Arc::new(GroupLog::new(stores.disk.clone()));
        let ports = Ports {
            log,
            messages: stores.disk.clone(),
            recent: Arc::new(MemoryRecent::new(clock)),
            registry: Arc::new(MemoryRegistry::default()),
            presence: Arc::new(MemoryPresence::new(clock)),
            directory: Arc::new(stores.directory.clone()),
        };
        let worker = ports.worker("worker-1", links.clone());
        let agents = Agents {
            dial: Arc::new(nodes),
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
            seed: incarnation,
        };
        agents.spawn(Arc::new(WorkerNode::new(&worker, incarnation)), Some(stores.data.join("worker-1.desired")));
        let mut gateways = Vec::new();
        for (n, listener) in listeners.iter().enumerate() {
            let id = format!("gw-{}", n + 1);
            let limits = Limits { connections: capacity, ..options.limits };
            let address = dialable(listener.local_addr().map_err(local)?);
            let gateway = ports.gateway(&id, incarnation, limits, &stores.secrets, &links);
            gateways.push(RunningGateway { id, address, gateway });
        }
        // They report only when they have what they need: a first report with a trouble that is over would be shown
        // for a second.
        until(|| gateways.iter().find_map(|one| one.trouble())).await?;
        for one in &gateways {
            let addresses = Addresses { client_url: one.ws(), http_url: one.http() };
            let state_file = stores.data.join(&format!("{}.desired", one.id));
            agents.spawn(Arc::new(GatewayNode { gateway: one.gateway.clone(), addresses }), Some(state_file));
        }
        let nodes = gateways.len() + 1;
        until(|| (control.nodes().len() < nodes).then_some("the control plane does not know all nodes")).await?;
        // Last, so that one that was drained before a restart takes nobody in between.
        for (one, listener) in gateways.iter().zip(listeners) {
            one.gateway.serve(listener);
        }
        Ok(Self {
            gateways,
            control_plane: control_address,
            secrets: stores.secrets,
            capacity,
            open_files,
            control,
            worker,
            disk: stores.disk,
            directory: stores.directory,
            data: stores.data,
            temporary: stores.temporary,
            stop: agents.stop,
            nodes: agents.tasks,
        })
    }

    /// The control plane.
    pub fn control(&self) -> &ControlPlane {
        &self.control
    }

    /// Closes every connection, finishes what was accepted, and marks the stop as an orderly one.
    pub async fn shutdown(self) {
        self.stop.cancel();
        self.nodes.close();
        self.nodes.wait().await;
        futures_util::future::join_all(self.gateways.iter().map(|one| one.gateway.shutdown())).await;
        self.worker.shutdown().await;
        self.control.shutdown().await;
        self.directory.close().await;
        let disk = self.disk;
        let closed = tokio::task::spawn_blocking(move || disk.close());
        match timeout(READY_DEADLINE, closed).await {
            Ok(Ok(())) => self.data.mark_clean(),
            _ => tracing::warn!("the data directory could not be closed in order; the next start will recover it"),
        }
        drop(self.temporary);
    }
}

/// The stores as the nodes share them.
struct Ports {
    log: Arc<GroupLog<Disk>>,
    messages: Arc<Disk>,
    recent: Arc<MemoryRecent>,
    registry: Arc<MemoryRegistry>,
    presence: Arc<MemoryPresence>,
    directory: Arc<SqliteDirectory>,
}

/// Where to reach a listener from this machine: one that listens everywhere is reached over loopback.
fn dialable(mut address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    address
}

/// Waits until nothing is in the way any more.
async fn until(in_the_way: impl Fn() -> Option<&'static str>) -> Result<(), FleetError> {
    let deadline = Instant::now() + READY_DEADLINE;
    while let Some(why) = in_the_way() {
        if Instant::now() >= deadline {
            return Err(FleetError::NotReady(why));
        }
        sleep(READY_POLL).await;
    }
    Ok(())
}

fn node_id(name: &str) -> NodeId {
    NodeId::parse(name).unwrap_or_else(|_| unreachable!("names of local nodes are valid"))
}

impl Ports {
    fn worker(&self, name: &str, links: Switchboard<WorkerFrame, GatewayFrame>) -> Worker {
        let config =
            WorkerConfig { node: node_id(name), roles: Role::ALL.to_vec(), planted: domain::Planted::default() };
        let ports = workers::Ports {
            log: self.log.clone(),
            messages: self.messages.clone(),
            recent: self.recent.clone(),
            registry: self.registry.clone(),
            directory: self.directory.clone(),
            dependencies: Dependencies::default(),
            gateways: Arc::new(links),
        };
        Worker::start(config, ports)
    }

    fn gateway(
        &self,
        name: &str,
        incarnation: u64,
        limits: Limits,
        secrets: &Secrets,
        links: &Switchboard<WorkerFrame, GatewayFrame>,
    ) -> Gateway {
        let mut config = GatewayConfig::new(node_id(name), incarnation, name.to_owned(), incarnation);
        config.limits = limits;
        let auth = Auth::new(&JwtKey::Hs256(secrets.jwt_secret.clone().into_bytes()))
            .unwrap_or_else(|_| unreachable!("a shared secret is always a key"));
        let ports = gateway::Ports {
            log: self.log.clone(),
            messages: self.messages.clone(),
            recent: self.recent.clone(),
            registry: self.registry.clone(),
            presence: self.presence.clone(),
            directory: self.directory.clone(),
            dependencies: Dependencies::default(),
        };
        Gateway::start(config, Clock::System, auth, ports, links.listen(name))
    }
}

/// The nodes' streams to the control plane.
struct Agents {
    dial: Arc<Switchboard<NodeFrame, ControlFrame>>,
    stop: CancellationToken,
    tasks: TaskTracker,
    seed: u64,
}

impl Agents {
    fn spawn(&self, node: Arc<dyn Node>, state_file: Option<PathBuf>) {
        let agent = run_node(node, self.dial.clone(), CONTROL.to_owned(), state_file, self.seed, self.stop.clone());
        self.tasks.spawn(agent);
    }
}
