//! `list`, `sync`, `history`.

use serde_json::{Value, json};

use crate::support::{Client, conversation, http, name, names, send_frame, service};

/// A conversation with messages "1" to "n"; the client wrote them.
async fn filled(n: usize) -> (String, Client, [String; 2]) {
    let users = names();
    let id = conversation("group", &[&users[0], &users[1]]).await;
    let mut client = Client::connect(0, &users[0]).await;
    for n in 1..=n {
        client.say(send_frame(&id, &n.to_string()).1).await;
    }
    let (mut accepted, mut shown) = (0, 0);
    while accepted < n || shown < n {
        match client.next().await["type"].as_str().unwrap() {
            "accepted" => accepted += 1,
            "message" => shown += 1,
            other => panic!("{other}"),
        }
    }
    (id, client, users)
}

fn numbers(page: &Value) -> Vec<u64> {
    page["messages"].as_array().unwrap().iter().map(|one| one["sequence_number"].as_u64().unwrap()).collect()
}

async fn ask(client: &mut Client, frame: Value) -> Value {
    client.say(frame).await;
    let page = client.next().await;
    assert_eq!(page["type"], "messages", "{page}");
    page
}

#[tokio::test]
async fn sync_goes_upwards() {
    let (id, mut client, _) = filled(120).await;
    let sync = |after: u64| json!({"type": "sync", "conversation": id, "after": after});
    let page = ask(&mut client, sync(0)).await;
    assert_eq!(numbers(&page), (1..=100).collect::<Vec<_>>());
    assert_eq!((&page["conversation"], &page["head"], &page["complete"]), (&json!(id), &json!(120), &json!(false)));
    assert!(page["messages"][0]["idempotency_key"].is_string(), "the reader is the sender");
    let page = ask(&mut client, sync(100)).await;
    assert_eq!((numbers(&page), &page["complete"]), ((101..=120).collect(), &json!(true)));
    for past in [120, 121, 5_000_000, (1 << 53) - 1] {
        let page = ask(&mut client, sync(past)).await;
        assert_eq!((numbers(&page), &page["complete"], &page["head"]), (vec![], &json!(true), &json!(120)), "{past}");
    }
    let page = ask(&mut client, json!({"type": "sync", "conversation": id, "after": 3, "limit": 2})).await;
    assert_eq!((numbers(&page), &page["complete"]), (vec![4, 5], &json!(false)));
}

#[tokio::test]
async fn history_goes_downwards() {
    let (id, mut client, _) = filled(120).await;
    let page = ask(&mut client, json!({"type": "history", "conversation": id})).await;
    assert_eq!((numbers(&page), &page["complete"]), ((71..=120).collect(), &json!(false)));
    let page = ask(&mut client, json!({"type": "history", "conversation": id, "before": 71, "limit": 500})).await;
    assert_eq!((numbers(&page), &page["complete"], &page["head"]), ((1..=70).collect(), &json!(true), &json!(120)));
    let page = ask(&mut client, json!({"type": "history", "conversation": id, "before": 3, "limit": 1})).await;
    assert_eq!((numbers(&page), &page["complete"]), (vec![2], &json!(false)));
    let page = ask(&mut client, json!({"type": "history", "conversation": id, "before": 1})).await;
    assert_eq!((numbers(&page), &page["complete"]), (vec![], &json!(true)), "the beginning was reached");
    let page = ask(&mut client, json!({"type": "history", "conversation": id, "before": 900_000, "limit": 2})).await;
    assert_eq!(numbers(&page), [119, 120], "far past the head is the head");
}

#[tokio::test]
async fn an_empty_conversation_is_empty() {
    let [a, b] = names();
    let id = conversation("direct", &[&a, &b]).await;
    let mut client = Client::connect(0, &a).await;
    for frame in
        [json!({"type": "sync", "conversation": id, "after": 0}), json!({"type": "history", "conversation": id})]
    {
        let page = ask(&mut client, frame).await;
        let expected = json!({"type": "messages", "conversation": id, "messages": [], "head": 0, "complete": true});
        assert_eq!(page, expected);
    }
}

#[tokio::test]
async fn large_bodies_come_in_pages_that_fit_a_frame() {
    let [a, b] = names();
    let id = conversation("group", &[&a, &b]).await;
    let mut client = Client::connect(0, &a).await;
    let body = "x".repeat(16_384);
    for _ in 0..30 {
        client.send(&id, &body).await;
    }
    while client.until("message").await["sequence_number"] != 30 {}
    let (mut after, mut seen) = (0, Vec::new());
    loop {
        let page = ask(&mut client, json!({"type": "sync", "conversation": id, "after": after, "limit": 500})).await;
        assert!(!page["messages"].as_array().unwrap().is_empty(), "each page moves on");
        seen.extend(numbers(&page));
        after = *seen.last().unwrap();
        if page["complete"] == true {
            break;
        }
    }
    assert_eq!(seen, (1..=30).collect::<Vec<_>>());
}

#[tokio::test]
async fn list_pages_by_id() {
    let [a, b] = names();
    let mut ids = Vec::new();
    for n in 0..5 {
        ids.push(conversation(["group", "channel"][n % 2], &[&a, &b]).await);
    }
    ids.sort();
    let mut client = Client::connect(0, &a).await;
    client.send(&ids[0], "x").await;
    // Accepted is not numbered yet: asked again until it is.
    let page = loop {
        client.say(json!({"type": "list", "limit": 2})).await;
        let page = client.until("conversations").await;
        if page["conversations"][0]["head"] == 1 {
            break page;
        }
    };
    let of = |page: &Value| -> Vec<String> {
        page["conversations"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["conversation"].as_str().unwrap().into())
            .collect()
    };
    assert_eq!((of(&page), &page["next"]), (ids[..2].to_vec(), &json!(ids[1])));
    assert_eq!(page["conversations"][0]["head"].as_u64(), Some(1));
    client.say(json!({"type": "list", "after": page["next"]})).await;
    let page = client.until("conversations").await;
    assert_eq!((of(&page), page.get("next")), (ids[2..].to_vec(), None));
    assert!(page["conversations"].as_array().unwrap().iter().all(|one| one["kind"].is_string() && one["head"] == 0));
}

#[tokio::test]
async fn members_read_all_and_former_members_nothing() {
    let (id, _client, users) = filled(3).await;
    let late = name("u");
    let path = format!("/v1/conversations/{id}/members/{late}");
    assert_eq!(http("PUT", &path, Some(&service()), None).await.status, 204);
    let mut reader = Client::connect(1, &late).await;
    let page = ask(&mut reader, json!({"type": "sync", "conversation": id, "after": 0})).await;
    assert_eq!(numbers(&page), [1, 2, 3], "from before they joined too");
    assert!(page["messages"][0].get("idempotency_key").is_none());

    let mut former = Client::connect(1, &users[1]).await;
    let path = format!("/v1/conversations/{id}/members/{}", users[1]);
    assert_eq!(http("DELETE", &path, Some(&service()), None).await.status, 204);
    for frame in [
        json!({"type": "sync", "conversation": id, "after": 0}),
        json!({"type": "history", "conversation": id}),
        json!({"type": "receipt", "conversation": id, "read": 1}),
        json!({"type": "typing", "conversation": id}),
        send_frame(&id, "still here?").1,
    ] {
        let refused = former.refused(frame.clone()).await;
        assert_eq!((&refused["code"], &refused["conversation"]), (&json!("forbidden"), &json!(id)), "{frame}");
    }
}
