//! Frames that are none, or not what they should be: a clear error, or the right close code.

use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt as _, net::TcpStream};
use tokio_tungstenite::tungstenite::Message;

use crate::support::{Client, conversation, fleet, key, name, names, token};

async fn upgraded(user: &str) -> Client {
    Client::upgrade(0, &format!("?token={}", token(user)), &[]).await
}

#[tokio::test]
async fn what_is_no_json_object_closes_with_4004() {
    for text in ["", "hello", "{", "[]", "[{\"type\":\"heartbeat\"}]", "null", "1", "\"x\"", "{}{}", "{'type':'send'}"]
    {
        let mut client = Client::connect(0, &name("u")).await;
        client.say_text(text).await;
        assert_eq!(client.closed().await, 4004, "{text:?}");
    }
    let mut client = Client::connect(0, &name("u")).await;
    client.say_message(Message::binary(vec![0x7b, 0x7d, 0xff, 0x00])).await;
    assert_eq!(client.closed().await, 4004);
}

#[tokio::test]
async fn a_frame_over_128_kib_closes_with_4004_and_one_of_128_kib_does_not() {
    let padded = |bytes: usize| {
        let text = r#"{"type":"heartbeat","padding":""}"#;
        text.replace("\"\"", &format!("\"{}\"", "x".repeat(bytes - text.len())))
    };
    let mut client = Client::connect(0, &name("u")).await;
    client.say_text(padded(128 * 1024)).await;
    assert_eq!(client.next().await["type"], "heartbeat_ack");
    client.say_text(padded(128 * 1024 + 1)).await;
    assert_eq!(client.closed().await, 4004);
}

#[tokio::test]
async fn bytes_that_are_no_websocket_close_with_4004() {
    // An unmasked frame, reserved bits, an unknown opcode, text that is no UTF-8, noise.
    let noise: Vec<u8> = (0..2_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8 | 0x70).collect();
    let frames: [&[u8]; 5] =
        [b"\x81\x02{}", b"\xc1\x80\0\0\0\0", b"\x83\x80\0\0\0\0", b"\x81\x82\0\0\0\0\xff\xfe", &noise];
    for bytes in frames {
        let mut client = Client::connect(0, &name("u")).await;
        client.stream().write_all(bytes).await.unwrap();
        assert_eq!(client.closed().await, 4004, "{:?}", &bytes[..2]);
    }
}

#[tokio::test]
async fn what_is_no_http_ends_the_connection_alone() {
    use tokio::io::AsyncReadExt as _;
    for bytes in [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".as_slice(), b"HELO chat\r\n\r\n", &[b'x'; 20_000]] {
        let mut stream = TcpStream::connect(fleet().gateways[0].address).await.unwrap();
        // It may hang up in the middle.
        let _ = stream.write_all(bytes).await;
        let mut answer = Vec::new();
        let read = tokio::time::timeout(crate::support::DEADLINE, stream.read_to_end(&mut answer)).await;
        assert!(read.is_ok(), "the stream was left open");
        assert!(!answer.starts_with(b"HTTP/1.1 2") && !answer.starts_with(b"HTTP/1.1 101"), "{answer:?}");
    }
    Client::connect(0, &name("u")).await.still_answers().await;
}

#[tokio::test]
async fn the_first_frame_must_be_a_good_hello() {
    let too_many: serde_json::Map<String, Value> = (0..1_001).map(|n| (format!("c{n}"), json!(1))).collect();
    for first in [
        json!({"type": "heartbeat"}),
        json!({"type": "send", "idempotency_key": key(), "conversation": "c", "body": "x"}),
        json!({"type": "unknown"}),
        json!({"type": "hello"}),
        json!({"type": "hello", "device": 7}),
        json!({"type": "hello", "device": ""}),
        json!({"type": "hello", "device": "a/b"}),
        json!({"type": "hello", "device": "d", "resume": []}),
        json!({"type": "hello", "device": "d", "resume": {"c": -1}}),
        json!({"type": "hello", "device": "d", "resume": {"c": "1"}}),
        json!({"type": "hello", "device": "d", "resume": {"a b": 1}}),
        json!({"type": "hello", "device": "d", "resume": too_many}),
    ] {
        let mut client = upgraded(&name("u")).await;
        client.say(first.clone()).await;
        assert_eq!(client.closed().await, 4004, "{first}");
    }
    let mut client = upgraded(&name("u")).await;
    client.say_text("not json").await;
    assert_eq!(client.closed().await, 4004);
}

#[tokio::test]
async fn a_second_hello_is_refused_and_the_first_stands() {
    let user = name("u");
    let mut client = Client::connect(0, &user).await;
    let refused = client.refused(json!({"type": "hello", "device": "another"})).await;
    assert_eq!(refused["code"], "invalid");
    client.still_answers().await;
    // A hello too many is not a new session either.
    let mut other = Client::connect(0, &name("u")).await;
    other.say(json!({"type": "watch", "users": [user]})).await;
    other.until("presence").await;
    client.still_answers().await;
}

#[tokio::test]
async fn unknown_types_and_fields_are_survived() {
    let mut client = Client::connect(0, &name("u")).await;
    for kind in ["dance", "", "Send", "welcome", "message"] {
        let refused = client.refused(json!({"type": kind, "conversation": "c"})).await;
        assert_eq!(refused["code"], "unknown_type", "{kind}");
    }
    for frame in [json!({}), json!({"type": 7}), json!({"type": null}), json!({"kind": "send"})] {
        let refused = client.refused(frame.clone()).await;
        assert_eq!(refused["code"], "invalid", "{frame}");
    }
    client.say(json!({"type": "heartbeat", "future": {"deep": [1, {"x": null}]}, "conversation": 7})).await;
    assert_eq!(client.next().await["type"], "heartbeat_ack");
}

