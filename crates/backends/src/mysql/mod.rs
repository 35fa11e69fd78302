//! Conversations and their members in MySQL or MariaDB.
//!
//! Nothing here waits for the server to be up: the first call that reaches it brings the schema up to date, and calls
//! before that answer that the store is unavailable. Names are `VARBINARY`: they compare byte by byte, as they do
//! everywhere else, whatever the collations of the server.

mod column;
mod connect;
mod lease;
mod pool;
mod schema;
mod statements;

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use domain::{ConversationId, UserId};
use protocol::frames::Kind;
use tokio::{sync::OnceCell, time::Duration};

pub use self::{
    connect::{BadUrl, is_duplicate},
    lease::{CallError, Fault, Lease},
    pool::Pool,
};
use crate::{
    on_connection,
    port::{Added, Conversation, Created, Directory, Membership, Removed, StoreError, StoreResult},
};

/// As errors name it.
const STORE: &str = "conversation directory";
/// What a call of this adapter may take. Below [`crate::port::CALL_DEADLINE`].
const CALL: Duration = Duration::from_secs(4);

type DirectoryFault = Fault<StoreError>;

impl CallError for StoreError {
    fn unavailable(why: impl ToString) -> Self {
        Self::unavailable(STORE, why)
    }
}

/// How to reach MySQL.
#[derive(Clone)]
pub struct MysqlOptions {
    /// `mysql://user:password@host:port/database`. Never shown.
    pub url: String,
    /// Connections at most.
    pub connections: u32,
}

impl fmt::Debug for MysqlOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MysqlOptions").field("connections", &self.connections).finish_non_exhaustive()
    }
}

/// The directory in MySQL. Clones share one pool.
#[derive(Debug, Clone)]
pub struct MysqlDirectory {
    pool: Pool<StoreError>,
    /// Set once the schema is as this program needs it.
    prepared: Arc<OnceCell<()>>,
}

impl MysqlDirectory {
    /// Takes the address in; connects when it is first used.
    pub fn connect(options: &MysqlOptions) -> StoreResult<Self> {
        if options.connections == 0 {
            return Err(StoreError::corrupt(STORE, "it takes a connection"));
        }
        let pool = Pool::open(&options.url, options.connections, CALL);
        let pool = pool.map_err(|why| StoreError::corrupt(STORE, why))?;
        Ok(Self { pool, prepared: Arc::default() })
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
