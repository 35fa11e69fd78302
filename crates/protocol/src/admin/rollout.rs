//! Rollouts: restarting nodes a few at a time. A rollout is an operation; its `detail` is a [`RolloutDetail`].

use serde::{Deserialize, Serialize};

use super::NodeRole;

words!(
    /// How far a rollout is with one node.
    RolloutStep {
        /// Not begun.
        Waiting = "waiting",
        /// Its connections move elsewhere.
        Draining = "draining",
        /// It was told to end, and is not back.
        Restarting = "restarting",
        /// It is back and well.
        Done = "done",
        /// It is not.
        Failed = "failed",
    }
);

/// `POST /v1/rollouts`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct RolloutRequest {
    /// Which nodes.
    pub role: NodeRole,
    /// So many at once. Default 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_unavailable: Option<u32>,
    /// Window of each gateway's drain. Default 30,000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline_ms: Option<u64>,
    /// Only say what would be done.
    #[serde(default)]
    pub dry_run: bool,
    /// Why.
    #[serde(default)]
    pub reason: String,
}

/// What belongs to a rollout.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RolloutDetail {
    /// Which nodes.
    pub role: NodeRole,
    /// So many at once.
    pub max_unavailable: u32,
    /// Window of each gateway's drain.
    pub deadline_ms: u64,
    /// Somebody paused it: what is begun is finished, nothing new is begun.
    pub is_paused: bool,
    /// Why nothing new is begun, while something blocks it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocked: Option<String>,
    /// The nodes, in order.
    pub nodes: Vec<RolloutNode>,
}

/// A node of a rollout.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RolloutNode {
    /// Which.
    pub node: String,
    /// How far it is.
    pub step: RolloutStep,
    /// The life that ends.
    pub incarnation: u64,
    /// Since when it is at this step, ms since the epoch.
    pub since_ms: u64,
}
