//! Exponential backoff with jitter, the client's first duty after a lost connection (failure mode 1).

/// The delays of a reconnecting client: `base * 2^n`, at most `max`, plus a random share of `jitter`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// First delay. Protocol: 1,000 ms.
    pub base_ms: u64,
    /// Longest delay before jitter. Protocol: 30,000 ms.
    pub max_ms: u64,
    /// Most that chance adds. Protocol: 1,000 ms.
    pub jitter_ms: u64,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { base_ms: 1_000, max_ms: 30_000, jitter_ms: 1_000 }
    }
}

impl Backoff {
    /// The delay before attempt `attempt` (0 is the first retry). `chance` is uniform in `[0, 1)`.
    pub fn delay_ms(&self, attempt: u32, chance: f64) -> u64 {
        let doubled = 1_u64.checked_shl(attempt).and_then(|factor| self.base_ms.checked_mul(factor));
        let delay_ms = doubled.unwrap_or(u64::MAX).min(self.max_ms);
        delay_ms.saturating_add((self.jitter_ms as f64 * chance) as u64)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_delay_is_between_base_and_max_plus_jitter(attempt in 0_u32..200, chance in 0.0..1.0_f64) {
            let delay_ms = Backoff::default().delay_ms(attempt, chance);
            prop_assert!((1_000..31_000).contains(&delay_ms));
        }
    }

    #[test]
    fn it_doubles() {
        let delays: Vec<_> = (0..7).map(|n| Backoff::default().delay_ms(n, 0.0)).collect();
        assert_eq!(delays, [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
    }
}
