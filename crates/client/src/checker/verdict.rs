//! The judgement.

use std::fmt;

use serde::Serialize;

/// An invariant of the design.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[allow(missing_docs)]
pub enum Invariant {
    I1,
    I2,
    I3,
    I4,
    I5,
    I7,
}

/// What does not hold, in words that name conversation, number and users.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// Of which invariant.
    pub invariant: Invariant,
    /// What happened.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.invariant, self.what)
    }
}

/// What a history comes to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// Distinct messages that clients were asked to send.
    pub sent: u64,
    /// Of them, accepted.
    pub accepted: u64,
    /// Refused for good, conflicts included.
    pub refused: u64,
    /// Messages shown, each once for each client that showed it.
    pub delivered: u64,
    /// Accepted messages that at least one member with a final view was not shown.
    pub lost: u64,
    /// Messages that a client showed again.
    pub shown_twice: u64,
    /// Messages that a client showed before or after their turn.
    pub out_of_order: u64,
    /// The first of the violations.
    pub violations: Vec<Violation>,
    /// How many there are.
    pub violations_total: u64,
}

impl Verdict {
    /// How many violations are kept in words.
    pub const KEPT: usize = 100;

    /// Nothing is violated.
    pub fn holds(&self) -> bool {
        self.violations_total == 0
    }

    pub(super) fn violate(&mut self, invariant: Invariant, what: impl FnOnce() -> String) {
        self.violations_total += 1;
        if self.violations.len() < Self::KEPT {
            self.violations.push(Violation { invariant, what: what() });
        }
    }
}
