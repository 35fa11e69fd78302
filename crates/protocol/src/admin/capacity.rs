//! Capacity, events that the fleet is scaled for, and plans. A prescale is an operation; its `detail` is a
//! [`PrescaleDetail`].

use serde::{Deserialize, Serialize};

words!(
    /// How an event stands.
    EventState {
        /// Its time has not come.
        Planned = "planned",
        /// The fleet is scaled for it.
        Scaled = "scaled",
        /// It is over and the fleet is as before.
        Over = "over",
    }
);

/// A number that a plan is made from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CapacityInput {
    /// What it is.
    pub name: String,
    /// Its value.
    pub value: f64,
    /// Its unit.
    pub unit: String,
    /// Where it comes from: measured on this fleet, configured, or assumed.
    pub source: String,
}

/// Counts of nodes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NodeCounts {
    /// Gateways.
    pub gateways: u64,
    /// Workers.
    pub workers: u64,
    /// Nodes of the message store.
    pub store_nodes: u64,
}

/// What a plan does with one kind of node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PlanRow {
    /// `gateways`, `workers` or `store nodes`.
    pub what: String,
    /// Now.
    pub now: u64,
    /// Needed.
    pub needed: u64,
    /// To be added; never below 0: scaling down is for after the event.
    pub add: u64,
    /// How long it takes until they bear load, ms.
    pub lead_ms: u64,
    /// What they cost an hour; 0 when no price is configured.
    pub cost_per_h: f64,
}

/// A plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PrescalePlan {
    /// So many times the load of now.
    pub factor: f64,
    /// What it does.
    pub rows: Vec<PlanRow>,
    /// What it is made from.
    pub inputs: Vec<CapacityInput>,
    /// What it takes for granted.
    pub assumptions: Vec<String>,
    /// Who would add the nodes: `none`, `embedded`, `command`.
    pub provisioner: String,
}

/// `POST /v1/events`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct CreateEvent {
    /// Its name: 1-64 characters of `[A-Za-z0-9_.-]`.
    pub name: String,
    /// So many times the load of now: above 1, at most 100.
    pub factor: f64,
    /// When it begins, ms since the epoch.
    pub starts_ms: u64,
    /// How long it lasts, ms: 1 min to 7 d.
    pub lasts_ms: u64,
    /// Scale so long before it begins, ms. Default: the plan's longest lead time, and 5 min.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lead_ms: Option<u64>,
    /// Why.
    #[serde(default)]
    pub reason: String,
}

/// An event that the fleet is scaled for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ScaleEvent {
    /// Its name.
    pub name: String,
    /// Grows with each change.
    pub revision: u64,
    /// So many times the load.
    pub factor: f64,
    /// When the fleet is scaled, or that is tried again, ms since the epoch.
    pub scales_ms: u64,
    /// When it begins.
    pub starts_ms: u64,
    /// When it ends, and the fleet goes back.
    pub ends_ms: u64,
    /// How it stands.
    pub state: EventState,
    /// The operation that scaled, or scales, for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    /// Why the fleet could not be scaled for it, or not back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
    /// Who asked for it.
    pub who: String,
    /// Why.
    pub reason: String,
}

/// `POST /v1/prescale`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct PrescaleRequest {
    /// So many times the load of now. Absent: back to what was before the last prescale.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub factor: Option<f64>,
    /// Why.
    #[serde(default)]
    pub reason: String,
}

/// What belongs to a prescale.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PrescaleDetail {
    /// What there was.
    pub before: NodeCounts,
    /// What there shall be.
    pub target: NodeCounts,
    /// True when it takes nodes away.
    pub is_down: bool,
    /// The provisioner was told.
    pub is_told: bool,
    /// The nodes that go; gateways among them are drained first.
    pub leaving: Vec<String>,
}
