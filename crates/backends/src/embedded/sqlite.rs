//! How every SQLite database of ours is opened.

use std::path::Path;

use sqlx::{
    SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use crate::port::CALL_DEADLINE;

/// Connections of a database: one writes, the others read.
const CONNECTIONS: u32 = 4;

/// Opens or makes a database whose commits are durable when they return.
pub async fn open_sqlite(path: &Path) -> Result<SqlitePool, sqlx::Error> {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(CALL_DEADLINE);
    let pool = SqlitePoolOptions::new().max_connections(CONNECTIONS).acquire_timeout(CALL_DEADLINE);
    pool.connect_with(options).await
}
