//! The gateway: clients' WebSockets on one side, the log and the workers' streams on the other.
//!
//! - [`accept`], [`handshake`]: from a byte stream to a WebSocket or an HTTP request; caps and shedding.
//! - [`socket`]: frames on a byte stream, with a bounded outbound queue. An idle socket owns no codec and no buffer.
//! - [`connection`]: one owner a connection; what each frame does.
//! - [`hub`]: who is connected here; deliveries to their sockets.
//! - [`intake`]: authorise, dedup, append: what `accepted` means (I1).
//! - [`workers`]: streams of the workers: deliveries down, questions up.
//! - [`drain`], [`sweep`], [`lease`], [`presence`], [`relay`]: what runs beside the connections.
//! - [`http`]: the HTTP API on the same port.

mod accept;
mod auth;
mod config;
mod connection;
mod drain;
mod faults;
mod figures;
mod gateway;
mod handshake;
mod http;
mod hub;
mod intake;
mod lease;
mod membership;
mod metrics;
mod node;
mod presence;
mod questions;
mod reading;
mod relay;
mod single_flight;
mod socket;
mod sweep;
mod workers;

pub use auth::{Auth, AuthConfigError, JwtKey};
pub use config::{GatewayConfig, Limits};
pub use gateway::Gateway;
pub use node::{Addresses, GatewayNode};
pub use socket::ByteStream;