#[tokio::test]
async fn missing_and_wrong_fields_are_named() {
    let [a, b] = names();
    let id = conversation("group", &[&a, &b]).await;
    let mut client = Client::connect(0, &a).await;
    let good = key();
    let send = |key: Value, conversation: Value, body: Value| json!({"type": "send", "idempotency_key": key, "conversation": conversation, "body": body});
    let users: Vec<String> = (0..501).map(|n| format!("u{n}")).collect();
    let cases = [
        (json!({"type": "send", "conversation": id, "body": "x"}), "invalid", "idempotency_key"),
        (json!({"type": "send", "idempotency_key": good, "body": "x"}), "invalid", "conversation"),
        (json!({"type": "send", "idempotency_key": good, "conversation": id}), "invalid", "body"),
        (send(json!(7), json!(id), json!("x")), "invalid", "idempotency_key"),
        (send(json!("not-a-uuid"), json!(id), json!("x")), "invalid", "idempotency_key"),
        (send(json!(good.replace('-', "")), json!(id), json!("x")), "invalid", "idempotency_key"),
        (send(json!(format!("{{{good}}}")), json!(id), json!("x")), "invalid", "idempotency_key"),
        (send(json!(format!("{}g", &good[..35])), json!(id), json!("x")), "invalid", "idempotency_key"),
        (send(json!(good), json!("a b"), json!("x")), "invalid", "conversation"),
        (send(json!(good), json!(""), json!("x")), "invalid", "conversation"),
        (send(json!(good), json!("c".repeat(65)), json!("x")), "invalid", "conversation"),
        (send(json!(good), json!(id), json!("")), "invalid", "body"),
        (send(json!(good), json!(id), json!(["x"])), "invalid", "body"),
        (send(json!(good), json!(id), json!(null)), "invalid", "body"),
        (send(json!(good), json!(id), json!("x".repeat(16_385))), "too_large", "body"),
        (send(json!(good), json!(id), json!("\u{1f600}".repeat(4_097))), "too_large", "body"),
        (json!({"type": "sync", "conversation": id}), "invalid", "after"),
        (json!({"type": "sync", "conversation": id, "after": -1}), "invalid", "after"),
        (json!({"type": "sync", "conversation": id, "after": 1.5}), "invalid", "after"),
        (json!({"type": "sync", "conversation": id, "after": "1"}), "invalid", "after"),
        (json!({"type": "sync", "conversation": id, "after": 1_u64 << 53}), "invalid", "after"),
        (json!({"type": "sync", "conversation": id, "after": 0, "limit": 0}), "invalid", "limit"),
        (json!({"type": "sync", "conversation": id, "after": 0, "limit": 501}), "invalid", "limit"),
        (json!({"type": "history", "conversation": id, "before": -7}), "invalid", "before"),
        (json!({"type": "history", "conversation": id, "limit": -1}), "invalid", "limit"),
        (json!({"type": "list", "limit": 501}), "invalid", "limit"),
        (json!({"type": "list", "after": "a/b"}), "invalid", "after"),
        (json!({"type": "receipt", "conversation": id, "read": -1}), "invalid", "read"),
        (json!({"type": "receipt", "conversation": id, "delivered": "x"}), "invalid", "delivered"),
        (json!({"type": "typing"}), "invalid", "conversation"),
        (json!({"type": "watch"}), "invalid", "users"),
        (json!({"type": "watch", "users": "alice"}), "invalid", "users"),
        (json!({"type": "watch", "users": ["a b"]}), "invalid", "users"),
        (json!({"type": "watch", "users": users}), "invalid", "users"),
        (json!({"type": "subscribe"}), "invalid", "conversation"),
        (json!({"type": "unsubscribe", "conversation": 7}), "invalid", "conversation"),
    ];
    for (frame, code, field) in cases {
        let error = client.refused(frame.clone()).await;
        let shown: String = frame.to_string().chars().take(200).collect();
        assert_eq!(error["code"], code, "{shown}: {error}");
        assert!(error["message"].as_str().unwrap().starts_with(field), "{shown}: {error}");
        if let Some(key) = frame["idempotency_key"].as_str() {
            assert_eq!(error["idempotency_key"], key, "{error}");
        }
        if let Some(id) = frame["conversation"].as_str() {
            assert_eq!(error["conversation"], id, "{error}");
        }
    }
    // A lone half of a surrogate pair is no UTF-8.
    let text = format!(r#"{{"type":"send","idempotency_key":"{good}","conversation":"{id}","body":"\ud83d"}}"#);
    client.say_text(text).await;
    assert_eq!(client.until_error().await["code"], "invalid");
    // Nothing of it was taken: the good key is unused and the conversation empty.
    client.say(send(json!(good), json!(id), json!("taken"))).await;
    assert_eq!(client.until("accepted").await["duplicate"], false);
    assert_eq!(client.until("message").await["sequence_number"], 1);
}

#[tokio::test]
async fn unknown_and_strange_conversations() {
    let [a, b] = names();
    let id = conversation("group", &[&a, &b]).await;
    let mut stranger = Client::connect(1, &name("u")).await;
    for (conversation, code) in [(id.as_str(), "forbidden"), ("no-such-conversation", "not_found")] {
        for frame in [
            json!({"type": "sync", "conversation": conversation, "after": 0}),
            json!({"type": "history", "conversation": conversation}),
            json!({"type": "receipt", "conversation": conversation, "read": 1}),
            json!({"type": "typing", "conversation": conversation}),
        ] {
            let error = stranger.refused(frame.clone()).await;
            assert_eq!((&error["code"], &error["conversation"]), (&json!(code), &json!(conversation)), "{frame}");
        }
    }
    stranger.still_answers().await;
}
