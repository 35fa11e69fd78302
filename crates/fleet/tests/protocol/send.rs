//! `send`, `accepted`, `message`: keys, numbers, bodies.

use serde_json::{Value, json};

use crate::support::{Client, conversation, key, name, names, send_frame};

#[tokio::test]
async fn one_number_for_everybody_and_the_key_for_the_sender_alone() {
    let [a, b] = names();
    let id = conversation("direct", &[&a, &b]).await;
    let (mut writer, mut reader) = (Client::connect(0, &a).await, Client::connect(1, &b).await);
    let (key, frame) = send_frame(&id, "hello");
    writer.say(frame).await;
    // `accepted` and the sender's own copy may come in either order.
    let (mut accepted, mut own) = (Value::Null, Value::Null);
    while accepted.is_null() || own.is_null() {
        let frame = writer.next().await;
        match frame["type"].as_str().unwrap() {
            "accepted" => accepted = frame,
            "message" => own = frame,
            other => panic!("{other}"),
        }
    }
    let theirs = reader.until("message").await;
    assert_eq!((&accepted["idempotency_key"], &accepted["conversation"]), (&json!(key), &json!(id)));
    assert_eq!(accepted["duplicate"], false);
    assert_eq!(own["idempotency_key"], key.as_str());
    let mut without_key = own.clone();
    without_key.as_object_mut().unwrap().remove("idempotency_key");
    assert_eq!(theirs, without_key);
    assert_eq!(
        (&theirs["sequence_number"], &theirs["sender"], &theirs["body"]),
        (&json!(1), &json!(a), &json!("hello"))
    );
    assert_eq!(theirs["message_id"], accepted["message_id"]);
    assert_eq!(theirs["message_id"].as_str().unwrap().len(), 36);
    assert!(theirs["sent_at_ms"].as_u64().unwrap() > 1_700_000_000_000);
}

#[tokio::test]
async fn bodies_arrive_byte_for_byte() {
    let [a, b] = names();
    let id = conversation("group", &[&a, &b]).await;
    let (mut writer, mut reader) = (Client::connect(0, &a).await, Client::connect(1, &b).await);
    let largest = "\u{1f600}".repeat(4_096);
    assert_eq!(largest.len(), 16_384);
    let bodies = [
        "\u{1f469}\u{200d}\u{1f469}\u{200d}\u{1f467} \u{1f1e9}\u{1f1ea}",
        "a\u{0}b\u{0}\u{0}",
        "\u{202e}right to left\u{202c} \u{5e9}\u{5dc}\u{5d5}\u{5dd} \u{645}\u{631}\u{62d}\u{628}\u{627}",
        "e\u{301} \u{e9} \u{fffd} \u{feff}bom \u{10ffff}",
        " \t\r\n\\\"/\u{8}\u{c}\u{1b}[31m</script> ",
        &largest,
        "\u{7}",
    ];
    for body in bodies {
        writer.send(&id, body).await;
        assert_eq!(reader.until("message").await["body"], body);
    }
    // And so they are kept.
    reader.say(json!({"type": "history", "conversation": id})).await;
    let page = reader.until("messages").await;
    let kept: Vec<&str> =
        page["messages"].as_array().unwrap().iter().map(|one| one["body"].as_str().unwrap()).collect();
    assert_eq!(kept, bodies);
}

