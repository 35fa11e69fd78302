//! Runs of runbooks, in paused time.

#![allow(clippy::unwrap_used)]

mod support;

use std::time::Duration;

use protocol::admin::{Call, Comparison, Condition, OperationKind, OperationState, RunRequest, Step, StepKind};
use serde_json::json;
use support::{Rig, operator};
use tokio::time::Instant;

#[tokio::test(start_paused = true)]
async fn a_step_that_waits_for_a_cancelled_operation_fails_at_once() {
    let rig = Rig::start().await;
    let (_one, _two) = (rig.gateway("gw-1", 1, 100), rig.gateway("gw-2", 1, 0));
    rig.gateway_where("gw-1", |gateway| gateway.connections == 100).await;
    let drain = Call {
        command: "chatctl gateway drain gw-1 --wait".into(),
        method: "POST".into(),
        path: "/v1/gateways/gw-1/drain".into(),
        body: json!({"deadline_ms": 600_000}),
        until: Some(Condition {
            path: "/v1/operations/{id}".into(),
            field: "state".into(),
            comparison: Comparison::Is,
            value: "succeeded".into(),
        }),
    };
    let step = Step {
        id: "drain".into(),
        title: "empty it".into(),
        kind: StepKind::Action,
        calls: vec![drain],
        undo: Vec::new(),
        timeout_ms: 3_600_000,
        confirm: None,
    };
    let request = RunRequest {
        runbook: "book".into(),
        params: Default::default(),
        steps: vec![step],
        confirm: Default::default(),
        resume: None,
        reason: "test".into(),
    };
    let run = rig.plane.app().run_begin(&operator(), &request).await.unwrap();
    let drain = loop {
        let all = rig.plane.app().operations(&Default::default()).await.unwrap().items;
        match all.into_iter().find(|it| it.kind == OperationKind::Drain) {
            Some(drain) => break drain,
            None => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    };
    rig.plane.app().cancel(&operator(), &drain.id, "not now").await.unwrap();
    let began = Instant::now();
    let failed = rig.operation_where(&run.id, |operation| operation.state.is_final()).await;
    assert!(began.elapsed() < Duration::from_secs(30), "it waited {:?}", began.elapsed());
    assert_eq!(failed.state, OperationState::Failed);
    let why = failed.error.unwrap();
    assert!(why.contains(&format!("{} ended as cancelled", drain.id)), "{why}");
}
