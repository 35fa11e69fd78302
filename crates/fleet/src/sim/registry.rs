//! The registry of the simulation: one in memory that can be made to lose everything just when it is being told again.

use async_trait::async_trait;
use backends::{
    embedded::MemoryRegistry,
    port::{Beat, Claim, GatewayLease, Gateways, Registered, Registry, Route, Routes, Session, StoreResult},
};
use domain::{DeviceId, NodeId, UserId};
use parking_lot::Mutex;

/// See the module.
#[derive(Default)]
pub(super) struct SimRegistry {
    memory: MemoryRegistry,
    /// Whose sessions being entered again is what it forgets everything after, once.
    forgets_after: Mutex<Option<ForgetsAfter>>,
}

/// When a restored registry forgets once more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ForgetsAfter {
    /// The sessions of a gateway were entered, and it does not have its lease.
    Sessions,
    /// The gateway has its lease again.
    Lease,
}

impl SimRegistry {
    /// Forgets everything.
    pub(super) fn flush(&self) {
        self.memory.flush();
    }

    /// Forgets everything now, and again when the next gateway has told it so much.
    pub(super) fn flush_again(&self, after: ForgetsAfter) {
        self.memory.flush();
        *self.forgets_after.lock() = Some(after);
    }

    /// Forgets every session and keeps the leases.
    pub(super) fn evict_sessions(&self) {
        self.memory.evict_sessions();
    }

    fn told(&self, what: ForgetsAfter) {
        let mut forgets_after = self.forgets_after.lock();
        if *forgets_after == Some(what) {
            *forgets_after = None;
            self.memory.flush();
        }
    }
}

#[async_trait]
impl Registry for SimRegistry {
    async fn register(
        &self,
        user: &UserId,
        device: &DeviceId,
        gateway: &NodeId,
        incarnation: u64,
        now_ms: u64,
    ) -> StoreResult<Registered> {
        self.memory.register(user, device, gateway, incarnation, now_ms).await
    }

    async fn refresh(&self, gateway: &NodeId, incarnation: u64, sessions: &[Session]) -> StoreResult<Vec<Option<u64>>> {
        self.memory.refresh(gateway, incarnation, sessions).await
    }

    async fn unregister(&self, session: &Session) -> StoreResult<()> {
        self.memory.unregister(session).await
    }

    async fn restore(&self, gateway: &NodeId, incarnation: u64, sessions: &[Session]) -> StoreResult<Vec<u64>> {
        let restored = self.memory.restore(gateway, incarnation, sessions).await;
        self.told(ForgetsAfter::Sessions);
        restored
    }

    async fn routes(&self, users: &[UserId]) -> StoreResult<Routes> {
        self.memory.routes(users).await
    }

    async fn devices(&self, user: &UserId) -> StoreResult<Vec<(DeviceId, Route)>> {
        self.memory.devices(user).await
    }

    async fn beat(&self, lease: &GatewayLease, ttl_ms: u64, claim: Claim) -> StoreResult<Beat> {
        let beat = self.memory.beat(lease, ttl_ms, claim).await;
        if claim == Claim::Return && matches!(beat, Ok(Beat::Held(_))) {
            self.told(ForgetsAfter::Lease);
        }
        beat
    }

    async fn gateways(&self) -> StoreResult<Gateways> {
        self.memory.gateways().await
    }

    async fn retire(&self, gateway: &NodeId, incarnation: u64) -> StoreResult<()> {
        self.memory.retire(gateway, incarnation).await
    }
}
