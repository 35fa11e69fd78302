//! Starts, serves and stops a control plane. It owns every task it spawns and joins them all at shutdown.

use std::{io, net::SocketAddr, sync::Arc};

use axum::serve::Listener;
use backends::{Clock, stream::Duplex};
use domain::StoreScaling;
use protocol::{
    admin::{Changed, DrainRequest, Gateway, Node, Operation},
    node::{ControlFrame, NodeFrame},
};
use rand::{SeedableRng as _, rngs::StdRng};
use tokio::{
    net::TcpListener,
    sync::{Semaphore, mpsc},
    time::{Duration, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    app::{Actor, App, nodes::Nodes},
    detect::Hooks,
    error::AppError,
    http::{self, ApiCertificate, TlsListener},
    leader::{Leader, Replica, Seat},
    provision::Provisioner,
    scale::Rates,
    session,
    store::{Fenced, Store},
};

/// Node streams at once; more are dropped, and the nodes dial again.
const STREAMS_MAX: usize = 10_000;
/// How long shutdown waits for tasks; what is left then is named in the log and given up.
const SHUTDOWN_DEADLINE: Duration = Duration::from_secs(10);

/// How a control plane runs.
#[derive(Clone)]
pub struct ControlPlaneConfig {
    /// The secret of the first admin token. Only its hash is stored.
    pub admin_token: String,
    /// Tells the time.
    pub clock: Clock,
    /// For names of operations.
    pub seed: u64,
    /// URLs that are told of incidents; one that ends in `/api/v2/alerts` is an Alertmanager.
    pub webhooks: Vec<String>,
    /// The CA of those with an https URL, as PEM; none: those that the machine believes.
    pub webhooks_ca: Option<Vec<u8>>,
    /// Who adds and removes nodes.
    pub provisioner: Provisioner,
    /// What nodes bear and cost.
    pub rates: Rates,
    /// When it asks for a node of the message store by itself.
    pub autoscale: StoreScaling,
}

impl ControlPlaneConfig {
    /// Nobody is told of incidents and nobody adds nodes.
    pub fn new(admin_token: String, clock: Clock, seed: u64) -> Self {
        let (provisioner, rates, autoscale) = (Provisioner::None, Rates::default(), StoreScaling::default());
        Self { admin_token, clock, seed, webhooks: Vec::new(), webhooks_ca: None, provisioner, rates, autoscale }
    }
}

impl std::fmt::Debug for ControlPlaneConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ControlPlaneConfig")
            .field("clock", &self.clock)
            .field("seed", &self.seed)
            .finish_non_exhaustive()
    }
}

/// A running control plane. [`ControlPlane::shutdown`] stops it; dropping it only tells its tasks to stop.
pub struct ControlPlane {
    app: Arc<App>,
    leader: Arc<Leader>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl ControlPlane {
    /// Starts the only control plane of a fleet. It reads the store, takes over what was going on, and begins to
    /// accept node streams.
    pub async fn start(
        config: ControlPlaneConfig,
        store: Arc<dyn Store>,
        streams: mpsc::Receiver<Duplex<ControlFrame, NodeFrame>>,
    ) -> Result<Self, AppError> {
        Self::start_replica(config, Replica::default(), store, streams).await
    }

    /// Starts one of several control planes over one store. Returns when it leads, or knows which other does; then it
    /// refuses calls and node streams until it leads.
    pub async fn start_replica(
        config: ControlPlaneConfig,
        replica: Replica,
        store: Arc<dyn Store>,
        streams: mpsc::Receiver<Duplex<ControlFrame, NodeFrame>>,
    ) -> Result<Self, AppError> {
        let seat = Arc::new(Seat::default());
        let fenced = Arc::new(Fenced::new(store.clone(), seat.clone()));
        let nodes = Nodes::new(Vec::new(), Vec::new());
        let mut app = App::new(fenced, config.clock, StdRng::seed_from_u64(config.seed), nodes);
        app.provisioner = config.provisioner;
        app.rates = config.rates;
        app.autoscale = config.autoscale;
        app.hooks = Arc::new(Hooks::new(config.webhooks, config.webhooks_ca));
        app.seat = seat;
        let app = Arc::new(app);
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let leader = Leader { app: app.clone(), store, replica, admin_token: config.admin_token, stop: stop.clone() };
        let leader = Arc::new(leader);
        let term = leader.start().await?;
        tasks.spawn(leader.clone().run(term));
        tasks.spawn(app.hooks.clone().run(stop.clone()));
        tasks.spawn(accept(app.clone(), streams, stop.clone(), tasks.clone()));
        Ok(Self { app, leader, stop, tasks })
    }

    /// Serves the HTTP API on a listener, until shutdown.
    pub fn serve(&self, listener: TcpListener) -> io::Result<()> {
        let address = listener.local_addr()?;
        self.serve_on(listener, address, "http");
        Ok(())
    }

    /// The same over TLS. Fails when the certificate is of no use.
    pub fn serve_tls(&self, listener: TcpListener, shown: &ApiCertificate) -> Result<(), AppError> {
        let address = listener.local_addr().map_err(|error| AppError::invalid("listen", error.to_string()))?;
        let listener = TlsListener::new(listener, shown)
            .map_err(|error| AppError::invalid("api.certificate", error.to_string()))?;
        self.serve_on(listener, address, "https");
        Ok(())
    }

    fn serve_on<L: Listener<Addr = SocketAddr>>(&self, listener: L, address: SocketAddr, scheme: &'static str) {
        let stop = self.stop.clone();
        let router = http::router(self.app.clone(), stop.clone());
        self.app.hooks.served_at(scheme, address);
        self.tasks.spawn(async move {
            tracing::info!(%address, scheme, "control plane serves");
            let serving = axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned());
            if let Err(error) = serving.await {
                tracing::error!(%error, "control plane stopped serving");
            }
        });
    }

