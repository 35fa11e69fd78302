//! The upgrade, `hello`, `welcome`, and the replay of `resume`.

use serde_json::{Value, json};

use crate::support::{Client, conversation, fleet, name, names, refused_upgrade, send_frame, token};

#[tokio::test]
async fn welcome_says_who_where_and_how_to_come_back() {
    let user = name("u");
    let mut client = Client::upgrade(1, &format!("?token={}", token(&user)), &[]).await;
    client.say(json!({"type": "hello", "device": "phone.1", "later": {"unknown": ["field"]}})).await;
    let welcome = client.next().await;
    assert_eq!(welcome["type"], "welcome");
    assert_eq!((&welcome["user"], &welcome["device"]), (&json!(user), &json!("phone.1")));
    assert_eq!(welcome["gateway"], "gw-2");
    assert_eq!(welcome["heartbeat_interval_ms"], 30_000);
    let reconnect = json!({"base_ms": 1_000, "max_ms": 30_000, "jitter_ms": 1_000, "heartbeat_spread_ms": 30_000});
    assert_eq!(welcome["reconnect"], reconnect);
    let now = welcome["server_time_ms"].as_u64().unwrap();
    // Milliseconds, not seconds: after 2023 and before 2100.
    assert!((1_700_000_000_000..4_102_444_800_000).contains(&now), "{now}");
    assert!(welcome["session_version"].as_u64().unwrap() > 0);
    assert_eq!(client.next().await, json!({"type": "synced", "conversations": {}}));
    client.still_answers().await;
}

#[tokio::test]
async fn the_subprotocol_is_agreed_on() {
    let query = format!("?token={}", token("anybody"));
    for offered in ["chatfleet.v1.json", "chatfleet.v9.cbor, chatfleet.v1.json"] {
        // The client library checks that the answer is one of those it offered.
        Client::upgrade(0, &query, &[("sec-websocket-protocol", offered)]).await;
    }
    let to = fleet().gateways[0].address;
    let refused = refused_upgrade(to, &query, &[("sec-websocket-protocol", "chatfleet.v9.cbor, mqtt")]).await;
    assert_eq!((refused.status, refused.code().as_str()), (400, "invalid"));
}

#[tokio::test]
async fn resume_replays_pages_in_order_and_ends_with_synced() {
    let [a, b] = names();
    let (long, short) = (conversation("group", &[&a, &b]).await, conversation("direct", &[&a, &b]).await);
    let strange = conversation("group", &[&a, "somebody-else"]).await;
    let mut writer = Client::connect(0, &a).await;
    for n in 1..=250 {
        writer.say(send_frame(&long, &format!("long {n}")).1).await;
    }
    writer.say(send_frame(&short, "short 1").1).await;
    let mut accepted = 0;
    while accepted < 251 {
        accepted += usize::from(writer.next().await["type"] == "accepted");
    }

    let mut reader = Client::upgrade(1, &format!("?token={}", token(&b)), &[]).await;
    let resume = json!({ &long: 7, &short: 0, &strange: 0, "no-such-conversation": 5 });
    reader.say(json!({"type": "hello", "device": "d", "resume": resume})).await;
    assert_eq!(reader.next().await["type"], "welcome");
    let (mut seen, mut errors, mut completes) = (Vec::new(), Vec::new(), 0);
    let synced = loop {
        let frame = reader.next().await;
        match frame["type"].as_str().unwrap() {
            "messages" => {
                let messages = frame["messages"].as_array().unwrap();
                for message in messages.iter().filter(|message| message["conversation"] == long.as_str()) {
                    seen.push(message["sequence_number"].as_u64().unwrap());
                    assert_eq!(message["body"], format!("long {}", message["sequence_number"]));
                    assert_eq!(message["idempotency_key"], Value::Null, "only the sender sees the key");
                }
                let reached = messages.last().unwrap()["sequence_number"] == frame["head"];
                assert_eq!(frame["complete"], reached, "{frame}");
                completes += usize::from(reached);
            }
            "error" => errors.push((frame["conversation"].clone(), frame["code"].clone())),
            "synced" => break frame,
            "message" => {}
            other => panic!("{other}"),
        }
    };
    assert_eq!(completes, 2, "one for each conversation that was replayed");
    assert_eq!(seen, (8..=250).collect::<Vec<_>>());
    assert_eq!(synced["conversations"], json!({ &long: 250, &short: 1 }), "what cannot be replayed is left out");
    errors.sort_by_key(|(conversation, _)| conversation.to_string());
    let expected = [(json!(strange), json!("forbidden")), (json!("no-such-conversation"), json!("not_found"))];
    assert_eq!(errors, expected);
}

#[tokio::test]
async fn resume_at_or_past_the_head_replays_nothing() {
    let [a, b] = names();
    let id = conversation("group", &[&a, &b]).await;
    let mut writer = Client::connect(0, &a).await;
    writer.send(&id, "one").await;
    writer.until("message").await;
    let mut readers = Vec::new();
    for (last_seen, device) in [(1_u64, "x"), (9_000_000_000, "y")] {
        let mut reader = Client::upgrade(1, &format!("?token={}", token(&b)), &[]).await;
        reader.say(json!({"type": "hello", "device": device, "resume": { &id: last_seen }})).await;
        reader.until("welcome").await;
        assert_eq!(reader.next().await, json!({"type": "synced", "conversations": { &id: 1 }}));
        readers.push(reader);
    }
    // Both are live.
    let accepted = writer.send(&id, "more").await;
    for reader in &mut readers {
        assert_eq!(reader.until("message").await["message_id"], accepted["message_id"]);
    }
}

#[tokio::test]
async fn live_messages_during_a_replay_are_neither_lost_nor_out_of_order() {
    let [a, b] = names();
    let id = conversation("group", &[&a, &b]).await;
    let mut writer = Client::connect(0, &a).await;
    for n in 0..300 {
        writer.say(send_frame(&id, &format!("{n}")).1).await;
    }
    let mut reader = Client::upgrade(0, &format!("?token={}", token(&b)), &[]).await;
    reader.say(json!({"type": "hello", "device": "d", "resume": { &id: 0 }})).await;
    for n in 300..600 {
        writer.say(send_frame(&id, &format!("{n}")).1).await;
    }
    let mut seen = Vec::new();
    while seen.len() < 600 {
        let frame = reader.next().await;
        let messages = match frame["type"].as_str().unwrap() {
            "messages" | "batch" => frame["messages"].as_array().unwrap().clone(),
            "message" => vec![frame],
            _ => continue,
        };
        for message in messages {
            let number = message["sequence_number"].as_u64().unwrap();
            // A live frame may repeat what was seen; it may not jump while everything is delivered.
            if number as usize == seen.len() + 1 {
                seen.push(number);
            } else {
                assert!(number as usize <= seen.len(), "a gap before {number}, seen {}", seen.len());
            }
        }
    }
}
