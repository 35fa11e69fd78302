//! The connection registry in memory.

use std::{
    collections::{BTreeMap, HashMap},
    hash::BuildHasherDefault,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use async_trait::async_trait;
use domain::{DeviceId, NodeId, UserId, next_session_version};
use parking_lot::Mutex;
use rustc_hash::FxHasher;
use tokio::time::Instant;

use crate::port::{
    Beat, Claim, GatewayLease, Gateways, Registered, Registry, Route, RouteHit, Routes, Session, StoreResult,
};

/// How long an entry lives unless refreshed.
const ENTRY_TTL: Duration = Duration::from_secs(90);

#[derive(Debug)]
struct Entry {
    device: DeviceId,
    route: Route,
    expires: Instant,
}

#[derive(Debug)]
struct Lease {
    lease: GatewayLease,
    expires: Instant,
    holding: u64,
}

#[derive(Debug, Default)]
struct State {
    users: HashMap<UserId, Vec<Entry>, BuildHasherDefault<FxHasher>>,
    /// The highest version of all entries that are gone: versions of a device grow also when its entry was removed in
    /// this very millisecond, or when the machine's clock was set back. One number instead of a trace of each.
    highest_gone: u64,
    leases: BTreeMap<NodeId, Lease>,
    /// When everything was forgotten.
    forgot: Option<Instant>,
}

impl State {
    fn gone(&mut self, session_version: u64) {
        self.highest_gone = self.highest_gone.max(session_version);
    }

    fn is_live(&self, route: &Route, now: Instant) -> bool {
        let lease = self.leases.get(&route.gateway);
        lease.is_some_and(|lease| lease.lease.incarnation == route.incarnation && lease.expires > now)
    }
}

/// The registry in memory.
#[derive(Debug, Default)]
pub struct MemoryRegistry {
    state: Mutex<State>,
    holdings: AtomicU64,
}

impl MemoryRegistry {
    /// Forgets everything, as a registry that restarts empty does.
    pub fn flush(&self) {
        *self.state.lock() = State { forgot: Some(Instant::now()), ..State::default() };
    }

    /// Forgets every session and keeps the leases: some entries were evicted.
    pub fn evict_sessions(&self) {
        self.state.lock().users.clear();
    }
}

#[async_trait]
impl Registry for MemoryRegistry {
    async fn register(
        &self,
        user: &UserId,
        device: &DeviceId,
        gateway: &NodeId,
        incarnation: u64,
        now_ms: u64,
    ) -> StoreResult<Registered> {
        let now = Instant::now();
        let mut state = self.state.lock();
        // An expired entry still tells the last version; it is overwritten here or swept by a refresh.
        let previous = state.users.get(user).and_then(|entries| entries.iter().find(|entry| entry.device == *device));
        let previous = previous.map(|entry| entry.route.clone());
        // What is unknown may be gone.
        let known = previous.as_ref().map_or(state.highest_gone, |route| route.session_version);
        let session_version = next_session_version(Some(known), now_ms);
        let route = Route { gateway: gateway.clone(), incarnation, session_version };
        let previous = previous.filter(|route| state.is_live(route, now));
        let entries = state.users.entry(user.clone()).or_insert_with(|| Vec::with_capacity(1));
        entries.retain(|entry| entry.device != *device);
        entries.push(Entry { device: device.clone(), route, expires: now + ENTRY_TTL });
        Ok(Registered { session_version, previous })
    }

    async fn refresh(&self, gateway: &NodeId, incarnation: u64, sessions: &[Session]) -> StoreResult<Vec<Option<u64>>> {
        let now = Instant::now();
        let expires = now + ENTRY_TTL;
        let mut state = self.state.lock();
        let mut versions = Vec::with_capacity(sessions.len());
        for session in sessions {
            let route = Route { gateway: gateway.clone(), incarnation, session_version: session.session_version };
            let mut entries = state.users.get_mut(&session.user).into_iter().flatten();
            let entry = entries.find(|entry| entry.device == session.device);
            let version = entry.and_then(|entry| {
                if entry.route.session_version > session.session_version {
                    return Some(entry.route.session_version);
                }
                if entry.route != route || entry.expires <= now {
                    return None;
                }
                entry.expires = expires;
                Some(session.session_version)
            });
            versions.push(version);
        }
        Ok(versions)
    }

    async fn unregister(&self, session: &Session) -> StoreResult<()> {
        let mut state = self.state.lock();
        state.gone(session.session_version);
        if let Some(entries) = state.users.get_mut(&session.user) {
            entries.retain(|entry| {
                entry.device != session.device || entry.route.session_version != session.session_version
            });
            if entries.is_empty() {
                state.users.remove(&session.user);
            }
        }
        Ok(())
    }

    async fn restore(&self, gateway: &NodeId, incarnation: u64, sessions: &[Session]) -> StoreResult<Vec<u64>> {
        let expires = Instant::now() + ENTRY_TTL;
        let mut state = self.state.lock();
        let mut versions = Vec::with_capacity(sessions.len());
        for Session { user, device, session_version } in sessions {
            let entries = state.users.entry(user.clone()).or_insert_with(|| Vec::with_capacity(1));
            let known = entries.iter().find(|entry| entry.device == *device);
            let highest = known.map_or(0, |entry| entry.route.session_version).max(*session_version);
            if highest == *session_version {
                let route = Route { gateway: gateway.clone(), incarnation, session_version: *session_version };
                entries.retain(|entry| entry.device != *device);
                entries.push(Entry { device: device.clone(), route, expires });
            }
            versions.push(highest);
        }
        Ok(versions)
    }

    async fn routes(&self, users: &[UserId]) -> StoreResult<Routes> {
        let now = Instant::now();
        let state = self.state.lock();
        let mut hits: Vec<RouteHit> = Vec::with_capacity(users.len());
        for (user, name) in users.iter().enumerate() {
            let first = hits.len();
            for entry in state.users.get(name).into_iter().flatten() {
                let known = hits[first..].iter().any(|hit| hit.gateway == entry.route.gateway);
                if !known && entry.expires > now && state.is_live(&entry.route, now) {
                    hits.push(RouteHit { user, gateway: entry.route.gateway.clone() });
                }
            }
        }
        let live = state.leases.values().filter(|lease| lease.expires > now);
        let settled = live.map(|lease| (lease.lease.gateway.clone(), lease.lease.incarnation)).collect();
        Ok(Routes { hits, settled })
    }

    async fn devices(&self, user: &UserId) -> StoreResult<Vec<(DeviceId, Route)>> {
        let now = Instant::now();
        let state = self.state.lock();
        let entries = state.users.get(user).into_iter().flatten();
        let live = entries.filter(|entry| entry.expires > now && state.is_live(&entry.route, now));
        Ok(live.map(|entry| (entry.device.clone(), entry.route.clone())).collect())
    }

    async fn beat(&self, lease: &GatewayLease, ttl_ms: u64, claim: Claim) -> StoreResult<Beat> {
        let now = Instant::now();
        let mut state = self.state.lock();
        let known = state.leases.get(&lease.gateway);
        if known.is_some_and(|known| known.lease.incarnation > lease.incarnation) {
            return Ok(Beat::Refused);
        }
        let held = known.filter(|known| known.lease == *lease && known.expires > now);
        let is_known = known.is_some_and(|known| known.lease.incarnation == lease.incarnation);
        match claim {
            Claim::Renew(holding) if held.is_none_or(|known| known.holding != holding) => {
                return Ok(if is_known { Beat::Ended } else { Beat::Forgotten });
            }
            Claim::Return if is_known => return Ok(Beat::Ended),
            _ => {}
        }
        let holding = match held {
            Some(known) => known.holding,
            // Counted outside the state: it must not come again after a flush.
            None => self.holdings.fetch_add(1, Ordering::Relaxed),
        };
        let expires = now + Duration::from_millis(ttl_ms);
        state.leases.insert(lease.gateway.clone(), Lease { lease: lease.clone(), expires, holding });
        Ok(Beat::Held(holding))
    }

    async fn gateways(&self) -> StoreResult<Gateways> {
        let now = Instant::now();
        let state = self.state.lock();
        let (live, ended): (Vec<_>, Vec<_>) = state.leases.values().partition(|lease| lease.expires > now);
        Ok(Gateways {
            live: live.into_iter().map(|lease| lease.lease.clone()).collect(),
            ended: ended.into_iter().map(|lease| lease.lease.gateway.clone()).collect(),
            memory_ms: state.forgot.map_or(u64::MAX, |forgot| (now - forgot).as_millis() as u64),
        })
    }

    async fn retire(&self, gateway: &NodeId, incarnation: u64) -> StoreResult<()> {
        let mut state = self.state.lock();
        // The incarnation stays known, so that a late beat of it is still seen as older than its successor. One that was
        // forgotten is known again: its gateway must hear that it was ended, and not that it was forgotten.
        let known = state.leases.entry(gateway.clone()).or_insert_with(|| Lease {
            lease: GatewayLease { gateway: gateway.clone(), incarnation, link: String::new() },
            expires: Instant::now(),
            holding: self.holdings.fetch_add(1, Ordering::Relaxed),
        });
        if known.lease.incarnation == incarnation {
            known.expires = Instant::now();
        }
        // One pass for all of a dead gateway's entries: they die at once, not after their TTL (failure mode 1).
        let mut highest = 0;
        state.users.retain(|_, entries| {
            entries.retain(|entry| {
                let stays = entry.route.gateway != *gateway || entry.route.incarnation != incarnation;
                if !stays {
                    highest = highest.max(entry.route.session_version);
                }
                stays
            });
            !entries.is_empty()
        });
        state.gone(highest);
        Ok(())
    }
}
