//! The statements, prepared once a session.

use scylla::{client::session::Session, statement::prepared::PreparedStatement};

use super::call::unavailable;
use crate::port::StoreResult;

/// Rows of a page. One that may be full of the largest bodies stays at 4 MB.
const PAGE_ROWS: i32 = 256;
/// Keys of a page; each has some 100 B.
const PAGE_KEYS: i32 = 5_000;

/// Everything that is ever asked of the store.
#[derive(Clone)]
pub(super) struct Statements {
    pub(super) put_message: PreparedStatement,
    pub(super) put_key: PreparedStatement,
    pub(super) put_head: PreparedStatement,
    pub(super) put_quarantined: PreparedStatement,
    pub(super) take_message: PreparedStatement,
    pub(super) rows: PreparedStatement,
    pub(super) keys: PreparedStatement,
    pub(super) head: PreparedStatement,
}

impl Statements {
    pub(super) async fn prepare(session: &Session, keyspace: &str) -> StoreResult<Self> {
        let prepare = async |cql: &str| {
            let mut statement =
                session.prepare(cql.replace("$", &format!("\"{keyspace}\"."))).await.map_err(unavailable)?;
            // All are: rows carry timestamps that follow from the log.
            statement.set_is_idempotent(true);
            statement.set_use_cached_result_metadata(true);
            StoreResult::Ok(statement)
        };
        let mut statements = Self {
            put_message: prepare(
                "INSERT INTO $messages (conversation, bucket, sequence_number, message_id, sender, idempotency_key,
                 body, sent_at_ms, intake_offset, log_time_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) USING TIMESTAMP ?",
            )
            .await?,
            put_key: prepare(
                "INSERT INTO $message_keys (conversation, log_time_ms, sequence_number, message_id, sender,
                 idempotency_key, body_hash, intake_offset) VALUES (?, ?, ?, ?, ?, ?, ?, ?) USING TIMESTAMP ?",
            )
            .await?,
            put_head: prepare(
                "INSERT INTO $heads (conversation, sequence_number, intake_offset) VALUES (?, ?, ?) USING TIMESTAMP ?",
            )
            .await?,
            put_quarantined: prepare(
                "INSERT INTO $quarantined_messages (conversation, sequence_number, message_id, sender, idempotency_key,
                 body, sent_at_ms, intake_offset, log_time_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) USING TIMESTAMP ?",
            )
            .await?,
            // At the row's own timestamp: it takes this write and no later one.
            take_message: prepare(
                "DELETE FROM $messages USING TIMESTAMP ?
                 WHERE conversation = ? AND bucket = ? AND sequence_number = ? AND message_id = ?",
            )
            .await?,
            rows: prepare(
                "SELECT sequence_number, message_id, sender, idempotency_key, body, sent_at_ms, intake_offset,
                 log_time_ms FROM $messages
                 WHERE conversation = ? AND bucket = ? AND sequence_number >= ? AND sequence_number <= ? LIMIT ?",
            )
            .await?,
            keys: prepare(
                "SELECT log_time_ms, sequence_number, sender, idempotency_key, body_hash, intake_offset
                 FROM $message_keys WHERE conversation = ? AND log_time_ms >= ?",
            )
            .await?,
            head: prepare("SELECT sequence_number, intake_offset FROM $heads WHERE conversation = ?").await?,
        };
        statements.rows.set_page_size(PAGE_ROWS);
        statements.keys.set_page_size(PAGE_KEYS);
        Ok(statements)
    }
}
