//! Nodes that are forgotten while operations go on. In paused time.

#![allow(clippy::unwrap_used)]

mod support;

use chat_control_plane::store::Change;
use protocol::admin::{DrainRequest, OperationPhase, OperationState};
use support::{Rig, operator};

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
