//! What goes wrong around one node.

use std::{future::pending, sync::Arc};

use backends::port::{StoreError, StoreResult};
use parking_lot::Mutex;
use rand::{Rng as _, SeedableRng as _, rngs::SmallRng};
use tokio::{
    sync::watch,
    time::{Duration, Instant, sleep},
};

/// The state of a node's machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Power {
    On,
    /// Stopped, as by SIGSTOP: everything it asked for waits.
    Paused,
    /// Crashed: nothing it does is seen by anybody, ever.
    Off,
}

/// How stores and pipes treat one node.
#[derive(Clone)]
pub(super) struct Weather(Arc<Inner>);

struct Inner {
    power: watch::Sender<Power>,
    rng: Mutex<SmallRng>,
    /// Share of store calls that fail.
    failing: Mutex<f64>,
    /// Longest delay of a call or a chunk.
    delay_ms_max: Mutex<u64>,
    /// A store that cannot be reached from here until then, whoever else reaches it.
    cut_off: Mutex<Option<(&'static str, Instant)>>,
}

impl Weather {
    pub(super) fn new(seed: u64) -> Self {
        Self(Arc::new(Inner {
            power: watch::Sender::new(Power::On),
            rng: Mutex::new(SmallRng::seed_from_u64(seed)),
            failing: Mutex::new(0.0),
            delay_ms_max: Mutex::new(3),
            cut_off: Mutex::new(None),
        }))
    }

    pub(super) fn set_power(&self, power: Power) {
        self.0.power.send_replace(power);
    }

    pub(super) fn is_off(&self) -> bool {
        *self.0.power.borrow() == Power::Off
    }

    pub(super) fn storm(&self, failing: f64, delay_ms_max: u64) {
        *self.0.failing.lock() = failing;
        *self.0.delay_ms_max.lock() = delay_ms_max;
    }

    /// No call of this store succeeds until then, or later when that was said before.
    pub(super) fn cut_off(&self, store: &'static str, until: Instant) {
        let mut cut_off = self.0.cut_off.lock();
        let until = cut_off.map_or(until, |(_, before)| before.max(until));
        *cut_off = Some((store, until));
    }

    fn reaches(&self, store: &'static str) -> StoreResult<()> {
        match *self.0.cut_off.lock() {
            Some((lost, until)) if lost == store && Instant::now() < until => {
                Err(StoreError::unavailable(store, "no route to host"))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn chance(&self, share: f64) -> bool {
        self.0.rng.lock().random_bool(share)
    }

    /// Waits while the node is paused; for ever when it is off.
    pub(super) async fn power(&self) {
        let mut power = self.0.power.subscribe();
        loop {
            let now = *power.borrow_and_update();
            match now {
                Power::On => return,
                Power::Off => pending::<()>().await,
                Power::Paused => {
                    // The sender lives as long as `self`.
                    let _ = power.changed().await;
                }
            }
        }
    }

    /// The time that something takes.
    pub(super) async fn delay(&self) {
        let delay_ms = self.0.rng.lock().random_range(0..=*self.0.delay_ms_max.lock());
        if delay_ms > 0 {
            sleep(Duration::from_millis(delay_ms)).await;
        }
        self.power().await;
    }

    /// A call of a store: waits, may fail before it did anything.
    pub(super) async fn call(&self, store: &'static str) -> StoreResult<()> {
        self.power().await;
        self.delay().await;
        self.reaches(store)?;
        let failing = *self.0.failing.lock();
        if failing > 0.0 && self.chance(failing) {
            return Err(StoreError::unavailable(store, "bad weather"));
        }
        Ok(())
    }

    /// After a call: the answer may be lost though the thing was done.
    pub(super) async fn answer<T>(&self, store: &'static str, value: T) -> StoreResult<T> {
        self.delay().await;
        self.reaches(store)?;
        let failing = *self.0.failing.lock();
        if failing > 0.0 && self.chance(failing / 2.0) {
            return Err(StoreError::unavailable(store, "the answer was lost"));
        }
        Ok(value)
    }
}
