//! What becomes of calls while a server is away, and afterwards.

use std::sync::Arc;

use chatfleet_backends::{
    port::{Claim, GatewayLease, Presence, Recent, Registry, Session, StoreError},
    redis::{RedisOptions, RedisPresence, RedisRecent, RedisRegistry},
};
use domain::{DeviceId, NodeId, UserId};
use tokio::time::{Duration, Instant, timeout};
use uuid::Uuid;

use super::{
    clock,
    servers::{DEADLINE, Server, until},
};
use crate::{name, row};

/// No call may take longer, whatever the server does. That of the ports is longer.
const BOUND: Duration = Duration::from_millis(3_500);
/// A call while the server is known to be away.
const AT_ONCE: Duration = Duration::from_millis(200);

/// Takes at most so long, and fails as it should.
async fn is_away<T: std::fmt::Debug>(within: Duration, call: impl Future<Output = Result<T, StoreError>>) {
    let began = Instant::now();
    let error = call.await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error}");
    assert!(began.elapsed() < within, "{:?}: {error}", began.elapsed());
}

#[tokio::test]
async fn scripts_that_the_server_forgot() {
    let Some(mut server) = Server::new(&[]) else { return };
    server.start().await;
    let registry = RedisRegistry::new(&RedisOptions::new(server.url(), "fleet")).unwrap();
    let (device, gateway): (DeviceId, NodeId) = (name("d"), name("g"));
    let lease = GatewayLease { gateway: gateway.clone(), incarnation: 1, link: "l".to_owned() };
    registry.beat(&lease, 60_000, Claim::Take).await.unwrap();
    // More than one pipeline.
    let users: Vec<UserId> = (0..1_200).map(|n| name(&format!("u{n}"))).collect();
    for user in &users {
        registry.register(user, &device, &gateway, 1, 5).await.unwrap();
    }
    for _ in 0..2 {
        server.ask::<()>(&["SCRIPT", "FLUSH"]).await.unwrap();
        let hits = registry.routes(&users).await.unwrap().hits;
        assert!(hits.iter().map(|hit| hit.user).eq(0..users.len()));
    }
    server.ask::<()>(&["SCRIPT", "FLUSH"]).await.unwrap();
    assert_eq!(registry.register(&users[0], &device, &gateway, 1, 0).await.unwrap().session_version, 6);
}

#[tokio::test]
async fn a_server_that_falls_silent() {
    let Some(mut server) = Server::new(&[]) else { return };
    server.start().await;
    let recent = RedisRecent::new(&RedisOptions::new(server.url(), "fleet")).unwrap();
    let (conversation, sender) = (name("c"), name("u"));
    let recall = || recent.recall(&conversation, &sender, Uuid::nil());
    assert_eq!(recall().await, Ok(None));
    server.pause();
    is_away(BOUND, recall()).await;
    // From now on it is known, also while connections are tried: sends are not slowed down.
    let began = Instant::now();
    while began.elapsed() < Duration::from_millis(1_500) {
        is_away(AT_ONCE, recall()).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    server.resume();
    until("the caches are back", async || recall().await.is_ok()).await;
}

#[tokio::test]
async fn a_server_that_comes_up_later() {
    let Some(mut server) = Server::new(&[]) else { return };
    let options = RedisOptions::new(server.url(), "fleet");
    let registry = RedisRegistry::new(&options).unwrap();
    let presence = Arc::new(RedisPresence::new(&options, clock()).unwrap());
    let users = [name::<UserId>("u")];
    is_away(BOUND, registry.routes(&users)).await;
    is_away(AT_ONCE, registry.routes(&users)).await;
    is_away(BOUND, presence.get(&users)).await;
    server.start().await;
    until("the registry is there", async || registry.routes(&users).await.is_ok()).await;
    until("presence is there", async || presence.get(&users).await.is_ok()).await;
    super::heard_elsewhere(&options, &presence).await;
}

#[tokio::test]
async fn a_server_that_starts_again_empty() {
    let Some(mut server) = Server::new(&[]) else { return };
    server.start().await;
    let options = RedisOptions::new(server.url(), "fleet");
    let (presence, other) =
        (RedisPresence::new(&options, clock()).unwrap(), RedisPresence::new(&options, clock()).unwrap());
    let recent = RedisRecent::new(&options).unwrap();
    super::heard_elsewhere(&options, &presence).await;
    let conversation = name("c");
    recent.tail_append(&[row(&conversation, 1, 1)]).await.unwrap();
    let version = recent.members_version(&conversation).await.unwrap();
    server.kill();
    is_away(BOUND, recent.tail_read(&conversation, 0, 9)).await;
    is_away(AT_ONCE, recent.tail_read(&conversation, 0, 9)).await;
    server.start().await;
    until("the caches are back", async || recent.tail_read(&conversation, 0, 9).await == Ok(vec![])).await;
    // Who cached a membership before the loss cannot know what changed since.
    assert!(recent.members_version(&conversation).await.unwrap() > version);
    // The subscriptions are back, too.
    let mut changes = other.changes();
    let session = Session { user: name("u"), device: name("d"), session_version: 1 };
    until("a change is heard", async || {
        let _ = presence.refresh(std::slice::from_ref(&session)).await;
        let _ = presence.leave(&session).await;
        timeout(Duration::from_millis(10), changes.recv()).await.is_ok()
    })
    .await;
}

#[tokio::test]
async fn nothing_stays_behind() {
    let Some(mut server) = Server::new(&[]) else { return };
    server.start().await;
    let options = RedisOptions::new(server.url(), "fleet");
    let presence = RedisPresence::new(&options, clock()).unwrap();
    super::heard_elsewhere(&options, &presence).await;
    let connections = async || -> usize {
        let list: String = server.ask(&["CLIENT", "LIST"]).await.unwrap();
        list.lines().count()
    };
    assert!(connections().await >= 3);
    drop(presence);
    // The one that asks.
    until("connections end with their adapter", async || connections().await == 1).await;
    assert!(DEADLINE > BOUND);
}
