//! The contract of the connection registry.

use std::{sync::Arc, time::Duration};

use chatfleet_backends::port::{Beat, Claim, GatewayLease, Gateways, Registry, Route, RouteHit, Session};
use domain::{DeviceId, NodeId, UserId};

use crate::{Hook, Pass, name};

const TTL_MS: u64 = 10_000;

fn lease(gateway: &NodeId, incarnation: u64) -> GatewayLease {
    GatewayLease { gateway: gateway.clone(), incarnation, link: "127.0.0.1:1".to_owned() }
}

async fn held(registry: &Arc<dyn Registry>, gateway: &NodeId, incarnation: u64) -> u64 {
    match registry.beat(&lease(gateway, incarnation), TTL_MS, Claim::Take).await.unwrap() {
        Beat::Held(holding) => holding,
        beat => panic!("{gateway} {incarnation}: {beat:?}"),
    }
}

fn session(user: &UserId, device: &DeviceId, session_version: u64) -> Session {
    Session { user: user.clone(), device: device.clone(), session_version }
}

async fn where_is(registry: &Arc<dyn Registry>, user: &UserId) -> Vec<NodeId> {
    let routes = registry.routes(std::slice::from_ref(user)).await.unwrap();
    let mut gateways: Vec<_> = routes.hits.into_iter().map(|hit| hit.gateway).collect();
    gateways.sort();
    gateways
}

pub(crate) async fn suite(registry: Arc<dyn Registry>) {
    versions(&registry).await;
    sessions(&registry).await;
    routes(&registry).await;
    beats(&registry).await;
}

/// Versions of a device only grow, and the previous session is told if its gateway lives.
async fn versions(registry: &Arc<dyn Registry>) {
    let (user, device, g1, g2): (UserId, DeviceId, NodeId, NodeId) = (name("u"), name("d"), name("g1"), name("g2"));
    held(registry, &g1, 1).await;
    let first = registry.register(&user, &device, &g1, 1, 5_000).await.unwrap();
    assert!(first.session_version >= 5_000);
    assert_eq!(first.previous, None);
    let mut last = first.session_version;
    // Same millisecond, a clock that was set back, a clock that went on.
    for now_ms in [5_000, 10, last + 500] {
        let next = registry.register(&user, &device, &g2, 1, now_ms).await.unwrap();
        assert!(next.session_version > last && next.session_version >= now_ms);
        last = next.session_version;
    }
    // g2 never beat, so what it had is no previous session.
    let after_dead = registry.register(&user, &device, &g1, 1, 0).await.unwrap();
    assert_eq!(after_dead.previous, None);
    let again = registry.register(&user, &device, &g1, 1, 0).await.unwrap();
    let session_version = after_dead.session_version;
    assert_eq!(again.previous, Some(Route { gateway: g1.clone(), incarnation: 1, session_version }));
    last = again.session_version;

    // Removed in the very same millisecond, with the clock set back, and removed with its gateway.
    for now_ms in [last, 0] {
        registry.unregister(&session(&user, &device, last)).await.unwrap();
        let next = registry.register(&user, &device, &g1, 1, now_ms).await.unwrap();
        assert!(next.session_version > last, "{} after {last}", next.session_version);
        assert_eq!(next.previous, None);
        last = next.session_version;
    }
    registry.retire(&g1, 1).await.unwrap();
    let next = registry.register(&user, &device, &g1, 2, 0).await.unwrap();
    assert!(next.session_version > last);
    assert_eq!(next.previous, None);
}

