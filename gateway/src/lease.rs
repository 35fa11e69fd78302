//! The gateway's lease in the registry: the sign of life by which its routes count.
//!
//! A registry that forgot everything gets its sessions again, and deliveries go on: workers deliver everything to a gateway
//! that was forgotten, for [`FORGOTTEN_GRACE`]. Each client is told to come back and resume with its next heartbeat, so
//! spread over 30 s: a registry that loses everything may have lost some of it before. When the lease was over before it was
//! forgotten, or that cannot be told, workers may have taken this gateway for dead and delivered past it: all clients are
//! told at once.

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
/// A forgotten lease is back so long after it was last renewed, or it is given up.
const BACK_WITHIN: Duration = FORGOTTEN_GRACE.saturating_sub(Duration::from_secs(1));
/// Between two attempts to enter the sessions again.
const RETRY: Duration = Duration::from_millis(100);
/// Sessions entered in one call.
const RESTORE_AT_ONCE: usize = 1_000;

/// Beats until the shutdown, then gives the lease back.
pub(crate) async fn run(shared: Arc<Shared>) {
    let mut keeper = Keeper { lease: lease(&shared), shared, renewed: Instant::now() };
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
}

impl Keeper {
    async fn beat(&mut self) {
        let holding = *self.shared.holding.lock();
        let Some(holding) = holding else { return self.take().await };
        let asked = Instant::now();
        match claim(&self.shared, &self.lease, Claim::Renew(holding)).await {
            Some(Beat::Held(holding)) => self.hold(holding, asked),
            Some(Beat::Forgotten) if self.come_back().await => {}
            Some(beat) => {
                *self.shared.holding.lock() = None;
                if self.shared.hub.connections() > 0 {
                    tracing::error!(?beat, "the lease was lost: clients are told to come back and resume");
                    self.shared.close_all(CloseCode::GoingAway);
                }
                self.take().await;
            }
            None => {}
        }
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
    }

    /// Enters all sessions again, then takes the lease by which they count. False when somebody may have been passed by.
    async fn come_back(&mut self) -> bool {
        // Later, the lease may have run out before it was forgotten.
        if self.renewed.elapsed() > LEASE_TTL {
            return false;
        }
        let deadline = self.renewed + BACK_WITHIN;
        let Ok(sessions) = timeout_at(deadline, self.restore_patiently()).await else { return false };
        let asked = Instant::now();
        let Ok(Some(holding)) = timeout_at(deadline, self.return_patiently()).await else { return false };
        self.hold(holding, asked);
        tracing::warn!(sessions, "the registry had forgotten this gateway: its sessions were entered again");
        Instant::now() < deadline
    }

    /// The lease again. `None`: somebody may have taken this gateway for dead.
    async fn return_patiently(&self) -> Option<u64> {
        loop {
            match claim(&self.shared, &self.lease, Claim::Return).await {
                Some(Beat::Held(holding)) => return Some(holding),
                Some(_) => return None,
                None => sleep(RETRY).await,
            }
        }
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
        let conns: Vec<Arc<Conn>> = self.shared.hub.all();
        let live: Vec<&Arc<Conn>> = conns.iter().filter(|conn| !conn.gone.load(Ordering::Relaxed)).collect();
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