#[tokio::test]
async fn a_retry_is_a_duplicate_wherever_it_lands_and_in_either_case() {
    let [a, b] = names();
    let id = conversation("group", &[&a, &b]).await;
    let mut writer = Client::connect(0, &a).await;
    let lower = format!("abcdef00-0000-4000-8000-{}", &key()[24..]);
    let frame =
        |key: &str, body: &str| json!({"type": "send", "idempotency_key": key, "conversation": id, "body": body});
    writer.say(frame(&lower, "once")).await;
    let first = writer.until("accepted").await;
    writer.until("message").await;

    let mut elsewhere = Client::upgrade(1, &format!("?token={}", crate::support::token(&a)), &[]).await;
    elsewhere.say(json!({"type": "hello", "device": "other"})).await;
    elsewhere.until("synced").await;
    let upper = lower.to_uppercase();
    elsewhere.say(frame(&upper, "once")).await;
    let again = elsewhere.until("accepted").await;
    assert_eq!((&again["duplicate"], &again["message_id"]), (&json!(true), &first["message_id"]));
    assert_eq!(again["idempotency_key"], upper.as_str(), "the key as this request wrote it");

    // The same key of another sender is another message.
    let mut other = Client::connect(0, &b).await;
    other.say(frame(&lower, "mine")).await;
    let accepted = other.until("accepted").await;
    assert_eq!(accepted["duplicate"], false);
    assert_ne!(accepted["message_id"], first["message_id"]);
    assert_eq!(other.until("message").await["sequence_number"], 2);

    // Another body under the key: refused, and the first stands.
    let refused = elsewhere.refused(frame(&lower, "twice")).await;
    assert_eq!(
        (&refused["code"], &refused["idempotency_key"], &refused["conversation"]),
        (&json!("conflict"), &json!(lower), &json!(id))
    );
    elsewhere.say(json!({"type": "sync", "conversation": id, "after": 0})).await;
    let page = elsewhere.until("messages").await;
    let bodies: Vec<&Value> = page["messages"].as_array().unwrap().iter().map(|one| &one["body"]).collect();
    assert_eq!(bodies, [&json!("once"), &json!("mine")]);
    assert_eq!(page["head"], 2);
}

#[tokio::test]
async fn a_key_used_twice_at_once_gives_one_message_and_a_late_conflict() {
    let [a, b] = names();
    let id = conversation("group", &[&a, &b]).await;
    let mut writer = Client::connect(0, &a).await;
    let key = key();
    let frame = |body: &str| json!({"type": "send", "idempotency_key": key, "conversation": id, "body": body});
    // In one go, so that the second passes the cache before the first is durable, or just after.
    writer.say(frame("first")).await;
    writer.say(frame("first")).await;
    writer.say(frame("second")).await;
    let (mut accepted, mut conflicts) = (0, 0);
    while accepted < 2 || conflicts < 1 {
        let frame = writer.next().await;
        match frame["type"].as_str().unwrap() {
            "accepted" => accepted += 1,
            "error" => {
                assert_eq!((&frame["code"], &frame["idempotency_key"]), (&json!("conflict"), &json!(key)), "{frame}");
                conflicts += 1;
            }
            "message" => assert_eq!((&frame["sequence_number"], &frame["body"]), (&json!(1), &json!("first"))),
            other => panic!("{other}"),
        }
    }
    writer.send(&id, "next").await;
    loop {
        let message = writer.until("message").await;
        if message["body"] == "next" {
            assert_eq!(message["sequence_number"], 2, "nothing was numbered in between");
            break;
        }
    }
}

#[tokio::test]
async fn sends_of_one_connection_keep_their_order_in_every_conversation() {
    let [a, b] = names();
    let ids = [conversation("group", &[&a, &b]).await, conversation("direct", &[&a, &b]).await];
    let (mut writer, mut reader) = (Client::connect(0, &a).await, Client::connect(1, &b).await);
    for n in 0..400 {
        writer.say(send_frame(&ids[n % 2], &format!("{}", n / 2)).1).await;
    }
    let mut next = [0_u64; 2];
    while next != [200, 200] {
        let message = reader.until("message").await;
        let of = usize::from(message["conversation"] == ids[1].as_str());
        assert_eq!(message["body"], format!("{}", next[of]));
        next[of] += 1;
        assert_eq!(message["sequence_number"], next[of]);
    }
}

#[tokio::test]
async fn who_may_not_write() {
    let [a, b] = names();
    let id = conversation("group", &[&a, &b]).await;
    let mut stranger = Client::connect(0, &name("u")).await;
    let (key, frame) = send_frame(&id, "let me in");
    let refused = stranger.refused(frame).await;
    assert_eq!(
        (&refused["code"], &refused["idempotency_key"], &refused["conversation"]),
        (&json!("forbidden"), &json!(key), &json!(id))
    );
    let (key, frame) = send_frame("no-such-conversation", "hello?");
    let refused = stranger.refused(frame).await;
    assert_eq!((&refused["code"], &refused["idempotency_key"]), (&json!("not_found"), &json!(key)));
    stranger.still_answers().await;
}
