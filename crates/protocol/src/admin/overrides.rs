//! Overrides: what an operator forces for a while. Breakers, consistency, rates, batching and injected faults are all
//! overrides: each has an end, a reason and a scope, and a node reverts it by its own clock (I9).

use serde::{Deserialize, Serialize};

words!(
    /// Where a breaker stands.
    BreakerState {
        /// Calls pass.
        Closed = "closed",
        /// Calls are answered with an error at once.
        Open = "open",
        /// A few calls pass, to see whether the store is well.
        HalfOpen = "half_open",
    }
);
words!(
    /// How an override stands.
    OverrideState {
        /// Recorded; no node has it yet.
        Pending = "pending",
        /// In force on the nodes that acknowledged it.
        Active = "active",
        /// Over: by time, or reverted.
        Ended = "ended",
        /// A node refused it: it was taken back everywhere.
        Refused = "refused",
    }
);
words!(
    /// How an override stands on one node.
    Standing {
        /// Sent, not acknowledged.
        Sent = "sent",
        /// In force.
        Applied = "applied",
        /// The node cannot be told now.
        Unreachable = "unreachable",
    }
);

/// What is forced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Lever {
    /// A breaker is held open or closed.
    Breaker {
        /// The edge's name: `presence`, `messages`, `registry`, `dedup`, `directory`, `log`.
        name: String,
        /// `open` or `closed`.
        state: BreakerState,
    },
    /// Stored messages are written at consistency ONE: failure mode 4. At most 30 minutes.
    ConsistencyOne {
        /// Also while a Cassandra node is down: its name, or `any`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        despite: Option<String>,
    },
    /// Heartbeats that a gateway forwards a second: failure mode 3.
    HeartbeatRate {
        /// 1-100,000.
        per_s: u32,
    },
    /// Messages of a group are delivered in batches: failure mode 6.
    Batch {
        /// The group.
        conversation: String,
        /// How long messages wait for others, ms: 100-60,000.
        window_ms: u64,
    },
    /// A fault: every call of a store takes longer.
    StoreLatency {
        /// The edge's name.
        store: String,
        /// How much longer, ms: 1-60,000.
        latency_ms: u64,
    },
    /// A fault: some calls of a store fail.
    StoreErrors {
        /// The edge's name.
        store: String,
        /// How many of 100.
        percent: u8,
    },
    /// A fault: a gateway does not send some of its `accepted`: failure mode 2.
    DropAcks {
        /// How many of 100.
        percent: u8,
    },
    /// A fault: a gateway does not send some deliveries.
    DropFrames {
        /// How many of 100.
        percent: u8,
    },
    /// A fault: a gateway sends deliveries later.
    DelayFrames {
        /// How much later, ms: 1-60,000.
        delay_ms: u64,
    },
    /// A fault: the node dies at once, as by `kill -9`, and stays away as long as the fault lasts, if its supervisor
    /// lets it: failure mode 1.
    Kill,
    /// A fault: the node stands still, as by SIGSTOP.
    Pause,
}

impl Lever {
    /// Its word.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Breaker { .. } => "breaker",
            Self::ConsistencyOne { .. } => "consistency_one",
            Self::HeartbeatRate { .. } => "heartbeat_rate",
            Self::Batch { .. } => "batch",
            Self::StoreLatency { .. } => "store_latency",
            Self::StoreErrors { .. } => "store_errors",
            Self::DropAcks { .. } => "drop_acks",
            Self::DropFrames { .. } => "drop_frames",
            Self::DelayFrames { .. } => "delay_frames",
            Self::Kill => "kill",
            Self::Pause => "pause",
        }
    }

    /// True for an injected fault: nodes refuse it unless they run with `--allow-faults`.
    pub const fn is_fault(&self) -> bool {
        !matches!(
            self,
            Self::Breaker { .. } | Self::ConsistencyOne { .. } | Self::HeartbeatRate { .. } | Self::Batch { .. }
        )
    }

    /// What of the node it holds: two overrides of the same slot cannot be in force at once.
    pub fn slot(&self) -> String {
        match self {
            Self::Breaker { name, .. } => format!("breaker {name}"),
            Self::Batch { conversation, .. } => format!("batch {conversation}"),
            Self::StoreLatency { store, .. } | Self::StoreErrors { store, .. } => format!("{} {store}", self.kind()),
            _ => self.kind().to_owned(),
        }
    }
}

