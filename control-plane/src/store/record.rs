//! What the store keeps beside the API's own bodies.

use protocol::admin::{NodeRole, Role, Token};
use serde::{Deserialize, Serialize};

/// A node's desired state.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DesiredRecord {
    /// Whose.
    pub node: String,
    /// Grows with each change, also with a rollback.
    pub version: u64,
    /// Wanted: drained, by this order.
    pub drain: Option<DrainRecord>,
    /// What was wanted before; a version that the node refuses is rolled back to it.
    pub previous: Option<DrainRecord>,
}

/// The drain in a desired state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrainRecord {
    /// By which operation.
    pub operation: String,
    /// After this the rest is closed.
    pub deadline_ms: u64,
    /// At most this many are moved a second.
    pub rate_per_s: u32,
}

impl DesiredRecord {
    /// The next version.
    pub fn next(&self, drain: Option<DrainRecord>) -> Self {
        Self { node: self.node.clone(), version: self.version + 1, drain, previous: self.drain.clone() }
    }
}

/// A node as it registered last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeRecord {
    /// Its name.
    pub id: String,
    /// What it does.
    pub role: NodeRole,
    /// Which life of it.
    pub incarnation: u64,
    /// Where clients connect (gateways).
    pub client_url: String,
    /// Where its HTTP is served (gateways).
    pub http_url: String,
    /// Its program.
    pub software: String,
    /// Most connections (gateways).
    pub capacity: u64,
    /// Where it stands.
    pub zone: String,
}

/// A token: only the hash of its secret is kept.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenRecord {
    /// What may be shown.
    pub token: Token,
    /// SHA-256 of the secret, in hex.
    pub hash: String,
}

impl std::fmt::Debug for TokenRecord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenRecord").field("token", &self.token).finish_non_exhaustive()
    }
}

/// A line for the audit, before it is numbered and chained.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAudit {
    /// When, ms since the epoch.
    pub at_ms: u64,
    /// Who called.
    pub who: String,
    /// With which role.
    pub role: Role,
    /// What was asked for.
    pub action: String,
    /// Of what.
    pub target: String,
    /// Why.
    pub reason: String,
    /// What was before.
    pub before: String,
    /// What is after.
    pub after: String,
    /// `done`, or why not.
    pub result: String,
}
