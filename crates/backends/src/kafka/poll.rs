//! The thread that polls a consumer. Messages and rebalances come out of it as one sequence of events.
//!
//! What the consumer wants of a partition is a state (`Wanted`), not a queue of commands: the thread makes it so at
//! its next turn, as often as it takes.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use parking_lot::Mutex;
use rdkafka::{
    ClientContext, Message as _, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _, ConsumerContext, Rebalance},
    error::KafkaError,
};
use tokio::{sync::mpsc, time::Duration};

use super::{
    client::{is_fatal, unavailable},
    reader::entry,
};
use crate::port::{Entry, StoreError};

/// Records of a partition that leave the thread together, at most.
const BATCH: usize = 512;
/// How long a poll waits for a message: what a change of `Wanted` may wait.
const TURN: Duration = Duration::from_millis(5);
/// A seek of a partition whose fetcher has not started yet fails; the next turn tries again.
const SEEK: Duration = Duration::from_millis(200);

/// What comes out of the thread.
#[derive(Debug)]
pub(super) enum Raw {
    Assigned(Vec<u32>),
    Revoked(Vec<u32>),
    /// `reading` is that of the `Wanted` the records were read under: older ones are stale.
    Records {
        partition: u32,
        reading: u64,
        entries: Vec<Entry>,
    },
    /// The client cannot be used any more. Nothing comes after it.
    Fatal(StoreError),
}

/// What is wanted of a partition, and what of it is so.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    /// Grows with each new `seek_to`.
    pub(super) reading: u64,
    /// Read from here; `None` once that is so.
    pub(super) seek_to: Option<u64>,
    /// Fetch it.
    pub(super) is_open: bool,
    /// It is being fetched.
    is_fetched: bool,
    /// What the thread reads under.
    current: u64,
}

/// What the consumer and its thread share.
#[derive(Default)]
pub(super) struct Shared {
    pub(super) wanted: Mutex<BTreeMap<u32, Wanted>>,
    /// `wanted` has changed.
    pub(super) is_changed: AtomicBool,
    pub(super) stop: AtomicBool,
}

/// Told of rebalances by librdkafka, within `poll`.
pub(super) struct Callbacks {
    shared: Arc<Shared>,
    /// The thread sends these before what it polls next.
    rebalanced: Mutex<Vec<Raw>>,
}

impl Callbacks {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, rebalanced: Mutex::default() }
    }
}

impl ClientContext for Callbacks {
    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "kafka consumer");
    }
}

impl ConsumerContext for Callbacks {
    fn pre_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if let Rebalance::Revoke(list) = rebalance {
            let partitions = numbers(list);
            self.shared.wanted.lock().retain(|partition, _| !partitions.contains(partition));
            self.rebalanced.lock().push(Raw::Revoked(partitions));
        }
    }

    fn post_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if let Rebalance::Assign(list) = rebalance {
            // Nothing is read before its owner has recovered and says from where.
            if let Err(error) = consumer.pause(list) {
                tracing::warn!(%error, "cannot pause what was assigned");
            }
            let partitions = numbers(list);
            let mut wanted = self.shared.wanted.lock();
            wanted.extend(partitions.iter().map(|partition| (*partition, Wanted::default())));
            self.rebalanced.lock().push(Raw::Assigned(partitions));
        }
    }
}

fn numbers(list: &TopicPartitionList) -> Vec<u32> {
    list.elements().iter().map(|element| element.partition().max(0) as u32).collect()
}

fn only(topic: &str, partition: u32) -> TopicPartitionList {
    let mut list = TopicPartitionList::with_capacity(1);
    list.add_partition(topic, partition as i32);
    list
}

/// Polls until told to stop, until nobody listens, or until the client is of no use any more.
pub(super) fn run(consumer: &BaseConsumer<Callbacks>, topic: &str, shared: &Shared, events: &mpsc::Sender<Raw>) {
    let mut polling = Polling { consumer, topic, shared, events, is_held: false };
    while !shared.stop.load(Ordering::Acquire) && !events.is_closed() {
        if let Err(fatal) = polling.turn() {
            let _ = events.blocking_send(Raw::Fatal(fatal));
            return;
        }
    }
}

struct Polling<'a> {
    consumer: &'a BaseConsumer<Callbacks>,
    topic: &'a str,
    shared: &'a Shared,
    events: &'a mpsc::Sender<Raw>,
    /// Everything is paused, as whoever reads the events is behind.
    is_held: bool,
}

impl Polling<'_> {
    fn turn(&mut self) -> Result<(), StoreError> {
        // An event needs room; a batch is at most one event a partition.
        let partitions = self.shared.wanted.lock().len();
        let has_room = self.events.capacity() > partitions + 2;
        if has_room == self.is_held {
            self.is_held = !has_room;
            self.shared.is_changed.store(true, Ordering::Release);
        }
        if self.shared.is_changed.swap(false, Ordering::AcqRel) {
            self.apply();
        }
        let polled = self.poll();
        for event in std::mem::take(&mut *self.consumer.context().rebalanced.lock()) {
            self.send(event);
        }
        let records = polled?;
        for (partition, (reading, entries)) in records {
            self.send(Raw::Records { partition, reading, entries });
        }
        Ok(())
    }

    fn send(&self, event: Raw) {
        // There was room for it. A closed channel ends the loop.
        let _ = self.events.blocking_send(event);
    }

    /// Makes what is wanted so.
    fn apply(&self) {
        let mut wanted = self.shared.wanted.lock();
        for (partition, wanted) in wanted.iter_mut() {
            if let Some(offset) = wanted.seek_to {
                match self.consumer.seek(self.topic, *partition as i32, Offset::Offset(offset as i64), SEEK) {
                    Ok(()) => (wanted.seek_to, wanted.current) = (None, wanted.reading),
                    Err(error) => {
                        tracing::trace!(%error, partition, offset, "cannot seek yet");
                        self.shared.is_changed.store(true, Ordering::Release);
                        continue;
                    }
                }
            }
            let fetch = wanted.is_open && !self.is_held;
            if fetch != wanted.is_fetched {
                let list = only(self.topic, *partition);
                let done = if fetch { self.consumer.resume(&list) } else { self.consumer.pause(&list) };
                match done {
                    Ok(()) => wanted.is_fetched = fetch,
                    Err(error) => {
                        tracing::debug!(%error, partition, fetch, "cannot pause or resume yet");
                        self.shared.is_changed.store(true, Ordering::Release);
                    }
                }
            }
        }
    }

    /// What there is, by partition, with what it was read under.
    fn poll(&self) -> Result<BTreeMap<u32, (u64, Vec<Entry>)>, StoreError> {
        let mut records: BTreeMap<u32, (u64, Vec<Entry>)> = BTreeMap::new();
        let mut wait = TURN;
        for _ in 0..BATCH {
            match self.consumer.poll(wait) {
                Some(Ok(message)) => {
                    let partition = message.partition().max(0) as u32;
                    if let Some(wanted) = self.shared.wanted.lock().get(&partition) {
                        let of = records.entry(partition).or_insert_with(|| (wanted.current, Vec::new()));
                        of.1.push(entry(&message));
                    }
                }
                Some(Err(error)) if is_fatal(&error) => return Err(unavailable(error)),
                Some(Err(error)) => tracing::debug!(%error, topic = self.topic, "polling; will go on"),
                None => break,
            }
            // Rebalances come before records of what was just assigned or revoked.
            if !self.consumer.context().rebalanced.lock().is_empty() {
                break;
            }
            wait = Duration::ZERO;
        }
        Ok(records)
    }
}
