//! The store in SQLite. The SQL keeps to what MySQL accepts too, as far as SQLite lets it.

use std::path::Path;

use async_trait::async_trait;
use backends::embedded::open_sqlite;
use protocol::admin::{AuditEntry, Operation, OperationEvent, OperationState};
use serde::{Serialize, de::DeserializeOwned};
use sqlx::{
    Row, Sqlite, SqliteConnection, SqlitePool,
    query::Query,
    sqlite::{SqliteArguments, SqliteRow},
};

use super::{
    AuditChain, Change, DesiredRecord, Document, DocumentKind, Leadership, NodeRecord, OperationFilter, Store,
    StoreError, StoreResult, TokenRecord, leadership::LeaderRow,
};

/// Run once each, in order; only ever add to the end.
const MIGRATIONS: &[&str] = &[
    include_str!("../../migrations/0001_first.sql"),
    include_str!("../../migrations/0002_documents.sql"),
    include_str!("../../migrations/0003_leader.sql"),
];

/// Takes the write lock at once: a transaction that reads first and writes later could fail at the write.
const BEGIN: &str = "BEGIN IMMEDIATE";

/// The store in SQLite.
#[derive(Debug, Clone)]
pub struct SqliteStore {
    pool: SqlitePool,
}

type Statement = Query<'static, Sqlite, SqliteArguments>;

fn unavailable(error: sqlx::Error) -> StoreError {
    StoreError::Unavailable(error.to_string())
}

fn corrupt(error: impl std::fmt::Display) -> StoreError {
    StoreError::Corrupt(error.to_string())
}

fn body<T: DeserializeOwned>(row: &SqliteRow) -> StoreResult<T> {
    let text: &str = row.try_get("body").map_err(unavailable)?;
    serde_json::from_str(text).map_err(corrupt)
}

fn json<T: Serialize>(value: &T) -> StoreResult<String> {
    serde_json::to_string(value).map_err(corrupt)
}

