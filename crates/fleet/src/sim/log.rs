//! The log in memory: appends become durable after a while, in order; a crash of the log's machine loses the rest.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use backends::{
    Clock,
    embedded::LogSource,
    port::{Appending, Entry, StoreError, StoreResult, Topic},
};
use bytes::Bytes;
use parking_lot::Mutex;
use rand::{Rng as _, SeedableRng as _, rngs::SmallRng};
use tokio::{
    sync::{oneshot, watch},
    time::{Duration, sleep},
};
use tokio_util::sync::CancellationToken;

const PARTITIONS: u32 = 2;

struct Pending {
    slot: (Topic, u32),
    payloads: Vec<Bytes>,
    done: oneshot::Sender<StoreResult<u64>>,
}

#[derive(Default)]
struct State {
    durable: BTreeMap<(Topic, u32), Vec<Entry>>,
    pending: Vec<Pending>,
    commits: BTreeMap<(String, Topic, u32), u64>,
}

/// See the module.
pub(super) struct SimLog {
    state: Mutex<State>,
    grown: BTreeMap<Topic, watch::Sender<u64>>,
    clock: Clock,
    /// Longest time between two syncs.
    sync_ms_max: Mutex<u64>,
    submitted: watch::Sender<u64>,
}

impl SimLog {
    pub(super) fn new(clock: Clock) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::default(),
            grown: Topic::ALL.into_iter().map(|topic| (topic, watch::Sender::new(0))).collect(),
            clock,
            sync_ms_max: Mutex::new(5),
            submitted: watch::Sender::new(0),
        })
    }

    pub(super) fn set_sync_ms_max(&self, ms: u64) {
        *self.sync_ms_max.lock() = ms;
    }

    /// Syncs what was appended, from time to time.
    pub(super) async fn run(self: Arc<Self>, seed: u64, stop: CancellationToken) {
        let mut rng = SmallRng::seed_from_u64(seed);
        let mut submitted = self.submitted.subscribe();
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                changed = submitted.changed() => if changed.is_err() { return },
            }
            let wait_ms = rng.random_range(0..=*self.sync_ms_max.lock());
            sleep(Duration::from_millis(wait_ms)).await;
            self.sync();
        }
    }

    fn sync(&self) {
        let time_ms = self.clock.now_ms();
        let pending = std::mem::take(&mut self.state.lock().pending);
        for one in pending {
            let mut state = self.state.lock();
            let entries = state.durable.entry(one.slot).or_default();
            let first = entries.len() as u64;
            let last = (first + one.payloads.len() as u64).saturating_sub(1);
            entries.extend(one.payloads.into_iter().zip(first..).map(|(payload, offset)| Entry {
                offset,
                time_ms,
                payload,
            }));
            drop(state);
            // Who asked may be gone.
            let _ = one.done.send(Ok(last));
            self.grown[&one.slot.0].send_modify(|n| *n += 1);
        }
    }

    /// The machine of the log crashes: what was not synced never was.
    pub(super) fn crash(&self) {
        for one in std::mem::take(&mut self.state.lock().pending) {
            let _ = one.done.send(Err(StoreError::unavailable("log", "it crashed")));
        }
    }

    /// Everything durable of a partition, for the judge.
    pub(super) fn all(&self, topic: Topic, partition: u32) -> Vec<Entry> {
        self.state.lock().durable.get(&(topic, partition)).cloned().unwrap_or_default()
    }
}

#[async_trait]
impl LogSource for SimLog {
    fn partitions(&self) -> u32 {
        PARTITIONS
    }

    fn append(&self, topic: Topic, partition: u32, payloads: Vec<Bytes>) -> Appending {
        let (done, outcome) = oneshot::channel();
        self.state.lock().pending.push(Pending { slot: (topic, partition), payloads, done });
        self.submitted.send_modify(|n| *n += 1);
        Box::pin(async move { outcome.await.map_err(|_| StoreError::unavailable("log", "it is gone"))? })
    }

    async fn read(&self, topic: Topic, partition: u32, from: u64, max: usize) -> StoreResult<Vec<Entry>> {
        let state = self.state.lock();
        let entries = state.durable.get(&(topic, partition)).map_or(&[][..], Vec::as_slice);
        Ok(entries.iter().skip(from as usize).take(max).cloned().collect())
    }

    async fn end(&self, topic: Topic, partition: u32) -> StoreResult<u64> {
        Ok(self.state.lock().durable.get(&(topic, partition)).map_or(0, |entries| entries.len() as u64))
    }

    async fn committed(&self, group: &str, topic: Topic, partition: u32) -> StoreResult<Option<u64>> {
        Ok(self.state.lock().commits.get(&(group.to_owned(), topic, partition)).copied())
    }

    async fn commit(&self, group: &str, topic: Topic, partition: u32, offset: u64) -> StoreResult<()> {
        self.state.lock().commits.insert((group.to_owned(), topic, partition), offset);
        Ok(())
    }

    fn grown(&self, topic: Topic) -> watch::Receiver<u64> {
        self.grown[&topic].subscribe()
    }
}
