//! A client made of raw frames.

use std::{collections::VecDeque, net::SocketAddr};

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::{Duration, timeout},
};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Error, Message, client::IntoClientRequest as _, handshake::client::Request},
};

use super::{Answer, DEADLINE, fleet, send_frame, token};

/// A WebSocket on any stream.
pub(crate) struct Client<S = TcpStream> {
    socket: WebSocketStream<S>,
    /// Messages of its own that came before their `accepted`; they are its next frames.
    early: VecDeque<Value>,
    /// Shows `conversation` frames that say `joined`.
    pub(crate) wants_joined: bool,
    /// How long it waits for a frame.
    pub(crate) patience: Duration,
}

/// An upgrade request with more headers.
fn request(url: &str, headers: &[(&'static str, &str)]) -> Request {
    let mut request = url.into_client_request().unwrap();
    for (name, value) in headers {
        request.headers_mut().append(*name, value.parse().unwrap());
    }
    request
}

/// An upgrade that is refused.
pub(crate) async fn refused_upgrade(to: SocketAddr, query: &str, headers: &[(&'static str, &str)]) -> Answer {
    let stream = TcpStream::connect(to).await.unwrap();
    match client_async(request(&format!("ws://{to}/v1/ws{query}"), headers), stream).await {
        Err(Error::Http(response)) => {
            let head: String = response
                .headers()
                .iter()
                .map(|(name, value)| format!("{name}: {}\r\n", value.to_str().unwrap()))
                .collect();
            let text = String::from_utf8(response.body().clone().unwrap_or_default()).unwrap();
            Answer { status: response.status().as_u16(), head: head.to_lowercase(), text }
        }
        other => panic!("not refused: {other:?}"),
    }
}

impl Client {
    /// Upgrades, and says nothing yet.
    pub(crate) async fn upgrade(gateway: usize, query: &str, headers: &[(&'static str, &str)]) -> Self {
        let to = fleet().gateways[gateway].address;
        Self::upgrade_on(TcpStream::connect(to).await.unwrap(), query, headers).await
    }

    /// A client of the fleet that said hello as device `d`; `welcome` and `synced` are read.
    pub(crate) async fn connect(gateway: usize, user: &str) -> Self {
        let mut client = Self::upgrade(gateway, &format!("?token={}", token(user)), &[]).await;
        client.say(json!({"type": "hello", "device": "d"})).await;
        client.until("synced").await;
        client
    }

    /// The TCP stream below, for bytes that are no frames.
    pub(crate) fn stream(&mut self) -> &mut TcpStream {
        self.socket.get_mut()
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    /// Upgrades on a stream.
    pub(crate) async fn upgrade_on(stream: S, query: &str, headers: &[(&'static str, &str)]) -> Self {
        let (socket, response) =
            client_async(request(&format!("ws://test/v1/ws{query}"), headers), stream).await.unwrap();
        assert_eq!(response.status(), 101);
        Self { socket, early: VecDeque::new(), wants_joined: false, patience: DEADLINE }
    }

    pub(crate) async fn say(&mut self, frame: Value) {
        self.say_text(frame.to_string()).await;
    }

    pub(crate) async fn say_text(&mut self, text: impl Into<String>) {
        self.say_message(Message::text(text.into())).await;
    }

    pub(crate) async fn say_message(&mut self, message: Message) {
        timeout(DEADLINE, self.socket.send(message)).await.expect("the gateway reads").unwrap();
    }

    /// Sends a message; returns `accepted` and ignores what comes before, but for the message itself: on a busy machine it
    /// may be there before its `accepted`, and whoever waits for it next must see it.
    pub(crate) async fn send(&mut self, conversation: &str, body: &str) -> Value {
        let (key, frame) = send_frame(conversation, body);
        self.say(frame).await;
        let mut early = VecDeque::new();
        loop {
            let frame = self.next().await;
            assert_ne!(frame["type"], "error", "{frame}");
            // An answer to an earlier send may still be on its way.
            if frame["idempotency_key"] != key.as_str() {
                continue;
            }
            if frame["type"] == "accepted" {
                self.early.append(&mut early);
                return frame;
            }
            early.push_back(frame);
        }
    }

    /// The next frame, or how the connection ended: the code of the close frame (0: without one).
    async fn next_or_end(&mut self) -> Result<Value, (u16, String)> {
        if let Some(frame) = self.early.pop_front() {
            return Ok(frame);
        }
        loop {
            match timeout(self.patience, self.socket.next()).await.expect("a frame") {
                Some(Ok(Message::Text(text))) => {
                    let frame: Value = serde_json::from_str(&text).unwrap();
                    assert!(frame["type"].is_string(), "{frame}");
                    // Members of a new conversation are told so, whenever that comes.
                    if frame["change"] != "joined" || self.wants_joined {
                        return Ok(frame);
                    }
                }
                Some(Ok(Message::Close(Some(close)))) => return Err((close.code.into(), close.reason.to_string())),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(other)) => panic!("{other:?}"),
                Some(Err(_)) | None => return Err((0, String::new())),
            }
        }
    }

    /// The next frame.
    pub(crate) async fn next(&mut self) -> Value {
        self.next_or_end().await.unwrap_or_else(|(code, reason)| panic!("closed with {code} {reason}"))
    }

    /// The next frame of a type; an `error` that was not asked for fails.
    pub(crate) async fn until(&mut self, kind: &str) -> Value {
        loop {
            let frame = self.next().await;
            if frame["type"] == kind {
                return frame;
            }
            assert_ne!(frame["type"], "error", "{frame}");
        }
    }

    /// Asks, and gives the `error` that must be the answer.
    pub(crate) async fn refused(&mut self, frame: Value) -> Value {
        self.say(frame).await;
        self.until_error().await
    }

    /// The next `error`; live frames may come before.
    pub(crate) async fn until_error(&mut self) -> Value {
        loop {
            let frame = self.next().await;
            if frame["type"] == "error" {
                assert!(frame["message"].as_str().is_some_and(|message| !message.is_empty()), "{frame}");
                return frame;
            }
        }
    }

    /// The code of the close frame; what comes before it is ignored.
    pub(crate) async fn closed(&mut self) -> u16 {
        loop {
            if let Err((code, _)) = self.next_or_end().await {
                return code;
            }
        }
    }

    /// Fails unless the connection still answers, and the answer is the next frame.
    pub(crate) async fn still_answers(&mut self) {
        self.say(json!({"type": "heartbeat"})).await;
        assert_eq!(self.next().await, json!({"type": "heartbeat_ack"}));
    }
}
