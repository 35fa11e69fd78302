//! The gateway's lease in the registry: the sign of life by which its routes count.
//!
//! A registry that forgot everything gets its sessions again, and deliveries go on: workers deliver everything to a gateway
//! that was forgotten, for [`FORGOTTEN_GRACE`]. Each client is told to come back and resume with its next heartbeat, so
//! spread over 30 s: a registry that loses everything may have lost some of it before. So it is when the lease ran out
//! because the registry did not answer and no worker's stream ended since: a worker that did not reach it either has delivered
//! everything to this gateway, and one that did has said that it delivers past it, and cut its stream. When somebody ended
//! the lease, or a worker may not know of this gateway, all clients are told at once.

use std::sync::{Arc, atomic::Ordering};

use backends::port::{Beat, Claim, FORGOTTEN_GRACE, GatewayLease, StoreResult};
use domain::{Standing, standing};
use protocol::frames::CloseCode;
use tokio::time::{Duration, Instant, MissedTickBehavior, interval, sleep, timeout, timeout_at};

use crate::{gateway::Shared, hub::Conn};

/// Between two beats.
const BEAT: Duration = Duration::from_secs(1);
/// How long a lease lives without a beat: the time after which a crash is certain even if no worker noticed (failure
/// mode 1: dead within 10 s).
pub(crate) const LEASE_TTL: Duration = Duration::from_secs(6);
/// A forgotten lease is back so long after it was last renewed, and one that ran out in an outage so long after that, or
/// it is given up.
const BACK_WITHIN: Duration = FORGOTTEN_GRACE.saturating_sub(Duration::from_secs(1));
/// Between two attempts to enter the sessions again.
const RETRY: Duration = Duration::from_millis(100);
/// Sessions entered in one call.
const RESTORE_AT_ONCE: usize = 1_000;

/// Beats until the shutdown, then gives the lease back.
pub(crate) async fn run(shared: Arc<Shared>) {
    let mut keeper = Keeper { lease: lease(&shared), shared, renewed: Instant::now(), streams_lost: 0 };
    let mut beats = interval(BEAT);
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let stop = keeper.shared.stop.clone();
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            _ = beats.tick() => {}
        }
        keeper.beat().await;
    }
    let Keeper { shared, lease, .. } = keeper;
    if shared.crashed.load(Ordering::Relaxed) {
        return;
    }
    let retire = shared.ports.registry.retire(&lease.gateway, lease.incarnation);
    if !matches!(timeout(BEAT, retire).await, Ok(Ok(()))) {
        tracing::warn!("the lease could not be given back; it will run out");
    }
}

fn lease(shared: &Shared) -> GatewayLease {
    let config = &shared.config;
    GatewayLease { gateway: config.node.clone(), incarnation: config.incarnation, link: config.link.clone() }
}

async fn claim(shared: &Shared, lease: &GatewayLease, claim: Claim) -> Option<Beat> {
    match timeout(BEAT, shared.ports.registry.beat(lease, LEASE_TTL.as_millis() as u64, claim)).await {
        Ok(Ok(beat)) => return Some(beat),
        Ok(Err(error)) => tracing::warn!(%error, "cannot renew the lease"),
        Err(_) => tracing::warn!("cannot renew the lease: the registry does not answer"),
    }
    None
}

/// True when the lease is still that of this holding: what the registry does not know it forgot, or never heard, alone.
pub(crate) async fn is_held(shared: &Shared, holding: Option<u64>) -> bool {
    let Some(holding) = holding else { return false };
    matches!(claim(shared, &lease(shared), Claim::Renew(holding)).await, Some(Beat::Held(_)))
}

struct Keeper {
    shared: Arc<Shared>,
    lease: GatewayLease,
    /// When the beat was sent that last renewed the lease.
    renewed: Instant,
    /// How many streams of workers had ended by then.
    streams_lost: u64,
}

impl Keeper {
    async fn beat(&mut self) {
        let holding = *self.shared.holding.lock();
        let Some(holding) = holding else { return self.take().await };
        let asked = Instant::now();
        match claim(&self.shared, &self.lease, Claim::Renew(holding)).await {
            Some(Beat::Held(holding)) => self.hold(holding, asked),
            Some(Beat::Forgotten) if !self.is_over() && self.come_back(Claim::Return, self.renewed).await => {}
            Some(Beat::Forgotten | Beat::Ended) if self.is_outage() && self.come_back(Claim::Take, asked).await => {}
            Some(beat) => {
                *self.shared.holding.lock() = None;
                if self.shared.hub.connections() > 0 {
                    tracing::error!(?beat, "the lease was lost: clients are told to come back and resume");
                    self.shared.close_all(CloseCode::GoingAway);
                }
                self.take().await;
            }
            // A worker that has taken this gateway for dead says so.
            None => {}
        }
    }

