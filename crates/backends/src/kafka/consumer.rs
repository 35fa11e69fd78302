//! A member of a group: what the thread polls, handed out partition by partition.
//!
//! Pausing is done here, on records that are already in memory: sequencers pause and start a partition with every
//! batch, and a fetch from the broker each time would cost them milliseconds. Only a partition with much in memory is
//! paused at the broker.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Weak, atomic::Ordering},
};

use async_trait::async_trait;
use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{BaseConsumer, CommitMode, Consumer as _},
};
use tokio::{
    sync::mpsc,
    time::{Duration, sleep},
};

use super::{
    client::{KafkaOptions, STORE, blocking, unavailable},
    poll::{self, Callbacks, Raw, Shared},
    producer::Producer,
};
use crate::port::{Appending, Consumer, ConsumerEvent, Entry, StoreError, StoreResult};

/// Events between the thread and its reader. When they are full the thread pauses everything.
const EVENTS: usize = 256;
/// Records of a partition in memory past which it is not fetched on.
const HIGH: usize = 4_096;
/// Records of a partition in memory below which it is fetched again.
const LOW: usize = 1_024;
/// Records handed out together, at most.
const HAND_OUT: usize = 512;
/// Between attempts to get an epoch.
const RETRY: Duration = Duration::from_millis(100);

/// A partition that was assigned.
#[derive(Debug, Default)]
struct Part {
    is_started: bool,
    /// What the records in memory were asked for under, see `Wanted::reading`.
    reading: u64,
    /// Of the next record to hand out.
    next: u64,
    buffer: VecDeque<Entry>,
    is_open: bool,
}

/// The epoch of what was just assigned, on its way.
struct Claim {
    partitions: Vec<u32>,
    epoch: Appending,
}

pub(super) struct KafkaConsumer {
    /// The thread owns it: leaving the group blocks.
    client: Weak<BaseConsumer<Callbacks>>,
    topic: String,
    shared: Arc<Shared>,
    events: mpsc::Receiver<Raw>,
    producer: Producer,
    parts: BTreeMap<u32, Part>,
    claims: VecDeque<Claim>,
    /// To be told next.
    ready: VecDeque<ConsumerEvent>,
    /// Where the round goes on.
    last: u32,
    fatal: Option<StoreError>,
}

impl KafkaConsumer {
    pub(super) async fn join(
        options: &KafkaOptions,
        producer: Producer,
        group: &str,
        topic: String,
        member: &str,
    ) -> StoreResult<Self> {
        let shared = Arc::new(Shared::default());
        let (config, callbacks) = (options.member(group, &topic, member), Callbacks::new(shared.clone()));
        let subscribed = topic.clone();
        let client = blocking("joining a group", move || {
            let client: BaseConsumer<_> = config.create_with_context(callbacks).map_err(unavailable)?;
            client.subscribe(&[&subscribed]).map_err(unavailable)?;
            Ok(Arc::new(client))
        })
        .await?;
        let (tx, events) = mpsc::channel(EVENTS);
        let (kept, name, with) = (Arc::downgrade(&client), topic.clone(), shared.clone());
        let thread = std::thread::Builder::new().name(format!("poll {topic}"));
        let spawned = thread.spawn(move || poll::run(&client, &name, &with, &tx));
        spawned.map_err(|error| StoreError::unavailable(STORE, format!("cannot start a thread: {error}")))?;
        Ok(Self {
            client: kept,
            topic,
            shared,
            events,
            producer,
            parts: BTreeMap::new(),
            claims: VecDeque::new(),
            ready: VecDeque::new(),
            last: 0,
            fatal: None,
        })
    }

    /// Takes in what the thread says.
    fn take(&mut self, raw: Raw) {
        match raw {
            Raw::Assigned(partitions) => {
                self.claims.push_back(Claim { partitions, epoch: self.producer.epoch() });
            }
            Raw::Revoked(partitions) => {
                for partition in partitions {
                    for claim in &mut self.claims {
                        claim.partitions.retain(|claimed| *claimed != partition);
                    }
                    if self.parts.remove(&partition).is_some() {
                        self.ready.push_back(ConsumerEvent::Revoked { partition });
                    }
                }
            }
            Raw::Records { partition, reading, entries } => {
                let Some(part) = self.parts.get_mut(&partition).filter(|part| part.reading == reading) else { return };
                part.buffer.extend(entries);
                if part.buffer.len() > HIGH {
                    self.open(partition, false);
                }
            }
            Raw::Fatal(error) => {
                let owned: Vec<u32> = self.parts.keys().copied().collect();
                self.take(Raw::Revoked(owned));
                self.claims.clear();
                self.fatal = Some(error);
            }
        }
    }

    /// Has a partition fetched, or not, by the broker.
    fn open(&mut self, partition: u32, is_open: bool) {
        let Some(part) = self.parts.get_mut(&partition).filter(|part| part.is_open != is_open) else { return };
        part.is_open = is_open;
        if let Some(wanted) = self.shared.wanted.lock().get_mut(&partition) {
            wanted.is_open = is_open;
        }
        self.shared.is_changed.store(true, Ordering::Release);
    }

