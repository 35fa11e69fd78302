//! What the detectors of the control plane look at, as far as a worker knows it.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU64, Ordering},
};

use backends::port::Lane;
use domain::Rolling;
use parking_lot::Mutex;
use protocol::node::{self, Position, StoreNode};
use tokio::time::{Duration, Instant};

use crate::worker::WorkerStats;

/// Gauges and windows of one worker.
#[derive(Debug)]
pub(crate) struct Figures {
    born: Instant,
    writes: AtomicU64,
    write_errors: AtomicU64,
    at_one: AtomicU64,
    canaries_ok: AtomicU64,
    canaries_failed: AtomicU64,
    /// Log time of the oldest record of the batch that is being stored; 0 when there is none. By [`Lane::number`]: a lane
    /// that has nothing to store does not hide one that cannot.
    storing_ms: [AtomicU64; 2],
    fanout_queue: AtomicU64,
    fanout_messages: AtomicU64,
    fanout_members: AtomicU64,
    write_times: Mutex<Rolling>,
    direct_times: Mutex<Rolling>,
    fanout_times: Mutex<Rolling>,
    positions: Mutex<BTreeMap<&'static str, Vec<Position>>>,
    replicas: Mutex<Vec<StoreNode>>,
}

impl Default for Figures {
    fn default() -> Self {
        Self {
            born: Instant::now(),
            writes: AtomicU64::default(),
            write_errors: AtomicU64::default(),
            at_one: AtomicU64::default(),
            canaries_ok: AtomicU64::default(),
            canaries_failed: AtomicU64::default(),
            storing_ms: Default::default(),
            fanout_queue: AtomicU64::default(),
            fanout_messages: AtomicU64::default(),
            fanout_members: AtomicU64::default(),
            write_times: Mutex::default(),
            direct_times: Mutex::default(),
            fanout_times: Mutex::default(),
            positions: Mutex::default(),
            replicas: Mutex::default(),
        }
    }
}

impl Figures {
    fn now_ms(&self) -> u64 {
        self.born.elapsed().as_millis() as u64
    }

    pub(crate) fn report(&self) -> node::Figures {
        let (now_ms, count) = (self.now_ms(), |counter: &AtomicU64| counter.load(Ordering::Relaxed));
        let p99_ms = |times: &Mutex<Rolling>| times.lock().sums(now_ms).p99_ms;
        let pending = self.replicas.lock().iter().map(|node| node.pending_compactions).max();
        node::Figures {
            pending_compactions: pending.unwrap_or_default(),
            direct_p99_ms: p99_ms(&self.direct_times),
            fanout_p99_ms: p99_ms(&self.fanout_times),
            fanout_queue: count(&self.fanout_queue),
            writes_total: count(&self.writes),
            write_errors_total: count(&self.write_errors),
            write_p99_ms: p99_ms(&self.write_times),
            fanout_members_total: count(&self.fanout_members),
            fanout_messages_total: count(&self.fanout_messages),
            canaries_ok_total: count(&self.canaries_ok),
            canaries_failed_total: count(&self.canaries_failed),
            ..node::Figures::default()
        }
    }

    pub(crate) fn positions(&self) -> Vec<Position> {
        self.positions.lock().values().flatten().cloned().collect()
    }

    pub(crate) fn replicas(&self) -> Vec<StoreNode> {
        self.replicas.lock().clone()
    }

    /// Records between the commit pointers and the ends of the partitions it stores.
    pub(crate) fn lag_records(&self) -> u64 {
        self.positions.lock().values().flatten().map(|it| it.end.saturating_sub(it.committed)).sum()
    }

    /// Log time of the oldest record that is read and not stored.
    pub(crate) fn storing_since_ms(&self) -> Option<u64> {
        self.storing_ms.iter().map(|lane| lane.load(Ordering::Relaxed)).filter(|since_ms| *since_ms > 0).min()
    }
}

impl WorkerStats {
    /// A write to the message store has ended.
    pub(crate) fn wrote(&self, is_error: bool, took: Duration) {
        let figures = &self.figures;
        Self::add(&figures.writes, 1);
        Self::add(&figures.write_errors, usize::from(is_error));
        figures.write_times.lock().note(figures.now_ms(), is_error, took.as_micros() as u64);
    }

    /// Counts a batch that is written while consistency is ONE; returns how many there were with it.
    pub(crate) fn batches_at_one(&self, is_one: bool) -> u64 {
        if is_one { self.figures.at_one.fetch_add(1, Ordering::Relaxed) + 1 } else { 0 }
    }

    pub(crate) fn canary(&self, is_ok: bool) {
        Self::add(if is_ok { &self.figures.canaries_ok } else { &self.figures.canaries_failed }, 1);
    }

    /// The batch of a lane being stored begins at this log time; 0: none is.
    pub(crate) fn storing(&self, lane: Lane, since_ms: u64) {
        self.figures.storing_ms[lane.number() as usize].store(since_ms, Ordering::Relaxed);
    }

    /// Where the persister of a lane stands.
    pub(crate) fn stand(&self, lane: Lane, positions: Vec<Position>) {
        self.figures.positions.lock().insert(lane.as_str(), positions);
    }

    /// What the message store's nodes say of themselves.
    pub(crate) fn replicas(&self, nodes: Vec<StoreNode>) {
        *self.figures.replicas.lock() = nodes;
    }

    /// A message is in the gateways' queues so long after its gateway took it. A batched group counts in neither.
    pub(crate) fn delivered(&self, lane: Lane, took_ms: u64) {
        let figures = &self.figures;
        let times = if lane == Lane::Direct { &figures.direct_times } else { &figures.fanout_times };
        times.lock().note(figures.now_ms(), false, took_ms.saturating_mul(1_000));
    }

    /// Group messages read and not yet with every gateway.
    pub(crate) fn fanning_out(&self, queue: usize) {
        self.figures.fanout_queue.store(queue as u64, Ordering::Relaxed);
    }

    /// A message of a group goes to so many members.
    pub(crate) fn fanned_out(&self, messages: usize, members: usize) {
        Self::add(&self.figures.fanout_messages, messages);
        Self::add(&self.figures.fanout_members, members);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_lane_that_is_idle_does_not_hide_one_that_cannot_store() {
        let stats = WorkerStats::default();
        stats.storing(Lane::Group, 7_000);
        stats.storing(Lane::Direct, 9_000);
        assert_eq!(stats.figures.storing_since_ms(), Some(7_000));
        stats.storing(Lane::Direct, 0);
        assert_eq!(stats.figures.storing_since_ms(), Some(7_000));
        stats.storing(Lane::Group, 0);
        assert_eq!(stats.figures.storing_since_ms(), None);
    }
}
