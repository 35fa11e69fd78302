//! Two people talk across two gateways, and one comes back after a restart of the whole fleet.

#![allow(clippy::unwrap_used)]

use std::net::{IpAddr, Ipv4Addr};

use chatfleet_fleet::{FleetOptions, LocalFleet};
use futures_util::{SinkExt as _, StreamExt as _};
use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::{Duration, timeout},
};
use tokio_tungstenite::{WebSocketStream, client_async, tungstenite::Message};

type Socket = WebSocketStream<TcpStream>;

fn token(fleet: &LocalFleet, user: &str, role: &str) -> String {
    let claims = json!({"sub": user, "exp": 4_000_000_000_u64, "role": role});
    encode(&Header::default(), &claims, &EncodingKey::from_secret(fleet.secrets.jwt_secret.as_bytes())).unwrap()
}

async fn connect(fleet: &LocalFleet, gateway: usize, user: &str, resume: Value) -> Socket {
    let stream = TcpStream::connect(fleet.gateways[gateway].address).await.unwrap();
    let url = format!("{}?token={}", fleet.gateways[gateway].ws(), token(fleet, user, "user"));
    let (mut socket, _) = client_async(url, stream).await.unwrap();
    socket.send(Message::text(json!({"type": "hello", "device": "d", "resume": resume}).to_string())).await.unwrap();
    socket
}

/// Reads frames until one of the type comes.
async fn until(socket: &mut Socket, kind: &str) -> Value {
    loop {
        let frame = timeout(Duration::from_secs(10), socket.next()).await.expect(kind).unwrap().unwrap();
        let Message::Text(text) = frame else { continue };
        let value: Value = serde_json::from_str(&text).unwrap();
        if value["type"] == kind {
            return value;
        }
        assert_ne!(value["type"], "error", "{value}");
    }
}

async fn post(fleet: &LocalFleet, path: &str, body: &Value) -> String {
    let mut stream = TcpStream::connect(fleet.gateways[0].address).await.unwrap();
    let (body, token) = (body.to_string(), token(fleet, "backend", "service"));
    let request = format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_people_talk_and_nothing_is_lost_by_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let options = FleetOptions {
        gateways: 2,
        bind: IpAddr::V4(Ipv4Addr::LOCALHOST),
        allow_faults: false,
        port: 0,
        data: Some(dir.path().join("data")),
        limits: gateway::Limits::default(),
    };
    let fleet = LocalFleet::start(options.clone()).await.unwrap();
    let created = post(&fleet, "/v1/conversations", &json!({"kind": "group", "members": ["a", "b"], "id": "g"})).await;
    assert!(created.starts_with("HTTP/1.1 201"), "{created}");
    let (mut a, mut b) = (connect(&fleet, 0, "a", json!({})).await, connect(&fleet, 1, "b", json!({})).await);
    until(&mut a, "synced").await;
    until(&mut b, "synced").await;
    let send = json!({"type": "send", "idempotency_key": "3f0d3a52-3b1e-4d52-9c25-0d6f7f6f0a01",
        "conversation": "g", "body": "hello \u{1f600}\u{0} \u{202e}x"});
    a.send(Message::text(send.to_string())).await.unwrap();
    let accepted = until(&mut a, "accepted").await;
    let shown = until(&mut b, "message").await;
    assert_eq!((&shown["sequence_number"], &shown["body"]), (&json!(1), &send["body"]));
    assert_eq!(shown["message_id"], accepted["message_id"]);
    fleet.shutdown().await;

    let fleet = LocalFleet::start(options).await.unwrap();
    let mut b = connect(&fleet, 0, "b", json!({"g": 0})).await;
    let replayed = until(&mut b, "messages").await;
    assert_eq!(replayed["messages"][0]["body"], send["body"]);
    assert_eq!(until(&mut b, "synced").await["conversations"], json!({"g": 1}));
    fleet.shutdown().await;
}
