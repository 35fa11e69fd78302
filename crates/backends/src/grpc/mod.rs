//! Streams between processes: one gRPC call a stream, one connection a call, so streams never wait for each other.
//!
//! [`GrpcDial`] is the dialling side, [`listen_links`] and [`listen_nodes`] are the listening one. What runs over them
//! is a [`Duplex`](crate::stream::Duplex) like that of the in-process adapter, with these differences:
//!
//! - Between the two queues of [`STREAM_FRAMES`](crate::stream::STREAM_FRAMES) there are up to [`WINDOW_BYTES`] on the
//!   wire and about as much in buffers. A sender waits when all of it is full.
//! - Either half of an end that is dropped ends the stream both ways; what was queued before is still delivered.
//! - A peer that is gone without a word is noticed after [`KEEP_ALIVE_INTERVAL`] + [`KEEP_ALIVE_TIMEOUT`].
//! - An end that does not read, with all its queues full, learns only when it reads that the other one was dropped.

mod bridge;
mod dial;
mod identity;
mod serve;
mod socket;
mod tls;

use std::time::Duration;

pub use dial::GrpcDial;
pub use serve::{Serving, listen_links, listen_nodes};
pub use tls::{Tls, TlsError};

/// A connection that brought nothing for this long is asked for a sign of life.
pub const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(1);
/// A sign of life that takes longer means that the peer is dead.
pub const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(2);
/// Bytes that may be under way in one direction of a stream before the reader took them. Enough for a gigabit at a
/// round trip of 2 ms, and little enough that a slow reader is felt by the sender and not hidden by buffers.
pub const WINDOW_BYTES: u32 = 256 * 1024;
/// The largest frame, in bytes: the largest delivery call is some hundred messages of 16 KiB, and those may double
/// in size when they are escaped. What is larger ends the stream.
pub const FRAME_BYTES_MAX: usize = 16 * 1024 * 1024;
