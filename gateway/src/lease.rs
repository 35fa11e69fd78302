//! The gateway's lease in the registry: the sign of life by which its routes count.

use std::sync::{Arc, atomic::Ordering};

use backends::port::{Beat, GatewayLease};
use protocol::frames::CloseCode;
use tokio::time::{Duration, MissedTickBehavior, interval, timeout};

use crate::gateway::Shared;

/// Between two beats.
const BEAT: Duration = Duration::from_secs(1);
/// How long a lease lives without a beat: the time after which a crash is certain even if no worker noticed (failure
/// mode 1: dead within 10 s).
pub(crate) const LEASE_TTL: Duration = Duration::from_secs(6);

/// Beats until the shutdown, then gives the lease back.
pub(crate) async fn run(shared: Arc<Shared>) {
    let config = &shared.config;
    let lease =
        GatewayLease { gateway: config.node.clone(), incarnation: config.incarnation, link: config.link.clone() };
    let mut beats = interval(BEAT);
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut last = Beat::Refused;
    loop {
        tokio::select! {
            biased;
            () = shared.stop.cancelled() => break,
            _ = beats.tick() => {}
        }
        let beat = shared.ports.registry.beat(&lease, LEASE_TTL.as_millis() as u64);
        match timeout(BEAT, beat).await {
            Ok(Ok(beat)) => {
                shared.leased.store(beat != Beat::Refused, Ordering::Relaxed);
                // While the lease was gone routes did not count: what was sent meanwhile passed these clients by.
                if beat != last && shared.hub.connections() > 0 {
                    tracing::error!(?beat, "the lease was lost: clients are told to come back and resume");
                    shared.close_all(CloseCode::GoingAway);
                }
                last = beat;
            }
            Ok(Err(error)) => tracing::warn!(%error, "cannot renew the lease"),
            Err(_) => tracing::warn!("cannot renew the lease: the registry does not answer"),
        }
    }
    if shared.crashed.load(Ordering::Relaxed) {
        return;
    }
    let retire = shared.ports.registry.retire(&lease.gateway, lease.incarnation);
    if !matches!(timeout(BEAT, retire).await, Ok(Ok(()))) {
        tracing::warn!("the lease could not be given back; it will run out");
    }
}
