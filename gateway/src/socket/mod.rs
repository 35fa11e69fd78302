//! WebSocket frames on any byte stream.
//!
//! tungstenite parses and writes frame headers and checks handshakes; its `WebSocket` is not used, for it owns
//! buffers as long as it lives. Here an idle socket owns none: bytes are read into a buffer that belongs to the thread
//! and kept only while a frame is incomplete (docs/decisions/0002).

mod decode;
mod frame;
mod io;

pub(crate) use decode::Incoming;
pub(crate) use frame::text_frame;
pub(crate) use io::{Io, Read, poll_append};

use tokio::io::{AsyncRead, AsyncWrite};

/// What a gateway serves: a TCP stream, a TLS stream, a pipe of a simulation.
pub trait ByteStream: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin + 'static> ByteStream for S {}
