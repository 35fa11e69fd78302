//! The connection registry: who is connected where. Redis in production, in memory in the embedded default.

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

/// Answer of a gateway's beat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beat {
    /// The gateway has the lease. The number is that of this holding: another one than the last time means that the
    /// lease had run out or been ended in between, so routes did not count meanwhile and may be gone. (A number and not
    /// a flag, for the answer that would have said it may be lost.)
    Held(u64),
    /// A later incarnation of this gateway has it.
    Refused,
}

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
    /// forgot it. It is not entered again: what was sent meanwhile passed it by, so it must register anew. (If a refresh
    /// entered it, a lost answer would hide that for ever.)
    async fn refresh(&self, gateway: &NodeId, incarnation: u64, sessions: &[Session]) -> StoreResult<Vec<Option<u64>>>;

    /// Removes a session, unless a newer one took its place.
    async fn unregister(&self, session: &Session) -> StoreResult<()>;

    /// Where these users are. Users without a live route are absent.
    async fn routes(&self, users: &[UserId]) -> StoreResult<Vec<RouteHit>>;

    /// A user's devices.
    async fn devices(&self, user: &UserId) -> StoreResult<Vec<(DeviceId, Route)>>;

    /// Takes or renews a gateway's lease for `ttl_ms`.
    async fn beat(&self, lease: &GatewayLease, ttl_ms: u64) -> StoreResult<Beat>;

    /// The gateways that are alive, by name.
    async fn gateways(&self) -> StoreResult<Vec<GatewayLease>>;

    /// Ends a gateway's lease at once: all its routes stop counting.
    async fn retire(&self, gateway: &NodeId, incarnation: u64) -> StoreResult<()>;
}
