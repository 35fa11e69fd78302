//! Overrides: told to one node first, taken back everywhere when it refuses, and over when their time has come.

#![allow(clippy::unwrap_used)]

mod support;

use std::time::Duration;

use chat_control_plane::AppError;
use protocol::admin::{BreakerState, CreateOverride, Lever, Override, OverrideState};
use support::{Rig, operator};
use tokio::time::sleep;

fn open(scope: &str, for_ms: u64) -> CreateOverride {
    CreateOverride {
        lever: Lever::Breaker { name: "presence".into(), state: BreakerState::Open },
        scope: scope.into(),
        for_ms,
        reason: "a storm".into(),
        dry_run: false,
    }
}

async fn override_where(rig: &Rig, id: &str, what: impl Fn(&Override) -> bool) -> Override {
    for _ in 0..600 {
        let one = rig.plane.app().override_(id).await.unwrap();
        if what(&one) {
            return one;
        }
        sleep(Duration::from_millis(100)).await;
    }
    panic!("it never happened: {:?}", rig.plane.app().override_(id).await);
}

#[tokio::test(start_paused = true)]
async fn every_node_is_told_and_it_ends_with_its_time() {
    let rig = Rig::start().await;
    let _nodes = [rig.gateway("gw-1", 1, 10), rig.gateway("gw-2", 1, 10), rig.gateway("gw-3", 1, 10)];
    rig.gateway_where("gw-3", |gateway| gateway.connections == 10).await;
    let begun = rig.plane.app().override_create(&operator(), &open("fleet", 5_000)).await.unwrap();
    assert_eq!((begun.state, begun.who.as_str()), (OverrideState::Pending, "otto"));
    let active = override_where(&rig, &begun.id, |one| one.nodes.len() == 3).await;
    assert_eq!(active.state, OverrideState::Active);
    let again = rig.plane.app().override_create(&operator(), &open("gw-2", 5_000)).await.unwrap_err();
    assert!(matches!(&again, AppError::Conflict { hint, .. } if hint.contains(&begun.id)), "{again:?}");
    let over = override_where(&rig, &begun.id, |one| one.state == OverrideState::Ended).await;
    assert_eq!((over.ended_by.as_deref(), over.left_ms), (Some("time"), 0));
    assert!(over.ended_ms.unwrap() >= over.until_ms);
    // The nodes are told that it is over, too.
    for _ in 0..100 {
        sleep(Duration::from_millis(100)).await;
    }
    assert!(rig.plane.nodes().iter().all(|node| node.acked_version == node.desired_version));
    rig.plane.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn one_that_the_first_node_refuses_reaches_nobody_else() {
    let rig = Rig::start().await;
    let (one, _two) = (rig.gateway("gw-1", 1, 10), rig.gateway("gw-2", 1, 10));
    rig.gateway_where("gw-2", |gateway| gateway.connections == 10).await;
    one.gateway.state.lock().refuse = Some("not in this life");
    let begun = rig.plane.app().override_create(&operator(), &open("fleet", 60_000)).await.unwrap();
    let refused = override_where(&rig, &begun.id, |one| one.state == OverrideState::Refused).await;
    assert_eq!(refused.ended_by.as_deref(), Some("gw-1 refused it: not in this life"));
    let two = rig.plane.nodes().into_iter().find(|node| node.id == "gw-2").unwrap();
    assert_eq!(two.desired_version, 0, "it was never told");
    rig.plane.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn it_outlives_the_control_plane_and_can_be_ended_by_the_next() {
    let rig = Rig::start().await;
    let _one = rig.gateway("gw-1", 1, 10);
    rig.gateway_where("gw-1", |gateway| gateway.connections == 10).await;
    let begun = rig.plane.app().override_create(&operator(), &open("gw-1", 3_600_000)).await.unwrap();
    override_where(&rig, &begun.id, |one| one.state == OverrideState::Active).await;
    let rig = rig.restart().await;
    rig.gateway_where("gw-1", |gateway| gateway.connections == 10).await;
    assert_eq!(rig.plane.app().overrides(false).await.unwrap().len(), 1);
    let ended = rig.plane.app().override_end(&operator(), &begun.id, "enough").await.unwrap();
    assert_eq!((ended.state, ended.ended_by.as_deref()), (OverrideState::Ended, Some("otto")));
    assert_eq!(rig.plane.app().overrides(false).await.unwrap().len(), 0);
    let twice = rig.plane.app().override_end(&operator(), &begun.id, "enough").await.unwrap();
    assert_eq!(twice.already, Some(format!("override {} is over already: nothing to do", begun.id)));
    assert_eq!(twice.ended_by.as_deref(), Some("otto"));
    assert!(rig.plane.app().audit_verify().await.unwrap().intact);
    rig.plane.shutdown().await;
}
