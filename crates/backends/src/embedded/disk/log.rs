//! The log on disk: partitions as ranges of keys, their newest records in memory as well.

use std::{collections::VecDeque, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use fjall::Keyspace;
use parking_lot::Mutex;
use tokio::sync::{oneshot, watch};

use super::{
    Disk, STORE,
    committer::{Job, Space},
};
use crate::{
    embedded::LogSource,
    port::{Appending, Entry, StoreError, StoreResult, Topic},
};

/// Newest records of a partition kept in memory: consumers at the tail never touch the disk.
const CACHED_RECORDS: usize = 4_096;
/// And at most so many bytes of them.
const CACHED_BYTES: usize = 4 << 20;

/// The end of a partition and its newest records.
#[derive(Debug, Default)]
pub(super) struct Partition {
    tail: Mutex<Tail>,
}

#[derive(Debug, Default)]
struct Tail {
    end: u64,
    time_ms: u64,
    cached: VecDeque<Entry>,
    bytes: usize,
}

impl Partition {
    pub(super) fn end_and_time(&self) -> (u64, u64) {
        let tail = self.tail.lock();
        (tail.end, tail.time_ms)
    }

    /// Shows durable records to readers.
    pub(super) fn publish(&self, entries: Vec<Entry>) {
        let mut tail = self.tail.lock();
        for entry in entries {
            tail.end = entry.offset + 1;
            tail.time_ms = entry.time_ms;
            tail.bytes += entry.payload.len();
            tail.cached.push_back(entry);
        }
        while tail.cached.len() > CACHED_RECORDS || tail.bytes > CACHED_BYTES {
            let Some(oldest) = tail.cached.pop_front() else { break };
            tail.bytes -= oldest.payload.len();
        }
    }

    /// Records from memory; `None` when the disk must be asked.
    fn cached(&self, from: u64, max: usize) -> Option<Vec<Entry>> {
        let tail = self.tail.lock();
        if from >= tail.end {
            return Some(Vec::new());
        }
        let skip = from.checked_sub(tail.cached.front()?.offset)?;
        // The cache is shorter than a usize.
        Some(tail.cached.iter().skip(skip as usize).take(max).cloned().collect())
    }
}

/// The number of partitions, fixed when the store is made: another number would break the order of conversations.
pub(super) fn partition_count(commits: &Keyspace, wanted: u32) -> StoreResult<u32> {
    let corrupt = |error: fjall::Error| StoreError::corrupt(STORE, error);
    if let Some(kept) = commits.get("partitions").map_err(corrupt)? {
        let kept: [u8; 4] =
            kept.as_ref().try_into().map_err(|_| StoreError::corrupt(STORE, "the number of partitions"))?;
        return Ok(u32::from_be_bytes(kept));
    }
    commits.insert("partitions", wanted.to_be_bytes()).map_err(corrupt)?;
    Ok(wanted)
}

/// Finds the end of each partition.
pub(super) fn load(log: &Keyspace, per_topic: u32) -> StoreResult<Arc<[Partition]>> {
    let slots = Topic::ALL.len() * per_topic as usize;
    let load_one = |slot| {
        let prefix = prefix(slot, per_topic as usize);
        let mut tail = Tail::default();
        if let Some(last) = log.prefix(prefix).next_back() {
            let (key, value) = last.into_inner().map_err(|error| StoreError::corrupt(STORE, error))?;
            let entry = decode(&key, Bytes::from(value))?;
            tail.end = entry.offset + 1;
            tail.time_ms = entry.time_ms;
        }
        Ok(Partition { tail: Mutex::new(tail) })
    };
    (0..slots).map(load_one).collect()
}

/// Topic and partition as bytes: the start of every key of the partition.
fn prefix(slot: usize, per_topic: usize) -> [u8; 5] {
    let mut prefix = [0; 5];
    prefix[0] = (slot / per_topic) as u8;
    prefix[1..].copy_from_slice(&((slot % per_topic) as u32).to_be_bytes());
    prefix
}

pub(super) fn encode(slot: usize, per_topic: usize, entry: &Entry) -> ([u8; 13], Vec<u8>) {
    let mut key = [0; 13];
    key[..5].copy_from_slice(&prefix(slot, per_topic));
    key[5..].copy_from_slice(&entry.offset.to_be_bytes());
    let mut value = Vec::with_capacity(8 + entry.payload.len());
    value.extend_from_slice(&entry.time_ms.to_be_bytes());
    value.extend_from_slice(&entry.payload);
    (key, value)
}

fn decode(key: &[u8], mut value: Bytes) -> StoreResult<Entry> {
    let (Some(offset), Some(time_ms)) = (key.last_chunk::<8>(), value.first_chunk::<8>()) else {
        return Err(StoreError::corrupt(STORE, "a log record is too short"));
    };
    let (offset, time_ms) = (u64::from_be_bytes(*offset), u64::from_be_bytes(*time_ms));
    Ok(Entry { offset, time_ms, payload: value.split_off(8) })
}

fn commit_key(group: &str, topic: Topic, partition: u32) -> Vec<u8> {
    format!("commit/{group}/{topic}/{partition}").into_bytes()
}

impl Disk {
    fn slot(&self, topic: Topic, partition: u32) -> usize {
        let topic = Topic::ALL.iter().position(|one| *one == topic).unwrap_or(0);
        topic * self.per_topic as usize + (partition % self.per_topic) as usize
    }

    pub(super) async fn put(&self, space: Space, rows: Vec<(Vec<u8>, Vec<u8>)>) -> StoreResult<()> {
        let (done, outcome) = oneshot::channel();
        self.committer.submit(Job::Put { space, rows, done })?;
        outcome.await.map_err(|_| closed())?
    }

    pub(super) async fn move_to_quarantine(&self, rows: Vec<(Vec<u8>, Vec<u8>)>) -> StoreResult<()> {
        let (done, outcome) = oneshot::channel();
        self.committer.submit(Job::Quarantine { rows, done })?;
        outcome.await.map_err(|_| closed())?
    }
}

pub(super) fn closed() -> StoreError {
    StoreError::unavailable(STORE, "it was closed")
}

#[async_trait]
impl LogSource for Disk {
    fn partitions(&self) -> u32 {
        self.per_topic
    }

    fn append(&self, topic: Topic, partition: u32, payloads: Vec<Bytes>) -> Appending {
        let (done, outcome) = oneshot::channel();
        let submitted = self.committer.submit(Job::Append { slot: self.slot(topic, partition), payloads, done });
        Box::pin(async move {
            submitted?;
            outcome.await.map_err(|_| closed())?
        })
    }

    async fn read(&self, topic: Topic, partition: u32, from: u64, max: usize) -> StoreResult<Vec<Entry>> {
        let slot = self.slot(topic, partition);
        if let Some(entries) = self.partitions[slot].cached(from, max) {
            return Ok(entries);
        }
        let per_topic = self.per_topic as usize;
        let found = self.blocking(move |spaces| {
            let mut first = [0; 13];
            first[..5].copy_from_slice(&prefix(slot, per_topic));
            let mut last = first;
            first[5..].copy_from_slice(&from.to_be_bytes());
            last[5..].copy_from_slice(&u64::MAX.to_be_bytes());
            spaces.log.range(first..=last).take(max).map(|item| item.into_inner()).collect::<Result<Vec<_>, _>>()
        });
        let mut entries = Vec::new();
        // What is in the tree but not yet synced is not shown.
        let (end, _) = self.partitions[slot].end_and_time();
        for (key, value) in found.await? {
            let entry = decode(&key, Bytes::from(value))?;
            if entry.offset < end {
                entries.push(entry);
            }
        }
        Ok(entries)
    }

    async fn end(&self, topic: Topic, partition: u32) -> StoreResult<u64> {
        Ok(self.partitions[self.slot(topic, partition)].end_and_time().0)
    }

    async fn committed(&self, group: &str, topic: Topic, partition: u32) -> StoreResult<Option<u64>> {
        let key = commit_key(group, topic, partition);
        let kept = self.blocking(move |spaces| spaces.commits.get(key)).await?;
        let Some(kept) = kept else { return Ok(None) };
        let kept: [u8; 8] = kept.as_ref().try_into().map_err(|_| StoreError::corrupt(STORE, "a commit"))?;
        Ok(Some(u64::from_be_bytes(kept)))
    }

    async fn commit(&self, group: &str, topic: Topic, partition: u32, offset: u64) -> StoreResult<()> {
        self.put(Space::Commits, vec![(commit_key(group, topic, partition), offset.to_be_bytes().to_vec())]).await
    }

    fn grown(&self, topic: Topic) -> watch::Receiver<u64> {
        self.grown[Topic::ALL.iter().position(|one| *one == topic).unwrap_or(0)].subscribe()
    }
}
