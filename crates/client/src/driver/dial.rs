//! From nothing to an open WebSocket: token, stream, upgrade, all under one deadline.

use std::{sync::Arc, time::Duration};

use tokio_tungstenite::{
    WebSocketStream, client_async_with_config,
    tungstenite::{
        Error,
        handshake::client::generate_key,
        http::{Request, header},
        protocol::WebSocketConfig,
    },
};

use crate::{Attempt, Connect, ConnectError, Stream, TokenPlacement, TokenSource};

/// A page of 100 messages of the longest bodies, escaped as far as JSON can.
const MESSAGE_MAX_BYTES: usize = 16 * 1024 * 1024;
/// Allocated for each connection, and there are thousands in a swarm.
const BUFFER_BYTES: usize = 4 * 1024;

pub(super) type Socket = WebSocketStream<Box<dyn Stream>>;

/// An open socket, and what is worth remembering of it.
pub(super) struct Dialed {
    pub(super) socket: Socket,
    pub(super) gateway: Arc<str>,
    pub(super) token: String,
}

/// All that an attempt needs; it runs beside the driver and borrows nothing.
pub(super) struct Dial {
    pub(super) connect: Arc<dyn Connect>,
    pub(super) attempt: Attempt,
    pub(super) user: String,
    pub(super) tokens: Arc<dyn TokenSource>,
    /// The token that was good the last time.
    pub(super) token: Option<String>,
    pub(super) placement: TokenPlacement,
    pub(super) timeout_ms: u64,
}

impl Dial {
    pub(super) async fn run(self) -> Result<Dialed, ConnectError> {
        let timeout_ms = self.timeout_ms;
        tokio::time::timeout(Duration::from_millis(timeout_ms), self.dial())
            .await
            .unwrap_or(Err(ConnectError::TimedOut(timeout_ms)))
    }

    async fn dial(self) -> Result<Dialed, ConnectError> {
        let token = match self.token {
            Some(token) => token,
            None => self.tokens.token(&self.user).await?,
        };
        let connected = self.connect.connect(self.attempt).await?;
        let gateway = connected.gateway;
        // No subprotocol is offered: the JSON one is assumed then, and no server can answer with another.
        let mut request = Request::get(format!("ws://{}{}", connected.host, connected.path))
            .header(header::HOST, connected.host)
            .header(header::CONNECTION, "Upgrade")
            .header(header::UPGRADE, "websocket")
            .header(header::SEC_WEBSOCKET_VERSION, "13")
            .header(header::SEC_WEBSOCKET_KEY, generate_key());
        if self.placement == TokenPlacement::Header {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        let broken = |why: String| ConnectError::Handshake { gateway: gateway.clone(), why };
        let request = request.body(()).map_err(|error| broken(error.to_string()))?;
        match client_async_with_config(request, connected.stream, Some(socket_config())).await {
            Ok((socket, _)) => Ok(Dialed { socket, gateway, token }),
            Err(Error::Http(response)) => {
                let retry_after = response.headers().get(header::RETRY_AFTER);
                let seconds = retry_after.and_then(|value| value.to_str().ok()?.trim().parse::<u64>().ok());
                Err(ConnectError::Refused {
                    gateway,
                    status: response.status().as_u16(),
                    retry_after_ms: seconds.map(|seconds| seconds.saturating_mul(1_000)),
                })
            }
            Err(error) => Err(broken(error.to_string())),
        }
    }
}

fn socket_config() -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(BUFFER_BYTES)
        .write_buffer_size(BUFFER_BYTES)
        .max_write_buffer_size(4 * protocol::frames::MAX_FRAME_BYTES)
        .max_message_size(Some(MESSAGE_MAX_BYTES))
        .max_frame_size(Some(MESSAGE_MAX_BYTES))
}
