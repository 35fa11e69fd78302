//! The persister: `sequenced` into the message store, and the commit pointer behind it.
//!
//! An offset is committed only when everything below it is stored at quorum (I6). While an override downgrades
//! consistency to ONE the pointer stands still; when that is over the window is written again at quorum, checked, and
//! only then committed ([`window`]). Rows are idempotent, so what was stored and not committed is stored again. What
//! lags is catch-up, never delivery.

mod gather;
mod window;

use std::{collections::BTreeMap, time::Duration};

use backends::port::{Consumer, ConsumerEvent, Entry, Lane, StoreResult, StoredMessage, Topic};
use protocol::node;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, sleep_until, timeout};

use self::{
    gather::Gathered,
    window::{Window, write_again},
};
use crate::{
    record::decode_sequenced,
    worker::{Shared, WorkerStats},
};

/// The consumer group whose commit is the commit pointer.
pub(crate) const GROUP: &str = "persister";
/// Between attempts while the store does not answer.
const RETRY: Duration = Duration::from_millis(200);
/// Between two looks at where each partition ends.
const LOOK: Duration = Duration::from_secs(2);
/// The log may take so long to say where a partition ends.
const LOOK_DEADLINE: Duration = Duration::from_secs(1);
/// Of so many batches at ONE, one is written at quorum: it tells when quorum is healthy again.
const CANARY_EVERY: u64 = 100;

/// Where the persister stands in one partition. Offsets are those of the next record.
#[derive(Debug, Clone, Default)]
struct Stand {
    read: u64,
    committed: u64,
    end: u64,
    /// What was written at ONE and is not written again yet.
    window: Option<Window>,
}

type Stands = BTreeMap<u32, Stand>;

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
    let (mut stands, mut gathered) = (Stands::new(), Gathered::default());
    let mut looks = interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let rewriting = next_rewrite(&stands, shared);
        tokio::select! {
            () = gathered.due() => store(shared, lane, &mut stands, gathered.take()).await,
            event = consumer.next(), if !gathered.is_full() => match event? {
                ConsumerEvent::Assigned { partition, .. } => {
                    let from = log.committed(GROUP, topic, partition).await?.unwrap_or(0);
                    gathered.forget(partition);
                    stands.insert(partition, Stand { read: from, committed: from, end: from, window: None });
                    consumer.start(partition, from);
                }
                // Whoever owns it now begins at the commit pointer: a window is written at quorum there.
                ConsumerEvent::Revoked { partition } => {
                    gathered.forget(partition);
                    stands.remove(&partition);
                }
                ConsumerEvent::Records { partition, entries } => {
                    gathered.add(partition, entries);
                    continue;
                }
            },
            _ = looks.tick() => look(shared, topic, &mut stands).await,
            // One step at a time: new rows are stored in between.
            Some(partition) = step_due(rewriting), if rewriting.is_some() => {
                let Some(stand) = stands.get_mut(&partition) else { continue };
                write_again(shared, topic, partition, stand).await;
            }
        }
        commit(consumer.as_mut(), lane, &mut stands).await;
        shared.stats.stand(lane, stands.iter().map(|(partition, stand)| stand.to_wire(lane, *partition)).collect());
    }
}

/// The next step of a window of a downgrade that is over: when it is due, and its partition.
fn next_rewrite(stands: &Stands, shared: &Shared) -> Option<(Instant, u32)> {
    let next = first_due(stands)?;
    shared.levers.now().consistency_one.is_none().then_some(next)
}

fn first_due(stands: &Stands) -> Option<(Instant, u32)> {
    stands.iter().filter_map(|(partition, stand)| Some((stand.window.as_ref()?.due, *partition))).min()
}

/// Waits until the step is due.
async fn step_due(step: Option<(Instant, u32)>) -> Option<u32> {
    let (due, partition) = step?;
    sleep_until(due).await;
    Some(partition)
}

impl Stand {
    fn to_wire(&self, lane: Lane, partition: u32) -> node::Position {
        node::Position {
            lane: lane.as_str().to_owned(),
            partition,
            read: self.read,
            committed: self.committed,
            end: self.end.max(self.read),
            window: self.window.as_ref().map(|window| window.by.clone()).unwrap_or_default(),
            rewriting: self.window.as_ref().and_then(|window| window.next).unwrap_or_default(),
        }
    }
}

