//! Where conversations stand: only the owner of a partition knows what is numbered and not yet stored.

use std::{collections::BTreeMap, sync::Arc};

use backends::port::{Lane, Messages};
use domain::{ConversationId, partition_of};
use parking_lot::Mutex;
use protocol::link::{Head, OwnedPartition};
use tokio::sync::watch;

use super::partition::Partition;

/// A partition, shared by the future that folds it and the answers to gateways. Held for moments, never across a wait.
pub(super) type SharedPartition = Arc<Mutex<Partition>>;

/// The partitions this worker owns and has recovered.
pub(crate) struct Heads {
    messages: Arc<dyn Messages>,
    partitions: u32,
    owned: Mutex<BTreeMap<(Lane, u32), SharedPartition>>,
    announced: watch::Sender<Vec<OwnedPartition>>,
}

impl Heads {
    pub(crate) fn new(messages: Arc<dyn Messages>, partitions: u32) -> Self {
        Self { messages, partitions, owned: Mutex::default(), announced: watch::Sender::new(Vec::new()) }
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

    /// The heads of conversations, in the order asked.
    pub(crate) async fn answer(&self, lane: Lane, conversations: &[String]) -> Vec<Head> {
        let mut heads = Vec::with_capacity(conversations.len());
        for id in conversations {
            let head = match id.parse() {
                Ok(id) => self.head(lane, &id).await,
                Err(_) => None,
            };
            heads.push(Head { known: head.is_some(), head: head.unwrap_or(0) });
        }
        heads
    }

    async fn head(&self, lane: Lane, id: &ConversationId) -> Option<u64> {
        let key = (lane, partition_of(id.as_str(), self.partitions));
        let partition = self.owned.lock().get(&key).cloned()?;
        if let Some(head) = partition.lock().head(id) {
            return Some(head);
        }
        // Nothing of it was folded here since the takeover: the store and the tail know all.
        let stored = self.messages.head(id).await.ok()?;
        let partition = partition.lock();
        let in_memory = partition.head(id).unwrap_or_else(|| partition.tail_head(id));
        Some(in_memory.max(stored.map_or(0, |head| head.sequence_number)))
    }
}