/// Refresh tells and never enters; unregister spares what is newer.
async fn sessions(registry: &Arc<dyn Registry>) {
    let (user, device, g1, g2): (UserId, DeviceId, NodeId, NodeId) = (name("u"), name("d"), name("g1"), name("g2"));
    held(registry, &g1, 1).await;
    held(registry, &g2, 1).await;
    let unknown = session(&user, &device, 7);
    assert_eq!(registry.refresh(&g1, 1, std::slice::from_ref(&unknown)).await, Ok(vec![None]));
    assert_eq!(where_is(registry, &user).await, []);
    assert_eq!(registry.devices(&user).await, Ok(vec![]));

    let old = registry.register(&user, &device, &g1, 1, 0).await.unwrap().session_version;
    let new = registry.register(&user, &device, &g2, 1, 0).await.unwrap().session_version;
    let asked = [session(&user, &device, old), unknown.clone(), session(&name("nobody"), &device, 1)];
    let told = registry.refresh(&g1, 1, &asked[..1]).await.unwrap();
    assert_eq!(told, [Some(new)], "the older one hears of the newer one");
    assert_eq!(registry.refresh(&g1, 1, &asked[2..]).await, Ok(vec![None]));
    assert_eq!(registry.refresh(&g2, 1, &[session(&user, &device, new)]).await, Ok(vec![Some(new)]));
    assert_eq!(registry.refresh(&g1, 1, &[session(&user, &device, new)]).await, Ok(vec![None]), "it is not g1's");
    assert_eq!(registry.refresh(&g2, 2, &[session(&user, &device, new)]).await, Ok(vec![None]), "nor of that life");
    assert_eq!(registry.refresh(&g2, 1, &[]).await, Ok(vec![]));

    registry.unregister(&asked[0]).await.unwrap();
    assert_eq!(where_is(registry, &user).await, std::slice::from_ref(&g2));
    let route = Route { gateway: g2.clone(), incarnation: 1, session_version: new };
    assert_eq!(registry.devices(&user).await, Ok(vec![(device.clone(), route)]));
    registry.unregister(&session(&user, &device, new)).await.unwrap();
    registry.unregister(&session(&user, &device, new)).await.unwrap();
    assert_eq!(where_is(registry, &user).await, []);
    assert_eq!(registry.refresh(&g2, 1, &[session(&user, &device, new)]).await, Ok(vec![None]));
}

/// Only routes of incarnations that live count; a gateway is one hit a user.
async fn routes(registry: &Arc<dyn Registry>) {
    let (one, two, none): (UserId, UserId, UserId) = (name("u"), name("u"), name("u"));
    let (d1, d2, d3): (DeviceId, DeviceId, DeviceId) = (name("d"), name("d"), name("d"));
    let (g1, g2): (NodeId, NodeId) = (name("g1"), name("g2"));
    for (user, device, gateway) in [(&one, &d1, &g1), (&one, &d2, &g1), (&one, &d3, &g2), (&two, &d1, &g2)] {
        registry.register(user, device, gateway, 3, 0).await.unwrap();
    }
    let routes = registry.routes(&[one.clone(), two.clone()]).await.unwrap();
    assert_eq!(routes.hits, [], "no gateway beat");
    assert!(routes.settled.iter().all(|(gateway, _)| *gateway != g1 && *gateway != g2));
    held(registry, &g1, 3).await;
    held(registry, &g2, 3).await;
    let routes = registry.routes(&[none.clone(), two.clone(), one.clone()]).await.unwrap();
    assert!([(g1.clone(), 3), (g2.clone(), 3)].iter().all(|held| routes.settled.contains(held)));
    let mut hits = routes.hits;
    hits.sort_by_key(|hit| (hit.user, hit.gateway.clone()));
    let hit = |user, gateway: &NodeId| RouteHit { user, gateway: gateway.clone() };
    assert_eq!(hits, [hit(1, &g2), hit(2, &g1), hit(2, &g2)]);
    assert_eq!(registry.devices(&one).await.unwrap().len(), 3);

    // Another life of g1: the routes of the last one are void.
    held(registry, &g1, 4).await;
    assert_eq!(where_is(registry, &one).await, std::slice::from_ref(&g2));
    registry.register(&one, &d1, &g1, 4, 0).await.unwrap();
    assert_eq!(where_is(registry, &one).await, [g1.clone(), g2.clone()]);
    // The end of its old life is not the end of the new one.
    registry.retire(&g1, 3).await.unwrap();
    assert_eq!(where_is(registry, &one).await, [g1.clone(), g2.clone()]);
    registry.retire(&g2, 3).await.unwrap();
    assert_eq!(where_is(registry, &one).await, std::slice::from_ref(&g1));
    assert_eq!(where_is(registry, &two).await, []);
    assert_eq!(registry.devices(&two).await, Ok(vec![]));
}

