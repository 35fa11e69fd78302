//! Operations: whatever takes longer than a call.

use serde::{Deserialize, Serialize};

use super::*;

words!(
    /// What an operation does.
    OperationKind {
        /// Empties a gateway.
        Drain = "drain",
        /// Puts a gateway back into service.
        Undrain = "undrain",
        /// Restarts nodes, a few at a time.
        Rollout = "rollout",
        /// Compares stored rows with the log.
        Reconcile = "reconcile",
        /// Adds or removes nodes ahead of an event.
        Prescale = "prescale",
        /// Runs a runbook.
        Runbook = "runbook",
    }
);

words!(
    /// Whether an operation goes on.
    OperationState {
        /// It goes on.
        Running = "running",
        /// Somebody cancelled it; it is undoing what it did.
        Cancelling = "cancelling",
        /// It reached its end.
        Succeeded = "succeeded",
        /// It did not; `error` says why.
        Failed = "failed",
        /// It was cancelled.
        Cancelled = "cancelled",
    }
);

words!(
    /// How far an operation is.
    OperationPhase {
        /// Recorded; the node has not begun.
        Ordered = "ordered",
        /// The gateway tells its connections to move.
        Draining = "draining",
        /// The gateway closes what is left.
        Evicting = "evicting",
        /// The gateway reports no connection.
        Drained = "drained",
        /// The gateway reports no connection; some were closed.
        Forced = "forced",
        /// The gateway accepts connections again.
        Active = "active",
        /// Steps are taken.
        Working = "working",
        /// Somebody paused it.
        Paused = "paused",
        /// It waits for somebody to confirm its next step.
        Waiting = "waiting",
        /// What it was for is done.
        Done = "done",
        /// Cancelled.
        Cancelled = "cancelled",
        /// Failed.
        Failed = "failed",
    }
);

impl OperationState {
    /// True when the operation has ended.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled)
    }
}

/// Something long that goes on without its caller.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Operation {
    /// Its name, unique for ever.
    pub id: String,
    /// Its place in the order of creation, from 1.
    pub number: u64,
    /// How many control planes have driven it, from 1: grows when another takes over.
    pub epoch: u64,
    /// Grows with each change.
    pub revision: u64,
    /// What it does.
    pub kind: OperationKind,
    /// To which node, or `fleet`.
    pub target: String,
    /// Whether it goes on.
    pub state: OperationState,
    /// How far it is.
    pub phase: OperationPhase,
    /// Its figures.
    pub progress: Progress,
    /// What was asked for (drains).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drain: Option<DrainOrdered>,
    /// What else belongs to this kind of operation, as its own documentation says.
    #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    pub detail: serde_json::Value,
    /// Why it was asked for.
    pub reason: String,
    /// Who asked for it.
    pub who: String,
    /// When it was created, ms since the epoch.
    pub created_ms: u64,
    /// When it changed last.
    pub updated_ms: u64,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_ms: Option<u64>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Figures of an operation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Progress {
    /// Connections when it began.
    pub connections_at_start: u64,
    /// Connections now.
    pub connections: u64,
    /// Told to move so far.
    pub told_to_migrate: u64,
    /// Closed so far.
    pub evicted: u64,
    /// Steps, rows or nodes done (all but drains).
    #[serde(default)]
    pub done: u64,
    /// Of so many; 0 while that is not known.
    #[serde(default)]
    pub total: u64,
}

/// A change of an operation. A watcher gets them in order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct OperationEvent {
    /// Of which operation.
    pub operation: String,
    /// The revision it made, ascending.
    pub sequence: u64,
    /// When, ms since the epoch.
    pub at_ms: u64,
    /// Whether the operation goes on.
    pub state: OperationState,
    /// How far it was.
    pub phase: OperationPhase,
    /// Its figures then.
    pub progress: Progress,
    /// In words.
    pub message: String,
}
