//! Drains and undrains without HTTP; all but one in paused time, without threads or files.

#![allow(clippy::unwrap_used)]

mod support;

use std::{sync::Arc, time::Duration};

use backends::Clock;
use chat_control_plane::{AppError, OperationQuery, store::SqliteStore};
use protocol::{
    admin::{DrainRequest, GatewayPhase, NodeStatus, OperationPhase, OperationState},
    node::DrainPhase,
};
use support::{Rig, operator};
use tokio::time::Instant;

fn drain() -> DrainRequest {
    DrainRequest { reason: "kernel update".into(), ..DrainRequest::default() }
}

#[tokio::test(start_paused = true)]
async fn a_drain_follows_the_gateway_and_is_undone_by_an_undrain() {
    let rig = Rig::start().await;
    let (one, _two) = (rig.gateway("gw-1", 1, 100), rig.gateway("gw-2", 1, 100));
    rig.gateway_where("gw-1", |gateway| gateway.connections == 100).await;
    rig.gateway_where("gw-2", |gateway| gateway.connections == 100).await;

    let begun = rig.plane.drain(&operator(), "gw-1", &drain()).await.unwrap();
    assert_eq!(
        (begun.state, begun.phase, begun.who.as_str()),
        (OperationState::Running, OperationPhase::Ordered, "otto")
    );
    rig.operation_where(&begun.id, |operation| operation.phase == OperationPhase::Draining).await;
    // It says drained, but still has one: not drained.
    one.gateway.set(1, DrainPhase::Drained);
    let still = rig.operation_where(&begun.id, |operation| operation.progress.connections == 1).await;
    assert_eq!(still.state, OperationState::Running);
    one.gateway.set(0, DrainPhase::Drained);
    let ended = rig.operation_where(&begun.id, |operation| operation.state.is_final()).await;
    assert_eq!((ended.state, ended.phase), (OperationState::Succeeded, OperationPhase::Drained));
    assert_eq!((ended.progress.connections_at_start, ended.progress.connections), (100, 0));
    assert!(ended.ended_ms.unwrap() > ended.created_ms);

    let again = rig.plane.drain(&operator(), "gw-1", &drain()).await.unwrap();
    let already = format!("gateway gw-1 is drained already, by {}: nothing to do", begun.id);
    assert_eq!((again.now.id, again.already), (begun.id.clone(), Some(already)));
    let undrain = rig.plane.undrain(&operator(), "gw-1", "done").await.unwrap();
    let ended = rig.operation_where(&undrain.id, |operation| operation.state.is_final()).await;
    assert_eq!((ended.state, ended.phase), (OperationState::Succeeded, OperationPhase::Active));
    assert_eq!(rig.gateway_where("gw-1", |_| true).await.phase, GatewayPhase::Active);
    let again = rig.plane.undrain(&operator(), "gw-1", "").await.unwrap();
    assert_eq!(again.already.as_deref(), Some("gateway gw-1 is not drained: nothing to do"));
    assert_eq!(again.state, OperationState::Succeeded, "whoever waits for it need not wait");
    assert_eq!(rig.plane.operation(&again.id).await.unwrap(), again.now);
    rig.plane.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn a_forced_drain_says_so() {
    let rig = Rig::start().await;
    let (one, _two) = (rig.gateway("gw-1", 1, 10), rig.gateway("gw-2", 1, 0));
    rig.gateway_where("gw-1", |gateway| gateway.connections == 10).await;
    rig.gateway_where("gw-2", |_| true).await;
    let begun = rig.plane.drain(&operator(), "gw-1", &drain()).await.unwrap();
    rig.operation_where(&begun.id, |operation| operation.phase == OperationPhase::Draining).await;
    one.gateway.set(4, DrainPhase::Evicting);
    rig.operation_where(&begun.id, |operation| operation.phase == OperationPhase::Evicting).await;
    one.gateway.set(0, DrainPhase::Forced);
    let ended = rig.operation_where(&begun.id, |operation| operation.state.is_final()).await;
    assert_eq!((ended.state, ended.phase), (OperationState::Succeeded, OperationPhase::Forced));
    rig.plane.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn the_guard_refuses_and_force_overrides() {
    let rig = Rig::start().await;
    let _one = rig.gateway("gw-1", 1, 500);
    rig.gateway_where("gw-1", |gateway| gateway.connections == 500).await;
    let refused = rig.plane.drain(&operator(), "gw-1", &drain()).await.unwrap_err();
    assert_eq!(refused.to_string(), "drain of gw-1 refused: no other gateway accepts connections");
    let _two = rig.gateway("gw-2", 1, 400);
    rig.gateway_where("gw-2", |gateway| gateway.connections == 400).await;
    let refused = rig.plane.drain(&operator(), "gw-1", &drain()).await.unwrap_err();
    assert!(matches!(refused, AppError::DrainRefused { .. }), "{refused:?}");
    let preview = rig.preview(&drain()).await;
    assert!(preview.refused.unwrap().contains("90%"));
    let hasty = DrainRequest { deadline_ms: Some(10), force: true, ..drain() };
    assert!(matches!(rig.plane.drain(&operator(), "gw-1", &hasty).await, Err(AppError::Invalid { .. })));

    let forced = DrainRequest { force: true, ..drain() };
    assert_eq!(rig.preview(&forced).await.refused, None);
    let begun = rig.plane.drain(&operator(), "gw-1", &forced).await.unwrap();
    let again = rig.plane.drain(&operator(), "gw-1", &forced).await.unwrap();
    let already = format!("gateway gw-1 is draining already, by {}: nothing to do", begun.id);
    assert_eq!((again.now.id, again.already), (begun.id.clone(), Some(already)));
    assert!(matches!(rig.plane.undrain(&operator(), "gw-1", "").await, Err(AppError::Busy { .. })));
    assert!(matches!(rig.plane.drain(&operator(), "gw-9", &forced).await, Err(AppError::NotFound { .. })));

    let results: Vec<_> =
        rig.plane.app().audit(None, None).await.unwrap().items.into_iter().map(|it| it.result).collect();
    assert_eq!(results.iter().filter(|result| *result == "done").count(), 2);
    assert_eq!(results.iter().filter(|result| result.starts_with("refused: ")).count(), 5);
    assert!(rig.plane.app().audit_verify().await.unwrap().intact);
    rig.plane.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_drain_leaves_the_gateway_active() {
    let rig = Rig::start().await;
    let (_one, _two) = (rig.gateway("gw-1", 1, 100), rig.gateway("gw-2", 1, 0));
    rig.gateway_where("gw-1", |gateway| gateway.connections == 100).await;
    rig.gateway_where("gw-2", |_| true).await;
    let begun = rig.plane.drain(&operator(), "gw-1", &drain()).await.unwrap();
    rig.operation_where(&begun.id, |operation| operation.phase == OperationPhase::Draining).await;
    let cancelled = rig.plane.cancel(&operator(), &begun.id, "not now").await.unwrap();
    assert_eq!(cancelled.state, OperationState::Cancelling);
    let ended = rig.operation_where(&begun.id, |operation| operation.state.is_final()).await;
    assert_eq!((ended.state, ended.phase), (OperationState::Cancelled, OperationPhase::Cancelled));
    let gateway = rig.gateway_where("gw-1", |gateway| gateway.phase == GatewayPhase::Active).await;
    assert_eq!(gateway.operation, None);
    let again = rig.plane.cancel(&operator(), &begun.id, "").await.unwrap();
    assert_eq!(again.already, Some(format!("operation {} is cancelled already: nothing to do", begun.id)));
    // At once, before the gateway heard of it.
    let begun = rig.plane.drain(&operator(), "gw-1", &drain()).await.unwrap();
    rig.plane.cancel(&operator(), &begun.id, "").await.unwrap();
    let ended = rig.operation_where(&begun.id, |operation| operation.state.is_final()).await;
    assert_eq!(ended.state, OperationState::Cancelled);
    rig.plane.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn a_lost_gateway_fails_its_drain_and_comes_back_active() {
    let rig = Rig::start().await;
    let (one, _two) = (rig.gateway("gw-1", 1, 100), rig.gateway("gw-2", 1, 0));
    rig.gateway_where("gw-1", |gateway| gateway.connections == 100).await;
    rig.gateway_where("gw-2", |_| true).await;
    tokio::time::sleep(Duration::from_secs(20)).await;
    let begun = rig.plane.drain(&operator(), "gw-1", &drain()).await.unwrap();
    rig.operation_where(&begun.id, |operation| operation.phase == OperationPhase::Draining).await;
    one.kill().await;
    let killed = Instant::now();
    let lost = rig.gateway_where("gw-1", |gateway| gateway.status == NodeStatus::Lost).await;
    assert!((2..=4).contains(&killed.elapsed().as_secs()), "lost after {:?}", killed.elapsed());
    assert_eq!(lost.connections, 100);
    let ended = rig.operation_where(&begun.id, |operation| operation.state.is_final()).await;
    assert_eq!(ended.state, OperationState::Failed);
    assert!(ended.error.unwrap().contains("was lost while it drained"));
    assert!(matches!(rig.plane.drain(&operator(), "gw-1", &drain()).await, Err(AppError::Conflict { .. })));

    let _again = rig.gateway("gw-1", 2, 0);
    let back = rig.gateway_where("gw-1", |gateway| gateway.status == NodeStatus::Live).await;
    assert_eq!((back.phase, back.operation), (GatewayPhase::Active, None));
    rig.plane.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn a_refused_order_fails_the_operation_and_is_rolled_back() {
    let rig = Rig::start().await;
    let (one, _two) = (rig.gateway("gw-1", 1, 100), rig.gateway("gw-2", 1, 0));
    rig.gateway_where("gw-1", |gateway| gateway.connections == 100).await;
    rig.gateway_where("gw-2", |_| true).await;
    one.gateway.state.lock().refuse = Some("my disk is full");
    let begun = rig.plane.drain(&operator(), "gw-1", &drain()).await.unwrap();
    let ended = rig.operation_where(&begun.id, |operation| operation.state.is_final()).await;
    assert_eq!(ended.error.as_deref(), Some("gateway gw-1 refused to drain: my disk is full"));
    let node = rig.plane.nodes().into_iter().find(|node| node.id == "gw-1").unwrap();
    assert_eq!((node.desired_version, node.nack.unwrap().reason.as_str()), (2, "my disk is full"));
    assert_eq!(rig.gateway_where("gw-1", |_| true).await.operation, None);
    rig.plane.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn operations_go_on_after_a_restart() {
    let rig = Rig::start().await;
    let (one, two) = (rig.gateway("gw-1", 1, 100), rig.gateway("gw-2", 1, 0));
    rig.gateway_where("gw-1", |gateway| gateway.connections == 100).await;
    rig.gateway_where("gw-2", |_| true).await;
    let begun = rig.plane.drain(&operator(), "gw-1", &drain()).await.unwrap();
    rig.operation_where(&begun.id, |operation| operation.phase == OperationPhase::Draining).await;

    let rig = rig.restart().await;
    one.gateway.set(40, DrainPhase::Draining);
    let resumed = rig.operation_where(&begun.id, |operation| operation.progress.connections == 40).await;
    assert_eq!((resumed.epoch, resumed.state), (2, OperationState::Running));
    assert_eq!(rig.gateway_where("gw-1", |gateway| gateway.status == NodeStatus::Live).await.connections, 40);
    one.gateway.set(0, DrainPhase::Drained);
    rig.operation_where(&begun.id, |operation| operation.state == OperationState::Succeeded).await;

    let next = rig.plane.undrain(&operator(), "gw-1", "").await.unwrap();
    assert_eq!(next.number, 2, "numbers go on");
    let rig = rig.restart().await;
    rig.operation_where(&next.id, |operation| operation.state == OperationState::Succeeded).await;
    let page =
        rig.plane.app().operations(&OperationQuery { limit: Some(1), ..OperationQuery::default() }).await.unwrap();
    assert_eq!((page.items[0].number, page.next), (2, Some(2)));
    rig.plane.shutdown().await;
    one.kill().await;
    two.kill().await;
}

#[tokio::test(start_paused = true)]
async fn an_earlier_life_of_a_live_node_is_refused() {
    let rig = Rig::start().await;
    let _new = rig.gateway("gw-1", 5, 1);
    rig.gateway_where("gw-1", |gateway| gateway.connections == 1).await;
    let zombie = rig.gateway("gw-1", 4, 99);
    tokio::time::sleep(Duration::from_secs(5)).await;
    let gateway = rig.gateway_where("gw-1", |_| true).await;
    assert_eq!((gateway.status, gateway.connections), (NodeStatus::Live, 1));
    zombie.kill().await;
    let newer = rig.gateway("gw-1", 6, 3);
    rig.gateway_where("gw-1", |gateway| gateway.connections == 3).await;
    newer.kill().await;
    rig.plane.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn two_drains_at_once_see_each_other() {
    let rig = Rig::start().await;
    let _nodes: Vec<_> = ["gw-1", "gw-2", "gw-3"].map(|id| rig.gateway(id, 1, 300)).into();
    for id in ["gw-1", "gw-2", "gw-3"] {
        rig.gateway_where(id, |gateway| gateway.connections == 300).await;
    }
    rig.plane.drain(&operator(), "gw-1", &drain()).await.unwrap();
    // Without a moment between: gw-1 has not even heard of its drain.
    let refused = rig.plane.drain(&operator(), "gw-2", &drain()).await.unwrap_err();
    assert!(refused.to_string().contains("at 90% of their capacity"), "{refused}");
    rig.plane.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn one_gateway_of_a_zone_at_once_unless_forced() {
    let rig = Rig::start().await;
    let ids = ["gw-1.east", "gw-2.east", "gw-3.west", "gw-4.west"];
    let _nodes: Vec<_> = ids.map(|id| rig.gateway(id, 1, 10)).into();
    for id in ids {
        rig.gateway_where(id, |gateway| gateway.connections == 10).await;
    }
    rig.plane.drain(&operator(), "gw-1.east", &drain()).await.unwrap();
    let refused = rig.plane.drain(&operator(), "gw-2.east", &drain()).await.unwrap_err();
    assert!(matches!(&refused, AppError::Refused { flag: "--force", .. }), "{refused:?}");
    assert_eq!(refused.to_string(), "gw-1.east of the same zone east is being drained: one gateway of a zone at once");
    rig.plane.drain(&operator(), "gw-3.west", &drain()).await.unwrap();
    let forced = DrainRequest { force: true, ..drain() };
    rig.plane.drain(&operator(), "gw-2.east", &forced).await.unwrap();
    rig.plane.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_never_empties_fails_its_drain() {
    let rig = Rig::start().await;
    let (_one, _two) = (rig.gateway("gw-1", 1, 10), rig.gateway("gw-2", 1, 0));
    rig.gateway_where("gw-1", |gateway| gateway.connections == 10).await;
    rig.gateway_where("gw-2", |_| true).await;
    let begun = rig.plane.drain(&operator(), "gw-1", &drain()).await.unwrap();
    let began = Instant::now();
    tokio::time::sleep(Duration::from_secs(80)).await;
    let ended = rig.operation_where(&begun.id, |operation| operation.state.is_final()).await;
    assert!((90..95).contains(&began.elapsed().as_secs()), "ended after {:?}", began.elapsed());
    assert_eq!(ended.error.as_deref(), Some("gateway gw-1 still reports 10 connections long after its deadline"));
    let newest = rig.plane.app().audit(None, Some(1)).await.unwrap().items.remove(0);
    assert_eq!((newest.who.as_str(), newest.action.as_str()), ("control-plane", "operation end"));
    assert!(newest.result.starts_with("failed: "), "{}", newest.result);
    rig.plane.shutdown().await;
}

/// As `operations_go_on_after_a_restart`, over a real file and real time.
#[tokio::test]
async fn operations_go_on_over_sqlite() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("control.db");
    let store = Arc::new(SqliteStore::open(&path).await.unwrap());
    let rig = Rig::with(store, Clock::System).await;
    let (one, _two) = (rig.gateway("gw-1", 1, 100), rig.gateway("gw-2", 1, 0));
    rig.gateway_where("gw-1", |gateway| gateway.connections == 100).await;
    rig.gateway_where("gw-2", |_| true).await;
    let begun = rig.plane.drain(&operator(), "gw-1", &drain()).await.unwrap();
    rig.operation_where(&begun.id, |operation| operation.phase == OperationPhase::Draining).await;
    let rig = rig.restart_over(Arc::new(SqliteStore::open(&path).await.unwrap())).await;
    one.gateway.set(0, DrainPhase::Drained);
    let ended = rig.operation_where(&begun.id, |operation| operation.state.is_final()).await;
    assert_eq!((ended.state, ended.epoch), (OperationState::Succeeded, 2));
    assert!(rig.plane.app().audit_verify().await.unwrap().intact);
    rig.plane.shutdown().await;
}

impl Rig {
    async fn preview(&self, request: &DrainRequest) -> protocol::admin::DrainPreview {
        self.plane.app().drain_preview("gw-1", request).await.unwrap()
    }
}
