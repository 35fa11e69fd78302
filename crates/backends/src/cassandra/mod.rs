//! Stored messages in Cassandra or ScyllaDB.
//!
//! Nothing here waits for the cluster to be up: connecting goes on in the background, and calls answer that the store
//! is unavailable until it succeeds. Every row carries a timestamp that follows from the log, so whoever writes it, and
//! however often, the store holds the same; that is what makes retries, speculative executions and a window written
//! again after a downgrade safe.

mod call;
mod health;
mod link;
mod options;
mod read;
mod row;
mod schema;
mod statements;
mod write;

use std::sync::Arc;

use async_trait::async_trait;
use domain::{ConversationId, KeyRow};
use tokio::time::{Duration, timeout};

pub use self::{
    health::NodeHealth,
    options::{CassandraOptions, Credentials},
};
use self::{
    link::{Link, Linked},
    options::{CALL, STORE, WriteConsistency},
};
use crate::port::{Head, Messages, Replica, StoreError, StoreResult, StoredMessage};

/// Messages in Cassandra. Clones share one session.
#[derive(Debug, Clone)]
pub struct CassandraMessages {
    link: Arc<Link>,
}

impl CassandraMessages {
    /// Starts to connect, in the background of the runtime it is called in, and goes on until it succeeds.
    pub fn connect(options: CassandraOptions) -> StoreResult<Self> {
        options.check()?;
        Ok(Self { link: Arc::new(Link::start(options)) })
    }

    /// Waits until it is connected. Not needed before calls, which answer that the store is unavailable until then.
    pub async fn connected(&self, patience: Duration) -> StoreResult<()> {
        self.link.wait(patience).await.map(drop)
    }

    /// What each node says of itself. A node that does not answer is there, without figures.
    pub async fn node_health(&self) -> StoreResult<Vec<NodeHealth>> {
        bounded("asking nodes for their health", health::read(&*self.link.now()?)).await
    }
}

/// Runs a call within what a call may take.
async fn bounded<T>(what: &str, call: impl Future<Output = StoreResult<T>>) -> StoreResult<T> {
    match timeout(CALL, call).await {
        Ok(done) => done,
        Err(_) => Err(StoreError::unavailable(STORE, format_args!("{what} took longer than {} s", CALL.as_secs()))),
    }
}

#[async_trait]
impl Messages for CassandraMessages {
    async fn write(&self, rows: &[StoredMessage]) -> StoreResult<()> {
        let linked: Arc<Linked> = self.link.now()?;
        bounded("writing", write::write(&linked, rows, WriteConsistency::LocalQuorum)).await
    }

    async fn write_one(&self, rows: &[StoredMessage]) -> StoreResult<()> {
        let linked: Arc<Linked> = self.link.now()?;
        bounded("writing", write::write(&linked, rows, WriteConsistency::One)).await
    }

    async fn quarantine(&self, row: &StoredMessage) -> StoreResult<()> {
        bounded("moving a row to the quarantine", write::quarantine(&*self.link.now()?, row)).await
    }

    async fn read(
        &self,
        conversation: &ConversationId,
        first: u64,
        last: u64,
        limit: usize,
    ) -> StoreResult<Vec<StoredMessage>> {
        bounded("reading", read::rows(&*self.link.now()?, conversation, first, last, limit)).await
    }

    async fn head(&self, conversation: &ConversationId) -> StoreResult<Option<Head>> {
        bounded("reading a head", read::head(&*self.link.now()?, conversation)).await
    }

    async fn replicas(&self) -> StoreResult<Vec<Replica>> {
        let nodes = self.node_health().await?;
        let replica = |node: NodeHealth| Replica {
            name: node.address,
            is_up: node.is_answering,
            pending_compactions: node.pending_compactions,
            write_p99_ms: node.write_p99_us.map(|p99_us| p99_us.div_ceil(1_000)),
        };
        Ok(nodes.into_iter().map(replica).collect())
    }

    async fn keys_since(&self, conversation: &ConversationId, since_ms: u64) -> StoreResult<Vec<KeyRow>> {
        bounded("reading keys", read::keys_since(&*self.link.now()?, conversation, since_ms)).await
    }
}
