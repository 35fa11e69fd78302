//! What must survive a restart: operations, desired states, known nodes, tokens, the audit.
//!
//! A store has one way to write: [`Store::commit`] takes a list of changes, all or nothing. So an operation, its event
//! and its line in the audit can never disagree.

mod chain;
mod fenced;
mod leadership;
mod memory;
#[cfg(feature = "production")]
mod mysql;
mod record;
mod sqlite;

use async_trait::async_trait;
use protocol::admin::{AuditEntry, Operation, OperationEvent, OperationState};

#[cfg(feature = "production")]
pub use self::mysql::MysqlStore;
pub(crate) use self::{chain::sha256_hex, fenced::Fenced};
pub use self::{
    chain::{AuditChain, FIRST_HASH},
    leadership::Leadership,
    memory::MemoryStore,
    record::{DesiredRecord, Document, DocumentKind, DrainRecord, NewAudit, NodeRecord, OverrideRecord, TokenRecord},
    sqlite::SqliteStore,
};

/// Why a store could not answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// It cannot be reached, or not now.
    #[error("control-plane store unavailable: {0}")]
    Unavailable(String),
    /// What it holds cannot be read.
    #[error("control-plane store holds what this version cannot read: {0}")]
    Corrupt(String),
    /// Another control plane drives this operation by now.
    #[error("operation {0} is driven by a later epoch")]
    Superseded(String),
    /// The thing changed since it was read.
    #[error("{0} changed since it was read")]
    Stale(String),
    /// This replica does not lead, or not any more.
    #[error("this replica does not lead")]
    Deposed,
}

/// What a store gives.
pub type StoreResult<T> = Result<T, StoreError>;

/// One change of a [`Store::commit`].
#[derive(Debug, Clone)]
pub enum Change {
    /// Creates or replaces an operation. Fails when the stored one has a higher epoch.
    Operation(Box<Operation>),
    /// Appends an event of an operation.
    Event(OperationEvent),
    /// Creates or replaces a document, whose revision must follow the stored one.
    Document(Document),
    /// Forgets documents of a kind with a number below this.
    Forget(DocumentKind, u64),
    /// Creates or replaces a node's desired state.
    Desired(DesiredRecord),
    /// Creates or replaces a known node.
    Node(NodeRecord),
    /// Forgets a node and its desired state.
    ForgetNode(String),
    /// Creates or replaces a token.
    Token(TokenRecord),
    /// Appends to the audit; the store numbers and chains it.
    Audit(NewAudit),
    /// Changes nothing. Fails with `Deposed` when leadership is in a later epoch than this: a replica that leads no
    /// more, and does not know it yet, must not write.
    Led(u64),
}

/// Which operations.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OperationFilter {
    /// All.
    #[default]
    All,
    /// Those that have not ended.
    Active,
    /// Those in one state.
    In(OperationState),
}

impl OperationFilter {
    fn takes(self, state: OperationState) -> bool {
        match self {
            Self::All => true,
            Self::Active => !state.is_final(),
            Self::In(wanted) => wanted == state,
        }
    }
}

/// The port. Calls give up by themselves within about 5 s.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Writes all changes, durably, or none.
    async fn commit(&self, changes: Vec<Change>) -> StoreResult<()>;

    /// One operation.
    async fn operation(&self, id: &str) -> StoreResult<Option<Operation>>;
    /// Operations with a number below `before`, newest first.
    async fn operations(&self, filter: OperationFilter, before: u64, limit: usize) -> StoreResult<Vec<Operation>>;
    /// The highest number of an operation; 0 when there is none.
    async fn operations_head(&self) -> StoreResult<u64>;
    /// Events of an operation with a sequence above `after`, ascending.
    async fn events(&self, operation: &str, after: u64, limit: usize) -> StoreResult<Vec<OperationEvent>>;

    /// One document.
    async fn document(&self, kind: DocumentKind, id: &str) -> StoreResult<Option<Document>>;
    /// Documents with a number below `before`, newest first: those that have not ended, or all.
    async fn documents(&self, kind: DocumentKind, all: bool, before: u64, limit: usize) -> StoreResult<Vec<Document>>;
    /// The highest number of a document of this kind; 0 when there is none.
    async fn documents_head(&self, kind: DocumentKind) -> StoreResult<u64>;

    /// All desired states.
    async fn desired(&self) -> StoreResult<Vec<DesiredRecord>>;
    /// All known nodes.
    async fn nodes(&self) -> StoreResult<Vec<NodeRecord>>;

    /// All tokens, oldest first.
    async fn tokens(&self) -> StoreResult<Vec<TokenRecord>>;
    /// The token whose secret has this hash.
    async fn token_by_hash(&self, hash: &str) -> StoreResult<Option<TokenRecord>>;

    /// Audit entries with a number below `before`, newest first.
    async fn audit(&self, before: u64, limit: usize) -> StoreResult<Vec<AuditEntry>>;
    /// Audit entries with a number above `after`, ascending.
    async fn audit_from(&self, after: u64, limit: usize) -> StoreResult<Vec<AuditEntry>>;

    /// Asks to lead until `ttl_ms` from now. Granted when nobody leads, when the time of the leader is over, and always
    /// to the holder that leads already. `holder` is a replica's name and, after a space, where it serves its API.
    async fn lead(&self, holder: &str, now_ms: u64, ttl_ms: u64) -> StoreResult<Leadership>;
    /// Leads no more; nothing when another leads.
    async fn resign(&self, holder: &str) -> StoreResult<()>;

    /// Answers when the store does.
    async fn ping(&self) -> StoreResult<()>;
    /// Closes it.
    async fn close(&self);
}
