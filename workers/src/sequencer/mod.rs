//! The sequencer: a partition of `intake` in offset order, folded into numbers.
//!
//! One task a lane owns the consumer. Each partition is folded by at most one future at a time, so appends to
//! `sequenced` keep the order of the intake and never leave a gap behind them; partitions do not wait for each other.
//! Takeover: [`recover`].

mod heads;
mod partition;
mod progress;
mod recover;
mod role;

pub(crate) use heads::{Ends, Heads};
pub(crate) use role::run;

/// The consumer group that commits how far the intake is numbered and delivered.
const GROUP: &str = "sequencer";
