//! What the detectors of the control plane look at, as far as a gateway knows it.

use std::{
    collections::HashMap,
    sync::atomic::{AtomicU64, Ordering},
};

use domain::{DeviceId, Rolling, UserId};
use parking_lot::Mutex;
use protocol::node;

/// A session that comes back to a gateway within this, after it moved away, flips (design: failure mode 5).
const FLIP_MS: u64 = 60_000;
/// Moved sessions that are remembered; past it the map starts anew, and a flip may be missed.
const MOVED_MAX: usize = 50_000;

/// Counters of one gateway.
#[derive(Default)]
pub(crate) struct Figures {
    pub(crate) sends: AtomicU64,
    pub(crate) heartbeats: AtomicU64,
    pub(crate) heartbeat_errors: AtomicU64,
    pub(crate) false_offline: AtomicU64,
    pub(crate) stale_overwrites: AtomicU64,
    flip_flops: AtomicU64,
    accepts: Mutex<Rolling>,
    /// When sessions moved to another gateway.
    moved: Mutex<HashMap<(UserId, DeviceId), u64>>,
}

pub(crate) fn add(counter: &AtomicU64, n: usize) {
    counter.fetch_add(n as u64, Ordering::Relaxed);
}

impl Figures {
    /// A send was answered.
    pub(crate) fn accepted(&self, now_ms: u64, took_us: u64) {
        self.accepts.lock().note(now_ms, false, took_us);
    }

    /// A session of this gateway is current elsewhere.
    pub(crate) fn moved_away(&self, user: &UserId, device: &DeviceId, now_ms: u64) {
        let mut moved = self.moved.lock();
        if moved.len() >= MOVED_MAX {
            moved.retain(|_, at_ms| *at_ms + FLIP_MS > now_ms);
        }
        if moved.len() >= MOVED_MAX {
            moved.clear();
        }
        moved.insert((user.clone(), device.clone()), now_ms);
    }

    /// A session came here from another gateway.
    pub(crate) fn moved_here(&self, user: &UserId, device: &DeviceId, now_ms: u64) {
        let left_ms = self.moved.lock().remove(&(user.clone(), device.clone()));
        if left_ms.is_some_and(|left_ms| left_ms + FLIP_MS > now_ms) {
            self.flip_flops.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn report(&self, now_ms: u64, hits: u64, superseded: u64) -> node::Figures {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        node::Figures {
            dedup_lookups_total: count(&self.sends),
            dedup_hits_total: hits,
            heartbeats_total: count(&self.heartbeats),
            heartbeat_errors_total: count(&self.heartbeat_errors),
            false_offline_total: count(&self.false_offline),
            superseded_total: superseded,
            stale_overwrites_total: count(&self.stale_overwrites),
            flip_flops_total: count(&self.flip_flops),
            accept_p99_ms: self.accepts.lock().sums(now_ms).p99_ms,
            ..node::Figures::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_flips_when_it_comes_back_within_a_minute() {
        let figures = Figures::default();
        let (user, device) = (UserId::parse("ann").unwrap(), DeviceId::parse("phone").unwrap());
        let flips = || figures.report(0, 0, 0).flip_flops_total;
        figures.moved_here(&user, &device, 0);
        figures.moved_away(&user, &device, 1_000);
        figures.moved_here(&user, &device, 2_000);
        assert_eq!(flips(), 1);
        figures.moved_away(&user, &device, 3_000);
        figures.moved_here(&user, &device, 63_000);
        assert_eq!(flips(), 1, "a minute later it is a move");
    }
}
