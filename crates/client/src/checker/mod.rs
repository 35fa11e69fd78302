//! Decides from what clients invoked and saw whether the invariants hold, as far as clients can see them.
//!
//! | # | judged here |
//! | --- | --- |
//! | I1 | every accepted message is shown to every member whose view is final (and is in the log, if intake facts are given) |
//! | I2 | two readings of the log, and what was shown, give a message the same number |
//! | I3 | numbers are dense, one message each, the same for every member |
//! | I4 | one (conversation, sender, key) has one number, one message id and one body; another body is a conflict |
//! | I5 | nothing is shown twice and nothing out of order |
//! | I7 | session versions of one user and device strictly increase |
//!
//! A [`Checker`] folds facts as they come and keeps only what it needs to judge the next one: memory grows with
//! messages and with views, not with deliveries. A [`History`] keeps the facts themselves.

mod fact;
mod fold;
mod names;
mod verdict;

#[cfg(test)]
mod tests;

pub use fact::{BodyDigest, ClientId, ConversationNo, Fact, UserNo, digest};
pub use fold::Checker;
pub use names::Names;
pub use verdict::{Invariant, Verdict, Violation};

/// All facts of a run, in the order in which they happened, and the names that they refer to.
#[derive(Debug, Default)]
pub struct History {
    /// Who and where.
    pub names: Names,
    /// What happened.
    pub facts: Vec<Fact>,
}

impl History {
    /// An empty history.
    pub fn new() -> Self {
        Self::default()
    }

    /// One more thing happened.
    pub fn push(&mut self, fact: Fact) {
        self.facts.push(fact);
    }
}

/// Judges a whole history.
pub fn check(history: &History) -> Verdict {
    let mut checker = Checker::new(history.names.clone());
    history.facts.iter().for_each(|fact| checker.on(*fact));
    checker.verdict()
}
