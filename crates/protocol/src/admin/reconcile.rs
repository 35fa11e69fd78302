//! Reconciliation: stored rows are compared with the log (failure mode 2). A run is an operation; its `detail` is a
//! [`ReconcileDetail`].

use serde::{Deserialize, Serialize};

words!(
    /// What is wrong with a row.
    DamageKind {
        /// A number of the log has no row.
        Hole = "hole",
        /// A row differs from its record.
        Differs = "differs",
        /// A number has another row beside the one of the log.
        DuplicateNumber = "duplicate_number",
        /// A message stands under a second number.
        KeyTwice = "key_twice",
    }
);

/// Damage that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Damage {
    /// What is wrong.
    pub kind: DamageKind,
    /// Where.
    pub conversation: String,
    /// Which number.
    pub sequence_number: u64,
    /// Which message.
    pub message_id: String,
    /// What was done about it; empty when nothing.
    #[serde(default)]
    pub repaired: String,
}

/// One step, as a worker answers it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckedRows {
    /// The next offset to check.
    pub next: u64,
    /// Records read.
    pub records: u64,
    /// Rows compared.
    pub rows: u64,
    /// What was found.
    pub damage: Vec<Damage>,
}

/// `POST /v1/reconciliations`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ReconcileRequest {
    /// Of 1,000,000 conversations, by their hash. Default all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sample_ppm: Option<u32>,
    /// Only this conversation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversation: Option<String>,
    /// Mends what can be mended: holes are written again, surplus rows are put into quarantine. Nothing is deleted.
    #[serde(default)]
    pub repair: bool,
    /// Records a second. Default 5,000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_per_s: Option<u32>,
    /// Again and again, so often, ms: 1 h to 30 d. Absent: once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every_ms: Option<u64>,
    /// Why.
    #[serde(default)]
    pub reason: String,
}

/// What belongs to a reconciliation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ReconcileDetail {
    /// What was asked for.
    pub request: ReconcileRequest,
    /// How far each partition is: it goes on from there after a takeover.
    pub spans: Vec<ReconcileSpan>,
    /// Rows compared.
    pub rows: u64,
    /// What was found, at most 200.
    pub damage: Vec<Damage>,
    /// How much was found in all.
    pub damaged: u64,
}

/// A partition of a reconciliation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ReconcileSpan {
    /// `direct` or `group`.
    pub lane: String,
    /// Which partition.
    pub partition: u32,
    /// The next record to check.
    pub next: u64,
    /// Records below this are checked: the commit pointer when it began.
    pub end: u64,
}