    /// What callers can ask for.
    pub fn app(&self) -> &Arc<App> {
        &self.app
    }

    /// Begins to drain a gateway.
    pub async fn drain(
        &self,
        actor: &Actor,
        gateway: &str,
        request: &DrainRequest,
    ) -> Result<Changed<Operation>, AppError> {
        self.app.seat.check()?;
        self.app.drain(actor, gateway, request).await
    }

    /// Puts a drained gateway back into service.
    pub async fn undrain(&self, actor: &Actor, gateway: &str, reason: &str) -> Result<Changed<Operation>, AppError> {
        self.app.seat.check()?;
        self.app.undrain(actor, gateway, reason).await
    }

    /// One operation.
    pub async fn operation(&self, id: &str) -> Result<Operation, AppError> {
        self.app.operation(id).await
    }

    /// Cancels an operation.
    pub async fn cancel(&self, actor: &Actor, id: &str, reason: &str) -> Result<Changed<Operation>, AppError> {
        self.app.seat.check()?;
        self.app.cancel(actor, id, reason).await
    }

    /// Whether this replica leads.
    pub fn leads(&self) -> bool {
        self.app.seat.check().is_ok()
    }

    /// All gateways.
    pub fn gateways(&self) -> Vec<Gateway> {
        self.app.gateways()
    }

    /// All nodes.
    pub fn nodes(&self) -> Vec<Node> {
        self.app.nodes()
    }

    /// Stops serving, ends every stream, joins every task and lets another replica lead. Operations go on with the next control plane.
    pub async fn shutdown(self) {
        self.stop.cancel();
        self.tasks.close();
        if timeout(SHUTDOWN_DEADLINE, self.tasks.wait()).await.is_err() {
            tracing::warn!(tasks = self.tasks.len(), "tasks did not end in time");
        }
        self.leader.resign().await;
        self.app.store.close().await;
    }
}

impl Drop for ControlPlane {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn accept(
    app: Arc<App>,
    mut streams: mpsc::Receiver<Duplex<ControlFrame, NodeFrame>>,
    stop: CancellationToken,
    tasks: TaskTracker,
) {
    let room = Arc::new(Semaphore::new(STREAMS_MAX));
    loop {
        let stream = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            stream = streams.recv() => stream,
        };
        let Some(stream) = stream else { return };
        let Ok(permit) = room.clone().try_acquire_owned() else {
            tracing::warn!(streams = STREAMS_MAX, "too many node streams: one was dropped");
            continue;
        };
        let (app, term) = (app.clone(), app.seat.term());
        tasks.spawn(async move {
            match term {
                Some(term) => session::serve(app, stream, term).await,
                None => session::turn_away(stream).await,
            }
            drop(permit);
        });
    }
}