    /// Records of the next started partition that has some, in turn.
    fn hand_out(&mut self) -> Option<ConsumerEvent> {
        let has_some = |part: &Part| part.is_started && !part.buffer.is_empty();
        let after = self.parts.range(self.last.saturating_add(1)..).chain(self.parts.range(..=self.last));
        let partition = after.filter(|(_, part)| has_some(part)).map(|(partition, _)| *partition).next()?;
        self.last = partition;
        let part = self.parts.get_mut(&partition)?;
        let count = part.buffer.len().min(HAND_OUT);
        let entries: Vec<Entry> = part.buffer.drain(..count).collect();
        part.next = entries.last().map_or(part.next, |entry| entry.offset + 1);
        if part.buffer.len() < LOW {
            self.open(partition, true);
        }
        Some(ConsumerEvent::Records { partition, entries })
    }

    /// An epoch came: its partitions are this consumer's.
    fn claimed(&mut self, epoch: StoreResult<u64>) {
        let Some(claim) = self.claims.front_mut() else { return };
        match epoch {
            Ok(epoch) => {
                let partitions = std::mem::take(&mut claim.partitions);
                self.claims.pop_front();
                for partition in partitions {
                    self.parts.insert(partition, Part::default());
                    self.ready.push_back(ConsumerEvent::Assigned { partition, epoch });
                }
            }
            Err(error) => {
                tracing::debug!(%error, topic = self.topic, "no epoch yet");
                let producer = self.producer.clone();
                claim.epoch = Box::pin(async move {
                    sleep(RETRY).await;
                    producer.epoch().await
                });
            }
        }
    }
}

#[async_trait]
impl Consumer for KafkaConsumer {
    async fn next(&mut self) -> StoreResult<ConsumerEvent> {
        loop {
            // Rebalances overtake records in memory.
            while let Ok(raw) = self.events.try_recv() {
                self.take(raw);
            }
            if let Some(event) = self.ready.pop_front() {
                return Ok(event);
            }
            if let Some(error) = &self.fatal {
                return Err(error.clone());
            }
            if let Some(event) = self.hand_out() {
                return Ok(event);
            }
            let claiming = self.claims.front_mut().map(|claim| &mut claim.epoch);
            tokio::select! {
                raw = self.events.recv() => match raw {
                    Some(raw) => self.take(raw),
                    None => self.fatal = Some(StoreError::unavailable(STORE, "the consumer's thread ended")),
                },
                epoch = async { match claiming { Some(epoch) => epoch.await, None => std::future::pending().await } } => {
                    self.claimed(epoch);
                }
            }
        }
    }

    fn start(&mut self, partition: u32, offset: u64) {
        let Some(part) = self.parts.get_mut(&partition) else { return };
        let was_read = part.reading > 0;
        part.is_started = true;
        // Records below it may still be in memory, as when nothing was to be done for them.
        while part.buffer.front().is_some_and(|entry| entry.offset < offset && part.next < offset) {
            part.buffer.pop_front();
        }
        let stands_at = part.buffer.front().map_or(part.next, |entry| entry.offset);
        if was_read && stands_at == offset {
            part.next = offset;
            return;
        }
        part.buffer.clear();
        part.reading += 1;
        part.next = offset;
        part.is_open = true;
        if let Some(wanted) = self.shared.wanted.lock().get_mut(&partition) {
            wanted.reading = part.reading;
            wanted.seek_to = Some(offset);
            wanted.is_open = true;
        }
        self.shared.is_changed.store(true, Ordering::Release);
    }

    fn pause(&mut self, partition: u32) {
        if let Some(part) = self.parts.get_mut(&partition) {
            part.is_started = false;
        }
    }

    async fn commit(&mut self, offsets: &[(u32, u64)]) -> StoreResult<()> {
        // Kafka checks the member and not its partitions: an owner is what the last rebalance says.
        let owned = |partition| self.shared.wanted.lock().contains_key(partition);
        if let Some((partition, _)) = offsets.iter().find(|(partition, _)| !owned(partition)) {
            return Err(StoreError::unavailable(STORE, format!("{}/{partition} has another owner", self.topic)));
        }
        let offsets = offsets.to_vec();
        let (client, topic) = (self.client.clone(), self.topic.clone());
        blocking("a commit", move || {
            let gone = || StoreError::unavailable(STORE, "the consumer's thread ended");
            let client = client.upgrade().ok_or_else(gone)?;
            let mut list = TopicPartitionList::with_capacity(offsets.len());
            for (partition, offset) in offsets {
                let add = list.add_partition_offset(&topic, partition as i32, Offset::Offset(offset as i64));
                add.map_err(unavailable)?;
            }
            client.commit(&list, CommitMode::Sync).map_err(unavailable)
        })
        .await
    }
}

impl Drop for KafkaConsumer {
    /// The thread sees it within a turn, leaves the group and ends. That talks to the broker: nobody waits for it here.
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        self.events.close();
    }
}
