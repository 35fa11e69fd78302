//! Clients that are too fast, too slow, or too many.

use gateway::Limits;
use serde_json::json;
use tokio::{
    io::AsyncWriteExt as _,
    net::{TcpSocket, TcpStream},
    time::{Duration, Instant, sleep, timeout},
};

use crate::support::{
    Client, DEADLINE, FAR, Single, conversation, fleet, key, name, names, refused_upgrade, send_frame, token,
};

#[tokio::test]
async fn a_burst_of_10_000_sends_is_limited_in_words_and_nothing_accepted_is_lost() {
    let [a, b] = names();
    let id = conversation("group", &[&a, &b]).await;
    let mut client = Client::connect(0, &a).await;
    // Written by hand as one stream of frames, so that the client cannot be slowed by the answers it reads.
    let mut bytes = Vec::new();
    let mut keys = std::collections::HashSet::new();
    for n in 0..10_000 {
        let key = key();
        let text =
            json!({"type": "send", "idempotency_key": key, "conversation": id, "body": format!("{n}")}).to_string();
        bytes.extend([0x81, 0xfe]);
        bytes.extend((text.len() as u16).to_be_bytes());
        bytes.extend([0; 4]);
        bytes.extend(text.as_bytes());
        keys.insert(key);
    }
    let (mut accepted, mut limited, mut shown) = (0, 0, std::collections::HashSet::new());
    let (mut written, began) = (0, Instant::now());
    // The answers are read only while the gateway takes no more.
    while written < bytes.len() || accepted + limited < 10_000 || shown.len() < accepted {
        assert!(began.elapsed() < 3 * DEADLINE, "{accepted} accepted, {limited} limited, {} shown", shown.len());
        if written < bytes.len()
            && let Ok(n) = client.stream().try_write(&bytes[written..])
        {
            written += n;
            continue;
        }
        let frame = client.next().await;
        match frame["type"].as_str().unwrap() {
            "accepted" => {
                assert!(keys.remove(frame["idempotency_key"].as_str().unwrap()), "answered twice: {frame}");
                accepted += 1;
            }
            "error" => {
                assert_eq!(frame["code"], "rate_limited", "{frame}");
                assert!(frame["retry_after_ms"].as_u64().unwrap() > 0, "{frame}");
                assert!(keys.remove(frame["idempotency_key"].as_str().unwrap()), "answered twice: {frame}");
                limited += 1;
            }
            "message" => assert!(shown.insert(frame["sequence_number"].as_u64().unwrap()), "shown twice: {frame}"),
            other => panic!("{other}"),
        }
    }
    assert!(limited > 0 && accepted >= 1_000, "{accepted} accepted, {limited} limited");
    assert_eq!(shown.len(), accepted, "each accepted message has one number");
    assert_eq!(shown.iter().max(), Some(&(accepted as u64)));
    client.still_answers_soon().await;
}

#[tokio::test]
async fn a_client_that_never_reads_is_closed_with_4008_and_catches_up_later() {
    let [a, b] = names();
    let id = conversation("direct", &[&a, &b]).await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4_096).unwrap();
    let stream = socket.connect(fleet().gateways[1].address).await.unwrap();
    let mut lazy = Client::upgrade_on(stream, &format!("?token={}", token(&b)), &[]).await;
    lazy.say(json!({"type": "hello", "device": "d"})).await;
    lazy.until("synced").await;
    let mut writer = Client::connect(0, &a).await;
    let body = "x".repeat(16_384);
    // The system's buffers take some, the gateway's queue 1 MiB.
    for _ in 0..500 {
        let (_, frame) = send_frame(&id, &body);
        writer.say(frame).await;
        writer.until("accepted").await;
    }
    assert_eq!(lazy.closed().await, 4008);
    let mut back = Client::upgrade(1, &format!("?token={}", token(&b)), &[]).await;
    back.say(json!({"type": "hello", "device": "d", "resume": { &id: 0 }})).await;
    let mut seen = 0;
    while seen < 500 {
        let page = back.until("messages").await;
        for message in page["messages"].as_array().unwrap() {
            seen += 1;
            assert_eq!(message["sequence_number"], seen);
        }
    }
    back.until("synced").await;
}

