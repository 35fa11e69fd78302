//! Channels: who subscribed gets the messages, on any gateway; a converted group keeps its numbers.

use serde_json::{Value, json};

use crate::support::{Client, conversation, http, name, names, service};

async fn subscribe(client: &mut Client, id: &str) -> Value {
    client.say(json!({"type": "subscribe", "conversation": id})).await;
    client.until("subscribed").await
}

#[tokio::test]
async fn only_subscribers_get_a_channel() {
    let [a, b] = names();
    let c = name("u");
    let id = conversation("channel", &[&a, &b, &c]).await;
    let mut writer = Client::connect(0, &a).await;
    let (mut on_0, mut on_1) = (Client::connect(0, &b).await, Client::connect(1, &c).await);
    assert_eq!(subscribe(&mut on_0, &id).await, json!({"type": "subscribed", "conversation": id, "head": 0}));
    subscribe(&mut on_1, &id).await;
    subscribe(&mut on_1, &id).await;
    writer.send(&id, "to whom it may concern").await;
    for reader in [&mut on_0, &mut on_1] {
        assert_eq!(reader.next().await["sequence_number"], 1, "once, however often it subscribed");
        reader.still_answers().await;
    }
    // The writer did not subscribe.
    writer.still_answers().await;

    on_0.say(json!({"type": "unsubscribe", "conversation": id})).await;
    assert_eq!(on_0.next().await, json!({"type": "unsubscribed", "conversation": id}));
    subscribe(&mut writer, &id).await;
    writer.send(&id, "second").await;
    let own = writer.until("message").await;
    assert!(own["idempotency_key"].is_string());
    assert_eq!(on_1.until("message").await["sequence_number"], 2);
    on_0.still_answers().await;
    assert_eq!(subscribe(&mut on_0, &id).await["head"], 2);
}

#[tokio::test]
async fn a_subscription_ends_with_its_connection() {
    let [a, b] = names();
    let id = conversation("channel", &[&a, &b]).await;
    let mut writer = Client::connect(0, &a).await;
    let mut reader = Client::connect(1, &b).await;
    subscribe(&mut reader, &id).await;
    drop(reader);
    let mut reader = Client::connect(1, &b).await;
    subscribe(&mut writer, &id).await;
    writer.send(&id, "x").await;
    writer.until("message").await;
    reader.still_answers().await;
    // It may be resumed all the same.
    reader.say(json!({"type": "sync", "conversation": id, "after": 0})).await;
    assert_eq!(reader.next().await["head"], 1);
}

#[tokio::test]
async fn only_members_subscribe_and_only_to_channels() {
    let [a, b] = names();
    let (group, channel) = (conversation("group", &[&a, &b]).await, conversation("channel", &[&a]).await);
    let mut client = Client::connect(0, &b).await;
    for (id, code) in [(group.as_str(), "invalid"), (&channel, "forbidden"), ("no-such-conversation", "not_found")] {
        let refused = client.refused(json!({"type": "subscribe", "conversation": id})).await;
        assert_eq!((&refused["code"], &refused["conversation"]), (&json!(code), &json!(id)));
    }
}

#[tokio::test]
async fn who_leaves_a_channel_gets_no_more_of_it() {
    let [a, b] = names();
    let id = conversation("channel", &[&a, &b]).await;
    let mut writer = Client::connect(0, &a).await;
    subscribe(&mut writer, &id).await;
    // One on the gateway that is called, one on the other.
    for gateway in [0, 1] {
        let mut reader = Client::connect(gateway, &b).await;
        subscribe(&mut reader, &id).await;
        let path = format!("/v1/conversations/{id}/members/{b}");
        assert_eq!(http("DELETE", &path, Some(&service()), None).await.status, 204);
        assert_eq!(reader.until("conversation").await["change"], "left");
        writer.send(&id, "secret").await;
        writer.until("message").await;
        reader.still_answers().await;
        drop(reader);
        assert_eq!(http("PUT", &path, Some(&service()), None).await.status, 204);
    }
}

#[tokio::test]
async fn a_group_that_becomes_a_channel_keeps_its_messages_and_numbers() {
    let [a, b] = names();
    let id = conversation("group", &[&a, &b]).await;
    let (mut one, mut other) = (Client::connect(0, &a).await, Client::connect(1, &b).await);
    one.send(&id, "as a group").await;
    assert_eq!(other.until("message").await["sequence_number"], 1);
    let path = format!("/v1/conversations/{id}/convert");
    let answer = http("POST", &path, Some(&service()), Some(&json!({"kind": "channel"}))).await;
    assert_eq!((answer.status, answer.json()), (200, json!({"id": id, "kind": "channel", "members": 2})));
    assert_eq!(other.until("conversation").await["change"], "converted");
    assert_eq!(subscribe(&mut other, &id).await["head"], 1);
    one.send(&id, "as a channel").await;
    let message = other.until("message").await;
    assert_eq!((&message["sequence_number"], &message["body"]), (&json!(2), &json!("as a channel")));
    other.say(json!({"type": "sync", "conversation": id, "after": 0})).await;
    let page = other.until("messages").await;
    assert_eq!(page["messages"][0]["body"], "as a group");
    // A channel takes a 501st member.
    let refused = http("POST", &path, Some(&service()), Some(&json!({"kind": "group"}))).await;
    assert_eq!((refused.status, refused.code().as_str()), (400, "invalid"));
}
