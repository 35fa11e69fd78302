//! The store in MySQL or MariaDB, for control planes of several replicas.
//!
//! Connections are bounded in number and every call in time. Each reads what is committed, not what a snapshot shows:
//! under a lock that was waited for, the row read next is the newest.

use std::ops::{Deref, DerefMut};

use async_trait::async_trait;
use protocol::admin::{AuditEntry, Operation, OperationEvent, OperationState};
use serde::{Serialize, de::DeserializeOwned};
use sqlx::{
    ConnectOptions as _, Connection as _, Executor as _, MySql, MySqlConnection, MySqlPool, Row as _,
    mysql::{MySqlArguments, MySqlConnectOptions, MySqlDatabaseError, MySqlPoolOptions, MySqlRow},
    pool::PoolConnection,
    query::Query,
};
use tokio::time::{Duration, timeout};

use super::{
    AuditChain, Change, DesiredRecord, Document, DocumentKind, Leadership, NewAudit, NodeRecord, OperationFilter,
    Store, StoreError, StoreResult, TokenRecord, leadership::LeaderRow,
};

/// Run once each, in order; only ever add to the end. MySQL commits each statement by itself, so each must do nothing
/// when it is run again after a death half way.
const MIGRATIONS: &[&str] = &[
    include_str!("../../migrations/mysql/0001_first.sql"),
    include_str!("../../migrations/mysql/0002_documents.sql"),
    include_str!("../../migrations/mysql/0003_leader.sql"),
];

/// Held while migrating, so that replicas do it one after the other. Of the server, so the database is in it.
const LOCK: &str = "SELECT GET_LOCK(CONCAT('chatfleet-control/', MD5(DATABASE())), 3)";
const UNLOCK: &str = "DO RELEASE_LOCK(CONCAT('chatfleet-control/', MD5(DATABASE())))";

/// What each connection is set to. The wait for a lock ends before the call does.
const SESSION: &str = "SET SESSION transaction_isolation = 'READ-COMMITTED', SESSION innodb_lock_wait_timeout = 1";
/// The same for servers that know the variable under its older name only.
const SESSION_OLDER: &str = "SET SESSION tx_isolation = 'READ-COMMITTED', SESSION innodb_lock_wait_timeout = 1";

/// What a call may take.
const CALL: Duration = Duration::from_secs(5);
/// What getting a connection may take, making one included.
const ACQUIRE: Duration = Duration::from_secs(2);
/// Connections of one replica.
const CONNECTIONS: u32 = 8;
/// Attempts of a call that loses to others: a deadlock, or a lock that is not had in time.
const ATTEMPTS: u32 = 5;

/// The server's numbers of errors that mean something here.
const DUPLICATE: u16 = 1062;
const UNKNOWN_VARIABLE: u16 = 1193;
const LOCK_WAIT_TIMEOUT: u16 = 1205;
const DEADLOCK: u16 = 1213;

type Statement = Query<'static, MySql, MySqlArguments>;

/// The store in MySQL. Clones share one pool.
#[derive(Debug, Clone)]
pub struct MysqlStore {
    pool: MySqlPool,
}

/// Why a statement did not do what it was asked.
enum Fault {
    Sql(sqlx::Error),
    Store(StoreError),
}

