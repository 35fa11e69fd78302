//! Group commit: one thread takes all that waits, writes it as one batch and syncs once.

use std::sync::Arc;

use bytes::Bytes;
use fjall::{Database, Keyspace, PersistMode};
use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot, watch};

use super::{STORE, Spaces, log::Partition};
use crate::{
    Clock,
    port::{Entry, StoreError, StoreResult},
};

/// Jobs that may wait. A full queue refuses: the gateway answers `unavailable` before anything is accepted.
const JOBS_MAX: usize = 65_536;
/// Jobs that one batch takes at most: bounds the latency that a burst adds to its first job.
const BATCH_JOBS: usize = 8_192;

/// Something to make durable.
pub(super) enum Job {
    /// Records for one partition (by its slot).
    Append { slot: usize, payloads: Vec<Bytes>, done: oneshot::Sender<StoreResult<u64>> },
    /// Rows of a keyspace.
    Put { space: Space, rows: Vec<(Vec<u8>, Vec<u8>)>, done: oneshot::Sender<StoreResult<()>> },
    /// Rows of messages that go to the quarantine.
    Quarantine { rows: Vec<(Vec<u8>, Vec<u8>)>, done: oneshot::Sender<StoreResult<()>> },
}

/// Where a [`Job::Put`] goes.
#[derive(Debug, Clone, Copy)]
pub(super) enum Space {
    Commits,
    Messages,
}

/// The thread and the way to it.
pub(super) struct Committer {
    jobs: Mutex<Option<mpsc::Sender<Job>>>,
    thread: Mutex<Option<std::thread::JoinHandle<()>>>,
}

impl Committer {
    pub(super) fn start(
        db: Database,
        spaces: Spaces,
        partitions: Arc<[Partition]>,
        per_topic: u32,
        grown: [watch::Sender<u64>; 4],
    ) -> StoreResult<Self> {
        let (jobs, queue) = mpsc::channel(JOBS_MAX);
        let writer = Writer { db, spaces, partitions, per_topic: per_topic as usize, grown, failed: None };
        let thread = std::thread::Builder::new().name("group-commit".into()).spawn(move || writer.run(queue));
        let thread = thread.map_err(|error| StoreError::unavailable(STORE, error))?;
        Ok(Self { jobs: Mutex::new(Some(jobs)), thread: Mutex::new(Some(thread)) })
    }

    /// Puts a job in order. Refuses when the queue is full or closed.
    pub(super) fn submit(&self, job: Job) -> StoreResult<()> {
        let jobs = self.jobs.lock();
        let jobs = jobs.as_ref().ok_or_else(|| StoreError::unavailable(STORE, "it is closed"))?;
        jobs.try_send(job).map_err(|_| StoreError::unavailable(STORE, "its queue is full"))
    }

    pub(super) fn close(&self) {
        self.jobs.lock().take();
        if let Some(thread) = self.thread.lock().take()
            && thread.join().is_err()
        {
            tracing::error!("the group-commit thread panicked");
        }
    }
}

impl Drop for Committer {
    fn drop(&mut self) {
        self.close();
    }
}

struct Writer {
    db: Database,
    spaces: Spaces,
    partitions: Arc<[Partition]>,
    per_topic: usize,
    grown: [watch::Sender<u64>; 4],
    /// After a failed sync nobody knows what the disk has: all that follows is refused until a restart recovers.
    failed: Option<StoreError>,
}

/// What one append became.
struct Appended {
    slot: usize,
    last: u64,
    entries: Vec<Entry>,
    done: oneshot::Sender<StoreResult<u64>>,
}

impl Writer {
    fn run(mut self, mut queue: mpsc::Receiver<Job>) {
        let mut jobs = Vec::new();
        while let Some(job) = queue.blocking_recv() {
            jobs.push(job);
            while jobs.len() < BATCH_JOBS
                && let Ok(job) = queue.try_recv()
            {
                jobs.push(job);
            }
            self.commit(&mut jobs);
        }
        if let Err(error) = self.db.persist(PersistMode::SyncAll) {
            tracing::error!(%error, "cannot sync the data directory at close");
        }
    }

    fn commit(&mut self, jobs: &mut Vec<Job>) {
        let mut batch = self.db.batch();
        let mut appended: Vec<Appended> = Vec::new();
        let mut put = Vec::new();
        let now_ms = Clock::System.now_ms();
        // Ends within this batch, before they are durable.
        let mut ends: std::collections::BTreeMap<usize, (u64, u64)> = std::collections::BTreeMap::new();
        for job in jobs.drain(..) {
            match job {
                Job::Append { slot, payloads, done } => {
                    let (end, time_ms) = ends.entry(slot).or_insert_with(|| self.partitions[slot].end_and_time());
                    // Log time never falls within a partition, whatever the machine's clock does.
                    *time_ms = now_ms.max(*time_ms);
                    let mut entries = Vec::with_capacity(payloads.len());
                    for payload in payloads {
                        let entry = Entry { offset: *end, time_ms: *time_ms, payload };
                        let (key, value) = super::log::encode(slot, self.per_topic, &entry);
                        batch.insert(&self.spaces.log, key, value);
                        entries.push(entry);
                        *end += 1;
                    }
                    appended.push(Appended { slot, last: end.saturating_sub(1), entries, done });
                }
                Job::Put { space, rows, done } => {
                    let space = self.space(space).clone();
                    for (key, value) in rows {
                        batch.insert(&space, key, value);
                    }
                    put.push(done);
                }
                Job::Quarantine { rows, done } => {
                    for (key, value) in rows {
                        batch.remove(&self.spaces.messages, key.clone());
                        batch.insert(&self.spaces.quarantine, key, value);
                    }
                    put.push(done);
                }
            }
        }
        let outcome = match &self.failed {
            Some(error) => Err(error.clone()),
            None => batch.commit().and_then(|()| self.db.persist(PersistMode::SyncData)).map_err(|error| {
                tracing::error!(%error, "the disk refused a write: nothing is accepted until a restart recovers");
                StoreError::unavailable(STORE, error)
            }),
        };
        if let Err(error) = &outcome {
            self.failed = Some(error.clone());
        }
        self.publish(appended, put, &outcome);
    }

    /// Shows what is durable now to readers, then answers. An asker that went away is no fault.
    fn publish(&self, appended: Vec<Appended>, put: Vec<oneshot::Sender<StoreResult<()>>>, outcome: &StoreResult<()>) {
        let mut grown = [false; 4];
        for one in appended {
            if outcome.is_ok() {
                self.partitions[one.slot].publish(one.entries);
                grown[one.slot / self.per_topic] = true;
            }
            let _ = one.done.send(outcome.clone().map(|()| one.last));
        }
        for (topic, _) in grown.iter().enumerate().filter(|(_, grown)| **grown) {
            self.grown[topic].send_modify(|n| *n += 1);
        }
        for done in put {
            let _ = done.send(outcome.clone());
        }
    }

    fn space(&self, space: Space) -> &Keyspace {
        match space {
            Space::Commits => &self.spaces.commits,
            Space::Messages => &self.spaces.messages,
        }
    }
}
