//! Where conversations stand: only the owner of a partition knows what is numbered and not yet stored.
//!
//! An owner may be a zombie that does not know it yet, and its word would hide what its successor numbered and delivered
//! before the asker's route was known. So a question is answered only once everything is folded that the intake held
//! when the question was there: the log, not the claim, makes the answer current.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use backends::port::{Lane, Log, Messages, Topic};
use domain::{ConversationId, partition_of};
use futures_util::{StreamExt as _, future::join_all, stream};
use parking_lot::Mutex;
use protocol::link::{Head, OwnedPartition};
use tokio::{
    sync::watch,
    time::{Instant, timeout_at},
};

use super::partition::Partition;

/// A partition, shared by the future that folds it and the answers to gateways. Held for moments, never across a wait.
pub(super) type SharedPartition = Arc<Mutex<Partition>>;

/// How long an answer may wait for the fold to get to the end of the intake, however many conversations it is about.
/// Below what a gateway waits for an answer.
const FOLD_DEADLINE: Duration = Duration::from_millis(1_500);

/// Conversations of a question that are looked up at once: those that are not in memory are a read of the store each.
const AT_ONCE: usize = 32;

/// By lane and partition: where the intake ended after the questions were there.
pub(crate) type Ends = BTreeMap<(Lane, u32), u64>;

/// The partitions this worker owns and has recovered.
pub(crate) struct Heads {
    log: Arc<dyn Log>,
    messages: Arc<dyn Messages>,
    owned: Mutex<BTreeMap<(Lane, u32), SharedPartition>>,
    announced: watch::Sender<Vec<OwnedPartition>>,
}

impl Heads {
    pub(crate) fn new(log: Arc<dyn Log>, messages: Arc<dyn Messages>) -> Self {
        Self { log, messages, owned: Mutex::default(), announced: watch::Sender::new(Vec::new()) }
    }

    /// What gateways are told.
    pub(crate) fn owned(&self) -> watch::Receiver<Vec<OwnedPartition>> {
        self.announced.subscribe()
    }

    pub(super) fn insert(&self, lane: Lane, number: u32, partition: SharedPartition) {
        self.owned.lock().insert((lane, number), partition);
        self.announce();
    }

    pub(super) fn remove(&self, lane: Lane, number: u32) {
        self.owned.lock().remove(&(lane, number));
        self.announce();
    }

    fn announce(&self) {
        let owned = self.owned.lock();
        let partitions = owned.iter().map(|((lane, partition), state)| OwnedPartition {
            lane: lane.number(),
            partition: *partition,
            epoch: state.lock().epoch,
        });
        self.announced.send_replace(partitions.collect());
    }

    /// The partitions of these conversations that this worker owns.
    pub(crate) fn owned_of<'a>(&self, asked: impl Iterator<Item = (Lane, &'a str)>) -> BTreeSet<(Lane, u32)> {
        let owned = self.owned.lock();
        asked.map(|(lane, id)| self.key(lane, id)).filter(|key| owned.contains_key(key)).collect()
    }

    /// Where the intake of these partitions ends now. What the log does not tell is absent.
    pub(crate) async fn ends(&self, partitions: BTreeSet<(Lane, u32)>) -> Ends {
        let ends = partitions.into_iter().map(|key| self.end(key));
        join_all(ends).await.into_iter().flatten().collect()
    }

    async fn end(&self, (lane, partition): (Lane, u32)) -> Option<((Lane, u32), u64)> {
        let end = self.log.end(Topic::Intake(lane), partition).await.ok()?;
        Some(((lane, partition), end))
    }

    fn key(&self, lane: Lane, id: &str) -> (Lane, u32) {
        (lane, partition_of(id, self.log.partitions()))
    }

    /// The heads of conversations, in the order asked; `ends` was asked for after the question came.
    pub(crate) async fn answer(&self, lane: Lane, conversations: &[String], ends: &Ends) -> Vec<Head> {
        // One for all: a partition that is stuck holds up the answer once, not with each of its conversations.
        let until = Instant::now() + FOLD_DEADLINE;
        let heads: Vec<_> = conversations.iter().map(|id| self.head_of(lane, id, ends, until)).collect();
        stream::iter(heads).buffered(AT_ONCE).collect().await
    }

    async fn head_of(&self, lane: Lane, id: &str, ends: &Ends, until: Instant) -> Head {
        let head = match id.parse() {
            Ok(id) => self.head(lane, &id, ends, until).await,
            Err(_) => None,
        };
        Head { known: head.is_some(), head: head.unwrap_or(0) }
    }

    async fn head(&self, lane: Lane, id: &ConversationId, ends: &Ends, until: Instant) -> Option<u64> {
        let key = self.key(lane, id.as_str());
        let end = *ends.get(&key)?;
        let partition = self.owned.lock().get(&key).cloned()?;
        let mut folded = partition.lock().folded();
        // A zombie that reads nothing any more never gets there.
        timeout_at(until, folded.wait_for(|folded| *folded >= end)).await.ok()?.ok()?;
        {
            let partition = partition.lock();
            if partition.is_waiting(id) {
                return None;
            }
            if let Some(head) = partition.head(id) {
                return Some(head);
            }
        }
        // Nothing of it was folded here since the takeover: the store and the tail know all.
        let stored = self.messages.head(id).await.ok()?;
        let partition = partition.lock();
        let in_memory = partition.head(id).unwrap_or_else(|| partition.tail_head(id));
        Some(in_memory.max(stored.map_or(0, |head| head.sequence_number)))
    }
}

#[cfg(test)]
mod tests {
    use backends::embedded::{Disk, DiskOptions, GroupLog};
    use domain::Planted;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_partition_that_is_stuck_holds_up_an_answer_once() {
        let dir = tempfile::tempdir().unwrap();
        let disk = Disk::open(dir.path(), DiskOptions { partitions: 1, was_clean: true }).unwrap();
        let heads = Heads::new(Arc::new(GroupLog::new(disk.clone())), disk.clone());
        heads.insert(Lane::Group, 0, Arc::new(Mutex::new(Partition::new(1, Planted::default()))));
        // It never folds what the intake holds.
        let ends = Ends::from([((Lane::Group, 0), 1)]);
        // More than are looked up at once.
        let asked: Vec<String> = (0..AT_ONCE * 3).map(|n| format!("c{n}")).chain(["not an id".to_owned()]).collect();
        let began = Instant::now();
        let answer = heads.answer(Lane::Group, &asked, &ends).await;
        assert!(began.elapsed() < FOLD_DEADLINE * 2, "{:?}", began.elapsed());
        assert_eq!(answer.len(), asked.len());
        assert!(answer.iter().all(|head| !head.known));
        disk.close();
    }
}