async fn beats(registry: &Arc<dyn Registry>) {
    let gateway: NodeId = name("g");
    let named = |all: Gateways| all.live.into_iter().filter(|l| l.gateway == gateway).collect::<Vec<_>>();
    let renew = async |holding| registry.beat(&lease(&gateway, 1), TTL_MS, Claim::Renew(holding)).await.unwrap();
    assert_eq!(renew(1).await, Beat::Forgotten, "of a gateway that was never heard of");
    let first = held(registry, &gateway, 1).await;
    assert_eq!(held(registry, &gateway, 1).await, first);
    assert_eq!(renew(first).await, Beat::Held(first));
    let all = registry.gateways().await.unwrap();
    assert!(all.live.is_sorted_by_key(|lease| lease.gateway.clone()));
    assert!(!all.ended.contains(&gateway));
    assert_eq!(named(all), [lease(&gateway, 1)]);

    registry.retire(&gateway, 1).await.unwrap();
    let all = registry.gateways().await.unwrap();
    assert!(all.ended.contains(&gateway));
    assert_eq!(named(all), []);
    assert_eq!(renew(first).await, Beat::Ended);
    assert_eq!(named(registry.gateways().await.unwrap()), [], "an ended holding is not renewed");
    let second = held(registry, &gateway, 1).await;
    assert_ne!(second, first, "the lease was ended in between");
    assert_eq!(renew(first).await, Beat::Ended, "another holding lives");

    let third = held(registry, &gateway, 2).await;
    assert!(third != second && third != first);
    assert_eq!(registry.beat(&lease(&gateway, 1), TTL_MS, Claim::Take).await, Ok(Beat::Refused));
    assert_eq!(held(registry, &gateway, 2).await, third, "the refused one changed nothing");
    assert_eq!(named(registry.gateways().await.unwrap()), [lease(&gateway, 2)]);
    assert_eq!(renew(second).await, Beat::Refused);
    // A late beat of an older life is late also after the newer one ended.
    registry.retire(&gateway, 2).await.unwrap();
    assert_eq!(registry.beat(&lease(&gateway, 1), TTL_MS, Claim::Take).await, Ok(Beat::Refused));
}

/// Entries live 90 s, leases as long as the beat says.
pub(crate) async fn expiry(registry: Arc<dyn Registry>, pass: Pass<'_>) {
    let (user, device, gateway): (UserId, DeviceId, NodeId) = (name("u"), name("d"), name("g"));
    let beat = lease(&gateway, 1);
    registry.beat(&beat, 1_000_000, Claim::Take).await.unwrap();
    let version = registry.register(&user, &device, &gateway, 1, 0).await.unwrap().session_version;
    let mine = session(&user, &device, version);
    pass(Duration::from_secs(80)).await;
    assert_eq!(registry.refresh(&gateway, 1, std::slice::from_ref(&mine)).await, Ok(vec![Some(version)]));
    pass(Duration::from_secs(80)).await;
    assert_eq!(where_is(&registry, &user).await, std::slice::from_ref(&gateway), "it was refreshed");
    pass(Duration::from_secs(11)).await;
    assert_eq!(where_is(&registry, &user).await, []);
    assert_eq!(registry.devices(&user).await, Ok(vec![]));
    assert_eq!(registry.refresh(&gateway, 1, std::slice::from_ref(&mine)).await, Ok(vec![None]));
    assert_eq!(where_is(&registry, &user).await, [], "a refresh does not enter");
    // A version that has run out counts all the same.
    assert!(registry.register(&user, &device, &gateway, 1, 0).await.unwrap().session_version > version);

    let gateway: NodeId = name("g");
    registry.register(&user, &device, &gateway, 1, 0).await.unwrap();
    let first = held(&registry, &gateway, 1).await;
    pass(Duration::from_millis(TTL_MS - 1_000)).await;
    assert_eq!(held(&registry, &gateway, 1).await, first);
    pass(Duration::from_millis(TTL_MS - 1_000)).await;
    assert_eq!(where_is(&registry, &user).await, std::slice::from_ref(&gateway));
    pass(Duration::from_millis(1_001)).await;
    assert_eq!(where_is(&registry, &user).await, [], "an entry of a dead gateway, however young");
    assert!(registry.gateways().await.unwrap().live.iter().all(|lease| lease.gateway != gateway));
    assert_eq!(registry.beat(&lease(&gateway, 1), TTL_MS, Claim::Renew(first)).await, Ok(Beat::Ended));
    assert_ne!(held(&registry, &gateway, 1).await, first);
}

