//! Nodes that are forgotten while operations go on. In paused time.

#![allow(clippy::unwrap_used)]

mod support;

use chat_control_plane::{AppError, store::Change};
use protocol::admin::{DrainRequest, NodeStatus, OperationPhase, OperationState, RolloutDetail, RolloutStep};
use support::{Rig, operator, rollout_of_gateways};

#[tokio::test(start_paused = true)]
async fn a_drain_of_a_node_that_is_not_known_any_more_ends_also_while_it_is_cancelled() {
    for is_cancelled in [false, true] {
        let rig = Rig::start().await;
        let (one, two) = (rig.gateway("gw-1", 1, 10), rig.gateway("gw-2", 1, 0));
        rig.gateway_where("gw-1", |gateway| gateway.connections == 10).await;
        rig.gateway_where("gw-2", |_| true).await;
        let request = DrainRequest { reason: "kernel update".into(), ..DrainRequest::default() };
        let begun = rig.plane.drain(&operator(), "gw-1", &request).await.unwrap();
        rig.operation_where(&begun.id, |operation| operation.phase == OperationPhase::Draining).await;
        one.kill().await;
        if is_cancelled {
            rig.plane.cancel(&operator(), &begun.id, "not now").await.unwrap();
        }
        rig.store.commit(vec![Change::ForgetNode("gw-1".into())]).await.unwrap();
        let rig = rig.restart().await;
        let ended = rig.operation_where(&begun.id, |operation| operation.state.is_final()).await;
        assert_eq!(ended.state, OperationState::Failed);
        assert_eq!(ended.error.as_deref(), Some("gw-1 is not known any more"));
        rig.plane.shutdown().await;
        two.kill().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_rollout_counts_on_the_nodes_that_it_has_under_way_and_skips_one_that_is_forgotten() {
    let rig = Rig::start().await;
    let (one, _two) = (rig.gateway("gw-1", 1, 10), rig.gateway("gw-2", 1, 10));
    let three = rig.gateway("gw-3", 1, 10);
    for id in ["gw-1", "gw-2", "gw-3"] {
        rig.gateway_where(id, |gateway| gateway.connections == 10).await;
    }
    let app = rig.plane.app();
    let id = app.rollout(&operator(), &rollout_of_gateways()).await.unwrap().id;
    let step_of = |detail: &serde_json::Value, at: usize| {
        let detail: RolloutDetail = serde_json::from_value(detail.clone()).unwrap();
        detail.nodes[at].step
    };
    rig.operation_where(&id, |operation| step_of(&operation.detail, 0) == RolloutStep::Draining).await;
    one.kill().await;
    three.kill().await;
    // Lost, but not given up yet: the control plane has only just begun to listen.
    for id in ["gw-1", "gw-3"] {
        rig.gateway_where(id, |gateway| gateway.status == NodeStatus::Lost).await;
    }
    let needed = app.node_forget(&operator(), "gw-1", "gone").await.unwrap_err();
    assert!(matches!(&needed, AppError::Busy { operation, .. } if *operation == id), "{needed:?}");
    assert_eq!(app.node_forget(&operator(), "gw-3", "gone").await.unwrap().id, "gw-3");
    let ended = rig.operation_where(&id, |operation| operation.state.is_final()).await;
    assert_eq!((ended.state, step_of(&ended.detail, 2)), (OperationState::Failed, RolloutStep::Done));
    assert_eq!(ended.error.as_deref(), Some("gw-1 was lost while it drained"));
    assert_eq!(app.node_forget(&operator(), "gw-1", "gone").await.unwrap().id, "gw-1");
    rig.plane.shutdown().await;
}
