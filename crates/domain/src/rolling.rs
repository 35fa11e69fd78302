//! What the calls of the last ten seconds came to. Time is passed in.

/// Seconds that are looked at.
pub const ROLLING_S: u64 = 10;
const SLOTS: usize = ROLLING_S as usize;
/// Buckets of a quarter octave each, from 1/16 ms: the last begins at about 65 s.
const BUCKETS: usize = 82;
/// Smallest time told apart, microseconds.
const FIRST_US: f64 = 62.5;

/// Counts of calls, errors and times over the last [`ROLLING_S`] seconds.
#[derive(Debug, Clone)]
pub struct Rolling {
    slots: Vec<Slot>,
}

#[derive(Debug, Clone)]
struct Slot {
    second: u64,
    calls: u64,
    errors: u64,
    times: [u32; BUCKETS],
}

/// Sums of a [`Rolling`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RollingSums {
    /// Calls.
    pub calls: u64,
    /// Those that failed.
    pub errors: u64,
    /// p99 of all of them, ms, to a fifth of its value.
    pub p99_ms: u64,
}

const EMPTY: Slot = Slot { second: u64::MAX, calls: 0, errors: 0, times: [0; BUCKETS] };

impl Default for Rolling {
    fn default() -> Self {
        Self { slots: vec![EMPTY; SLOTS] }
    }
}

fn bucket(took_us: u64) -> usize {
    let quarters = (took_us as f64 / FIRST_US).max(1.0).log2() * 4.0;
    (quarters.ceil() as usize).min(BUCKETS - 1)
}

fn upper_us(bucket: usize) -> f64 {
    FIRST_US * (bucket as f64 / 4.0).exp2()
}

impl Rolling {
    /// Notes one call.
    pub fn note(&mut self, now_ms: u64, is_error: bool, took_us: u64) {
        let second = now_ms / 1_000;
        let slot = &mut self.slots[second as usize % SLOTS];
        if slot.second != second {
            *slot = Slot { second, ..EMPTY };
        }
        slot.calls += 1;
        slot.errors += u64::from(is_error);
        slot.times[bucket(took_us)] += 1;
    }

    /// What the last ten seconds came to.
    pub fn sums(&self, now_ms: u64) -> RollingSums {
        let now = now_ms / 1_000;
        let recent = || self.slots.iter().filter(|slot| slot.second <= now && now - slot.second < ROLLING_S);
        let calls: u64 = recent().map(|slot| slot.calls).sum();
        let errors = recent().map(|slot| slot.errors).sum();
        let (mut above, mut p99_ms) = (calls - calls * 99 / 100, 0);
        for bucket in (0..BUCKETS).rev() {
            let here: u64 = recent().map(|slot| u64::from(slot.times[bucket])).sum();
            if here >= above && above > 0 {
                p99_ms = (upper_us(bucket) / 1_000.0).round() as u64;
                break;
            }
            above -= here.min(above);
        }
        RollingSums { calls, errors, p99_ms }
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.slots.fill(EMPTY);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_ten_seconds_count() {
        let mut rolling = Rolling::default();
        assert_eq!(rolling.sums(0), RollingSums::default());
        for second in 0..25 {
            rolling.note(second * 1_000, second % 5 == 0, 1_000);
        }
        assert_eq!(rolling.sums(24_999), RollingSums { calls: 10, errors: 2, p99_ms: 1 });
        assert_eq!(rolling.sums(33_000).calls, 1);
        assert_eq!(rolling.sums(34_000).calls, 0);
        rolling.clear();
        assert_eq!(rolling.sums(24_999).calls, 0);
    }

    #[test]
    fn the_p99_is_right_to_a_fifth() {
        for took_ms in [1_u64, 7, 50, 100, 900, 2_000, 40_000] {
            let mut rolling = Rolling::default();
            for n in 0..1_000 {
                rolling.note(5_000, false, if n < 985 { 500 } else { took_ms * 1_000 });
            }
            let p99_ms = rolling.sums(5_000).p99_ms;
            assert!(p99_ms >= took_ms && p99_ms * 10 <= took_ms * 12, "{took_ms}: {p99_ms}");
        }
        let mut rolling = Rolling::default();
        (0..1_000).for_each(|n| rolling.note(5_000, false, if n < 995 { 4_000 } else { 4_000_000 }));
        assert_eq!(rolling.sums(5_000).p99_ms, 4, "five of a thousand are above the p99");
    }
}
