//! A token bucket: so many at once, so many a second.

/// A token bucket that is told the time. 24 bytes: a gateway has one a connection.
#[derive(Debug, Clone)]
pub struct TokenBucket {
    rate_per_s: f32,
    burst: f32,
    tokens: f32,
    refilled_ms: u64,
}

impl TokenBucket {
    /// A full bucket of `burst` tokens that gains `rate_per_s`.
    pub fn new(rate_per_s: u32, burst: u32, now_ms: u64) -> Self {
        Self { rate_per_s: rate_per_s as f32, burst: burst as f32, tokens: burst as f32, refilled_ms: now_ms }
    }

    /// Takes one token, or says in how many milliseconds there will be one.
    pub fn take(&mut self, now_ms: u64) -> Result<(), u64> {
        if self.take_up_to(1, now_ms) == 1 {
            return Ok(());
        }
        Err((((1.0 - self.tokens) / self.rate_per_s.max(f32::MIN_POSITIVE)) * 1_000.0).ceil() as u64)
    }

    /// Takes as many of `wanted` as there are.
    pub fn take_up_to(&mut self, wanted: usize, now_ms: u64) -> usize {
        let elapsed_ms = now_ms.saturating_sub(self.refilled_ms);
        if elapsed_ms > 0 {
            self.tokens = (self.tokens + elapsed_ms as f32 * self.rate_per_s / 1_000.0).min(self.burst);
            self.refilled_ms = now_ms;
        }
        let taken = wanted.min(self.tokens as usize);
        self.tokens -= taken as f32;
        taken
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn never_more_than_burst_plus_rate(gaps in proptest::collection::vec(0_u64..50, 1..400)) {
            let (mut bucket, mut now_ms, mut taken) = (TokenBucket::new(100, 20, 0), 0, 0_u64);
            for gap_ms in gaps {
                now_ms += gap_ms;
                taken += u64::from(bucket.take(now_ms).is_ok());
            }
            prop_assert!(taken <= 20 + now_ms / 10 + 1);
        }
    }

    #[test]
    fn says_when_to_come_back() {
        let mut bucket = TokenBucket::new(10, 1, 0);
        assert_eq!(bucket.take(0), Ok(()));
        assert_eq!(bucket.take(0), Err(100));
        assert_eq!(bucket.take(100), Ok(()));
    }
}
