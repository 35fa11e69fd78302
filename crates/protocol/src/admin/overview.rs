//! The whole fleet on one page.

use serde::{Deserialize, Serialize};

use super::{Mode, Override};

words!(
    /// How a failure mode's light shines.
    LightState {
        /// All is well.
        Good = "good",
        /// Near its threshold.
        Near = "near",
        /// The rule holds, or its incident is open.
        Firing = "firing",
        /// Nothing is known: no node reports the figure.
        Unknown = "unknown",
    }
);

/// A failure mode with its key figure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Light {
    /// Which.
    pub mode: Mode,
    /// How it shines.
    pub state: LightState,
    /// What the figure is, in words.
    pub figure: String,
    /// The figure now.
    pub value: f64,
    /// Its unit.
    pub unit: String,
    /// Where the rule begins to hold.
    pub threshold: f64,
    /// The incident that is open for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incident: Option<String>,
}

/// A second of the fleet's recent past.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Point {
    /// When, ms since the epoch.
    pub at_ms: u64,
    /// Connections.
    pub connections: u64,
    /// Messages accepted a second.
    pub messages_per_s: f64,
    /// Deliveries a second.
    pub deliveries_per_s: f64,
    /// p99 from numbered to handed to a gateway's sockets, ms.
    pub delivery_p99_ms: u64,
    /// Records behind the commit pointer.
    pub lag_records: u64,
    /// Age of the oldest record behind the commit pointer, ms.
    pub lag_ms: u64,
    /// p99 of writes to the message store, ms.
    pub write_p99_ms: u64,
}

/// The consistency that stored messages are written at.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ConsistencyNow {
    /// `LOCAL_QUORUM` or `ONE`.
    pub level: String,
    /// The override that downgraded it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub override_id: Option<String>,
    /// Time left of the downgrade, ms.
    pub left_ms: u64,
}

/// `GET /v1/overview`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Overview {
    /// The control plane's time, ms since the epoch.
    pub at_ms: u64,
    /// Gateways that are heard.
    pub gateways_live: u64,
    /// Gateways that are lost.
    pub gateways_lost: u64,
    /// Workers that are heard.
    pub workers_live: u64,
    /// Workers that are lost.
    pub workers_lost: u64,
    /// Users connected.
    pub users: u64,
    /// Most connections of all live gateways.
    pub capacity: u64,
    /// The figures of now.
    pub now: Point,
    /// The figures of the last 15 minutes, oldest first, one every 5 s.
    pub history: Vec<Point>,
    /// The six failure modes, in order.
    pub lights: Vec<Light>,
    /// Incidents that are not resolved.
    pub incidents_open: u64,
    /// Operations that go on.
    pub operations_running: u64,
    /// Overrides in force or pending.
    pub overrides: Vec<Override>,
    /// How stored messages are written.
    pub consistency: ConsistencyNow,
    /// What nodes complain of, with their names.
    pub troubles: Vec<String>,
}
