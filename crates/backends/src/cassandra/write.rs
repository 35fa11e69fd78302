//! Writes: rows and their keys side by side, then heads.

use domain::{ConversationId, body_hash};
use futures_util::{TryStreamExt as _, stream};
use rustc_hash::FxHashMap;
use scylla::{
    serialize::row::SerializeRow,
    statement::{
        batch::{Batch, BatchStatement, BatchType},
        prepared::PreparedStatement,
    },
};

use super::{
    call::attempts,
    link::Linked,
    options::WriteConsistency,
    row::{bucket_of, int, timestamp_us},
};
use crate::port::{Head, StoreResult, StoredMessage};

/// Requests of one call that are under way at the same time.
const IN_FLIGHT: usize = 128;
/// Rows of one request, at most. They are of one partition, which makes an unlogged batch one write of each replica.
const ROWS_AT_ONCE: usize = 32;
/// Bytes of bodies past which no row is added to a request: servers refuse large batches.
const BYTES_AT_ONCE: usize = 32 * 1024;

/// The statements at the consistency of a call.
struct Puts {
    message: PreparedStatement,
    key: PreparedStatement,
    head: PreparedStatement,
}

/// One request.
enum Put<'a> {
    Messages(&'a [&'a StoredMessage]),
    Keys(&'a [&'a StoredMessage]),
    Head(&'a ConversationId, Head),
}

pub(super) async fn write(linked: &Linked, rows: &[StoredMessage], consistency: WriteConsistency) -> StoreResult<()> {
    let at_consistency = |statement: &PreparedStatement| {
        let mut statement = statement.clone();
        statement.set_consistency(consistency.of_driver());
        statement
    };
    let puts = Puts {
        message: at_consistency(&linked.statements.put_message),
        key: at_consistency(&linked.statements.put_key),
        head: at_consistency(&linked.statements.put_head),
    };
    let groups = groups(rows);
    let both = groups.iter().flat_map(|group| [Put::Messages(group), Put::Keys(group)]);
    puts.all(linked, both).await?;
    // Once the rows are there: a head never tells of a number that is in no row.
    puts.all(linked, heads(rows).into_iter().map(|(conversation, head)| Put::Head(conversation, head))).await
}

/// Rows that go into one request each: of one partition, and not too many.
fn groups(rows: &[StoredMessage]) -> Vec<Vec<&StoredMessage>> {
    let mut groups: Vec<Vec<&StoredMessage>> = Vec::new();
    // Of each partition: the group that is being filled, and its bytes.
    let mut open: FxHashMap<(&ConversationId, u64), (usize, usize)> = FxHashMap::default();
    for row in rows {
        let (index, bytes) = open.entry((&row.conversation, bucket_of(row.sequence_number))).or_insert((usize::MAX, 0));
        let fits = |group: &Vec<_>| group.len() < ROWS_AT_ONCE && *bytes + row.body.len() <= BYTES_AT_ONCE;
        match groups.get_mut(*index).filter(|group| fits(group)) {
            Some(group) => group.push(row),
            None => {
                (*index, *bytes) = (groups.len(), 0);
                groups.push(vec![row]);
            }
        }
        *bytes += row.body.len();
    }
    groups
}

/// The last row of each conversation.
fn heads(rows: &[StoredMessage]) -> FxHashMap<&ConversationId, Head> {
    let mut heads: FxHashMap<&ConversationId, Head> = FxHashMap::default();
    for row in rows {
        let head = Head { sequence_number: row.sequence_number, intake_offset: row.at.offset };
        let known = heads.entry(&row.conversation).or_insert(head);
        if known.sequence_number < head.sequence_number {
            *known = head;
        }
    }
    heads
}

fn message(row: &StoredMessage) -> impl SerializeRow {
    (
        row.conversation.as_str(),
        int(bucket_of(row.sequence_number)),
        int(row.sequence_number),
        row.message_id,
        row.sender.as_str(),
        row.key,
        row.body.as_ref(),
        int(row.sent_at_ms),
        int(row.at.offset),
        int(row.at.time_ms),
        timestamp_us(row),
    )
}

fn key(row: &StoredMessage) -> impl SerializeRow {
    (
        row.conversation.as_str(),
        int(row.at.time_ms),
        int(row.sequence_number),
        row.message_id,
        row.sender.as_str(),
        row.key,
        body_hash(&row.body).to_be_bytes(),
        int(row.at.offset),
        timestamp_us(row),
    )
}

impl Puts {
    async fn all<'a>(&self, linked: &Linked, puts: impl Iterator<Item = Put<'a>>) -> StoreResult<()> {
        stream::iter(puts.map(Ok)).try_for_each_concurrent(IN_FLIGHT, |put| self.one(linked, put)).await
    }

    async fn one(&self, linked: &Linked, put: Put<'_>) -> StoreResult<()> {
        match put {
            Put::Messages([row]) => execute(linked, &self.message, message(row)).await,
            Put::Messages(rows) => {
                let values: Vec<_> = rows.iter().map(|row| message(row)).collect();
                batch(linked, &self.message, values).await
            }
            Put::Keys([row]) => execute(linked, &self.key, key(row)).await,
            Put::Keys(rows) => {
                let values: Vec<_> = rows.iter().map(|row| key(row)).collect();
                batch(linked, &self.key, values).await
            }
            Put::Head(conversation, head) => {
                // The number is the timestamp, too: the highest wins, whenever it was written.
                let number = int(head.sequence_number);
                let values = (conversation.as_str(), number, int(head.intake_offset), number);
                execute(linked, &self.head, values).await
            }
        }
    }
}

async fn execute(linked: &Linked, statement: &PreparedStatement, values: impl SerializeRow) -> StoreResult<()> {
    attempts(|| linked.session.execute_unpaged(statement, &values)).await.map(drop)
}

/// Carries a statement out once for each row, all in one partition.
async fn batch(linked: &Linked, statement: &PreparedStatement, rows: Vec<impl SerializeRow>) -> StoreResult<()> {
    let statements = vec![BatchStatement::PreparedStatement(statement.clone()); rows.len()];
    let mut batch = Batch::new_with_statements(BatchType::Unlogged, statements);
    batch.set_is_idempotent(true);
    if let Some(consistency) = statement.get_consistency() {
        batch.set_consistency(consistency);
    }
    attempts(|| linked.session.batch(&batch, &rows)).await.map(drop)
}

/// Keeps a copy where only people look, then takes the row out of readers' way. In this order: a crash in between leaves
/// the row in both places.
pub(super) async fn quarantine(linked: &Linked, row: &StoredMessage) -> StoreResult<()> {
    let kept = (
        row.conversation.as_str(),
        int(row.sequence_number),
        row.message_id,
        row.sender.as_str(),
        row.key,
        row.body.as_ref(),
        int(row.sent_at_ms),
        int(row.at.offset),
        int(row.at.time_ms),
        timestamp_us(row),
    );
    execute(linked, &linked.statements.put_quarantined, kept).await?;
    let taken = (
        timestamp_us(row),
        row.conversation.as_str(),
        int(bucket_of(row.sequence_number)),
        int(row.sequence_number),
        row.message_id,
    );
    execute(linked, &linked.statements.take_message, taken).await
}
