//! A gateway: its parts and the tasks that run beside its connections.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize},
    },
};

use backends::{Clock, Stores, levers::Levers, stream::Duplex};
use parking_lot::Mutex;
use protocol::{
    frames::CloseCode,
    link::{GatewayFrame, WorkerFrame},
    node::DrainOrder,
};
use rand::{SeedableRng as _, rngs::SmallRng};
use tokio::{
    net::TcpListener,
    sync::{Semaphore, mpsc},
    time::{Duration, interval, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    accept,
    auth::Auth,
    config::GatewayConfig,
    connection,
    drain::Drain,
    faults::FrameFaults,
    figures::Figures,
    hub::{Conn, Hub},
    intake::Intake,
    lease,
    membership::Memberships,
    metrics::Metrics,
    presence::{self, Heartbeats, Watchers},
    reading::Reader,
    relay::{self, Relays},
    socket::ByteStream,
    sweep, workers,
};

/// How long a shutdown waits for connections to take their close frames.
const CLOSE_DEADLINE: Duration = Duration::from_secs(5);

/// Between two looks whether a drain has ended.
const DRAIN_LOOK: Duration = Duration::from_millis(50);

/// What the connections and tasks of a gateway share.
pub(crate) struct Shared {
    pub(crate) config: GatewayConfig,
    pub(crate) clock: Clock,
    pub(crate) ports: Stores,
    pub(crate) auth: Auth,
    pub(crate) hub: Hub,
    pub(crate) intake: Intake,
    pub(crate) reader: Reader,
    pub(crate) memberships: Memberships,
    pub(crate) workers: workers::Workers,
    pub(crate) drain: Drain,
    pub(crate) heartbeats: Heartbeats,
    pub(crate) watchers: Watchers,
    pub(crate) relays: Relays,
    pub(crate) metrics: Metrics,
    /// What an operator forces here for a while.
    pub(crate) levers: Arc<Levers>,
    pub(crate) faults: FrameFaults,
    pub(crate) figures: Arc<Figures>,
    pub(crate) rng: Mutex<SmallRng>,
    /// Streams that were accepted and are not closed, and how many of each address.
    pub(crate) streams: Mutex<HashMap<IpAddr, usize>>,
    pub(crate) handshakes: AtomicUsize,
    /// Turns of replays.
    pub(crate) replays: Semaphore,
    /// The holding of the lease: workers know this gateway. Not ready without it.
    pub(crate) holding: Mutex<Option<u64>>,
    /// It ends as a killed process does: nobody is told.
    pub(crate) crashed: AtomicBool,
    pub(crate) stop: CancellationToken,
    pub(crate) tasks: TaskTracker,
}

/// A running gateway.
#[derive(Clone)]
pub struct Gateway {
    pub(crate) shared: Arc<Shared>,
}

impl Gateway {
    /// Starts what runs beside the connections. Streams of workers come in on `links`.
    pub fn start(
        config: GatewayConfig,
        clock: Clock,
        auth: Auth,
        ports: Stores,
        links: mpsc::Receiver<Duplex<GatewayFrame, WorkerFrame>>,
    ) -> Self {
        let metrics = Metrics::new();
        let figures = Arc::new(Figures::default());
        let levers = Levers::new(clock, config.incarnation, config.levers, ports.dependencies.clone());
        let shared = Arc::new(Shared {
            clock,
            auth,
            hub: Hub::default(),
            intake: Intake::new(&config, clock, &ports, metrics.append_seconds.clone(), figures.clone()),
            reader: Reader::new(&config, &ports),
            memberships: Memberships::new(ports.directory.clone(), ports.recent.clone()),
            workers: workers::Workers::new(ports.log.partitions()),
            drain: Drain::default(),
            heartbeats: Heartbeats::default(),
            watchers: Watchers::default(),
            relays: Relays::default(),
            metrics,
            levers,
            faults: FrameFaults::default(),
            figures: figures.clone(),
            rng: Mutex::new(SmallRng::seed_from_u64(config.seed)),
            streams: Mutex::default(),
            handshakes: AtomicUsize::new(0),
            replays: Semaphore::new(connection::replay::AT_ONCE),
            holding: Mutex::default(),
            crashed: AtomicBool::new(false),
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
            config,
            ports,
        });
        let tasks = &shared.tasks;
        tasks.spawn(shared.levers.clone().run(shared.stop.clone()));
        tasks.spawn(lease::run(shared.clone()));
        tasks.spawn(workers::run(shared.clone(), links));
        tasks.spawn(sweep::run(shared.clone()));
        tasks.spawn(presence::run_heartbeats(shared.clone()));
        tasks.spawn(presence::run_changes(shared.clone()));
        tasks.spawn(relay::run(shared.clone()));
        Self { shared }
    }

    /// Accepts from a listener until the shutdown.
    pub fn serve(&self, listener: TcpListener) {
        self.shared.tasks.spawn(accept::run(self.shared.clone(), listener));
    }

    /// Takes one byte stream of a client.
    pub fn accept(&self, stream: Box<dyn ByteStream>, peer: IpAddr) {
        accept::one(&self.shared, stream, peer);
    }

    /// What an operator forces on it for a while.
    pub fn levers(&self) -> &Arc<Levers> {
        &self.shared.levers
    }

    /// Ends as a killed process would: sockets are cut without a word, the lease stays until it runs out.
    pub async fn crash(&self) {
        let shared = &self.shared;
        shared.crashed.store(true, std::sync::atomic::Ordering::Relaxed);
        shared.stop.cancel();
        shared.tasks.close();
        for conn in shared.hub.all() {
            conn.io.lock().abort();
        }
        if timeout(CLOSE_DEADLINE, shared.tasks.wait()).await.is_err() {
            tracing::warn!(left = shared.tasks.len(), "some connections did not end in time");
        }
    }

    /// Connections that said hello.
    pub fn connections(&self) -> usize {
        self.shared.hub.connections()
    }

    /// True when it may take clients; otherwise why not.
    pub fn readiness(&self) -> Result<(), &'static str> {
        self.shared.readiness()
    }

    /// Moves every client elsewhere, as a drain that the control plane orders: returns when none is left, or with the
    /// deadline.
    pub async fn drain(&self, deadline: Duration, rate_per_s: u32) {
        let shared = &self.shared;
        let deadline_ms = deadline.as_millis() as u64;
        shared.order_drain(Some(DrainOrder { operation: "shutdown".to_owned(), deadline_ms, rate_per_s }));
        let mut looks = interval(DRAIN_LOOK);
        let drained = async {
            while shared.hub.connections() > 0 {
                looks.tick().await;
            }
        };
        if timeout(deadline + CLOSE_DEADLINE, drained).await.is_err() {
            tracing::warn!(left = shared.hub.connections(), "some clients did not move in time");
        }
    }

    /// Closes every connection with 1001, ends the tasks and gives the lease back.
    pub async fn shutdown(&self) {
        let shared = &self.shared;
        shared.close_all(CloseCode::GoingAway);
        shared.stop.cancel();
        shared.tasks.close();
        if timeout(CLOSE_DEADLINE, shared.tasks.wait()).await.is_err() {
            tracing::warn!(left = shared.tasks.len(), "some connections did not end in time");
        }
    }
}

impl Shared {
    pub(crate) fn now_ms(&self) -> u64 {
        self.clock.now_ms()
    }

    pub(crate) fn readiness(&self) -> Result<(), &'static str> {
        if self.stop.is_cancelled() {
            return Err("stopping");
        }
        if self.drain.refuses_connections() {
            return Err("draining");
        }
        if self.holding.lock().is_none() {
            return Err("no lease in the registry yet");
        }
        if !self.workers.is_connected() {
            return Err("no worker is connected");
        }
        Ok(())
    }

    /// Closes a connection whose device has a newer session.
    pub(crate) fn supersede(&self, conn: &Conn) {
        self.metrics.superseded.inc();
        self.figures.moved_away(&conn.user, &conn.device, self.now_ms());
        conn.close(CloseCode::Superseded);
    }

    /// Closes every connection: their clients come back and resume.
    pub(crate) fn close_all(&self, code: CloseCode) {
        for conn in self.hub.all() {
            conn.close(code);
        }
    }
}
