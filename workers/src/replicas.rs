//! What the nodes of the message store say of themselves, for the control plane: whether they answer, and whether their
//! compactions pile up (failure mode 4).

use std::time::Duration;

use protocol::node::StoreNode;
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::worker::Shared;

/// Between two looks.
const LOOK: Duration = Duration::from_secs(5);
/// They may take so long to answer.
const DEADLINE: Duration = Duration::from_secs(4);

/// Looks until the worker stops.
pub(crate) async fn run(shared: Shared) {
    let mut looks = interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            () = shared.stop.cancelled() => return,
            _ = looks.tick() => {}
        }
        // Without an answer they stay as they were; that the store is down is said by its edge.
        let Ok(Ok(replicas)) = timeout(DEADLINE, shared.ports.messages.replicas()).await else { continue };
        let to_wire = |replica: backends::port::Replica| StoreNode {
            name: replica.name,
            up: replica.is_up,
            pending_compactions: replica.pending_compactions.unwrap_or_default(),
            write_p99_ms: replica.write_p99_ms.unwrap_or_default(),
        };
        shared.stats.replicas(replicas.into_iter().map(to_wire).collect());
    }
}
