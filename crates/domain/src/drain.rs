//! Draining a gateway: who is told to leave when, and when it is refused (failure mode 1's lever).
//!
//! `active -> draining -> evicting -> drained | forced | cancelled`. While draining, connections are told to migrate,
//! spread over the first part of the window; from the deadline on the rest is closed. Both go at a capped rate, so
//! that the survivors are not hit by everybody at once.

use std::time::Duration;

/// The share of the window in which `migrate` is sent: what is left is time for the last ones told to move.
const MIGRATE_SHARE: f64 = 0.6;
/// The share of their capacity that the survivors of a drain may reach.
const SURVIVORS_LOAD_MAX: f64 = 0.8;
/// Shortest useful drain: below it clients cannot connect elsewhere first.
const DEADLINE_MS_MIN: u64 = 1_000;

/// One gateway's drain, counted from its start by its own clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DrainPlan {
    /// Connections when it began.
    pub connections: usize,
    /// After this, those left are closed. Default 30,000 ms.
    pub deadline_ms: u64,
    /// At most this many are told to migrate, or closed, a second.
    pub rate_per_s: u32,
}

impl DrainPlan {
    /// How many connections should have been told to migrate by now: evenly over the window, capped by the rate.
    pub fn migrated_by(&self, elapsed_ms: u64) -> usize {
        let window_ms = (self.deadline_ms as f64 * MIGRATE_SHARE).max(1.0);
        let even = self.connections as f64 * (elapsed_ms as f64 / window_ms).min(1.0);
        (even.ceil() as usize).min(self.by_rate(elapsed_ms))
    }

    /// How many connections may have been closed by now: none before the deadline.
    pub fn evicted_by(&self, elapsed_ms: u64) -> usize {
        elapsed_ms.checked_sub(self.deadline_ms).map_or(0, |past_ms| self.by_rate(past_ms))
    }

    /// True when the deadline has passed.
    pub fn is_evicting(&self, elapsed_ms: u64) -> bool {
        elapsed_ms >= self.deadline_ms
    }

    /// What `migrate.within_ms` says to a connection that is told now: what is left, less a margin for the close.
    pub fn within_ms(&self, elapsed_ms: u64) -> u64 {
        (self.deadline_ms.saturating_sub(elapsed_ms) * 3 / 4).max(1)
    }

    fn by_rate(&self, elapsed_ms: u64) -> usize {
        drain_limit_per_tick(self.rate_per_s, Duration::from_millis(elapsed_ms))
    }
}

/// What a rate allows within a time, at least one.
pub fn drain_limit_per_tick(rate_per_s: u32, elapsed: Duration) -> usize {
    ((f64::from(rate_per_s) * elapsed.as_secs_f64()) as usize).max(1)
}

/// The gateways that stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Survivors {
    /// Gateways that accept connections, without the one to drain.
    pub gateways: usize,
    /// Connections they have.
    pub connections: usize,
    /// Connections they can have.
    pub capacity: usize,
}

/// Why a drain may not begin.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum DrainRefusal {
    /// Nobody could take the connections.
    #[error("no other gateway accepts connections")]
    NoSurvivor,
    /// The others would be too full.
    #[error("the other gateways would be at {load_percent:.0}% of their capacity, the limit is 80%")]
    TooFull {
        /// Their load after the drain.
        load_percent: f64,
    },
    /// The deadline is too short to move anybody.
    #[error("a deadline of {0} ms is too short: at least {DEADLINE_MS_MIN} ms")]
    DeadlineTooShort(u64),
    /// The rate cannot be met within the deadline.
    #[error("at {rate_per_s} connections/s {connections} need {needed_s} s, more than the deadline leaves")]
    RateTooLow {
        /// The rate asked for.
        rate_per_s: u32,
        /// Connections to move.
        connections: usize,
        /// Seconds they need.
        needed_s: u64,
    },
}

impl DrainRefusal {
    /// True when `--force` overrides it.
    pub fn is_overridable(&self) -> bool {
        matches!(self, Self::NoSurvivor | Self::TooFull { .. } | Self::RateTooLow { .. })
    }
}

/// May this drain begin? Refuses when the survivors would pass 80% of their capacity.
pub fn drain_guard(plan: &DrainPlan, survivors: Survivors) -> Result<(), DrainRefusal> {
    if plan.deadline_ms < DEADLINE_MS_MIN {
        return Err(DrainRefusal::DeadlineTooShort(plan.deadline_ms));
    }
    if survivors.gateways == 0 {
        return Err(DrainRefusal::NoSurvivor);
    }
    let load = (survivors.connections + plan.connections) as f64 / survivors.capacity.max(1) as f64;
    if load > SURVIVORS_LOAD_MAX {
        return Err(DrainRefusal::TooFull { load_percent: load * 100.0 });
    }
    let needed_s = plan.connections as u64 / u64::from(plan.rate_per_s.max(1));
    if needed_s * 1_000 > (plan.deadline_ms as f64 * MIGRATE_SHARE) as u64 {
        return Err(DrainRefusal::RateTooLow { rate_per_s: plan.rate_per_s, connections: plan.connections, needed_s });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn migrates_steadily_under_the_cap_and_evicts_after_the_deadline(
            connections in 0_usize..60_000, deadline_ms in 1_000_u64..120_000, rate_per_s in 1_u32..20_000,
        ) {
            let plan = DrainPlan { connections, deadline_ms, rate_per_s };
            let mut last = 0;
            for elapsed_ms in (0..deadline_ms * 2).step_by(500) {
                let told = plan.migrated_by(elapsed_ms);
                prop_assert!(told >= last && told <= connections);
                prop_assert!(told as u64 <= u64::from(rate_per_s) * elapsed_ms / 1_000 + 1);
                prop_assert_eq!(plan.evicted_by(elapsed_ms) > 0, elapsed_ms >= deadline_ms);
                last = told;
            }
        }
    }

    #[test]
    fn a_drain_is_refused_when_the_rest_would_be_too_full() {
        let plan = DrainPlan { connections: 100, deadline_ms: 30_000, rate_per_s: 1_000 };
        let survivors = Survivors { gateways: 1, connections: 700, capacity: 1_000 };
        assert_eq!(drain_guard(&plan, survivors), Ok(()));
        let full = Survivors { connections: 701, ..survivors };
        assert!(matches!(drain_guard(&plan, full), Err(DrainRefusal::TooFull { .. })));
        assert_eq!(drain_guard(&plan, Survivors { gateways: 0, ..survivors }), Err(DrainRefusal::NoSurvivor));
        let hasty = DrainPlan { deadline_ms: 10, ..plan };
        assert_eq!(drain_guard(&hasty, survivors), Err(DrainRefusal::DeadlineTooShort(10)));
        let slow = DrainPlan { rate_per_s: 1, ..plan };
        assert!(matches!(drain_guard(&slow, survivors), Err(DrainRefusal::RateTooLow { .. })));
    }
}
