//! Idempotency keys from a seed.

use parking_lot::Mutex;
use rand::{Rng, SeedableRng, rngs::SmallRng};
use uuid::Uuid;

/// A source of version 4 UUIDs: seeded, so that a run replays.
pub(crate) struct Keys(Mutex<SmallRng>);

impl Keys {
    pub(crate) fn new(seed: u64) -> Self {
        // Another stream than the one that draws the delays.
        Self(Mutex::new(SmallRng::seed_from_u64(seed ^ 0x6b65_7973)))
    }

    pub(crate) fn next(&self) -> Uuid {
        uuid::Builder::from_random_bytes(self.0.lock().random()).into_uuid()
    }
}
