//! Incidents: what a detector saw, with the numbers, and what to do about it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

words!(
    /// The six failure modes.
    Mode {
        /// A gateway crashed and dropped its connections.
        GatewayCrash = "gateway_crash",
        /// Acks are lost and clients send again.
        LostAck = "lost_ack",
        /// Heartbeats overwhelm the presence store.
        PresenceStorm = "presence_storm",
        /// The message store does not keep up with writes.
        WriteTimeouts = "write_timeouts",
        /// One user on two gateways.
        SplitBrain = "split_brain",
        /// Group messages arrive late.
        FanoutDelay = "fanout_delay",
    }
);
words!(
    /// How bad.
    Severity {
        /// Look at it today.
        Warning = "warning",
        /// Get up.
        Critical = "critical",
    }
);
words!(
    /// How an incident stands.
    IncidentState {
        /// Nobody has it yet.
        Open = "open",
        /// Somebody has it.
        Acknowledged = "acknowledged",
        /// Over: by rule or by hand.
        Resolved = "resolved",
    }
);

impl Mode {
    /// All of them, in the order of design and screens.
    pub const ALL: [Self; 6] = [
        Self::GatewayCrash,
        Self::LostAck,
        Self::PresenceStorm,
        Self::WriteTimeouts,
        Self::SplitBrain,
        Self::FanoutDelay,
    ];

    /// The runbook that fits, by its id.
    pub const fn runbook(self) -> &'static str {
        match self {
            Self::GatewayCrash => "gateway-crash",
            Self::LostAck => "lost-ack",
            Self::PresenceStorm => "presence-storm",
            Self::WriteTimeouts => "write-timeouts",
            Self::SplitBrain => "split-brain",
            Self::FanoutDelay => "fanout-delay",
        }
    }
}

/// A figure that a detector looked at.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Evidence {
    /// What was measured, in words.
    pub figure: String,
    /// The value.
    pub value: f64,
    /// Its unit: `ms`, `%`, `records`, `connections`, ...
    pub unit: String,
    /// Above (or for some below) this the rule fires.
    pub threshold: f64,
    /// Where, when it concerns one node or conversation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<String>,
}

/// An incident.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Incident {
    /// Its name, unique for ever.
    pub id: String,
    /// Its place in the order of opening, from 1.
    pub number: u64,
    /// Grows with each change.
    pub revision: u64,
    /// Which failure mode.
    pub mode: Mode,
    /// How bad.
    pub severity: Severity,
    /// How it stands.
    pub state: IncidentState,
    /// In one line.
    pub summary: String,
    /// The numbers, as they were last seen above their thresholds.
    pub evidence: Vec<Evidence>,
    /// The runbook to run, by its id.
    pub runbook: String,
    /// Its parameters, as far as the detector knows them.
    #[serde(default)]
    pub params: BTreeMap<String, String>,
    /// When it was opened, ms since the epoch.
    pub opened_ms: u64,
    /// When the rule held last.
    pub seen_ms: u64,
    /// Who took it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acknowledged_by: Option<String>,
    /// When it was resolved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolved_ms: Option<u64>,
    /// By whom: `rule`, or a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolved_by: Option<String>,
}
