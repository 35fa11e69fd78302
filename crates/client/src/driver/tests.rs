//! The driver against a gateway played by hand over in-memory pipes, in paused time.

use std::{collections::BTreeMap, io, sync::Arc};

use futures_util::{SinkExt, StreamExt};
use parking_lot::Mutex;
use protocol::frames::{ClientFrame, MessageFrame, Page, Reconnect, ServerFrame, Welcome};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
    sync::mpsc,
    time::{Instant, timeout},
};
use tokio_tungstenite::{
    WebSocketStream, accept_async,
    tungstenite::{
        Message,
        protocol::{CloseFrame, frame::coding::CloseCode},
    },
};
use uuid::Uuid;

use super::*;
use crate::{Client, ClientHandle, Connected, Fatal};

/// Hands the far end of each stream to the test.
struct Pipes {
    accepted: mpsc::Sender<DuplexStream>,
    attempts: Mutex<Vec<Attempt>>,
}

impl Connect for Pipes {
    fn connect(&self, attempt: Attempt) -> BoxFuture<'static, Result<Connected, ConnectError>> {
        let number = self.attempts.lock().len();
        self.attempts.lock().push(attempt);
        let accepted = self.accepted.clone();
        Box::pin(async move {
            let (near, far) = tokio::io::duplex(4096);
            let gateway: Arc<str> = format!("g{number}").into();
            let source = io::ErrorKind::ConnectionRefused.into();
            accepted.send(far).await.map_err(|_| ConnectError::Unreachable { gateway: gateway.clone(), source })?;
            Ok(Connected { stream: Box::new(near), gateway, host: "test".into(), path: "/v1/ws".into() })
        })
    }
}

struct Table {
    pipes: Arc<Pipes>,
    accept: mpsc::Receiver<DuplexStream>,
    client: ClientHandle,
    events: mpsc::Receiver<Event>,
}

fn table() -> Table {
    let (accepted, accept) = mpsc::channel(4);
    let pipes = Arc::new(Pipes { accepted, attempts: Mutex::default() });
    let mut config = ClientConfig::new("me", "phone", Arc::new(|user: &str| format!("token-of-{user}")));
    (config.discover, config.token_placement) = (false, TokenPlacement::Hello);
    let (client, events) = Client::start(config, pipes.clone());
    Table { pipes, accept, client, events }
}

impl Table {
    async fn event(&mut self) -> Event {
        timeout(Duration::from_secs(120), self.events.recv()).await.expect("an event").expect("a client")
    }

    async fn stream(&mut self) -> DuplexStream {
        timeout(Duration::from_secs(120), self.accept.recv()).await.expect("an attempt").expect("a client")
    }

    /// Takes the next connection up to its `welcome` and the end of an empty replay.
    async fn welcome(&mut self) -> Far {
        let mut far = self.hello().await;
        far.say(welcome()).await;
        far.say(ServerFrame::Synced { conversations: Default::default() }).await;
        assert!(matches!(self.event().await, Event::Connected { .. }));
        assert!(matches!(self.event().await, Event::Replayed { .. }));
        far
    }

    async fn hello(&mut self) -> Far {
        let stream = self.stream().await;
        let mut far = Far { socket: accept_async(stream).await.expect("a handshake"), resume: BTreeMap::new() };
        let ClientFrame::Hello { token, resume, .. } = far.hear().await else { panic!("not a hello") };
        assert_eq!(token.as_deref(), Some("token-of-me"));
        far.resume = resume;
        far
    }
}

/// The gateway's end, and what the client asked to resume.
struct Far {
    socket: WebSocketStream<DuplexStream>,
    resume: BTreeMap<String, u64>,
}

impl Far {
    async fn hear(&mut self) -> ClientFrame {
        loop {
            let message = timeout(Duration::from_secs(120), self.socket.next()).await.expect("a frame");
            if let Message::Text(text) = message.expect("an open link").expect("a frame") {
                return ClientFrame::decode(&text).expect("a valid frame");
            }
        }
    }

