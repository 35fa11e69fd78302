//! What is recent: dedup cache, tails of conversations, versions of memberships. Only ever caches: losing all of it
//! loses nothing. Redis in production, in memory in the embedded default.

use async_trait::async_trait;
use domain::{BodyHash, ConversationId, UserId};
use uuid::Uuid;

use super::{StoreResult, StoredMessage};

/// A key that is durable in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remembered {
    /// Where.
    pub conversation: ConversationId,
    /// Who.
    pub sender: UserId,
    /// Under which key.
    pub key: Uuid,
    /// With which body.
    pub body_hash: BodyHash,
}

/// The caches.
#[async_trait]
pub trait Recent: Send + Sync + 'static {
    /// The body hash under a key, when it is known that the log has a message with it.
    async fn recall(&self, conversation: &ConversationId, sender: &UserId, key: Uuid) -> StoreResult<Option<BodyHash>>;

    /// Remembers keys for 24 h, *after* the log has their messages: remembering first would swallow a retry after a
    /// crash. The first body under a key stays.
    async fn remember(&self, keys: Vec<Remembered>) -> StoreResult<()>;

    /// Adds numbered messages to the tails of their conversations. A tail keeps the newest.
    async fn tail_append(&self, rows: &[StoredMessage]) -> StoreResult<()>;

    /// Rows of the tail with numbers in `first..=last`, ascending. May have holes or nothing.
    async fn tail_read(&self, conversation: &ConversationId, first: u64, last: u64) -> StoreResult<Vec<StoredMessage>>;

    /// A number that grows with each change of a conversation's kind or members. A cached membership counts only
    /// while it is the same.
    async fn members_version(&self, conversation: &ConversationId) -> StoreResult<u64>;

    /// Says that a conversation's kind or members changed, after the directory has the change.
    async fn members_changed(&self, conversation: &ConversationId) -> StoreResult<()>;
}
