//! The store in MySQL or MariaDB, for control planes of several replicas.
//!
//! Connections are bounded in number and every call in time. Each reads what is committed, not what a snapshot shows:
//! under a lock that was waited for, the row read next is the newest.

mod changes;
mod fault;
mod leader;
mod migrate;
mod rows;

use std::time::Duration;

use async_trait::async_trait;
use backends::{mysql::Pool, on_connection};
use protocol::admin::{AuditEntry, Operation, OperationEvent, OperationState};
use serde::de::DeserializeOwned;
use sqlx::{
    MySql,
    mysql::{MySqlArguments, MySqlRow},
    query::Query,
};

use self::{
    changes::write,
    fault::{Fault, corrupt},
    leader::{lead, resign},
    migrate::prepare,
    rows::{body, document, int, number},
};
use super::{
    Change, DesiredRecord, Document, DocumentKind, Leadership, NodeRecord, OperationFilter, Store, StoreError,
    StoreResult, TokenRecord,
};

/// Connections of one replica.
const CONNECTIONS: u32 = 8;
/// What a call may take.
const CALL: Duration = Duration::from_secs(5);

type Statement = Query<'static, MySql, MySqlArguments>;

/// The store in MySQL. Clones share one pool.
#[derive(Debug, Clone)]
pub struct MysqlStore {
    pool: Pool<StoreError>,
}

/// Runs work on a connection within what a call may take.
macro_rules! call {
    ($self:ident, $($work:tt)*) => {
        $self.pool.bounded("a call", async { on_connection!($self.pool, $($work)*) }).await
    };
}

impl MysqlStore {
    /// Connects to `mysql://user:password@host:port/database` and brings its tables to this version.
    pub async fn open(url: &str) -> StoreResult<Self> {
        let store = Self { pool: Pool::open(url, CONNECTIONS, CALL).map_err(corrupt)? };
        call!(store, prepare())?;
        Ok(store)
    }

    /// One statement that reads. It waits for no lock, so it loses to nobody and is not done again.
    async fn rows(&self, statement: Statement) -> StoreResult<Vec<MySqlRow>> {
        let read = async {
            let mut lease = self.pool.lease().await?;
            let done = statement.fetch_all(&mut *lease).await.map_err(Fault::from);
            lease.end(done)
        };
        self.pool.bounded("a call", read).await
    }

    async fn all<T: DeserializeOwned>(&self, statement: Statement) -> StoreResult<Vec<T>> {
        self.rows(statement).await?.iter().map(body).collect()
    }

    async fn one<T: DeserializeOwned>(&self, statement: Statement) -> StoreResult<Option<T>> {
        self.rows(statement).await?.first().map(body).transpose()
    }

    async fn head(&self, statement: Statement) -> StoreResult<u64> {
        self.rows(statement).await?.first().map_or(Ok(0), |row| number(row, "head"))
    }
}

#[async_trait]
impl Store for MysqlStore {
    async fn commit(&self, changes: Vec<Change>) -> StoreResult<()> {
        call!(self, write(&changes))
    }

    async fn operation(&self, id: &str) -> StoreResult<Option<Operation>> {
        self.one(sqlx::query("SELECT body FROM operations WHERE id = ?").bind(id.to_owned())).await
    }

    async fn operations(&self, filter: OperationFilter, before: u64, limit: usize) -> StoreResult<Vec<Operation>> {
        let sql = "SELECT body FROM operations WHERE state IN (?, ?) AND number < ? ORDER BY number DESC LIMIT ?";
        let statement = match filter {
            OperationFilter::All => {
                sqlx::query("SELECT body FROM operations WHERE number < ? ORDER BY number DESC LIMIT ?")
            }
            OperationFilter::Active => {
                sqlx::query(sql).bind(OperationState::Running.as_str()).bind(OperationState::Cancelling.as_str())
            }
            OperationFilter::In(state) => sqlx::query(sql).bind(state.as_str()).bind(state.as_str()),
        };
        self.all(statement.bind(int(before)).bind(int(limit as u64))).await
    }

