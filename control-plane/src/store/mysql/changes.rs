//! Changes, as one transaction.

use protocol::admin::Operation;
use sqlx::{Connection as _, MySqlConnection, Row as _};

use super::{
    Statement,
    fault::{Fault, unavailable},
    leader::led,
    rows::{int, json, number},
};
use crate::store::{AuditChain, Change, Document, NewAudit, StoreError, StoreResult};

pub(super) async fn write(conn: &mut MySqlConnection, changes: &[Change]) -> Result<(), Fault> {
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
        Err(error) if is_new && backends::mysql::is_duplicate(&error) => Err(stale()),
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
