//! The consistency that stored messages are written at, and the ledger of downgrades (failure mode 4).

use serde::{Deserialize, Serialize};

words!(
    /// How a window of a downgrade stands.
    WindowState {
        /// Rows are written at ONE.
        Open = "open",
        /// The downgrade is over; its rows are written again at quorum.
        Rewriting = "rewriting",
        /// Every row of it is at quorum, and dense.
        Verified = "verified",
    }
);

/// A window of downgraded consistency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ConsistencyWindow {
    /// The override that opened it.
    pub id: String,
    /// How it stands.
    pub state: WindowState,
    /// Who asked for it.
    pub who: String,
    /// Why.
    pub reason: String,
    /// When it was opened, ms since the epoch.
    pub opened_ms: u64,
    /// When the downgrade was over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed_ms: Option<u64>,
    /// When the last row of it was at quorum.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified_ms: Option<u64>,
    /// What it covers, by partition of the log.
    pub spans: Vec<WindowSpan>,
}

/// A part of a window: records of one partition of `sequenced`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct WindowSpan {
    /// `direct` or `group`.
    pub lane: String,
    /// Which partition.
    pub partition: u32,
    /// The first offset written at ONE.
    pub from: u64,
    /// The offset after the last.
    pub to: u64,
    /// How far it is written again; `to` when all of it is at quorum.
    pub rewritten_to: u64,
}

impl ConsistencyWindow {
    /// Records in it.
    pub fn records(&self) -> u64 {
        self.spans.iter().map(|span| span.to.saturating_sub(span.from)).sum()
    }

    /// Records of it that are at quorum again.
    pub fn rewritten(&self) -> u64 {
        self.spans.iter().map(|span| span.rewritten_to.min(span.to).saturating_sub(span.from)).sum()
    }
}

/// A node of the message store, as workers see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct StoreNode {
    /// Its address, or `embedded`.
    pub name: String,
    /// False when some worker gets no answer from it.
    pub up: bool,
    /// Compactions that wait.
    pub pending_compactions: u64,
    /// p99 of its own writes, ms; 0 when it does not tell.
    pub write_p99_ms: u64,
}

/// `GET /v1/consistency`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Consistency {
    /// `LOCAL_QUORUM` or `ONE`.
    pub level: String,
    /// The override that downgraded it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub override_id: Option<String>,
    /// Time left of the downgrade, ms.
    pub left_ms: u64,
    /// The nodes of the message store.
    pub store_nodes: Vec<StoreNode>,
    /// During a downgrade some writes are tried at quorum: how many of them it took, since the workers started.
    pub canaries_ok: u64,
    /// And how many it did not.
    pub canaries_failed: u64,
    /// Records behind the commit pointers.
    pub lag_records: u64,
    /// Windows that are not verified yet.
    pub windows: Vec<ConsistencyWindow>,
}

/// A partition of `sequenced`, as its persister stands in it. Offsets are those of the next record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Lag {
    /// `direct` or `group`.
    pub lane: String,
    /// Which partition.
    pub partition: u32,
    /// The worker that stores it.
    pub node: String,
    /// What is read.
    pub read: u64,
    /// The commit pointer: everything below is stored at quorum.
    pub committed: u64,
    /// Where the partition ends.
    pub end: u64,
    /// The override by which rows above the commit pointer are at ONE.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<String>,
}