#[tokio::test]
async fn a_client_that_sends_a_byte_a_second_does_not_get_in() {
    let mut slow = Client::upgrade(0, &format!("?token={}", token(&name("u"))), &[]).await;
    let began = Instant::now();
    let drip = async {
        for byte in *b"\x81\xa0\0\0\0\0{\"type\":\"hello\"," {
            if slow.stream().write_all(&[byte]).await.is_err() {
                break;
            }
            sleep(Duration::from_secs(1)).await;
            // Meanwhile others are served.
            if began.elapsed() > Duration::from_secs(6) {
                break;
            }
        }
        slow.closed().await
    };
    let others = async {
        for _ in 0..20 {
            Client::connect(0, &name("u")).await.still_answers().await;
        }
    };
    let (code, ()) = tokio::join!(drip, others);
    assert_eq!(code, 4004, "no hello within 5 s");
}

#[tokio::test]
async fn a_frame_in_single_bytes_is_a_frame() {
    let mut client = Client::connect(0, &name("u")).await;
    let text = br#"{"type":"heartbeat"}"#;
    let mut frame = vec![0x81, 0x80 | text.len() as u8, 1, 2, 3, 4];
    frame.extend(text.iter().zip([1, 2, 3, 4].iter().cycle()).map(|(byte, key)| byte ^ key));
    for byte in frame {
        client.stream().write_all(&[byte]).await.unwrap();
        client.stream().flush().await.unwrap();
        tokio::task::yield_now().await;
    }
    assert_eq!(client.next().await["type"], "heartbeat_ack");
}

#[tokio::test]
async fn caps_turn_clients_away_with_503_and_a_time_to_come_back() {
    let limits = Limits { connections: 2, ..Limits::default() };
    let full = Single::start(backends::Clock::System, None, limits).await;
    let to = full.serve().await;
    let query = |user: &str| format!("?token={}", full.token(user, FAR));
    let mut inside = Vec::new();
    for user in ["a", "b"] {
        let mut client = Client::upgrade_on(TcpStream::connect(to).await.unwrap(), &query(user), &[]).await;
        client.say(json!({"type": "hello", "device": "d"})).await;
        client.until("welcome").await;
        inside.push(client);
    }
    let refused = refused_upgrade(to, &query("c"), &[]).await;
    assert_eq!((refused.status, refused.code().as_str()), (503, "unavailable"));
    assert!(refused.head.contains("retry-after: "), "{}", refused.head);
    // Health stays reachable, and a place that is given back is given away.
    let health = crate::support::http_at(to, "GET", "/healthz", None, None).await;
    assert_eq!(health.status, 200);
    drop(inside.pop());
    let deadline = Instant::now() + DEADLINE;
    while full.gateway.connections() > 1 {
        assert!(Instant::now() < deadline, "the place was not given back");
        sleep(Duration::from_millis(5)).await;
    }
    Client::upgrade_on(TcpStream::connect(to).await.unwrap(), &query("c"), &[]).await;
    full.gateway.shutdown().await;

    let limits = Limits { connections_per_address: 1, ..Limits::default() };
    let one_each = Single::start(backends::Clock::System, None, limits).await;
    let to = one_each.serve().await;
    let query = format!("?token={}", one_each.token("a", FAR));
    let _first = Client::upgrade_on(TcpStream::connect(to).await.unwrap(), &query, &[]).await;
    assert_eq!(refused_upgrade(to, &query, &[]).await.status, 503);
    one_each.gateway.shutdown().await;
}

impl Client {
    /// As [`Client::still_answers`], after a burst: the limit refills.
    async fn still_answers_soon(&mut self) {
        let answered = async {
            loop {
                self.say(json!({"type": "heartbeat"})).await;
                if self.next().await["type"] == "heartbeat_ack" {
                    return;
                }
                sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(DEADLINE, answered).await.expect("a heartbeat_ack");
    }
}
