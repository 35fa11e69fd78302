//! Presence: who is online. Redis in production, in memory in the embedded default.

use async_trait::async_trait;
use domain::UserId;
use tokio::sync::broadcast;

use super::{Session, StoreResult};

/// What is known of a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PresenceState {
    /// True while one of the user's sessions is fresh (TTL 60 s).
    pub online: bool,
    /// The last refresh, ms since the epoch; `None` when never seen.
    pub last_seen_ms: Option<u64>,
}

/// The presence store.
#[async_trait]
pub trait Presence: Send + Sync + 'static {
    /// These sessions were heard of now: online for 60 s.
    async fn refresh(&self, sessions: &[Session]) -> StoreResult<()>;

    /// A session ended. The user is offline when it was the last and no newer one of the device took its place.
    async fn leave(&self, session: &Session) -> StoreResult<()>;

    /// The state of users, in the order of the question.
    async fn get(&self, users: &[UserId]) -> StoreResult<Vec<PresenceState>>;

    /// Users that turned online or offline. A lagging reader asks again with [`Presence::get`].
    fn changes(&self) -> broadcast::Receiver<UserId>;
}
