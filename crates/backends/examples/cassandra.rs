//! How fast rows go into Cassandra, beside a bare loop of the driver with the same statements.
//!
//! `cargo run --release -p chatfleet-backends --features cassandra --example cassandra -- HOST:PORT [ROUNDS]`
//!
//! Each round writes the same number of rows in three ways, in turns: as the persister does, 512 rows at once from two
//! lanes; with the driver alone, one statement a request, as many at a time; and with the driver alone, the rows of a
//! conversation in one request. A keyspace of its own, dropped afterwards.

use std::sync::Arc;

use chatfleet_backends::{
    cassandra::{CassandraMessages, CassandraOptions},
    port::{Messages as _, StoredMessage},
};
use domain::{ConversationId, LogPosition, UserId, body_hash, message_id};
use futures_util::{TryStreamExt as _, future::try_join_all, stream};
use scylla::{
    client::{execution_profile::ExecutionProfile, session::Session, session_builder::SessionBuilder},
    serialize::row::SerializeRow,
    statement::{
        Consistency, Statement,
        batch::{Batch, BatchStatement, BatchType},
        prepared::PreparedStatement,
    },
};
use tokio::time::{Duration, Instant};
use uuid::Uuid;

/// Rows of a batch, as the log hands them out.
const BATCH: u64 = 512;
/// Batches of a lane in a round.
const BATCHES: u64 = 60;
/// Batches under way: one of each lane.
const LANES: u64 = 2;
/// Conversations of a lane that are active at the same time.
const CONVERSATIONS: u64 = 64;
/// Statements of a batch under way, as in the adapter.
const IN_FLIGHT: usize = 128;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The rows of a round, batch by batch.
fn rows(round: &str, lane: u64) -> Result<Vec<Vec<StoredMessage>>, Failure> {
    let sender = UserId::parse("alice")?;
    let body: Arc<str> = "x".repeat(200).into();
    let names = (0..CONVERSATIONS).map(|n| ConversationId::parse(&format!("{round}-{lane}-{n}")));
    let names = names.collect::<Result<Vec<_>, _>>()?;
    let row = |n: u64| {
        let (conversation, key) = (names[(n % CONVERSATIONS) as usize].clone(), Uuid::new_v4());
        StoredMessage {
            message_id: message_id(&conversation, &sender, key),
            conversation,
            sequence_number: n / CONVERSATIONS + 1,
            sender: sender.clone(),
            key,
            body: body.clone(),
            sent_at_ms: 1_700_000_000_000 + n,
            at: LogPosition { offset: n, time_ms: 1_700_000_000_001 + n },
        }
    };
    Ok((0..BATCHES).map(|batch| (batch * BATCH..(batch + 1) * BATCH).map(row).collect()).collect())
}

/// The bare loop.
struct Bare {
    session: Session,
    message: PreparedStatement,
    key: PreparedStatement,
    head: PreparedStatement,
}

impl Bare {
    async fn new(address: &str, keyspace: &str) -> Result<Self, Failure> {
        let profile = ExecutionProfile::builder().consistency(Consistency::LocalQuorum).build().into_handle();
        let session =
            SessionBuilder::new().known_node(address).default_execution_profile_handle(profile).build().await?;
        let message = session.prepare(format!(
            "INSERT INTO {keyspace}.messages (conversation, bucket, sequence_number, message_id, sender,
             idempotency_key, body, sent_at_ms, intake_offset, log_time_ms)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) USING TIMESTAMP ?"
        ));
        let key = session.prepare(format!(
            "INSERT INTO {keyspace}.message_keys (conversation, log_time_ms, sequence_number, message_id, sender,
             idempotency_key, body_hash, intake_offset) VALUES (?, ?, ?, ?, ?, ?, ?, ?) USING TIMESTAMP ?"
        ));
        let head = session.prepare(format!(
            "INSERT INTO {keyspace}.heads (conversation, sequence_number, intake_offset) VALUES (?, ?, ?)
             USING TIMESTAMP ?"
        ));
        let (message, key, head) = (message.await?, key.await?, head.await?);
        Ok(Self { session, message, key, head })
    }

    /// One statement a request.
    async fn write(&self, rows: &[StoredMessage]) -> Result<(), Failure> {
        let both = rows.iter().flat_map(|row| [(row, true), (row, false)]);
        let put = async |(row, is_message)| {
            match is_message {
                true => self.session.execute_unpaged(&self.message, message(row)).await?,
                false => self.session.execute_unpaged(&self.key, key(row)).await?,
            };
            Ok::<_, Failure>(())
        };
        stream::iter(both.map(Ok)).try_for_each_concurrent(IN_FLIGHT, put).await?;
        self.heads(rows).await
    }

    /// The rows of a conversation in one request.
    async fn write_batched(&self, rows: &[StoredMessage]) -> Result<(), Failure> {
        let of = |n: u64| rows.iter().skip(n as usize).step_by(CONVERSATIONS as usize);
        let put = async |(n, is_message)| {
            let statement = if is_message { &self.message } else { &self.key };
            let count = of(n).count();
            let statements = vec![BatchStatement::PreparedStatement(statement.clone()); count];
            let batch = Batch::new_with_statements(BatchType::Unlogged, statements);
            match is_message {
                true => self.session.batch(&batch, of(n).map(message).collect::<Vec<_>>()).await?,
                false => self.session.batch(&batch, of(n).map(key).collect::<Vec<_>>()).await?,
            };
            Ok::<_, Failure>(())
        };
        let both = (0..CONVERSATIONS).flat_map(|n| [(n, true), (n, false)]);
        stream::iter(both.map(Ok)).try_for_each_concurrent(IN_FLIGHT, put).await?;
        self.heads(rows).await
    }

    async fn heads(&self, rows: &[StoredMessage]) -> Result<(), Failure> {
        // The last rows of a batch are the last of their conversations.
        let last = &rows[rows.len() - CONVERSATIONS as usize..];
        let put = async |row: &StoredMessage| {
            let number = row.sequence_number as i64;
            let values = (row.conversation.as_str(), number, row.at.offset as i64, number);
            self.session.execute_unpaged(&self.head, values).await?;
            Ok::<_, Failure>(())
        };
        stream::iter(last.iter().map(Ok)).try_for_each_concurrent(IN_FLIGHT, put).await
    }
}

