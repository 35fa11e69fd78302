//! Brings the tables to this version.

use sqlx::{Executor as _, MySqlConnection, Row as _};

use super::{
    fault::{Fault, corrupt, unavailable},
    rows::number,
};

/// Run once each, in order; only ever add to the end. MySQL commits each statement by itself, so each must do nothing
/// when it is run again after a death half way.
const MIGRATIONS: &[&str] = &[
    include_str!("../../../migrations/mysql/0001_first.sql"),
    include_str!("../../../migrations/mysql/0002_documents.sql"),
    include_str!("../../../migrations/mysql/0003_leader.sql"),
];

/// Held while migrating, so that replicas do it one after the other. Of the server, so the database is in it.
const LOCK: &str = "SELECT GET_LOCK(CONCAT('chatfleet-control/', MD5(DATABASE())), 3)";
const UNLOCK: &str = "DO RELEASE_LOCK(CONCAT('chatfleet-control/', MD5(DATABASE())))";

/// Brings the tables to this version. Fails when they are newer.
pub(super) async fn prepare(conn: &mut MySqlConnection) -> Result<(), Fault> {
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
