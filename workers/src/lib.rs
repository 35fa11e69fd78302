//! Workers: they number messages, deliver them and store them.
//!
//! Each is a role of one program, for one lane: direct and group never share a consumer or a queue (I8).
//!
//! - [`sequencer`]: folds `intake` into numbers; direct messages are delivered from here.
//! - [`fanout`]: delivers `sequenced.group`, fair between conversations.
//! - [`persister`]: writes `sequenced` to the message store and moves the commit pointer (I6).
//! - [`delivery`]: one stream for each gateway; routes and members.

mod delivery;
mod fanout;
mod figures;
mod node;
mod persister;
mod reconcile;
mod record;
mod replicas;
mod sequencer;
mod worker;

pub use node::WorkerNode;
pub use worker::{Ports, Role, Roles, UnknownRole, Worker, WorkerConfig, WorkerStats};
