//! Conversations and their members: MySQL in production, SQLite in the embedded default.

use async_trait::async_trait;
use domain::{ConversationId, UserId};
use protocol::frames::Kind;

use super::StoreResult;

/// A conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conversation {
    /// Its id.
    pub id: ConversationId,
    /// What it is.
    pub kind: Kind,
    /// Who is in it, ascending.
    pub members: Vec<UserId>,
}

/// Answer of a creation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Created {
    /// It is new.
    New,
    /// The same conversation exists (for a pair: under this id).
    Same(ConversationId),
    /// The id belongs to another conversation.
    Taken,
}

/// How a user stands to a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Membership {
    /// What the conversation is.
    pub kind: Kind,
    /// True when the user is a member.
    pub member: bool,
}

/// Answer of adding a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Added {
    /// Now a member.
    Added,
    /// Was one already.
    Already,
    /// The group has 500.
    Full,
    /// A direct conversation has its two for ever.
    Direct,
    /// There is no such conversation.
    NotFound,
}

/// Answer of removing a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removed {
    /// No longer a member.
    Removed,
    /// Was none.
    Already,
    /// A direct conversation has its two for ever.
    Direct,
    /// There is no such conversation.
    NotFound,
}

/// The directory. Changes are durable when they return.
#[async_trait]
pub trait Directory: Send + Sync + 'static {
    /// Creates a conversation whose kind, id and members the caller has checked. A pair has one direct conversation.
    async fn create(&self, conversation: &Conversation) -> StoreResult<Created>;

    /// A conversation with all its members.
    async fn get(&self, id: &ConversationId) -> StoreResult<Option<Conversation>>;

    /// How a user stands to a conversation. `None` when there is no such conversation.
    async fn membership(&self, id: &ConversationId, user: &UserId) -> StoreResult<Option<Membership>>;

    /// Adds a member; a group stays at 500, two gateways adding at once included.
    async fn add_member(&self, id: &ConversationId, user: &UserId) -> StoreResult<Added>;

    /// Removes a member.
    async fn remove_member(&self, id: &ConversationId, user: &UserId) -> StoreResult<Removed>;

    /// Makes a group a channel. `None` when there is no such conversation, otherwise the kind it had.
    async fn convert(&self, id: &ConversationId) -> StoreResult<Option<Kind>>;

    /// A user's conversations by id, after `after`, at most `limit`.
    async fn list(
        &self,
        user: &UserId,
        after: Option<&ConversationId>,
        limit: usize,
    ) -> StoreResult<Vec<(ConversationId, Kind)>>;
}
