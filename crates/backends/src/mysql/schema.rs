//! The tables: created when missing, refused when newer.

use sqlx::{Executor as _, MySqlConnection, Row as _};

use super::{DirectoryFault, STORE};
use crate::port::StoreError;

/// Run once each, in order; only ever add to the end. MySQL commits each of them by itself, so each must do nothing
/// when it is run again after a death half way.
const MIGRATIONS: &[&str] = &[
    "CREATE TABLE IF NOT EXISTS conversations (
        id VARBINARY(64) NOT NULL PRIMARY KEY,
        kind VARBINARY(8) NOT NULL,
        pair VARBINARY(129) NULL UNIQUE
    ) ENGINE = InnoDB",
    "CREATE TABLE IF NOT EXISTS members (
        conversation VARBINARY(64) NOT NULL,
        user VARBINARY(64) NOT NULL,
        PRIMARY KEY (conversation, user),
        KEY members_by_user (user, conversation)
    ) ENGINE = InnoDB",
];

/// Held while migrating, so that two processes do it one after the other. Of the server, so the database is in it.
const LOCK: &str = "SELECT GET_LOCK(CONCAT('chatfleet/', MD5(DATABASE())), 3)";
const UNLOCK: &str = "DO RELEASE_LOCK(CONCAT('chatfleet/', MD5(DATABASE())))";

/// Brings the schema to this version. Fails when it is newer.
pub(super) async fn prepare(conn: &mut MySqlConnection) -> Result<(), DirectoryFault> {
    let locked: Option<i64> = sqlx::query(LOCK).fetch_one(&mut *conn).await?.try_get(0)?;
    if locked != Some(1) {
        return Err(StoreError::unavailable(STORE, "another process is changing the schema").into());
    }
    let done = migrate(conn).await;
    // Where this fails the connection is gone, and the lock with it.
    conn.execute(UNLOCK).await?;
    done
}

async fn migrate(conn: &mut MySqlConnection) -> Result<(), DirectoryFault> {
    conn.execute(
        "CREATE TABLE IF NOT EXISTS directory_migrations (number BIGINT NOT NULL PRIMARY KEY) ENGINE = InnoDB",
    )
    .await?;
    let done: i64 = sqlx::query("SELECT COALESCE(MAX(number), 0) FROM directory_migrations")
        .fetch_one(&mut *conn)
        .await?
        .try_get(0)?;
    let knows = MIGRATIONS.len() as i64;
    if done > knows {
        let why = format!("the database has schema {done}, and this program knows {knows}");
        return Err(StoreError::corrupt(STORE, why).into());
    }
    for (sql, number) in MIGRATIONS.iter().zip(1_i64..).skip(done as usize) {
        conn.execute(*sql).await?;
        sqlx::query("INSERT INTO directory_migrations (number) VALUES (?)").bind(number).execute(&mut *conn).await?;
    }
    Ok(())
}
