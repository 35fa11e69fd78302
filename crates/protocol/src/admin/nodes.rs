//! Nodes, gateways, and drains.

use serde::{Deserialize, Serialize};

words!(
    /// What a node does.
    NodeRole {
        /// Holds client connections.
        Gateway = "gateway",
        /// Orders, delivers and stores messages.
        Worker = "worker",
    }
);

words!(
    /// Whether a node is heard.
    NodeStatus {
        /// Reports arrive.
        Live = "live",
        /// No report for 3 s.
        Lost = "lost",
    }
);

words!(
    /// Where a gateway stands, as it says itself.
    GatewayPhase {
        /// Accepts connections.
        Active = "active",
        /// Tells its connections to move.
        Draining = "draining",
        /// Past the deadline: closes what is left.
        Evicting = "evicting",
        /// Has no connection; nobody was closed.
        Drained = "drained",
        /// Has no connection; some were closed.
        Forced = "forced",
    }
);

/// One gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Gateway {
    /// Its name.
    pub id: String,
    /// Whether it is heard.
    pub status: NodeStatus,
    /// Where it stands.
    pub phase: GatewayPhase,
    /// The operation that drains or drained it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    /// Connections now.
    pub connections: u64,
    /// Most connections.
    pub capacity: u64,
    /// Users connected.
    pub users: u64,
    /// Where it stands in the world.
    pub zone: String,
    /// Where clients connect.
    pub client_url: String,
    /// Where its HTTP is served.
    pub http_url: String,
    /// What is down, in words; empty when all is well.
    pub trouble: String,
    /// Messages accepted since it started.
    pub accepted_total: u64,
    /// Deliveries since it started.
    pub delivered_total: u64,
    /// Refusals since it started.
    pub refused_total: u64,
    /// Slow clients closed since it started.
    pub slow_consumers_total: u64,
}

/// One node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Node {
    /// Its name.
    pub id: String,
    /// What it does.
    pub role: NodeRole,
    /// What of that (workers): `sequencer-direct`, `sequencer-group`, `fanout`, `persister-direct`, `persister-group`.
    #[serde(default)]
    pub roles: Vec<String>,
    /// Whether it is heard.
    pub status: NodeStatus,
    /// Which life of it: grows at each start.
    pub incarnation: u64,
    /// Name and version of its program.
    pub software: String,
    /// Where it stands in the world.
    pub zone: String,
    /// Version of the desired state it should run by.
    pub desired_version: u64,
    /// Version it acknowledged last; 0 when none since the control plane started.
    pub acked_version: u64,
    /// Why it refused a desired state, when it refused the newest it answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nack: Option<NackDetail>,
    /// How long ago it was heard, ms.
    pub heard_ms_ago: u64,
    /// Connections (gateways).
    pub connections: u64,
    /// Partitions it sequences (workers).
    pub partitions: u32,
    /// Records that wait.
    pub lag_records: u64,
    /// Age of the oldest record that waits, ms.
    pub lag_ms: u64,
    /// Group messages that wait to be fanned out (workers with the role `fanout`).
    #[serde(default)]
    pub fanout_queue: u64,
    /// What is down, in words; empty when all is well.
    pub trouble: String,
}

/// A node's refusal of a desired state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NackDetail {
    /// The version refused.
    pub version: u64,
    /// Why.
    pub reason: String,
}

/// The numbers a drain runs by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DrainOrdered {
    /// After this the rest is closed.
    pub deadline_ms: u64,
    /// At most this many are moved a second.
    pub rate_per_s: u32,
    /// Guards were overridden.
    pub forced: bool,
}

/// `POST /v1/gateways/{id}/drain`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct DrainRequest {
    /// After this the rest is closed. Default 30,000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline_ms: Option<u64>,
    /// At most this many are moved a second. Default: what the deadline needs, at most 5,000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_per_s: Option<u32>,
    /// Overrides the guard.
    #[serde(default)]
    pub force: bool,
    /// Only say what would be done.
    #[serde(default)]
    pub dry_run: bool,
    /// Why.
    #[serde(default)]
    pub reason: String,
}

/// What a drain would do: the answer to a dry run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DrainPreview {
    /// The gateway.
    pub gateway: String,
    /// Connections to move.
    pub connections: u64,
    /// The numbers it would run by.
    pub drain: DrainOrdered,
    /// Gateways that would stay.
    pub survivors: u64,
    /// Their connections afterwards.
    pub survivors_connections: u64,
    /// Their capacity.
    pub survivors_capacity: u64,
    /// Why it would be refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
}