/// A registry that lost everything. `flush` makes it do so.
pub(crate) async fn flushed(registry: Arc<dyn Registry>, flush: Hook<'_>) {
    let (user, device, gateway): (UserId, DeviceId, NodeId) = (name("u"), name("d"), name("g"));
    let first = held(&registry, &gateway, 1).await;
    let version = registry.register(&user, &device, &gateway, 1, 100).await.unwrap().session_version;
    flush().await;
    let mine = session(&user, &device, version);
    assert_eq!(registry.beat(&lease(&gateway, 1), TTL_MS, Claim::Renew(first)).await, Ok(Beat::Forgotten));
    assert_eq!(registry.refresh(&gateway, 1, std::slice::from_ref(&mine)).await, Ok(vec![None]));
    let routes = registry.routes(std::slice::from_ref(&user)).await.unwrap();
    assert_eq!((routes.hits, routes.settled), (vec![], vec![]));
    assert!(registry.gateways().await.unwrap().memory_ms < 5_000);

    // Entered again, it counts with the lease; who has moved meanwhile is spared.
    let (moved, other): (DeviceId, NodeId) = (name("d"), name("g"));
    let newer = registry.register(&user, &moved, &other, 1, version + 7).await.unwrap().session_version;
    let both = [mine.clone(), session(&user, &moved, version)];
    assert_eq!(registry.restore(&gateway, 1, &both).await, Ok(vec![version, newer]));
    assert_eq!(where_is(&registry, &user).await, []);
    let beat = registry.beat(&lease(&gateway, 1), TTL_MS, Claim::Return).await;
    assert!(matches!(beat, Ok(Beat::Held(holding)) if holding != first), "{beat:?}");
    assert_eq!(registry.beat(&lease(&gateway, 1), TTL_MS, Claim::Return).await, Ok(Beat::Ended), "it is known now");
    assert_eq!(where_is(&registry, &user).await, std::slice::from_ref(&gateway));
    held(&registry, &other, 1).await;
    assert_eq!(where_is(&registry, &user).await.len(), 2);
    assert_eq!(registry.refresh(&gateway, 1, &both).await, Ok(vec![Some(version), Some(newer)]));
    assert_eq!(registry.restore(&gateway, 1, &[]).await, Ok(vec![]));

    // The clock went on, and so does the version.
    let next = registry.register(&user, &device, &gateway, 1, version + 1).await.unwrap();
    assert!(next.session_version > version);

    // One that is taken for dead while it is forgotten hears that it was ended.
    flush().await;
    registry.retire(&gateway, 1).await.unwrap();
    assert_eq!(registry.beat(&lease(&gateway, 1), TTL_MS, Claim::Renew(first)).await, Ok(Beat::Ended));
    assert_eq!(registry.beat(&lease(&gateway, 1), TTL_MS, Claim::Return).await, Ok(Beat::Ended));
}