    async fn say(&mut self, frame: ServerFrame) {
        self.socket.send(Message::text(frame.encode())).await.expect("an open link");
    }

    async fn close(mut self, code: u16) {
        let frame = CloseFrame { code: CloseCode::from(code), reason: "test".into() };
        let _ = self.socket.close(Some(frame)).await;
    }

    /// The client has closed this link.
    async fn ended(&mut self) {
        while let Some(Ok(message)) = timeout(Duration::from_secs(1), self.socket.next()).await.expect("the end") {
            assert!(matches!(message, Message::Close(_)), "{message:?}");
        }
    }
}

fn welcome() -> ServerFrame {
    ServerFrame::Welcome(Welcome {
        user: "me".into(),
        device: "phone".into(),
        session_version: 1,
        gateway: "g".into(),
        heartbeat_interval_ms: 3_000_000,
        reconnect: Reconnect { base_ms: 1_000, max_ms: 30_000, jitter_ms: 1_000, heartbeat_spread_ms: 3_000_000 },
        server_time_ms: 0,
    })
}

fn message(number: u64) -> MessageFrame {
    MessageFrame {
        conversation: "c".into(),
        sequence_number: number,
        message_id: Uuid::from_u128(number.into()),
        sender: "you".into(),
        body: "text".into(),
        sent_at_ms: 0,
        idempotency_key: None,
    }
}

