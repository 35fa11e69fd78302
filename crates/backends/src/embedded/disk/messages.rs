//! Stored messages: rows under (conversation, number, message id), so a number given twice is seen and never
//! overwrites.

use std::sync::Arc;

use async_trait::async_trait;
use domain::{ConversationId, KeyRow, LogPosition, Submission, UserId, body_hash};
use prost::Message as _;
use protocol::log::{Intake, Sequenced};
use uuid::Uuid;

use super::{Disk, STORE, committer::Space};
use crate::port::{Head, Messages, StoreError, StoreResult, StoredMessage};

/// Conversation, a separator that no name has, number.
fn key(conversation: &ConversationId, number: u64) -> Vec<u8> {
    let mut key = Vec::with_capacity(conversation.as_str().len() + 25);
    key.extend_from_slice(conversation.as_str().as_bytes());
    key.push(0);
    key.extend_from_slice(&number.to_be_bytes());
    key
}

fn encode(row: &StoredMessage) -> (Vec<u8>, Vec<u8>) {
    let mut key = key(&row.conversation, row.sequence_number);
    key.extend_from_slice(row.message_id.as_bytes());
    let record = Sequenced {
        intake_offset: row.at.offset,
        sequence_number: row.sequence_number,
        log_time_ms: row.at.time_ms,
        message: Some(Intake {
            // The key names the conversation.
            conversation: String::new(),
            sender: row.sender.as_str().to_owned(),
            key: row.key.as_bytes().to_vec(),
            body: row.body.as_ref().to_owned(),
            sent_at_ms: row.sent_at_ms,
        }),
    };
    (key, record.encode_to_vec())
}

fn decode(conversation: &ConversationId, key: &[u8], value: &[u8]) -> StoreResult<StoredMessage> {
    let corrupt = |why: &str| StoreError::corrupt(STORE, format_args!("a message of {conversation}: {why}"));
    let record = Sequenced::decode(value).map_err(|error| corrupt(&error.to_string()))?;
    let message = record.message.ok_or_else(|| corrupt("has no message"))?;
    let message_id = key.last_chunk::<16>().ok_or_else(|| corrupt("has a short key"))?;
    Ok(StoredMessage {
        conversation: conversation.clone(),
        sequence_number: record.sequence_number,
        message_id: Uuid::from_bytes(*message_id),
        sender: UserId::parse(&message.sender).map_err(|_| corrupt("has no valid sender"))?,
        key: Uuid::from_slice(&message.key).map_err(|_| corrupt("has no valid idempotency key"))?,
        body: Arc::from(message.body),
        sent_at_ms: message.sent_at_ms,
        at: LogPosition { offset: record.intake_offset, time_ms: record.log_time_ms },
    })
}

#[async_trait]
impl Messages for Disk {
    async fn write(&self, rows: &[StoredMessage]) -> StoreResult<()> {
        self.put(Space::Messages, rows.iter().map(encode).collect()).await
    }

    async fn quarantine(&self, row: &StoredMessage) -> StoreResult<()> {
        self.move_to_quarantine(vec![encode(row)]).await
    }

    async fn read(
        &self,
        conversation: &ConversationId,
        first: u64,
        last: u64,
        limit: usize,
    ) -> StoreResult<Vec<StoredMessage>> {
        if first > last {
            return Ok(Vec::new());
        }
        let (from, mut to) = (key(conversation, first), key(conversation, last));
        to.extend_from_slice(&[0xff; 16]);
        let found = self.blocking(move |spaces| {
            spaces.messages.range(from..=to).take(limit).map(|item| item.into_inner()).collect::<Result<Vec<_>, _>>()
        });
        found.await?.iter().map(|(key, value)| decode(conversation, key, value)).collect()
    }

    async fn head(&self, conversation: &ConversationId) -> StoreResult<Option<Head>> {
        let prefix = prefix(conversation);
        let last = self
            .blocking(move |spaces| {
                spaces.messages.prefix(prefix).next_back().map(|item| item.into_inner()).transpose()
            })
            .await?;
        let Some((key, value)) = last else { return Ok(None) };
        let row = decode(conversation, &key, &value)?;
        Ok(Some(Head { sequence_number: row.sequence_number, intake_offset: row.at.offset }))
    }

    async fn keys_since(&self, conversation: &ConversationId, since_ms: u64) -> StoreResult<Vec<KeyRow>> {
        // Log time grows with the number, so the newest rows are the ones asked for. No second index to keep in step.
        let prefix = prefix(conversation);
        let name = conversation.clone();
        let rows = self.blocking(move |spaces| {
            let mut rows = Vec::new();
            for item in spaces.messages.prefix(prefix).rev() {
                let (key, value) = item.into_inner()?;
                let row = decode(&name, &key, &value);
                if row.as_ref().is_ok_and(|row| row.at.time_ms < since_ms) {
                    break;
                }
                rows.push(row);
            }
            Ok(rows)
        });
        let key_row = |row: StoredMessage| KeyRow {
            submission: Submission { sender: row.sender, key: row.key, body_hash: body_hash(&row.body) },
            number: row.sequence_number,
            at: row.at,
        };
        rows.await?.into_iter().map(|row| row.map(key_row)).collect()
    }
}

fn prefix(conversation: &ConversationId) -> Vec<u8> {
    let mut prefix = conversation.as_str().as_bytes().to_vec();
    prefix.push(0);
    prefix
}