/// SQLite's integers end below u64's.
fn int(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

impl SqliteStore {
    /// Opens or makes the database and brings it to this version.
    pub async fn open(path: &Path) -> StoreResult<Self> {
        let store = Self { pool: open_sqlite(path).await.map_err(corrupt)? };
        store.migrate().await?;
        Ok(store)
    }

    async fn migrate(&self) -> StoreResult<()> {
        let mut tx = self.pool.begin_with(BEGIN).await.map_err(corrupt)?;
        sqlx::raw_sql("CREATE TABLE IF NOT EXISTS migrations (number BIGINT NOT NULL PRIMARY KEY)")
            .execute(&mut *tx)
            .await
            .map_err(corrupt)?;
        let done = sqlx::query("SELECT COUNT(*) FROM migrations").fetch_one(&mut *tx).await.map_err(corrupt)?;
        let done = usize::try_from(done.try_get::<i64, _>(0).map_err(corrupt)?).map_err(corrupt)?;
        if done > MIGRATIONS.len() {
            return Err(corrupt(format_args!("{done} migrations, this program knows {}", MIGRATIONS.len())));
        }
        for (index, sql) in MIGRATIONS.iter().enumerate().skip(done) {
            sqlx::raw_sql(*sql).execute(&mut *tx).await.map_err(corrupt)?;
            let number = int(index as u64 + 1);
            sqlx::query("INSERT INTO migrations (number) VALUES (?)")
                .bind(number)
                .execute(&mut *tx)
                .await
                .map_err(corrupt)?;
        }
        tx.commit().await.map_err(corrupt)
    }

    async fn all<T: DeserializeOwned>(&self, statement: Statement) -> StoreResult<Vec<T>> {
        let rows = statement.fetch_all(&self.pool).await.map_err(unavailable)?;
        rows.iter().map(body).collect()
    }

    async fn one<T: DeserializeOwned>(&self, statement: Statement) -> StoreResult<Option<T>> {
        let row = statement.fetch_optional(&self.pool).await.map_err(unavailable)?;
        row.as_ref().map(body).transpose()
    }
}

async fn put_operation(tx: &mut SqliteConnection, operation: &Operation) -> StoreResult<()> {
    let done = sqlx::query(
        "INSERT INTO operations (number, id, epoch, state, body) VALUES (?, ?, ?, ?, ?)
         ON CONFLICT (id) DO UPDATE SET epoch = excluded.epoch, state = excluded.state, body = excluded.body
         WHERE operations.epoch <= excluded.epoch",
    )
    .bind(int(operation.number))
    .bind(operation.id.clone())
    .bind(int(operation.epoch))
    .bind(operation.state.as_str())
    .bind(json(operation)?)
    .execute(tx)
    .await
    .map_err(unavailable)?;
    if done.rows_affected() == 0 { Err(StoreError::Superseded(operation.id.clone())) } else { Ok(()) }
}

async fn put_document(tx: &mut SqliteConnection, document: &Document) -> StoreResult<()> {
    let statement = if document.revision == 1 {
        sqlx::query(
            "INSERT INTO documents (number, ended, revision, body, kind, id) VALUES (?, ?, ?, ?, ?, ?)
             ON CONFLICT (kind, id) DO NOTHING",
        )
    } else {
        sqlx::query(
            "UPDATE documents SET number = ?, ended = ?, revision = ?, body = ?
             WHERE kind = ? AND id = ? AND revision = ?",
        )
    };
    let statement = statement
        .bind(int(document.number))
        .bind(i64::from(document.is_ended))
        .bind(int(document.revision))
        .bind(document.body.clone())
        .bind(document.kind.as_str())
        .bind(document.id.clone());
    let statement = if document.revision == 1 { statement } else { statement.bind(int(document.revision - 1)) };
    let done = statement.execute(tx).await.map_err(unavailable)?;
    if done.rows_affected() == 0 { Err(StoreError::Stale(document.id.clone())) } else { Ok(()) }
}

fn document(kind: DocumentKind, row: &SqliteRow) -> StoreResult<Document> {
    let number = |column| row.try_get::<i64, _>(column).map(i64::unsigned_abs).map_err(unavailable);
    Ok(Document {
        kind,
        id: row.try_get("id").map_err(unavailable)?,
        number: number("number")?,
        is_ended: number("ended")? != 0,
        revision: number("revision")?,
        body: row.try_get("body").map_err(unavailable)?,
    })
}

async fn append_audit(tx: &mut SqliteConnection, new: super::NewAudit) -> StoreResult<()> {
    let last = sqlx::query("SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1");
    let mut chain = match last.fetch_optional(&mut *tx).await.map_err(unavailable)? {
        None => AuditChain::default(),
        Some(row) => {
            let seq: i64 = row.try_get(0).map_err(unavailable)?;
            AuditChain::after(seq.unsigned_abs(), row.try_get(1).map_err(unavailable)?)
        }
    };
    let entry = chain.seal(new);
    sqlx::query("INSERT INTO audit (seq, hash, body) VALUES (?, ?, ?)")
        .bind(int(entry.seq))
        .bind(entry.hash.clone())
        .bind(json(&entry)?)
        .execute(tx)
        .await
        .map_err(unavailable)?;
    Ok(())
}

async fn leader(tx: &mut SqliteConnection) -> StoreResult<LeaderRow> {
    let row =
        sqlx::query("SELECT name, address, epoch, until_ms FROM leader").fetch_one(tx).await.map_err(unavailable)?;
    let number = |column| row.try_get::<i64, _>(column).map(i64::unsigned_abs).map_err(unavailable);
    Ok(LeaderRow {
        name: row.try_get("name").map_err(unavailable)?,
        address: row.try_get("address").map_err(unavailable)?,
        epoch: number("epoch")?,
        until_ms: number("until_ms")?,
    })
}

async fn put_leader(tx: &mut SqliteConnection, row: &LeaderRow) -> StoreResult<()> {
    sqlx::query("UPDATE leader SET name = ?, address = ?, epoch = ?, until_ms = ?")
        .bind(row.name.clone())
        .bind(row.address.clone())
        .bind(int(row.epoch))
        .bind(int(row.until_ms))
        .execute(tx)
        .await
        .map(drop)
        .map_err(unavailable)
}

/// The statement of a change that needs no look at what is there.
fn plain(change: &Change) -> StoreResult<Option<Statement>> {
    Ok(match change {
        Change::Operation(_) | Change::Audit(_) | Change::Document(_) | Change::ForgetNode(_) | Change::Led(_) => None,
        Change::Forget(kind, below) => {
            let sql = "DELETE FROM documents WHERE kind = ? AND number < ?";
            Some(sqlx::query(sql).bind(kind.as_str()).bind(int(*below)))
        }
        Change::Event(event) => {
            let sql = "REPLACE INTO operation_events (operation, sequence, body) VALUES (?, ?, ?)";
            Some(sqlx::query(sql).bind(event.operation.clone()).bind(int(event.sequence)).bind(json(event)?))
        }
        Change::Desired(desired) => {
            let sql = "REPLACE INTO desired (node, body) VALUES (?, ?)";
            Some(sqlx::query(sql).bind(desired.node.clone()).bind(json(desired)?))
        }
        Change::Node(node) => {
            let sql = "REPLACE INTO nodes (id, body) VALUES (?, ?)";
            Some(sqlx::query(sql).bind(node.id.clone()).bind(json(node)?))
        }
        Change::Token(token) => {
            let sql = "REPLACE INTO tokens (id, hash, created_ms, body) VALUES (?, ?, ?, ?)";
            let query = sqlx::query(sql).bind(token.token.id.clone()).bind(token.hash.clone());
            Some(query.bind(int(token.token.created_ms)).bind(json(token)?))
        }
    })
}

#[async_trait]
impl Store for SqliteStore {
    async fn commit(&self, changes: Vec<Change>) -> StoreResult<()> {
        let mut tx = self.pool.begin_with(BEGIN).await.map_err(unavailable)?;
        for change in changes {
            match (plain(&change)?, change) {
                (Some(statement), _) => {
                    statement.execute(&mut *tx).await.map_err(unavailable)?;
                }
                (None, Change::Operation(operation)) => put_operation(&mut tx, &operation).await?,
                (None, Change::Document(new)) => put_document(&mut tx, &new).await?,
                (None, Change::ForgetNode(id)) => {
                    for sql in ["DELETE FROM nodes WHERE id = ?", "DELETE FROM desired WHERE node = ?"] {
                        sqlx::query(sql).bind(id.clone()).execute(&mut *tx).await.map_err(unavailable)?;
                    }
                }
                (None, Change::Audit(new)) => append_audit(&mut tx, new).await?,
                (None, Change::Led(epoch)) if leader(&mut tx).await?.epoch > epoch => return Err(StoreError::Deposed),
                (None, _) => {}
            }
        }
        tx.commit().await.map_err(unavailable)
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
        let row = sqlx::query("SELECT COALESCE(MAX(number), 0) FROM operations").fetch_one(&self.pool).await;
        let head: i64 = row.and_then(|row| row.try_get(0)).map_err(unavailable)?;
        Ok(head.unsigned_abs())
    }

    async fn events(&self, operation: &str, after: u64, limit: usize) -> StoreResult<Vec<OperationEvent>> {
        let sql = "SELECT body FROM operation_events WHERE operation = ? AND sequence > ? ORDER BY sequence LIMIT ?";
        self.all(sqlx::query(sql).bind(operation.to_owned()).bind(int(after)).bind(int(limit as u64))).await
    }

    async fn document(&self, kind: DocumentKind, id: &str) -> StoreResult<Option<Document>> {
        let sql = "SELECT id, number, ended, revision, body FROM documents WHERE kind = ? AND id = ?";
        let row = sqlx::query(sql).bind(kind.as_str()).bind(id.to_owned()).fetch_optional(&self.pool).await;
        row.map_err(unavailable)?.as_ref().map(|row| document(kind, row)).transpose()
    }

    async fn documents(&self, kind: DocumentKind, all: bool, before: u64, limit: usize) -> StoreResult<Vec<Document>> {
        let sql = "SELECT id, number, ended, revision, body FROM documents
             WHERE kind = ? AND ended <= ? AND number < ? ORDER BY number DESC LIMIT ?";
        let statement = sqlx::query(sql).bind(kind.as_str()).bind(i64::from(all)).bind(int(before));
        let rows = statement.bind(int(limit as u64)).fetch_all(&self.pool).await.map_err(unavailable)?;
        rows.iter().map(|row| document(kind, row)).collect()
    }

    async fn documents_head(&self, kind: DocumentKind) -> StoreResult<u64> {
        let sql = "SELECT COALESCE(MAX(number), 0) FROM documents WHERE kind = ?";
        let row = sqlx::query(sql).bind(kind.as_str()).fetch_one(&self.pool).await;
        let head: i64 = row.and_then(|row| row.try_get(0)).map_err(unavailable)?;
        Ok(head.unsigned_abs())
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
        let mut tx = self.pool.begin_with(BEGIN).await.map_err(unavailable)?;
        let mut row = leader(&mut tx).await?;
        let leadership = row.lead(holder, now_ms, ttl_ms);
        if leadership.is_leader {
            put_leader(&mut tx, &row).await?;
        }
        tx.commit().await.map_err(unavailable)?;
        Ok(leadership)
    }

    async fn resign(&self, holder: &str) -> StoreResult<()> {
        let mut tx = self.pool.begin_with(BEGIN).await.map_err(unavailable)?;
        let mut row = leader(&mut tx).await?;
        if row.resign(holder) {
            put_leader(&mut tx, &row).await?;
        }
        tx.commit().await.map_err(unavailable)
    }

    async fn ping(&self) -> StoreResult<()> {
        sqlx::query("SELECT 1").execute(&self.pool).await.map_err(unavailable).map(drop)
    }

    async fn close(&self) {
        self.pool.close().await;
    }
}
