//! Ports of the data path and their adapters.
//!
//! A port is a trait because it has two real adapters: a production system and an embedded twin. [`embedded`] needs
//! nothing installed. One contract suite a port (`tests/`) runs against every adapter of it.

#[cfg(feature = "cassandra")]
pub mod cassandra;
mod clock;
pub mod edge;
pub mod embedded;
#[cfg(feature = "grpc")]
pub mod grpc;
#[cfg(feature = "kafka")]
pub mod kafka;
pub mod levers;
#[cfg(feature = "mysql")]
pub mod mysql;
pub mod node;
pub mod port;
#[cfg(feature = "production")]
pub mod production;
#[cfg(feature = "redis")]
pub mod redis;
mod stores;
pub mod stream;

pub use clock::Clock;
pub use stores::{Products, Stores};
