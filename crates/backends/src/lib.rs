//! Ports of the data path and their adapters.
//!
//! A port is a trait because it has two real adapters: a production system and an embedded twin. [`embedded`] needs
//! nothing installed. One contract suite a port (`tests/`) runs against every adapter of it.

mod clock;
pub mod embedded;
#[cfg(feature = "grpc")]
pub mod grpc;
#[cfg(feature = "kafka")]
pub mod kafka;
pub mod node;
pub mod port;
pub mod stream;

pub use clock::Clock;
