//! Reads of partitions chosen by hand: takeover, catch-up, reconciliation.

use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use rdkafka::{
    Message as _, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _},
    message::BorrowedMessage,
};
use tokio::{
    sync::Semaphore,
    time::{Duration, Instant},
};

use super::{
    client::{CALL, KafkaOptions, STORE, blocking, unavailable},
    topics::Topics,
};
use crate::port::{Entry, StoreError, StoreResult, Topic};

/// Reads at the same time. Each has a client with connections of its own.
const READERS: usize = 4;

/// A client and what it is set to read next.
struct Reader {
    consumer: BaseConsumer,
    at: Option<(Topic, u32, u64)>,
}

/// Idle readers, and how to make more.
pub(super) struct Readers {
    options: Arc<KafkaOptions>,
    topics: Arc<Topics>,
    idle: Arc<Mutex<Vec<Reader>>>,
    turns: Semaphore,
}

impl Readers {
    pub(super) fn new(options: Arc<KafkaOptions>, topics: Arc<Topics>) -> Self {
        Self { options, topics, idle: Arc::default(), turns: Semaphore::new(READERS) }
    }

    pub(super) async fn end(&self, topic: Topic, partition: u32) -> StoreResult<u64> {
        self.with("asking for the end", topic, partition, None, move |reader, name| {
            let (_, high) = reader.consumer.fetch_watermarks(name, partition as i32, CALL).map_err(unavailable)?;
            Ok(high.max(0) as u64)
        })
        .await
    }

    pub(super) async fn read(&self, topic: Topic, partition: u32, from: u64, max: usize) -> StoreResult<Vec<Entry>> {
        self.with("reading", topic, partition, Some(from), move |reader, name| {
            reader.read(name, topic, partition, from, max)
        })
        .await
    }

    /// Runs `work` with a reader, best one that stands at `from` already.
    async fn with<T: Send + 'static>(
        &self,
        what: &'static str,
        topic: Topic,
        partition: u32,
        from: Option<u64>,
        work: impl FnOnce(&mut Reader, &str) -> StoreResult<T> + Send + 'static,
    ) -> StoreResult<T> {
        let _turn = match tokio::time::timeout(CALL, self.turns.acquire()).await {
            Ok(Ok(turn)) => turn,
            _ => return Err(StoreError::unavailable(STORE, "all readers are busy")),
        };
        let found = {
            let mut idle = self.idle.lock();
            let ready = from.and_then(|from| idle.iter().position(|one| one.at == Some((topic, partition, from))));
            ready.map(|index| idle.swap_remove(index)).or_else(|| idle.pop())
        };
        let (options, name, idle) = (self.options.clone(), self.topics.name(topic).to_owned(), self.idle.clone());
        blocking(what, move || {
            let mut reader = match found {
                Some(reader) => reader,
                None => Reader { consumer: options.reader().create().map_err(unavailable)?, at: None },
            };
            let done = work(&mut reader, &name)?;
            let mut idle = idle.lock();
            if idle.len() < READERS {
                idle.push(reader);
            }
            Ok(done)
        })
        .await
    }
}

impl Reader {
    fn read(&mut self, name: &str, topic: Topic, partition: u32, from: u64, max: usize) -> StoreResult<Vec<Entry>> {
        let deadline = Instant::now() + CALL;
        let (low, high) = self.consumer.fetch_watermarks(name, partition as i32, CALL).map_err(unavailable)?;
        let (low, high) = (low.max(0) as u64, high.max(0) as u64);
        // What retention removed is gone: what is left of the range is what there is.
        let start = from.max(low);
        let mut entries = Vec::new();
        if start >= high || max == 0 {
            return Ok(entries);
        }
        if self.at != Some((topic, partition, start)) {
            let mut list = TopicPartitionList::with_capacity(1);
            let set = list.add_partition_offset(name, partition as i32, Offset::Offset(start as i64));
            set.and_then(|()| self.consumer.assign(&list)).map_err(unavailable)?;
        }
        // Unknown until all went well.
        self.at = None;
        let mut next = start;
        while next < high && entries.len() < max {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(StoreError::unavailable(STORE, format!("{name}/{partition}: no record at {next} in time")));
            }
            match self.consumer.poll(left.min(Duration::from_millis(200))) {
                Some(Ok(message)) => {
                    let entry = entry(&message);
                    next = entry.offset + 1;
                    entries.push(entry);
                }
                Some(Err(error)) => tracing::debug!(%error, name, partition, "reading; will go on"),
                None => {}
            }
        }
        self.at = Some((topic, partition, next));
        Ok(entries)
    }
}

/// A record as the port has it.
pub(super) fn entry(message: &BorrowedMessage<'_>) -> Entry {
    Entry {
        offset: message.offset().max(0) as u64,
        time_ms: message.timestamp().to_millis().unwrap_or(0).max(0) as u64,
        payload: message.payload().map(Bytes::copy_from_slice).unwrap_or_default(),
    }
}
