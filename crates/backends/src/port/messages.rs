//! Stored messages: Cassandra in production, an LSM tree on disk in the embedded default.

use std::sync::Arc;

use async_trait::async_trait;
use domain::{ConversationId, KeyRow, LogPosition, UserId};
use uuid::Uuid;

use super::StoreResult;

/// A numbered message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredMessage {
    /// Where it was said.
    pub conversation: ConversationId,
    /// Its number.
    pub sequence_number: u64,
    /// UUIDv5 of conversation, sender and key.
    pub message_id: Uuid,
    /// Who said it.
    pub sender: UserId,
    /// Under which idempotency key.
    pub key: Uuid,
    /// What was said.
    pub body: Arc<str>,
    /// When the gateway took it, ms since the epoch.
    pub sent_at_ms: u64,
    /// Where its record stands in the intake partition.
    pub at: LogPosition,
}

/// The last row of a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// The highest number.
    pub sequence_number: u64,
    /// The intake offset of the record that got it.
    pub intake_offset: u64,
}

/// A node of the message store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replica {
    /// Its address.
    pub name: String,
    /// False when it does not answer.
    pub is_up: bool,
    /// Compactions that wait, if it tells.
    pub pending_compactions: Option<u64>,
    /// p99 of its own writes, ms, if it tells.
    pub write_p99_ms: Option<u64>,
}

/// The message store. Rows have the key (conversation, sequence number, message id), so a number given twice is
/// visible and never overwrites. Writing a row again changes nothing.
#[async_trait]
pub trait Messages: Send + Sync + 'static {
    /// Writes rows and their keys; they are durable when it returns (I6).
    async fn write(&self, rows: &[StoredMessage]) -> StoreResult<()>;

    /// Writes rows at consistency ONE: on some replica when it returns. Only an operator's downgrade asks for it
    /// (failure mode 4), and the rows are written again at quorum afterwards. With one replica it is [`Self::write`].
    async fn write_one(&self, rows: &[StoredMessage]) -> StoreResult<()> {
        self.write(rows).await
    }

    /// Rows with numbers in `first..=last`, ascending, at most `limit`.
    async fn read(
        &self,
        conversation: &ConversationId,
        first: u64,
        last: u64,
        limit: usize,
    ) -> StoreResult<Vec<StoredMessage>>;

    /// The last row. `None` when there is none.
    async fn head(&self, conversation: &ConversationId) -> StoreResult<Option<Head>>;

    /// Takes a surplus row out of the way of readers and keeps it where only people look. Nothing is lost by it.
    async fn quarantine(&self, row: &StoredMessage) -> StoreResult<()>;

    /// What its nodes say of themselves. A store within this process is one node.
    async fn replicas(&self) -> StoreResult<Vec<Replica>> {
        let embedded =
            Replica { name: "embedded".to_owned(), is_up: true, pending_compactions: None, write_p99_ms: None };
        Ok(vec![embedded])
    }

    /// Keys first seen at `since_ms` of log time or later, in any order.
    async fn keys_since(&self, conversation: &ConversationId, since_ms: u64) -> StoreResult<Vec<KeyRow>>;
}
