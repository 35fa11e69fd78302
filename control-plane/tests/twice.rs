//! What is asked for and is so already: no refusal, but it is said, and nothing is changed.

#![allow(clippy::unwrap_used)]

mod support;

use std::time::Duration;

use chat_control_plane::AppError;
use protocol::admin::NodeStatus;
use support::{Rig, operator, rollout_of_gateways};
use tokio::time::sleep;

#[tokio::test(start_paused = true)]
async fn a_rollout_is_paused_once_and_resumed_once() {
    let rig = Rig::start().await;
    let (_one, _two) = (rig.gateway("gw-1", 1, 10), rig.gateway("gw-2", 1, 10));
    rig.gateway_where("gw-2", |gateway| gateway.connections == 10).await;
    rig.gateway_where("gw-1", |gateway| gateway.connections == 10).await;
    let app = rig.plane.app();
    let id = app.rollout(&operator(), &rollout_of_gateways()).await.unwrap().id;

    let running = app.rollout_pause(&operator(), &id, false, "").await.unwrap();
    assert_eq!(running.already, Some(format!("operation {id} is not paused: nothing to do")));
    assert_eq!(app.rollout_pause(&operator(), &id, true, "").await.unwrap().already, None);
    let paused = app.rollout_pause(&operator(), &id, true, "").await.unwrap();
    assert_eq!(paused.already, Some(format!("operation {id} is paused already: nothing to do")));
    assert_eq!(app.rollout_pause(&operator(), &id, false, "").await.unwrap().already, None);
    rig.plane.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn a_token_is_revoked_once() {
    let rig = Rig::start().await;
    let app = rig.plane.app();
    let request = serde_json::from_value(serde_json::json!({ "name": "eve", "role": "viewer" })).unwrap();
    let id = app.token_create(&operator(), &request).await.unwrap().token.id;
    let first = app.token_revoke(&operator(), &id).await.unwrap();
    sleep(Duration::from_secs(5)).await;
    let twice = app.token_revoke(&operator(), &id).await.unwrap();
    assert_eq!(twice.already, Some(format!("token {id} is revoked already: nothing to do")));
    assert_eq!(twice.revoked_ms, first.revoked_ms);
    rig.plane.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn what_nobody_holds_is_let_go_and_what_is_not_there_is_not() {
    let rig = Rig::start().await;
    let revert = async |slot: &str, scope: &str| {
        let request = serde_json::json!({ "slot": slot, "scope": scope, "reason": "" });
        let request = serde_json::from_value(request).unwrap();
        rig.plane.app().override_revert_slot(&operator(), &request).await
    };
    assert_eq!(revert("breaker presence", "fleet").await, Ok(Vec::new()));
    assert!(matches!(revert("breaker planet", "fleet").await, Err(AppError::Invalid { .. })));
    assert!(matches!(revert("breaker presence", "gw-9").await, Err(AppError::NotFound { .. })));
    rig.plane.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn a_node_is_forgotten_when_it_is_gone() {
    let rig = Rig::start().await;
    let (one, _two) = (rig.gateway("gw-1", 1, 0), rig.gateway("gw-2", 1, 0));
    rig.gateway_where("gw-1", |_| true).await;
    rig.gateway_where("gw-2", |_| true).await;
    let app = rig.plane.app();
    let heard = app.node_forget(&operator(), "gw-1", "gone").await.unwrap_err();
    assert!(matches!(heard, AppError::Conflict { .. }), "{heard:?}");
    one.kill().await;
    rig.gateway_where("gw-1", |gateway| gateway.status == NodeStatus::Lost).await;
    assert_eq!(app.node_forget(&operator(), "gw-1", "gone").await.unwrap().id, "gw-1");
    let names: Vec<_> = rig.plane.nodes().into_iter().map(|node| node.id).collect();
    assert_eq!(names, ["gw-2"]);
    assert_eq!(rig.store.nodes().await.unwrap().len(), 1, "the store knows it no more");
    assert!(matches!(app.node_forget(&operator(), "gw-1", "").await, Err(AppError::NotFound { .. })));
    rig.plane.shutdown().await;
}