    async fn operations_head(&self) -> StoreResult<u64> {
        self.head(sqlx::query("SELECT COALESCE(MAX(number), 0) AS head FROM operations")).await
    }

    async fn events(&self, operation: &str, after: u64, limit: usize) -> StoreResult<Vec<OperationEvent>> {
        let sql = "SELECT body FROM operation_events WHERE operation = ? AND sequence > ? ORDER BY sequence LIMIT ?";
        self.all(sqlx::query(sql).bind(operation.to_owned()).bind(int(after)).bind(int(limit as u64))).await
    }

    async fn document(&self, kind: DocumentKind, id: &str) -> StoreResult<Option<Document>> {
        let sql = "SELECT id, number, ended, revision, body FROM documents WHERE kind = ? AND id = ?";
        let rows = self.rows(sqlx::query(sql).bind(kind.as_str()).bind(id.to_owned())).await?;
        rows.first().map(|row| document(kind, row)).transpose()
    }

    async fn documents(&self, kind: DocumentKind, all: bool, before: u64, limit: usize) -> StoreResult<Vec<Document>> {
        let sql = "SELECT id, number, ended, revision, body FROM documents
             WHERE kind = ? AND ended <= ? AND number < ? ORDER BY number DESC LIMIT ?";
        let statement = sqlx::query(sql).bind(kind.as_str()).bind(i64::from(all)).bind(int(before));
        let rows = self.rows(statement.bind(int(limit as u64))).await?;
        rows.iter().map(|row| document(kind, row)).collect()
    }

    async fn documents_head(&self, kind: DocumentKind) -> StoreResult<u64> {
        let sql = "SELECT COALESCE(MAX(number), 0) AS head FROM documents WHERE kind = ?";
        self.head(sqlx::query(sql).bind(kind.as_str())).await
    }

    async fn desired(&self) -> StoreResult<Vec<DesiredRecord>> {
        self.all(sqlx::query("SELECT body FROM desired ORDER BY node")).await
    }

    async fn nodes(&self) -> StoreResult<Vec<NodeRecord>> {
        self.all(sqlx::query("SELECT body FROM nodes ORDER BY id")).await
    }

    async fn tokens(&self) -> StoreResult<Vec<TokenRecord>> {
        self.all(sqlx::query("SELECT body FROM tokens ORDER BY created_ms, id")).await
    }

    async fn token_by_hash(&self, hash: &str) -> StoreResult<Option<TokenRecord>> {
        self.one(sqlx::query("SELECT body FROM tokens WHERE hash = ?").bind(hash.to_owned())).await
    }

    async fn audit(&self, before: u64, limit: usize) -> StoreResult<Vec<AuditEntry>> {
        let sql = "SELECT body FROM audit WHERE seq < ? ORDER BY seq DESC LIMIT ?";
        self.all(sqlx::query(sql).bind(int(before)).bind(int(limit as u64))).await
    }

    async fn audit_from(&self, after: u64, limit: usize) -> StoreResult<Vec<AuditEntry>> {
        let sql = "SELECT body FROM audit WHERE seq > ? ORDER BY seq LIMIT ?";
        self.all(sqlx::query(sql).bind(int(after)).bind(int(limit as u64))).await
    }

    async fn lead(&self, holder: &str, now_ms: u64, ttl_ms: u64) -> StoreResult<Leadership> {
        call!(self, lead(holder, now_ms, ttl_ms))
    }

    async fn resign(&self, holder: &str) -> StoreResult<()> {
        call!(self, resign(holder))
    }

    async fn ping(&self) -> StoreResult<()> {
        self.rows(sqlx::query("SELECT 1")).await.map(drop)
    }

    async fn close(&self) {
        self.pool.close().await;
    }
}
