//! The persister: `sequenced` into the message store, and the commit pointer behind it.
//!
//! An offset is committed only when everything below it is stored (I6). Rows are idempotent, so a batch that was
//! stored and not committed is stored again. What lags is catch-up, never delivery.

use std::time::Duration;

use backends::port::{Consumer, ConsumerEvent, Entry, Lane, StoreResult, StoredMessage, Topic};
use tokio::time::sleep;

use crate::{
    record::decode_sequenced,
    worker::{Shared, WorkerStats},
};

/// The consumer group whose commit is the commit pointer.
pub(crate) const GROUP: &str = "persister";
/// Between attempts while the store does not answer.
const RETRY: Duration = Duration::from_millis(200);
/// Stores a lane until the worker stops.
pub(crate) async fn run(shared: Shared, lane: Lane) {
    let stop = shared.stop.clone();
    while !stop.is_cancelled() {
        tokio::select! {
            biased;
            () = stop.cancelled() => {}
            Err(error) = persist(&shared, lane) => {
                tracing::warn!(%error, lane = lane.as_str(), "the persister lost its log; it will join again");
                sleep(RETRY).await;
            }
        }
    }
}

async fn persist(shared: &Shared, lane: Lane) -> StoreResult<()> {
    let topic = Topic::Sequenced(lane);
    let log = &shared.ports.log;
    let mut consumer = log.join(GROUP, topic, shared.config.node.as_str()).await?;
    loop {
        match consumer.next().await? {
            ConsumerEvent::Assigned { partition, .. } => {
                let from = log.committed(GROUP, topic, partition).await?.unwrap_or(0);
                consumer.start(partition, from);
            }
            ConsumerEvent::Revoked { .. } => {}
            ConsumerEvent::Records { partition, entries } => {
                store(shared, consumer.as_mut(), partition, entries).await;
            }
        }
    }
}

async fn store(shared: &Shared, consumer: &mut dyn Consumer, partition: u32, entries: Vec<Entry>) {
    let Some(next) = entries.last().map(|entry| entry.offset + 1) else { return };
    let rows = rows(&entries, &shared.stats);
    while let Err(error) = shared.ports.messages.write(&rows).await {
        tracing::warn!(%error, partition, rows = rows.len(), "cannot store; will retry");
        sleep(RETRY).await;
    }
    WorkerStats::add(&shared.stats.stored, rows.len());
    if let Err(error) = consumer.commit(&[(partition, next)]).await {
        // The partition has another owner, or the log is away: the rows will be stored again.
        tracing::debug!(%error, partition, "a commit was refused");
    }
}

/// The rows of a batch. What two owners of an intake partition both appended gives the same row twice.
fn rows(entries: &[Entry], stats: &WorkerStats) -> Vec<StoredMessage> {
    let mut rows = Vec::with_capacity(entries.len());
    for entry in entries {
        match decode_sequenced(entry) {
            Ok(row) => rows.push(row),
            Err(error) => {
                WorkerStats::add(&stats.unreadable, 1);
                tracing::error!(%error, "a sequenced record was skipped");
            }
        }
    }
    rows
}
