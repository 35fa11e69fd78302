//! One live connection a user and device: the highest `session_version`.

use serde_json::json;

use crate::support::{Client, conversation, name, names, token};

async fn hello(gateway: usize, user: &str, device: &str) -> (Client, u64) {
    let (mut client, version) = greeted(gateway, user, device).await;
    client.until("synced").await;
    (client, version)
}

/// Up to `welcome`: one of several racers may be superseded before `synced`.
async fn greeted(gateway: usize, user: &str, device: &str) -> (Client, u64) {
    let mut client = Client::upgrade(gateway, &format!("?token={}", token(user)), &[]).await;
    client.say(json!({"type": "hello", "device": device})).await;
    let version = client.until("welcome").await["session_version"].as_u64().unwrap();
    (client, version)
}

#[tokio::test]
async fn a_newer_session_supersedes_the_older_one_on_any_gateway() {
    for (first, second) in [(0, 0), (0, 1), (1, 0)] {
        let user = name("u");
        let (mut older, before) = hello(first, &user, "phone").await;
        let (mut tablet, _) = hello(first, &user, "tablet").await;
        let (mut newer, after) = hello(second, &user, "phone").await;
        assert!(after > before, "{after} is not above {before}");
        assert_eq!(older.closed().await, 4001, "{first} then {second}");
        newer.still_answers().await;
        tablet.still_answers().await;
    }
}

#[tokio::test]
async fn versions_grow_through_many_reconnects() {
    let user = name("u");
    let mut last = 0;
    for n in 0..10 {
        let (_client, version) = hello(n % 2, &user, "phone").await;
        assert!(version > last, "{version} is not above {last}");
        last = version;
    }
}

#[tokio::test]
async fn every_device_gets_its_copy_and_the_superseded_one_gets_no_more() {
    let [a, b] = names();
    let id = conversation("direct", &[&a, &b]).await;
    let (mut old, _) = hello(0, &a, "phone").await;
    let (mut phone, _) = hello(1, &a, "phone").await;
    let (mut tablet, _) = hello(0, &a, "tablet").await;
    assert_eq!(old.closed().await, 4001);
    let mut other = Client::connect(0, &b).await;
    other.send(&id, "x").await;
    for device in [&mut phone, &mut tablet] {
        assert_eq!(device.until("message").await["sequence_number"], 1);
        device.still_answers().await;
    }
}

#[tokio::test]
async fn racing_hellos_leave_exactly_one_connection() {
    let user = name("u");
    let racers = (0..8).map(|n| greeted(n % 2, &user, "phone"));
    let mut racers = futures_util::future::join_all(racers).await;
    racers.sort_by_key(|(_, version)| *version);
    let (mut winner, highest) = racers.pop().unwrap();
    for (mut loser, version) in racers {
        assert!(version < highest, "two sessions have version {version}");
        assert_eq!(loser.closed().await, 4001, "version {version} of {highest}");
    }
    winner.until("synced").await;
    winner.still_answers().await;
}
