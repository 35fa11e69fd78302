//! Who leads.

use sqlx::{Connection as _, MySqlConnection, Row as _};

use super::{
    fault::Fault,
    rows::{int, number},
};
use crate::store::{Leadership, StoreError, leadership::LeaderRow};

/// Nobody else begins to lead before this transaction ends.
pub(super) async fn led(tx: &mut MySqlConnection, epoch: u64) -> Result<(), Fault> {
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

pub(super) async fn lead(
    conn: &mut MySqlConnection,
    holder: &str,
    now_ms: u64,
    ttl_ms: u64,
) -> Result<Leadership, Fault> {
    let mut tx = conn.begin().await?;
    let mut row = leader(&mut tx).await?;
    let leadership = row.lead(holder, now_ms, ttl_ms);
    if leadership.is_leader {
        put_leader(&mut tx, &row).await?;
    }
    tx.commit().await?;
    Ok(leadership)
}

pub(super) async fn resign(conn: &mut MySqlConnection, holder: &str) -> Result<(), Fault> {
    let mut tx = conn.begin().await?;
    let mut row = leader(&mut tx).await?;
    if row.resign(holder) {
        put_leader(&mut tx, &row).await?;
    }
    tx.commit().await?;
    Ok(())
}
