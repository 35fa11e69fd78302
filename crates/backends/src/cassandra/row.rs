//! Rows as the store has them.

use std::sync::Arc;

use domain::{BodyHash, ConversationId, KeyRow, LogPosition, Submission, UserId};
use uuid::Uuid;

use super::call::corrupt;
use crate::port::{StoreResult, StoredMessage};

/// Numbers of a partition.
const BUCKET: u64 = 10_000;

/// The partition of a number within its conversation.
pub(super) fn bucket_of(number: u64) -> u64 {
    number / BUCKET
}

/// The store's integers end below u64's. All of ours are far below that.
pub(super) fn int(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn number(int: i64) -> StoreResult<u64> {
    u64::try_from(int).map_err(|_| corrupt(format_args!("{int} where a count is expected")))
}

/// The time of a write, in us: that of the record in the log, never that of the writer's clock, so that a row that is
/// written again is the same to the last bit.
pub(super) fn timestamp_us(row: &StoredMessage) -> i64 {
    int(row.at.time_ms.saturating_mul(1_000))
}

/// A row of `messages`: number, message id, sender, key, body, sent at, offset, log time.
pub(super) type MessageColumns<'a> = (i64, Uuid, &'a str, Uuid, &'a str, i64, i64, i64);

pub(super) fn message(conversation: &ConversationId, columns: MessageColumns<'_>) -> StoreResult<StoredMessage> {
    let (sequence_number, message_id, sender, key, body, sent_at_ms, offset, time_ms) = columns;
    Ok(StoredMessage {
        conversation: conversation.clone(),
        sequence_number: number(sequence_number)?,
        message_id,
        sender: user(conversation, sender)?,
        key,
        body: Arc::from(body),
        sent_at_ms: number(sent_at_ms)?,
        at: LogPosition { offset: number(offset)?, time_ms: number(time_ms)? },
    })
}

/// A row of `message_keys`: log time, number, sender, key, hash, offset.
pub(super) type KeyColumns<'a> = (i64, i64, &'a str, Uuid, &'a [u8], i64);

pub(super) fn key(conversation: &ConversationId, columns: KeyColumns<'_>) -> StoreResult<KeyRow> {
    let (time_ms, sequence_number, sender, key, hash, offset) = columns;
    let hash = hash.try_into().map_err(|_| corrupt(format_args!("a key of {conversation} has no valid hash")))?;
    Ok(KeyRow {
        submission: Submission { sender: user(conversation, sender)?, key, body_hash: BodyHash::from_be_bytes(hash) },
        number: number(sequence_number)?,
        at: LogPosition { offset: number(offset)?, time_ms: number(time_ms)? },
    })
}

fn user(conversation: &ConversationId, text: &str) -> StoreResult<UserId> {
    UserId::parse(text).map_err(|error| corrupt(format_args!("sender {text:?} in {conversation}: {error}")))
}