impl From<sqlx::Error> for Fault {
    fn from(error: sqlx::Error) -> Self {
        Self::Sql(error)
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl Fault {
    /// True when the same work may succeed at once: it lost to other work and was rolled back.
    fn is_lost_race(&self) -> bool {
        matches!(self, Self::Sql(error) if matches!(number_of(error), Some(LOCK_WAIT_TIMEOUT | DEADLOCK)))
    }

    /// True when the connection can be used again: the server answered.
    fn is_answer(&self) -> bool {
        match self {
            Self::Sql(error) => error.as_database_error().is_some(),
            Self::Store(_) => true,
        }
    }

    fn into_store(self) -> StoreError {
        match self {
            Self::Sql(error) => unavailable(error),
            Self::Store(error) => error,
        }
    }
}

/// The server's number of an error.
fn number_of(error: &sqlx::Error) -> Option<u16> {
    error.as_database_error()?.try_downcast_ref::<MySqlDatabaseError>().map(MySqlDatabaseError::number)
}

fn unavailable(error: impl std::fmt::Display) -> StoreError {
    StoreError::Unavailable(error.to_string())
}

fn corrupt(error: impl std::fmt::Display) -> StoreError {
    StoreError::Corrupt(error.to_string())
}

fn body<T: DeserializeOwned>(row: &MySqlRow) -> StoreResult<T> {
    let text: &str = row.try_get("body").map_err(corrupt)?;
    serde_json::from_str(text).map_err(corrupt)
}

fn json<T: Serialize>(value: &T) -> StoreResult<String> {
    serde_json::to_string(value).map_err(corrupt)
}

/// The columns' integers end below u64's.
fn int(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn number(row: &MySqlRow, column: &str) -> StoreResult<u64> {
    row.try_get::<i64, _>(column).map(i64::unsigned_abs).map_err(corrupt)
}

/// A connection in use. One whose call did not end, because its caller stopped waiting or the server does not answer,
/// is closed and not given back: the next call on it would have to wait for the answer to this one.
struct Lease {
    /// `None` only while it is dropped.
    conn: Option<PoolConnection<MySql>>,
    is_clean: bool,
}

impl Lease {
    /// Takes in how the work on it went. `None`: it lost to other work, and should be done again.
    fn settle<T>(mut self, done: Result<T, Fault>, attempt: u32) -> Option<StoreResult<T>> {
        self.is_clean = done.as_ref().err().is_none_or(Fault::is_answer);
        match done {
            Err(fault) if fault.is_lost_race() && attempt < ATTEMPTS => None,
            done => Some(done.map_err(Fault::into_store)),
        }
    }
}

impl Deref for Lease {
    type Target = MySqlConnection;

    fn deref(&self) -> &MySqlConnection {
        self.conn.as_ref().unwrap_or_else(|| unreachable!("a lease has a connection"))
    }
}

impl DerefMut for Lease {
    fn deref_mut(&mut self) -> &mut MySqlConnection {
        self.conn.as_mut().unwrap_or_else(|| unreachable!("a lease has a connection"))
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(conn) = self.conn.take().filter(|_| !self.is_clean) {
            drop(conn.detach());
        }
    }
}

/// Runs work on a connection, again when it loses to other work, within what a call may take. A macro, for the future
/// of a closure that borrows both the connection and what the caller has cannot be said to be `Send`.
macro_rules! call {
    ($self:ident, $work:ident ($($argument:expr),*)) => {
        bounded(async {
            let mut attempt = 1;
            loop {
                let mut lease = $self.lease().await?;
                let done = $work(&mut lease $(, $argument)*).await;
                if let Some(done) = lease.settle(done, attempt) {
                    break done;
                }
                attempt += 1;
            }
        })
        .await
    };
}

async fn bounded<T>(call: impl Future<Output = StoreResult<T>> + Send) -> StoreResult<T> {
    let late = || unavailable(format_args!("a call took longer than {} s", CALL.as_secs()));
    timeout(CALL, call).await.unwrap_or_else(|_| Err(late()))
}

impl MysqlStore {
    /// Connects to `mysql://user:password@host:port/database` and brings its tables to this version.
    pub async fn open(url: &str) -> StoreResult<Self> {
        // What the parser says may quote the address, and the address has the password.
        let to: MySqlConnectOptions = url.parse().map_err(|_| corrupt("the address is no mysql:// URL"))?;
        if to.get_database().is_none() {
            return Err(corrupt("the mysql:// URL names no database"));
        }
        let pool = MySqlPoolOptions::new()
            .max_connections(CONNECTIONS)
            .acquire_timeout(ACQUIRE)
            .after_connect(|conn, _| {
                Box::pin(async move {
                    match conn.execute(SESSION).await {
                        Err(error) if number_of(&error) == Some(UNKNOWN_VARIABLE) => conn.execute(SESSION_OLDER).await,
                        done => done,
                    }
                    .map(drop)
                })
            })
            .connect_lazy_with(to.disable_statement_logging());
        let store = Self { pool };
        call!(store, prepare())?;
        Ok(store)
    }

    async fn lease(&self) -> StoreResult<Lease> {
        Ok(Lease { conn: Some(self.pool.acquire().await.map_err(unavailable)?), is_clean: false })
    }

    /// One statement that reads.
    async fn rows(&self, statement: Statement) -> StoreResult<Vec<MySqlRow>> {
        bounded(async {
            let mut lease = self.lease().await?;
            let done = statement.fetch_all(&mut *lease).await.map_err(Fault::from);
            // Plain reads wait for no lock, so they lose to nobody.
            lease.settle(done, ATTEMPTS).unwrap_or_else(|| Err(unavailable("lost to other work")))
        })
        .await
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

/// Brings the tables to this version. Fails when they are newer.
async fn prepare(conn: &mut MySqlConnection) -> Result<(), Fault> {
    let locked: Option<i64> = sqlx::query(LOCK).fetch_one(&mut *conn).await?.try_get(0)?;
    if locked != Some(1) {
        return Err(unavailable("another replica is changing the tables").into());
    }
    let done = migrate(conn).await;
    // Where this fails the connection is gone, and the lock with it.
    conn.execute(UNLOCK).await?;
    done
}

async fn migrate(conn: &mut MySqlConnection) -> Result<(), Fault> {
    conn.execute("CREATE TABLE IF NOT EXISTS control_migrations (number BIGINT NOT NULL PRIMARY KEY) ENGINE = InnoDB")
        .await?;
    let done = sqlx::query("SELECT COALESCE(MAX(number), 0) AS done FROM control_migrations");
    let done = number(&done.fetch_one(&mut *conn).await?, "done")?;
    let knows = MIGRATIONS.len() as u64;
    if done > knows {
        return Err(corrupt(format_args!("{done} migrations, this program knows {knows}")).into());
    }
    for (sql, number) in MIGRATIONS.iter().zip(1_i64..).skip(done as usize) {
        sqlx::raw_sql(*sql).execute(&mut *conn).await?;
        sqlx::query("INSERT INTO control_migrations (number) VALUES (?)").bind(number).execute(&mut *conn).await?;
    }
    Ok(())
}

async fn write(conn: &mut MySqlConnection, changes: &[Change]) -> Result<(), Fault> {
    let mut tx = conn.begin().await?;
    // First, so that everybody takes locks in one order.
    if changes.iter().any(|change| matches!(change, Change::Audit(_))) {
        sqlx::query("SELECT one FROM audit_lock WHERE one = 1 FOR UPDATE").fetch_one(&mut *tx).await?;
    }
    for change in changes {
        match change {
            Change::Operation(operation) => put_operation(&mut tx, operation).await?,
            Change::Document(new) => put_document(&mut tx, new).await?,
            Change::Audit(new) => append_audit(&mut tx, new.clone()).await?,
            Change::Led(epoch) => led(&mut tx, *epoch).await?,
            Change::ForgetNode(id) => {
                for sql in ["DELETE FROM nodes WHERE id = ?", "DELETE FROM desired WHERE node = ?"] {
                    sqlx::query(sql).bind(id.clone()).execute(&mut *tx).await.map_err(unavailable)?;
                }
            }
            plain => {
                if let Some(statement) = statement(plain)? {
                    statement.execute(&mut *tx).await?;
                }
            }
        }
    }
    tx.commit().await?;
    Ok(())
}

async fn put_operation(tx: &mut MySqlConnection, operation: &Operation) -> Result<(), Fault> {
    let known = sqlx::query("SELECT epoch FROM operations WHERE id = ? FOR UPDATE").bind(operation.id.clone());
    let known = known.fetch_optional(&mut *tx).await?;
    if let Some(row) = &known
        && number(row, "epoch")? > operation.epoch
    {
        return Err(StoreError::Superseded(operation.id.clone()).into());
    }
    let is_new = known.is_none();
    let sql = if is_new {
        "INSERT INTO operations (epoch, state, body, id, number) VALUES (?, ?, ?, ?, ?)"
    } else {
        "UPDATE operations SET epoch = ?, state = ?, body = ? WHERE id = ?"
    };
    let statement = sqlx::query(sql)
        .bind(int(operation.epoch))
        .bind(operation.state.as_str())
        .bind(json(operation)?)
        .bind(operation.id.clone());
    let statement = if is_new { statement.bind(int(operation.number)) } else { statement };
    statement.execute(tx).await?;
    Ok(())
}

async fn put_document(tx: &mut MySqlConnection, document: &Document) -> Result<(), Fault> {
    let is_new = document.revision == 1;
    let statement = if is_new {
        sqlx::query("INSERT INTO documents (number, ended, revision, body, kind, id) VALUES (?, ?, ?, ?, ?, ?)")
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
    let statement = if is_new { statement } else { statement.bind(int(document.revision.saturating_sub(1))) };
    let stale = || Fault::Store(StoreError::Stale(document.id.clone()));
    match statement.execute(tx).await {
        Ok(done) if done.rows_affected() == 0 => Err(stale()),
        Ok(_) => Ok(()),
        Err(error) if is_new && number_of(&error) == Some(DUPLICATE) => Err(stale()),
        Err(error) => Err(error.into()),
    }
}

/// The caller holds the lock of the audit.
async fn append_audit(tx: &mut MySqlConnection, new: NewAudit) -> Result<(), Fault> {
    let last = sqlx::query("SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1").fetch_optional(&mut *tx).await?;
    let mut chain = match last {
        None => AuditChain::default(),
        Some(row) => AuditChain::after(number(&row, "seq")?, row.try_get("hash")?),
    };
    let entry = chain.seal(new);
    sqlx::query("INSERT INTO audit (seq, hash, body) VALUES (?, ?, ?)")
        .bind(int(entry.seq))
        .bind(entry.hash.clone())
        .bind(json(&entry)?)
        .execute(tx)
        .await?;
    Ok(())
}

/// Nobody else begins to lead before this transaction ends.
async fn led(tx: &mut MySqlConnection, epoch: u64) -> Result<(), Fault> {
    let row = sqlx::query("SELECT epoch FROM leader WHERE one = 1 LOCK IN SHARE MODE").fetch_one(tx).await?;
    if number(&row, "epoch")? > epoch { Err(StoreError::Deposed.into()) } else { Ok(()) }
}

async fn leader(tx: &mut MySqlConnection) -> Result<LeaderRow, Fault> {
    let sql = "SELECT name, address, epoch, until_ms FROM leader WHERE one = 1 FOR UPDATE";
    let row = sqlx::query(sql).fetch_one(tx).await?;
    Ok(LeaderRow {
        name: row.try_get("name")?,
        address: row.try_get("address")?,
        epoch: number(&row, "epoch")?,
        until_ms: number(&row, "until_ms")?,
    })
}

async fn put_leader(tx: &mut MySqlConnection, row: &LeaderRow) -> Result<(), Fault> {
    sqlx::query("UPDATE leader SET name = ?, address = ?, epoch = ?, until_ms = ? WHERE one = 1")
        .bind(row.name.clone())
        .bind(row.address.clone())
        .bind(int(row.epoch))
        .bind(int(row.until_ms))
        .execute(tx)
        .await?;
    Ok(())
}

async fn lead(conn: &mut MySqlConnection, holder: &str, now_ms: u64, ttl_ms: u64) -> Result<Leadership, Fault> {
    let mut tx = conn.begin().await?;
    let mut row = leader(&mut tx).await?;
    let leadership = row.lead(holder, now_ms, ttl_ms);
    if leadership.is_leader {
        put_leader(&mut tx, &row).await?;
    }
    tx.commit().await?;
    Ok(leadership)
}

async fn resign(conn: &mut MySqlConnection, holder: &str) -> Result<(), Fault> {
    let mut tx = conn.begin().await?;
    let mut row = leader(&mut tx).await?;
    if row.resign(holder) {
        put_leader(&mut tx, &row).await?;
    }
    tx.commit().await?;
    Ok(())
}

/// The statement of a change that needs no look at what is there.
fn statement(change: &Change) -> StoreResult<Option<Statement>> {
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

fn document(kind: DocumentKind, row: &MySqlRow) -> StoreResult<Document> {
    Ok(Document {
        kind,
        id: row.try_get("id").map_err(corrupt)?,
        number: number(row, "number")?,
        is_ended: row.try_get::<i16, _>("ended").map_err(corrupt)? != 0,
        revision: number(row, "revision")?,
        body: row.try_get("body").map_err(corrupt)?,
    })
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