fn accepted(key: Uuid) -> ServerFrame {
    ServerFrame::Accepted {
        idempotency_key: key.to_string(),
        conversation: "c".into(),
        message_id: Uuid::nil(),
        duplicate: false,
        sequence_number: None,
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_ack_makes_the_same_key_again_also_on_a_new_connection() {
    let mut table = table();
    let mut far = table.welcome().await;
    let key = table.client.send("c", "hello").await.unwrap();
    let began = Instant::now();
    for _ in 0..2 {
        let ClientFrame::Send(send) = far.hear().await else { panic!() };
        assert_eq!((send.key, send.body.as_str()), (key, "hello"));
    }
    assert_eq!(began.elapsed().as_secs(), 3);
    drop(far);
    assert!(matches!(table.event().await, Event::Disconnected { .. }));
    assert!(matches!(table.event().await, Event::Reconnecting { .. }));
    let mut far = table.welcome().await;
    let ClientFrame::Send(send) = far.hear().await else { panic!() };
    assert_eq!(send.key, key);
    far.say(accepted(key)).await;
    assert!(matches!(table.event().await, Event::Accepted { key: settled, .. } if settled == key));
    table.client.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_gap_is_synced_and_shown_in_order() {
    let mut table = table();
    let mut far = table.welcome().await;
    for number in [1, 4] {
        far.say(ServerFrame::Message(message(number))).await;
    }
    assert_eq!(far.hear().await, ClientFrame::Sync { conversation: "c".into(), after: 1, limit: 100 });
    let messages = vec![message(2), message(3)];
    far.say(ServerFrame::Messages(Page { conversation: "c".into(), messages, head: 4, complete: false })).await;
    for number in 1..=4 {
        assert_eq!(table.event().await, Event::Shown(message(number)));
    }
    table.client.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_migration_makes_before_it_breaks() {
    let mut table = table();
    let mut old = table.welcome().await;
    old.say(ServerFrame::Message(message(1))).await;
    assert_eq!(table.event().await, Event::Shown(message(1)));
    old.say(ServerFrame::Migrate { within_ms: 5_000 }).await;
    let mut new = table.hello().await;
    assert_eq!(table.pipes.attempts.lock()[1].avoid.as_deref(), Some("g0"));
    assert_eq!(new.resume["c"], 1);
    // The old link still serves.
    old.say(ServerFrame::Message(message(2))).await;
    assert_eq!(table.event().await, Event::Shown(message(2)));
    new.say(welcome()).await;
    assert!(matches!(table.event().await, Event::Connected { .. }));
    old.ended().await;
    table.client.close().await;
}

#[tokio::test(start_paused = true)]
async fn superseded_stops_for_good() {
    let mut table = table();
    let far = table.welcome().await;
    far.close(4001).await;
    assert!(matches!(table.event().await, Event::Disconnected { .. }));
    assert_eq!(table.event().await, Event::Fatal(Fatal::Superseded));
    assert_eq!(table.events.recv().await, None);
    assert_eq!(table.client.send("c", "late").await, Err(crate::SendError::Stopped));
    assert_eq!(table.pipes.attempts.lock().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn retry_after_of_a_503_is_waited_for() {
    let mut table = table();
    let mut stream = table.stream().await;
    let mut request = [0; 1024];
    assert!(stream.read(&mut request).await.unwrap() > 0);
    let answer = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 20\r\nContent-Length: 0\r\n\r\n";
    stream.write_all(answer).await.unwrap();
    let refused = Instant::now();
    let Event::Reconnecting { why, .. } = table.event().await else { panic!() };
    assert!(why.contains("503"), "{why}");
    table.stream().await;
    assert!((20..=21).contains(&refused.elapsed().as_secs()));
    table.client.kill().await;
}

#[tokio::test(start_paused = true)]
async fn attempts_back_off_and_each_has_a_deadline() {
    let mut table = table();
    let mut before = Instant::now();
    let mut silent = Vec::new();
    // A gateway that takes the stream and says nothing: 10 s, then 1, 2, 4 s and a random part of a second.
    silent.push(table.stream().await);
    for wait_s in [11, 12, 14] {
        silent.push(table.stream().await);
        let waited = before.elapsed().as_millis() as u64;
        assert!((wait_s * 1_000..=wait_s * 1_000 + 1_001).contains(&waited), "{waited}");
        before = Instant::now();
    }
    table.client.kill().await;
}

#[tokio::test(start_paused = true)]
async fn a_full_client_says_so() {
    let mut table = table();
    let _far = table.welcome().await;
    let mut sent = 0;
    loop {
        match table.client.try_send("c", "x") {
            Ok(_) => sent += 1,
            Err(error) => break assert_eq!(error, crate::SendError::Full),
        }
        tokio::task::yield_now().await;
    }
    assert!(sent <= 256, "{sent}");
    table.client.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_program_that_does_not_listen_slows_the_gateway_down_and_misses_nothing() {
    let mut table = table();
    let mut far = table.welcome().await;
    let mut said = 0;
    // More than the client holds for its program: in the end the pipe is full.
    while timeout(Duration::from_millis(10), far.say(ServerFrame::Message(message(said + 1)))).await.is_ok() {
        said += 1;
    }
    assert!((320..2_000).contains(&said), "{said}");
    for number in 1..=said {
        assert_eq!(table.event().await, Event::Shown(message(number)));
    }
    table.client.close().await;
}

#[tokio::test]
async fn over_tcp() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}", listener.local_addr().unwrap());
    let config = ClientConfig::new("me", "phone", Arc::new(|_: &str| "token".to_owned()));
    let (client, mut events) = Client::start(config, Arc::new(crate::TcpConnect::new([url]).unwrap()));
    let mut seen = None;
    #[allow(clippy::result_large_err)] // The type is the handshake's.
    let look = |request: &tokio_tungstenite::tungstenite::handshake::server::Request, response| {
        seen = Some((request.uri().to_string(), request.headers()["authorization"].to_str().unwrap().to_owned()));
        Ok(response)
    };
    let (stream, _) = listener.accept().await.unwrap();
    let mut far = tokio_tungstenite::accept_hdr_async(stream, look).await.unwrap();
    assert_eq!(seen, Some(("/v1/ws".into(), "Bearer token".into())));
    far.send(Message::text(welcome().encode())).await.unwrap();
    assert!(matches!(events.recv().await, Some(Event::Connected { session_version: 1, .. })));
    client.close().await;
}
