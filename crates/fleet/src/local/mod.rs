//! Gateways, a worker and a control plane in one process, on real sockets and the embedded stores.

mod nodes;
mod open;
mod scale;

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::PathBuf,
    sync::Arc,
};

use backends::{
    Clock,
    edge::Dependencies,
    embedded::{DataDir, DataDirError, Disk, GroupLog, MemoryPresence, MemoryRecent, MemoryRegistry, SqliteDirectory},
    levers::LeverRules,
    port::StoreError,
    stream::Switchboard,
};
use control_plane::{AppError, ControlPlane, ControlPlaneConfig, Provisioner};
use gateway::{Gateway, Limits};
use parking_lot::Mutex;
use protocol::{
    link::{GatewayFrame, WorkerFrame},
    node::{ControlFrame, NodeFrame},
};
use tokio::{
    sync::{oneshot, watch},
    task::JoinHandle,
    time::{Duration, Instant, sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::{nodes::Ground, open::open, scale::Scaler};
use crate::{ListenError, Secrets, listen::listen};

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
    /// Faults may be injected.
    pub allow_faults: bool,
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
    life: Arc<Mutex<Gateway>>,
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

    /// The gateway itself, in its present life.
    pub fn gateway(&self) -> Gateway {
        self.life.lock().clone()
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
    disk: Arc<Disk>,
    directory: SqliteDirectory,
    data: DataDir,
    /// Removed when dropped.
    temporary: Option<tempfile::TempDir>,
    gateways_stop: CancellationToken,
    worker_stop: CancellationToken,
    kept: TaskTracker,
    worker: JoinHandle<()>,
    scaler: JoinHandle<()>,
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
        let (links, nodes) =
            (Switchboard::<WorkerFrame, GatewayFrame>::default(), Switchboard::<NodeFrame, ControlFrame>::default());

        let local = |source| FleetError::Io { what: "read a local address", source };
        let control_address = dialable(control_listener.local_addr().map_err(local)?);
        let (counts, wanted) = watch::channel(None);
        let config = ControlPlaneConfig {
            provisioner: Provisioner::Embedded(counts),
            ..ControlPlaneConfig::new(stores.secrets.admin_token.clone(), clock, clock.now_ms())
        };
        let control = ControlPlane::start(config, Arc::new(stores.control), nodes.listen(CONTROL)).await?;
        control.serve(control_listener).map_err(local)?;

        let ground = Arc::new(Ground {
            stores: backends::Stores {
                log: Arc::new(GroupLog::new(stores.disk.clone())),
                messages: stores.disk.clone(),
                recent: Arc::new(MemoryRecent::new(clock)),
                registry: Arc::new(MemoryRegistry::default()),
                presence: Arc::new(MemoryPresence::new(clock)),
                directory: Arc::new(stores.directory.clone()),
                dependencies: Dependencies::default(),
            },
            links,
            control_plane: Arc::new(nodes),
            data: stores.data.join(""),
            jwt_secret: stores.secrets.jwt_secret.clone(),
            limits: Limits { connections: capacity, ..options.limits },
            levers: LeverRules { faults: options.allow_faults, is_process: false },
            clock,
        });
        let (gateways_stop, worker_stop) = (CancellationToken::new(), CancellationToken::new());
        let kept = TaskTracker::new();
        let worker = ground.worker("worker-1");
        let mut gateways = Vec::new();
        for (n, listener) in listeners.iter().enumerate() {
            let id = format!("gw-{}", n + 1);
            let address = dialable(listener.local_addr().map_err(local)?);
            let life = Arc::new(Mutex::new(ground.gateway(&id)));
            gateways.push(RunningGateway { id, address, life });
        }
        // They report only when they have what they need: a first report with a trouble that is over would be shown
        // for a second.
        until(|| gateways.iter().find_map(|one| nodes::trouble(&one.gateway()))).await?;
        let worker = tokio::spawn(ground.clone().keep_worker(worker, worker_stop.clone()));
        let mut doors = Vec::new();
        for (one, listener) in gateways.iter().zip(listeners) {
            let (door, opened) = oneshot::channel();
            let slot = nodes::Slot { id: one.id.clone(), address: one.address, life: one.life.clone() };
            kept.spawn(ground.clone().keep_gateway(slot, listener, opened, gateways_stop.clone()));
            doors.push(door);
        }
        let scaler = Scaler {
            ground,
            gateways: gateways.len() as u64,
            bind: options.bind,
            gateways_stop: gateways_stop.clone(),
            worker_stop: worker_stop.clone(),
        };
        let scaler = tokio::spawn(scaler.run(wanted));
        kept.close();
        let nodes = gateways.len() + 1;
        until(|| (control.nodes().len() < nodes).then_some("the control plane does not know all nodes")).await?;
        // Last, so that one that was drained before a restart takes nobody in between.
        for door in doors {
            // Its keeper waits for it, or the fleet is gone.
            let _ = door.send(());
        }
        Ok(Self {
            gateways,
            control_plane: control_address,
            secrets: stores.secrets,
            capacity,
            open_files,
            control,
            disk: stores.disk,
            directory: stores.directory,
            data: stores.data,
            temporary: stores.temporary,
            gateways_stop,
            worker_stop,
            kept,
            worker,
            scaler,
        })
    }

    /// The control plane.
    pub fn control(&self) -> &ControlPlane {
        &self.control
    }

    /// Closes every connection, finishes what was accepted, and marks the stop as an orderly one.
    pub async fn shutdown(self) {
        self.gateways_stop.cancel();
        self.kept.wait().await;
        self.worker_stop.cancel();
        // They end with their tokens.
        let _ = tokio::join!(self.worker, self.scaler);
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
