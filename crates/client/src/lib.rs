//! The chat client, the swarm of simulated clients and the checker.
//!
//! - The client library does the seven duties of the protocol page ("What a client must do"). Its rules are a state
//!   machine without IO and clock ([`Core`]); a task of its own ([`Client`]) owns the sockets. It runs on any byte
//!   stream that a [`Connect`] opens, and only on tokio's clock.
//! - [`checker`]: decides from what clients invoked and saw whether the invariants hold.
//! - [`swarm`]: thousands of clients in one process, replaying a chat log or making up their load.

mod client;
mod config;
mod connect;
mod driver;
mod event;
mod keys;
mod machine;
mod tcp;
mod token;

pub mod checker;
pub mod swarm;

pub use client::{Client, ClientHandle, SendError};
pub use config::{ClientConfig, Start, TokenPlacement};
pub use connect::{Attempt, BoxFuture, Connect, ConnectError, Connected, Stream};
pub use event::{Event, Fatal, LostReason, Observer};
pub use machine::{Command, Core, Effect, Failure, Input, LinkId};
pub use tcp::{AddressError, TcpConnect};
pub use token::{TokenError, TokenSource};
