//! The wall clock, so that a simulated fleet can have its own.

use std::time::{SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

/// Tells the time in ms since the Unix epoch.
#[derive(Debug, Clone, Copy)]
pub enum Clock {
    /// The machine's clock. It may jump.
    System,
    /// Runs with tokio's clock, which tests pause and seeds drive.
    Simulated {
        /// What it showed at `since`.
        epoch_ms: u64,
        /// When it was started.
        since: Instant,
    },
}

impl Clock {
    /// A clock that shows `epoch_ms` now and runs with tokio's.
    pub fn simulated(epoch_ms: u64) -> Self {
        Self::Simulated { epoch_ms, since: Instant::now() }
    }

    /// Now, in ms since the Unix epoch.
    #[allow(clippy::disallowed_methods)] // The one place that reads the machine's clock.
    pub fn now_ms(&self) -> u64 {
        match self {
            Self::System => SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64),
            Self::Simulated { epoch_ms, since } => epoch_ms + since.elapsed().as_millis() as u64,
        }
    }
}
