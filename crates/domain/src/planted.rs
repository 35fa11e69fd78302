//! Known bugs that a test can switch on, to show that the seeds find them.
//!
//! Without the cargo feature `planted-bugs` every question answers `false` at compile time: no shipped program can
//! have one of these.

/// One planted bug.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Bug {
    /// The sequencer numbers every record, seen or not (breaks I4 and I5).
    FoldOff,
    /// The gateway answers `accepted` before the log is durable (breaks I1).
    AcceptBeforeDurable,
    /// Catch-up sends what it finds and does not look for holes (breaks I5).
    NoDensityCheck,
    /// A worker caches that a user has no route (breaks delivery).
    AbsenceCached,
    /// Every session gets the same version (breaks I7).
    NoSessionVersion,
    /// A sequencer takes a partition over without reading the tail of `sequenced` (breaks I2 and I3).
    ZombieWrites,
}

/// Which bugs are planted. The default is none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Planted {
    #[cfg_attr(not(feature = "planted-bugs"), allow(dead_code))]
    bug: Option<Bug>,
}

impl Planted {
    /// A fleet with one known bug.
    #[cfg(feature = "planted-bugs")]
    pub const fn one(bug: Bug) -> Self {
        Self { bug: Some(bug) }
    }

    /// True when `bug` is planted. Always false without the feature `planted-bugs`.
    pub fn has(self, bug: Bug) -> bool {
        #[cfg(feature = "planted-bugs")]
        {
            self.bug == Some(bug)
        }
        #[cfg(not(feature = "planted-bugs"))]
        {
            let _ = bug;
            false
        }
    }
}