fn message(row: &StoredMessage) -> impl SerializeRow {
    let (number, time_ms) = (row.sequence_number as i64, row.at.time_ms as i64);
    (
        row.conversation.as_str(),
        number / 10_000,
        number,
        row.message_id,
        row.sender.as_str(),
        row.key,
        row.body.as_ref(),
        row.sent_at_ms as i64,
        row.at.offset as i64,
        time_ms,
        time_ms * 1_000,
    )
}

fn key(row: &StoredMessage) -> impl SerializeRow {
    let (number, time_ms) = (row.sequence_number as i64, row.at.time_ms as i64);
    (
        row.conversation.as_str(),
        time_ms,
        number,
        row.message_id,
        row.sender.as_str(),
        row.key,
        body_hash(&row.body).to_be_bytes(),
        row.at.offset as i64,
        time_ms * 1_000,
    )
}

/// Rows a second of a round.
async fn round<E: Into<Failure>>(
    name: &str,
    write: impl AsyncFn(&[StoredMessage]) -> Result<(), E>,
) -> Result<f64, Failure> {
    let lanes = (0..LANES).map(|lane| rows(name, lane)).collect::<Result<Vec<_>, _>>()?;
    let began = Instant::now();
    let write = &write;
    try_join_all(lanes.iter().map(|batches| async move {
        for batch in batches {
            write(batch).await.map_err(Into::into)?;
        }
        Ok::<_, Failure>(())
    }))
    .await?;
    Ok((LANES * BATCHES * BATCH) as f64 / began.elapsed().as_secs_f64())
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().ok_or("usage: cassandra HOST:PORT [ROUNDS]")?;
    let rounds: u32 = arguments.next().map_or(Ok(7), |text| text.parse())?;
    let keyspace = format!("bench_{}", Uuid::new_v4().simple());
    let store = CassandraMessages::connect(CassandraOptions {
        contact_points: vec![address.clone()],
        local_datacenter: None,
        keyspace: keyspace.clone(),
        replication: 1,
        credentials: None,
    })?;
    store.connected(Duration::from_secs(60)).await?;
    let bare = Bare::new(&address, &keyspace).await?;
    let mut rates = [const { Vec::new() }; 3];
    // The first round of each warms the server up.
    for n in 0..=rounds {
        let ours = round(&format!("a{n}"), async |rows: &[StoredMessage]| store.write(rows).await).await?;
        let single = round(&format!("b{n}"), async |rows: &[StoredMessage]| bare.write(rows).await).await?;
        let batched = round(&format!("c{n}"), async |rows: &[StoredMessage]| bare.write_batched(rows).await).await?;
        println!("round {n}: adapter {ours:.0} rows/s, bare {single:.0} rows/s, bare in batches {batched:.0} rows/s");
        if n > 0 {
            rates.iter_mut().zip([ours, single, batched]).for_each(|(rates, rate)| rates.push(rate));
        }
    }
    let [ours, single, batched] = rates.map(|mut rates| {
        rates.sort_by(f64::total_cmp);
        rates[rates.len() / 2]
    });
    println!("median: adapter {ours:.0} rows/s, bare {single:.0} rows/s, bare in batches {batched:.0} rows/s");
    println!("ratio: {:.2} of bare, {:.2} of bare in batches", ours / single, ours / batched);
    let mut drop = Statement::new(format!("DROP KEYSPACE {keyspace}"));
    drop.set_request_timeout(Some(Duration::from_secs(60)));
    bare.session.query_unpaged(drop, ()).await?;
    Ok(())
}
