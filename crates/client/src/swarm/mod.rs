//! Many clients in one process, judged by the checker: a chat log said again ([`replay`]), or made-up load ([`run`]).
//!
//! Everything goes over [`Connect`](crate::Connect) and [`Conversations`], so a swarm runs against a real fleet or
//! against one in memory.

mod book;
mod crowd;
mod fleet;
mod outcome;
mod replay;
mod run;

#[cfg(test)]
mod fake;
#[cfg(test)]
mod tests;

pub mod irc;

pub use fleet::{Conversations, CreateError, Fleet, SwarmError};
pub use outcome::{Latency, Outcome, Progress};
pub use replay::{ReplayConfig, Speed, replay};
pub use run::{RunConfig, run};