/// Learns where each partition ends: the lag.
async fn look(shared: &Shared, topic: Topic, stands: &mut Stands) {
    let ends = stands.keys().map(|partition| shared.ports.log.end(topic, *partition));
    // A log that does not answer leaves the lag as it was; that it is down is said elsewhere.
    let Ok(ends) = timeout(LOOK_DEADLINE, futures_util::future::join_all(ends)).await else { return };
    for (stand, end) in stands.values_mut().zip(ends) {
        stand.end = end.unwrap_or(stand.end);
    }
}

async fn store(shared: &Shared, lane: Lane, stands: &mut Stands, gathered: BTreeMap<u32, Vec<Entry>>) {
    let oldest_ms = gathered.values().filter_map(|entries| entries.first()).map(|entry| entry.time_ms).min();
    let rows: Vec<StoredMessage> = gathered.values().flat_map(|entries| rows(entries, &shared.stats)).collect();
    shared.stats.storing(lane, oldest_ms.unwrap_or(0));
    let downgrade = write(shared, &rows).await;
    shared.stats.storing(lane, 0);
    WorkerStats::add(&shared.stats.stored, rows.len());
    for (partition, entries) in gathered {
        let (Some(last), Some(stand)) = (entries.last(), stands.get_mut(&partition)) else { continue };
        stand.read = last.offset + 1;
        if let Some(by) = &downgrade {
            let (next, due) = stand.window.take().map_or_else(|| (None, Instant::now()), |it| (it.next, it.due));
            stand.window = Some(Window { by: by.clone(), next, due });
        }
    }
}

/// Commits what is stored at quorum and not committed yet; what a window covers is not at quorum (I6).
async fn commit(consumer: &mut dyn Consumer, lane: Lane, stands: &mut Stands) {
    let due: Vec<(u32, u64)> = stands
        .iter()
        .filter(|(_, stand)| stand.window.is_none() && stand.committed < stand.read)
        .map(|(partition, stand)| (*partition, stand.read))
        .collect();
    if due.is_empty() {
        return;
    }
    match consumer.commit(&due).await {
        Ok(()) => {
            for (partition, offset) in due {
                stands.entry(partition).and_modify(|stand| stand.committed = offset);
            }
        }
        // A partition has another owner, which stores the rows again, or the log is away: it is tried again.
        Err(error) => tracing::debug!(%error, lane = lane.as_str(), "a commit was refused"),
    }
}

/// Writes until the store has the rows. Returns the override by which they are at ONE only, if they are.
async fn write(shared: &Shared, rows: &[StoredMessage]) -> Option<String> {
    loop {
        let one = shared.levers.now().consistency_one.clone();
        let is_canary = shared.stats.batches_at_one(one.is_some()) % CANARY_EVERY == 1;
        let began = Instant::now();
        let mut outcome = match &one {
            None => shared.ports.messages.write(rows).await,
            Some(_) if is_canary => shared.ports.messages.write(rows).await,
            Some(_) => shared.ports.messages.write_one(rows).await,
        };
        if one.is_some() && is_canary {
            shared.stats.canary(outcome.is_ok());
            if outcome.is_err() {
                outcome = shared.ports.messages.write_one(rows).await;
            }
        }
        shared.stats.wrote(outcome.is_err(), began.elapsed());
        match outcome {
            Ok(()) => return one,
            Err(error) => {
                tracing::debug!(%error, rows = rows.len(), "cannot store; will retry");
                sleep(RETRY).await;
            }
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_window_that_has_waited_longest_is_written_next() {
        let now = Instant::now();
        let stand = |due| Stand { window: Some(Window { by: "o".to_owned(), next: None, due }), ..Stand::default() };
        let mut stands = Stands::from([(0, Stand::default()), (1, stand(now)), (2, stand(now))]);
        assert_eq!(first_due(&stands), Some((now, 1)));
        // The first fails and is tried later: it does not stand before the other.
        let later = now + Duration::from_millis(500);
        stands.insert(1, stand(later));
        assert_eq!(first_due(&stands), Some((now, 2)));
        assert_eq!(step_due(first_due(&stands)).await, Some(2));
        stands.remove(&2);
        assert_eq!(step_due(first_due(&stands)).await, Some(1));
        assert!(now.elapsed() >= Duration::from_millis(500));
    }
}