impl std::fmt::Display for Lever {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Breaker { name, state } => write!(f, "breaker {name} {state}"),
            Self::ConsistencyOne { .. } => f.write_str("consistency ONE"),
            Self::HeartbeatRate { per_s } => write!(f, "heartbeats at {per_s}/s"),
            Self::Batch { conversation, window_ms } => write!(f, "{conversation} in batches of {window_ms} ms"),
            Self::StoreLatency { store, latency_ms } => write!(f, "fault: {store} slower by {latency_ms} ms"),
            Self::StoreErrors { store, percent } => write!(f, "fault: {percent}% errors of {store}"),
            Self::DropAcks { percent } => write!(f, "fault: {percent}% of acks dropped"),
            Self::DropFrames { percent } => write!(f, "fault: {percent}% of deliveries dropped"),
            Self::DelayFrames { delay_ms } => write!(f, "fault: deliveries later by {delay_ms} ms"),
            Self::Kill => f.write_str("fault: killed"),
            Self::Pause => f.write_str("fault: paused"),
        }
    }
}

/// `POST /v1/overrides`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct CreateOverride {
    /// What to force.
    pub lever: Lever,
    /// `fleet`, or the name of a node.
    #[serde(default = "fleet")]
    pub scope: String,
    /// For how long, ms: 1,000 to 24 h; consistency at most 30 min.
    pub for_ms: u64,
    /// Why. Required.
    pub reason: String,
    /// Only say what would be done.
    #[serde(default)]
    pub dry_run: bool,
}

/// `POST /v1/overrides/revert`: ends what holds something, whatever its name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct RevertRequest {
    /// What is held: `breaker presence`, `consistency_one`, `heartbeat_rate`, `batch NAME`, `kill`, ...; `faults` for
    /// all faults.
    pub slot: String,
    /// `fleet`, or the name of a node. Default: wherever it is held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// Why.
    #[serde(default)]
    pub reason: String,
}

fn fleet() -> String {
    "fleet".to_owned()
}

/// An override.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Override {
    /// Its name, unique for ever.
    pub id: String,
    /// Grows with each change.
    pub revision: u64,
    /// What is forced.
    pub lever: Lever,
    /// `fleet`, or the name of a node.
    pub scope: String,
    /// How it stands.
    pub state: OverrideState,
    /// Why.
    pub reason: String,
    /// Who asked for it.
    pub who: String,
    /// When it was created, ms since the epoch.
    pub created_ms: u64,
    /// When it ends by itself, ms since the epoch.
    pub until_ms: u64,
    /// Time left, ms; 0 when it is over.
    pub left_ms: u64,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_ms: Option<u64>,
    /// How it ended: `time`, a person, or why a node refused it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_by: Option<String>,
    /// How it stands on each node of its scope.
    #[serde(default)]
    pub nodes: Vec<OverrideOnNode>,
}

/// An override on one node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct OverrideOnNode {
    /// Which node.
    pub node: String,
    /// How it stands there.
    pub standing: Standing,
}

/// A breaker, as one node reports it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Breaker {
    /// The edge's name.
    pub name: String,
    /// On which node.
    pub node: String,
    /// Where it stands.
    pub state: BreakerState,
    /// Held there by an override.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forced_by: Option<String>,
    /// Who set it: a person, or `auto`.
    pub set_by: String,
    /// For how long it stands there, ms.
    pub for_ms: u64,
    /// Calls of the last 10 s.
    pub calls: u64,
    /// Errors of the last 10 s.
    pub errors: u64,
    /// p99 of the last 10 s, ms.
    pub p99_ms: u64,
    /// What the last failing call said; empty when the store answers.
    pub trouble: String,
}