    /// True when the lease ran out by itself, however it ended.
    fn is_over(&self) -> bool {
        self.renewed.elapsed() > LEASE_TTL
    }

    /// True when the lease ran out by itself and every worker kept its stream: none took this gateway for dead, and none is
    /// new and does not know it.
    fn is_outage(&self) -> bool {
        self.is_over() && self.shared.workers.lost() == self.streams_lost
    }

    async fn take(&mut self) {
        let asked = Instant::now();
        if let Some(Beat::Held(holding)) = claim(&self.shared, &self.lease, Claim::Take).await {
            // Who came meanwhile was passed by.
            self.shared.close_all(CloseCode::GoingAway);
            self.hold(holding, asked);
        }
    }

    fn hold(&mut self, holding: u64, asked: Instant) {
        *self.shared.holding.lock() = Some(holding);
        self.renewed = asked;
        self.streams_lost = self.shared.workers.lost();
    }

    /// Enters all sessions again, then takes the lease by which they count. False when that was not done in time, or
    /// somebody took this gateway for dead.
    async fn come_back(&mut self, claim: Claim, since: Instant) -> bool {
        let deadline = since + BACK_WITHIN;
        let Ok(sessions) = timeout_at(deadline, self.restore_patiently()).await else { return false };
        let asked = Instant::now();
        let Ok(Some(holding)) = timeout_at(deadline, self.claim_patiently(claim)).await else { return false };
        self.hold(holding, asked);
        if timeout_at(deadline, self.make_sure()).await.is_err() {
            return false;
        }
        tracing::warn!(sessions, ?claim, "the registry did not know this gateway: its sessions were entered again");
        Instant::now() < deadline
    }

    /// The lease again. `None`: somebody took this gateway for dead.
    async fn claim_patiently(&self, wanted: Claim) -> Option<u64> {
        loop {
            match claim(&self.shared, &self.lease, wanted).await {
                Some(Beat::Held(holding)) => return Some(holding),
                Some(_) => return None,
                None => sleep(RETRY).await,
            }
        }
    }

    /// The registry may have forgotten everything once more between the sessions and the lease. Then they are entered
    /// again; what passed them by meanwhile they catch up with at their next heartbeat. From now on the lease would be
    /// forgotten with them.
    async fn make_sure(&self) {
        loop {
            match self.is_remembered().await {
                Ok(true) => return,
                Ok(false) => {
                    self.restore_patiently().await;
                    return;
                }
                Err(error) => tracing::warn!(%error, "cannot look whether the sessions are there; will retry"),
            }
            sleep(RETRY).await;
        }
    }

    /// The session that was entered first tells for all of them; who came meanwhile tells for itself.
    async fn is_remembered(&self) -> StoreResult<bool> {
        let conns = self.live();
        let is_restored = |conn: &&Arc<Conn>| conn.restored.load(Ordering::Relaxed);
        let first = conns.iter().find(is_restored);
        let asked: Vec<_> = first.into_iter().chain(conns.iter().filter(|conn| !is_restored(conn))).collect();
        for conns in asked.chunks(RESTORE_AT_ONCE) {
            let sessions: Vec<_> = conns.iter().map(|conn| conn.session()).collect();
            let lease = &self.lease;
            let versions = self.shared.ports.registry.refresh(&lease.gateway, lease.incarnation, &sessions).await?;
            if versions.contains(&None) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn live(&self) -> Vec<Arc<Conn>> {
        let mut conns = self.shared.hub.all();
        conns.retain(|conn| !conn.gone.load(Ordering::Relaxed));
        conns
    }

    async fn restore_patiently(&self) -> usize {
        loop {
            match self.restore().await {
                Ok(sessions) => return sessions,
                Err(error) => tracing::warn!(%error, "cannot enter the sessions again; will retry"),
            }
            sleep(RETRY).await;
        }
    }

    /// An entry of a session that ends meanwhile runs out by itself.
    async fn restore(&self) -> StoreResult<usize> {
        let live = self.live();
        for conns in live.chunks(RESTORE_AT_ONCE) {
            let sessions: Vec<_> = conns.iter().map(|conn| conn.session()).collect();
            let lease = &self.lease;
            let versions = self.shared.ports.registry.restore(&lease.gateway, lease.incarnation, &sessions).await?;
            for (conn, version) in conns.iter().zip(versions) {
                match standing(Some(version), conn.session_version) {
                    Standing::Superseded => self.shared.supersede(conn),
                    _ => conn.restored.store(true, Ordering::Relaxed),
                }
            }
        }
        Ok(live.len())
    }
}
