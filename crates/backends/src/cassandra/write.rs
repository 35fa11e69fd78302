//! Writes: rows, then their keys with the heads.

use domain::{ConversationId, body_hash};
use futures_util::{TryStreamExt as _, stream};
use rustc_hash::FxHashMap;
use scylla::{
    serialize::{
        SerializationError,
        row::{RowSerializationContext, SerializeRow},
        writers::RowWriter,
    },
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

/// One request. Its rows are of one partition.
enum Put<'a> {
    Messages(&'a [&'a StoredMessage]),
    /// With the head of their conversation, if it is one of them: keys and heads have the same partition key, so a
    /// replica takes all of it as one write.
    Keys(&'a [&'a StoredMessage], Option<Head>),
}

/// What a row of a request binds.
enum Values<Key, Head> {
    Key(Key),
    Head(Head),
}

impl<Key: SerializeRow, Head: SerializeRow> SerializeRow for Values<Key, Head> {
    fn serialize(
        &self,
        context: &RowSerializationContext<'_>,
        writer: &mut RowWriter<'_>,
    ) -> Result<(), SerializationError> {
        match self {
            Self::Key(key) => key.serialize(context, writer),
            Self::Head(head) => head.serialize(context, writer),
        }
    }

    fn is_empty(&self) -> bool {
        match self {
            Self::Key(key) => key.is_empty(),
            Self::Head(head) => head.is_empty(),
        }
    }
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
    let (groups, heads) = (groups(rows), heads(rows));
    puts.all(linked, groups.iter().map(|group| Put::Messages(group))).await?;
    // Once the rows are there: a head never tells of a number that is in no row.
    let head_in = |group: &[&StoredMessage]| {
        let head = *heads.get(&group.first()?.conversation)?;
        group.iter().any(|row| row.sequence_number == head.sequence_number).then_some(head)
    };
    puts.all(linked, groups.iter().map(|group| Put::Keys(group, head_in(group)))).await
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

/// The number is the timestamp, too: the highest wins, whenever it was written.
fn head(conversation: &ConversationId, head: Head) -> impl SerializeRow {
    let number = int(head.sequence_number);
    (conversation.as_str(), number, int(head.intake_offset), number)
}

impl Puts {
    async fn all<'a>(&self, linked: &Linked, puts: impl Iterator<Item = Put<'a>>) -> StoreResult<()> {
        stream::iter(puts.map(Ok)).try_for_each_concurrent(IN_FLIGHT, |put| self.one(linked, put)).await
    }

    async fn one(&self, linked: &Linked, put: Put<'_>) -> StoreResult<()> {
        match put {
            Put::Messages([row]) => execute(linked, &self.message, message(row)).await,
            Put::Messages(rows) => {
                let values = rows.iter().map(|row| message(row)).collect();
                batch(linked, vec![&self.message; rows.len()], values).await
            }
            Put::Keys([row], None) => execute(linked, &self.key, key(row)).await,
            Put::Keys(rows, last) => {
                let last = rows.first().and_then(|row| Some(head(&row.conversation, last?)));
                let keys = rows.iter().map(|row| (&self.key, Values::Key(key(row))));
                let head = last.map(|last| (&self.head, Values::Head(last)));
                let (statements, values) = keys.chain(head).unzip();
                batch(linked, statements, values).await
            }
        }
    }
}

async fn execute(linked: &Linked, statement: &PreparedStatement, values: impl SerializeRow) -> StoreResult<()> {
    attempts(|| linked.session.execute_unpaged(statement, &values)).await.map(drop)
}

/// Carries statements out together, all in one partition, at the consistency of the first.
async fn batch(
    linked: &Linked,
    statements: Vec<&PreparedStatement>,
    values: Vec<impl SerializeRow>,
) -> StoreResult<()> {
    let consistency = statements.first().and_then(|statement| statement.get_consistency());
    let statements = statements.into_iter().cloned().map(BatchStatement::PreparedStatement).collect();
    let mut batch = Batch::new_with_statements(BatchType::Unlogged, statements);
    batch.set_is_idempotent(true);
    if let Some(consistency) = consistency {
        batch.set_consistency(consistency);
    }
    attempts(|| linked.session.batch(&batch, &values)).await.map(drop)
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
