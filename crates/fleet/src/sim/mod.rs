//! The whole fleet from a seed: gateways, workers, control plane and clients in one single-threaded runtime with paused
//! time, in-memory pipes, and in-memory stores that lose unsynced data, delay and fail by a seeded plan.
//!
//! - [`weather`]: what goes wrong around one node; a node without power does nothing that anybody can see.
//! - [`stores`], [`log`], [`messages`], [`directory`], [`registry`]: the ports, behind the weather.
//! - [`wire`]: streams that are delayed and cut.
//! - [`world`]: the nodes: started, crashed, paused, drained.
//! - [`faults`]: what goes wrong when; [`outages`]: what goes wrong with the registry, drawn apart from it.
//! - [`stage`]: the fleet and its clients, for the seeds and for tests that tell one story.
//! - [`script`]: what the clients do in one seed; [`witness`] and [`judge`]: whether it was right.
//!
//! Nothing here reads a real clock or a global source of chance: the same seed gives the same run, byte for byte.

mod directory;
mod faults;
mod judge;
mod log;
mod messages;
mod outages;
mod registry;
mod script;
mod stage;
mod stores;
mod weather;
mod wire;
mod witness;
mod world;

pub use script::{Outcome, Plan, run};
pub use stage::{Stage, on_stage};
