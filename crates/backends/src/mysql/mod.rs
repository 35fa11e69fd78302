//! Conversations and their members in MySQL or MariaDB.
//!
//! Nothing here waits for the server to be up: the first call that reaches it brings the schema up to date, and calls
//! before that answer that the store is unavailable. Names are `VARBINARY`: they compare byte by byte, as they do
//! everywhere else, whatever the collations of the server.

mod column;
mod connect;
mod pool;
mod schema;
mod statements;

use std::sync::Arc;

use async_trait::async_trait;
use domain::{ConversationId, UserId};
use protocol::frames::Kind;
use tokio::sync::OnceCell;

use self::pool::Pool;
pub use self::{
    connect::{BadUrl, is_duplicate, is_lost_race, open_pool},
    pool::MysqlOptions,
};
use crate::port::{Added, Conversation, Created, Directory, Membership, Removed, StoreResult};

/// Runs work on a connection, again when it loses to other work. A macro, for the future of a closure that borrows
/// both the connection and what the caller has cannot be said to be `Send`.
macro_rules! on_connection {
    ($pool:expr, $($work:ident)::+ ($($argument:expr),*)) => {{
        let mut attempt = 1;
        loop {
            let mut lease = $pool.lease().await?;
            let done = $($work)::+(&mut lease $(, $argument)*).await;
            if let Some(done) = lease.settle(done, attempt) {
                break done;
            }
            attempt += 1;
        }
    }};
}

/// The directory in MySQL. Clones share one pool.
#[derive(Debug, Clone)]
pub struct MysqlDirectory {
    pool: Pool,
    /// Set once the schema is as this program needs it.
    prepared: Arc<OnceCell<()>>,
}

impl MysqlDirectory {
    /// Takes the address in; connects when it is first used.
    pub fn connect(options: &MysqlOptions) -> StoreResult<Self> {
        Ok(Self { pool: Pool::new(options)?, prepared: Arc::default() })
    }

    /// Connects and brings the schema up to date. Not needed before calls, which do so themselves.
    pub async fn prepare(&self) -> StoreResult<()> {
        self.pool.bounded("preparing", self.prepared()).await
    }

    /// Closes the connections.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    async fn prepared(&self) -> StoreResult<()> {
        self.prepared.get_or_try_init(|| async { on_connection!(self.pool, schema::prepare()) }).await.copied()
    }
}

/// One call: within what it may take, on a schema that is as it must be.
macro_rules! call {
    ($self:ident, $what:literal, $($work:tt)*) => {
        $self
            .pool
            .bounded($what, async {
                $self.prepared().await?;
                on_connection!($self.pool, $($work)*)
            })
            .await
    };
}

#[async_trait]
impl Directory for MysqlDirectory {
    async fn create(&self, conversation: &Conversation) -> StoreResult<Created> {
        call!(self, "creating a conversation", statements::create(conversation))
    }

    async fn get(&self, id: &ConversationId) -> StoreResult<Option<Conversation>> {
        call!(self, "reading a conversation", statements::get(id))
    }

    async fn membership(&self, id: &ConversationId, user: &UserId) -> StoreResult<Option<Membership>> {
        call!(self, "reading a membership", statements::membership(id, user))
    }

    async fn add_member(&self, id: &ConversationId, user: &UserId) -> StoreResult<Added> {
        call!(self, "adding a member", statements::add_member(id, user))
    }

    async fn remove_member(&self, id: &ConversationId, user: &UserId) -> StoreResult<Removed> {
        call!(self, "removing a member", statements::remove_member(id, user))
    }

    async fn convert(&self, id: &ConversationId) -> StoreResult<Option<Kind>> {
        call!(self, "converting a group", statements::convert(id))
    }

    async fn list(
        &self,
        user: &UserId,
        after: Option<&ConversationId>,
        limit: usize,
    ) -> StoreResult<Vec<(ConversationId, Kind)>> {
        call!(self, "listing conversations", statements::list(user, after, limit))
    }
}
