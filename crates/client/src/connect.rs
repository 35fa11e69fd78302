//! How a client reaches a gateway: any byte stream will do.

use std::{future::Future, io, pin::Pin, sync::Arc};

use tokio::io::{AsyncRead, AsyncWrite};

/// A future on the heap.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A byte stream: a TCP socket, an in-memory pipe.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// What a connector may want to know of the attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// 0 for the first attempt after a good connection, then one more each time.
    pub number: u32,
    /// The gateway that just failed or that this client is to leave, by the name the connector gave it.
    pub avoid: Option<Arc<str>>,
    /// A random number to choose by. Seeded, so that a run replays.
    pub chance: u64,
}

/// A stream to some gateway, before the upgrade.
pub struct Connected {
    /// The bytes.
    pub stream: Box<dyn Stream>,
    /// The connector's name for the gateway; comes back as [`Attempt::avoid`].
    pub gateway: Arc<str>,
    /// The `Host` of the upgrade.
    pub host: String,
    /// Path and query of the upgrade, `/v1/ws` as a rule.
    pub path: String,
}

/// Opens streams to gateways.
pub trait Connect: Send + Sync {
    /// Opens a stream to some gateway. The client gives up on it after its own deadline.
    fn connect(&self, attempt: Attempt) -> BoxFuture<'static, Result<Connected, ConnectError>>;
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Nobody answers there.
    #[error("cannot reach {gateway}")]
    Unreachable {
        /// Where.
        gateway: Arc<str>,
        /// What happened.
        source: io::Error,
    },
    /// The gateway answered the upgrade with another status than 101.
    #[error("{gateway} refused the upgrade with HTTP {status}")]
    Refused {
        /// Who.
        gateway: Arc<str>,
        /// The HTTP status.
        status: u16,
        /// `Retry-After`, in milliseconds.
        retry_after_ms: Option<u64>,
    },
    /// What came back is no WebSocket handshake.
    #[error("{gateway} broke the handshake: {why}")]
    Handshake {
        /// Who.
        gateway: Arc<str>,
        /// What happened.
        why: String,
    },
    /// It took too long.
    #[error("no connection within {0} ms")]
    TimedOut(u64),
    /// There is no token.
    #[error(transparent)]
    Token(#[from] crate::TokenError),
}
