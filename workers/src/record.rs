//! Records of the log as the roles use them.

use std::{ops::RangeInclusive, sync::Arc};

use backends::port::{Entry, StoredMessage};
use domain::{ConversationId, KeyRow, LogPosition, Submission, UserId, body_hash, message_id};
use prost::Message as _;
use protocol::log::{Intake, Sequenced};
use uuid::Uuid;

/// Why a record cannot be used. Gateways write only valid records, so one of these is a bug or foreign data: the
/// record is skipped, counted and logged; the partition goes on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RecordError {
    #[error("record {offset} is not readable: {why}")]
    Unreadable { offset: u64, why: String },
}

/// An intake record.
#[derive(Debug)]
pub(crate) struct IntakeRecord {
    pub(crate) conversation: ConversationId,
    pub(crate) sender: UserId,
    pub(crate) key: Uuid,
    pub(crate) body: String,
    pub(crate) sent_at_ms: u64,
}

impl IntakeRecord {
    pub(crate) fn decode(entry: &Entry) -> Result<Self, RecordError> {
        let intake = Intake::decode(entry.payload.clone()).map_err(|error| unreadable(entry, error))?;
        Self::from_wire(entry, intake)
    }

    fn from_wire(entry: &Entry, intake: Intake) -> Result<Self, RecordError> {
        Ok(Self {
            conversation: intake.conversation.parse().map_err(|error| unreadable(entry, error))?,
            sender: intake.sender.parse().map_err(|error| unreadable(entry, error))?,
            key: Uuid::from_slice(&intake.key).map_err(|error| unreadable(entry, error))?,
            body: intake.body,
            sent_at_ms: intake.sent_at_ms,
        })
    }

    pub(crate) fn submission(&self) -> Submission {
        Submission { sender: self.sender.clone(), key: self.key, body_hash: body_hash(&self.body) }
    }

    pub(crate) fn numbered(self, sequence_number: u64, at: LogPosition) -> StoredMessage {
        StoredMessage {
            message_id: message_id(&self.conversation, &self.sender, self.key),
            conversation: self.conversation,
            sequence_number,
            sender: self.sender,
            key: self.key,
            body: Arc::from(self.body),
            sent_at_ms: self.sent_at_ms,
            at,
        }
    }
}

fn unreadable(entry: &Entry, why: impl ToString) -> RecordError {
    RecordError::Unreadable { offset: entry.offset, why: why.to_string() }
}

/// The message as the log and the link carry it.
pub(crate) fn to_wire(message: &StoredMessage) -> Intake {
    Intake {
        conversation: message.conversation.as_str().to_owned(),
        sender: message.sender.as_str().to_owned(),
        key: message.key.as_bytes().to_vec(),
        body: message.body.as_ref().to_owned(),
        sent_at_ms: message.sent_at_ms,
    }
}

/// A numbered message as a record of `sequenced`.
pub(crate) fn encode_sequenced(message: &StoredMessage) -> bytes::Bytes {
    let record = Sequenced {
        intake_offset: message.at.offset,
        sequence_number: message.sequence_number,
        log_time_ms: message.at.time_ms,
        message: Some(to_wire(message)),
    };
    record.encode_to_vec().into()
}

/// Reads a record of `sequenced`.
pub(crate) fn decode_sequenced(entry: &Entry) -> Result<StoredMessage, RecordError> {
    let record = Sequenced::decode(entry.payload.clone()).map_err(|error| unreadable(entry, error))?;
    let message = record.message.ok_or_else(|| unreadable(entry, "it has no message"))?;
    let at = LogPosition { offset: record.intake_offset, time_ms: record.log_time_ms };
    Ok(IntakeRecord::from_wire(entry, message)?.numbered(record.sequence_number, at))
}

/// What the fold learns from a numbered message.
pub(crate) fn key_row(message: &StoredMessage) -> KeyRow {
    KeyRow {
        submission: Submission {
            sender: message.sender.clone(),
            key: message.key,
            body_hash: body_hash(&message.body),
        },
        number: message.sequence_number,
        at: message.at,
    }
}

/// Ascending numbers as runs without a gap. Numbers of a conversation that stand together in the log may lie far apart:
/// an owner that did not know that it was replaced appends low ones beside those of its successor.
pub(crate) fn runs(numbers: impl IntoIterator<Item = u64>) -> Vec<RangeInclusive<u64>> {
    let mut runs: Vec<RangeInclusive<u64>> = Vec::new();
    for number in numbers {
        match runs.last_mut() {
            Some(run) if run.end().checked_add(1) == Some(number) => *run = *run.start()..=number,
            _ => runs.push(number..=number),
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::runs;

    #[test]
    fn a_run_ends_where_a_number_is_missing() {
        assert!(runs([]).is_empty());
        assert_eq!(runs((3..=12).chain(900..=905)), [3..=12, 900..=905]);
        assert_eq!(runs([1, 3, 4, u64::MAX]), [1..=1, 3..=4, u64::MAX..=u64::MAX]);
    }
}
