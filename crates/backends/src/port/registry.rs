//! The connection registry: who is connected where. Redis in production, in memory in the embedded default.

use std::time::Duration;

use async_trait::async_trait;
use domain::{DeviceId, NodeId, UserId};

use super::StoreResult;

/// Where a device is connected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The gateway.
    pub gateway: NodeId,
    /// Which life of that gateway. A route of an earlier life does not count.
    pub incarnation: u64,
    /// Of two sessions of one device the higher is current (I7).
    pub session_version: u64,
}

/// Answer of a registration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registered {
    /// The version of the new session.
    pub session_version: u64,
    /// The session it replaces, if that was on a live gateway.
    pub previous: Option<Route>,
}

/// A session as a gateway refreshes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Whose.
    pub user: UserId,
    /// On which device.
    pub device: DeviceId,
    /// Its version.
    pub session_version: u64,
}

/// A gateway that is alive.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct GatewayLease {
    /// Its name.
    pub gateway: NodeId,
    /// Which life of it.
    pub incarnation: u64,
    /// Where workers dial it.
    pub link: String,
}

/// What a beat asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// The lease, whatever became of an earlier holding.
    Take,
    /// This holding, for longer.
    Renew(u64),
    /// The lease, if nothing is known of this incarnation: nobody may have taken it for dead since it was forgotten.
    Return,
}

/// Answer of a gateway's beat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beat {
    /// The gateway has the lease. The number is that of this holding: with another one routes did not count in between.
    Held(u64),
    /// The holding is over: it ran out or was ended. Nothing changed.
    Ended,
    /// The registry knows nothing of the holding: it lost what it knew. Nothing changed.
    Forgotten,
    /// A later incarnation of this gateway has the lease.
    Refused,
}

/// The gateways as the registry knows them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Gateways {
    /// Those that are alive, by name.
    pub live: Vec<GatewayLease>,
    /// Those whose last lease ran out or was ended. One that is in neither list was forgotten, or never was.
    pub ended: Vec<NodeId>,
    /// For how long, at least, nothing was forgotten.
    pub memory_ms: u64,
}

/// Where users are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Routes {
    /// A user without a live route has none.
    pub hits: Vec<RouteHit>,
    /// Gateways that held their lease all the while this was asked: whoever has no route to one of them is not there. Of
    /// the others the registry may have forgotten who is there.
    pub settled: Vec<(NodeId, u64)>,
}

/// Workers deliver everything to a gateway that the registry has forgotten, for it knows who is there, until it was
/// forgotten for so long. By then it has entered its sessions again, or told its clients to come back.
pub const FORGOTTEN_GRACE: Duration = Duration::from_secs(8);

/// One of the gateways of one of the users asked for. A user on two devices of one gateway gives one hit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteHit {
    /// Which user of the question.
    pub user: usize,
    /// Where they are.
    pub gateway: NodeId,
}

/// The connection registry. Entries live 90 s unless refreshed; those of a dead gateway do not count, however young.
#[async_trait]
pub trait Registry: Send + Sync + 'static {
    /// Registers a session with version max(previous + 1, `now_ms`), atomically. A previous session counts also when it
    /// was removed or has run out: versions of a device only grow.
    async fn register(
        &self,
        user: &UserId,
        device: &DeviceId,
        gateway: &NodeId,
        incarnation: u64,
        now_ms: u64,
    ) -> StoreResult<Registered>;

    /// Keeps sessions of one gateway alive. Returns, for each, the version that is registered; `None` when the registry
    /// forgot it. It is not entered again: unless the lease was forgotten with it, what was sent meanwhile passed it by,
    /// so it must register anew. (If a refresh entered it, a lost answer would hide that for ever.)
    async fn refresh(&self, gateway: &NodeId, incarnation: u64, sessions: &[Session]) -> StoreResult<Vec<Option<u64>>>;

    /// Removes a session, unless a newer one took its place.
    async fn unregister(&self, session: &Session) -> StoreResult<()>;

    /// Enters sessions of one gateway again, with their versions, in a registry that forgot them; a newer session is
    /// spared. Returns, for each, the highest version of its device. To be done before the lease is taken again, by
    /// which they count.
    async fn restore(&self, gateway: &NodeId, incarnation: u64, sessions: &[Session]) -> StoreResult<Vec<u64>>;

    /// Where these users are.
    async fn routes(&self, users: &[UserId]) -> StoreResult<Routes>;

    /// A user's devices.
    async fn devices(&self, user: &UserId) -> StoreResult<Vec<(DeviceId, Route)>>;

    /// Takes or renews a gateway's lease for `ttl_ms`.
    async fn beat(&self, lease: &GatewayLease, ttl_ms: u64, claim: Claim) -> StoreResult<Beat>;

    /// The gateways.
    async fn gateways(&self) -> StoreResult<Gateways>;

    /// Ends a gateway's lease at once, also one that is forgotten: all its routes stop counting.
    async fn retire(&self, gateway: &NodeId, incarnation: u64) -> StoreResult<()>;
}
