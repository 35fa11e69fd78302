//! What is live and not stored: receipts, typing, presence, changes of conversations.

use serde_json::{Value, json};
use tokio::time::{Duration, Instant, timeout};

use crate::support::{Client, conversation, http, name, names, service};

#[tokio::test]
async fn receipts_and_typing_reach_the_others_and_not_the_sender() {
    let [a, b] = names();
    let id = conversation("direct", &[&a, &b]).await;
    let (mut one, mut other) = (Client::connect(0, &a).await, Client::connect(1, &b).await);
    one.say(json!({"type": "typing", "conversation": id})).await;
    assert_eq!(other.next().await, json!({"type": "typing", "conversation": id, "user": a}));
    one.say(json!({"type": "receipt", "conversation": id, "delivered": 7, "read": 5})).await;
    let expected = json!({"type": "receipt", "conversation": id, "user": a, "delivered": 7, "read": 5});
    assert_eq!(other.next().await, expected);
    // Nothing of it came back: the next frame is the answer to what is asked now.
    one.still_answers().await;
}

#[tokio::test]
async fn at_most_one_receipt_a_second_and_the_newest_wins() {
    let [a, b] = names();
    let id = conversation("group", &[&a, &b]).await;
    let (mut one, mut other) = (Client::connect(0, &a).await, Client::connect(0, &b).await);
    for n in 1..=20 {
        one.say(json!({"type": "receipt", "conversation": id, "read": n})).await;
    }
    let first = other.until("receipt").await;
    let began = Instant::now();
    assert_eq!((&first["read"], first.get("delivered")), (&json!(1), None));
    assert_eq!(other.until("receipt").await["read"], 20);
    let waited = began.elapsed();
    assert!(waited >= Duration::from_millis(800), "the second came after {waited:?}");
}

#[tokio::test]
async fn large_groups_get_no_receipts() {
    let [a, b] = names();
    let crowd: Vec<String> = (0..49).map(|n| format!("{a}.{n}")).collect();
    let mut members: Vec<&str> = crowd.iter().map(String::as_str).collect();
    members.extend([a.as_str(), b.as_str()]);
    assert_eq!(members.len(), 51);
    let large = conversation("group", &members).await;
    let small = conversation("group", &members[1..]).await;
    let (mut one, mut other) = (Client::connect(0, &a).await, Client::connect(1, &b).await);
    for id in [&large, &small] {
        one.say(json!({"type": "typing", "conversation": id})).await;
        one.say(json!({"type": "receipt", "conversation": id, "read": 1})).await;
    }
    // Relays of one connection keep their order, so those of the large group would have come first.
    for _ in 0..2 {
        assert_eq!(other.next().await["conversation"], small.as_str());
    }
}

#[tokio::test]
async fn watch_says_what_is_and_then_what_changes() {
    let [a, never] = names();
    let watched = name("w");
    let mut watcher = Client::connect(0, &a).await;
    watcher.say(json!({"type": "watch", "users": [watched, never]})).await;
    assert_eq!(watcher.next().await, json!({"type": "presence", "user": watched, "online": false}));
    assert_eq!(watcher.next().await, json!({"type": "presence", "user": never, "online": false}));

    let mut friend = Client::connect(1, &watched).await;
    let online = watcher.until("presence").await;
    assert_eq!((&online["user"], &online["online"]), (&json!(watched), &json!(true)));
    assert!(online["last_seen_ms"].as_u64().unwrap() > 1_700_000_000_000);
    friend.say_message(tokio_tungstenite::tungstenite::Message::Close(None)).await;
    let offline = watcher.until("presence").await;
    assert_eq!((&offline["user"], &offline["online"]), (&json!(watched), &json!(false)));

    // A new list replaces the old one.
    watcher.say(json!({"type": "watch", "users": [never]})).await;
    assert_eq!(watcher.until("presence").await["user"], never.as_str());
    let _friend = Client::connect(1, &watched).await;
    let _never = Client::connect(1, &never).await;
    assert_eq!(watcher.until("presence").await["user"], never.as_str());
}

async fn nothing_more(client: &mut Client) {
    // What was under way would come before the answer of a later call, give or take the stream between the programs.
    let silence = timeout(Duration::from_millis(200), client.next()).await;
    assert!(silence.is_err(), "{silence:?}");
}

#[tokio::test]
async fn joining_leaving_and_converting_are_told() {
    let [a, b] = names();
    let (mut one, mut other) = (Client::connect(0, &a).await, Client::connect(1, &b).await);
    (one.wants_joined, other.wants_joined) = (true, true);
    let id = conversation("group", &[&a, &name("u")]).await;
    let told = |kind: &str, head: u64, change: &str| -> Value {
        json!({"type": "conversation", "conversation": id, "kind": kind, "head": head, "change": change})
    };
    assert_eq!(one.next().await, told("group", 0, "joined"));
    one.send(&id, "x").await;
    one.until("message").await;

    let path = format!("/v1/conversations/{id}/members/{b}");
    for _ in 0..2 {
        assert_eq!(http("PUT", &path, Some(&service()), None).await.status, 204);
    }
    assert_eq!(other.next().await, told("group", 1, "joined"));
    nothing_more(&mut other).await;
    assert_eq!(http("DELETE", &path, Some(&service()), None).await.status, 204);
    assert_eq!(other.next().await, told("group", 1, "left"));

    let path = format!("/v1/conversations/{id}/convert");
    assert_eq!(http("POST", &path, Some(&service()), Some(&json!({"kind": "channel"}))).await.status, 200);
    assert_eq!(one.next().await, told("channel", 1, "converted"));
    // Who left is told nothing more.
    other.still_answers().await;
}
