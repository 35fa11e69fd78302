//! Who may do what, and who did.

use std::fmt;

use serde::{Deserialize, Serialize};

words!(
    /// What a token allows. Each role includes the ones before it.
    Role {
        /// May look.
        Viewer = "viewer",
        /// May steer the fleet.
        Operator = "operator",
        /// May give out tokens.
        Admin = "admin",
    }
);

/// One line of the audit. `hash` covers every other field, `previous_hash` included.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AuditEntry {
    /// Dense from 1.
    pub seq: u64,
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
    /// Why, in the caller's words.
    pub reason: String,
    /// What was before, in words; empty when nothing.
    pub before: String,
    /// What is after.
    pub after: String,
    /// `done`, or why not.
    pub result: String,
    /// The entry before; 64 zeros for the first.
    pub previous_hash: String,
    /// SHA-256 in hex.
    pub hash: String,
}

/// Answer of `GET /v1/audit/verify`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AuditVerdict {
    /// True when the chain holds.
    pub intact: bool,
    /// Entries read.
    pub entries: u64,
    /// The newest hash; keep it elsewhere to notice a cut end.
    pub head: String,
    /// The first entry that does not fit, and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub broken: Option<String>,
}

/// `POST /v1/tokens`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct CreateToken {
    /// Whose it is: 1-64 characters of `[A-Za-z0-9_.-]`.
    pub name: String,
    /// What it allows.
    pub role: Role,
    /// How long. Default 30 days, at most 366.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl_s: Option<u64>,
    /// Why.
    #[serde(default)]
    pub reason: String,
}

/// A token, without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Token {
    /// Its name for `revoke`.
    pub id: String,
    /// Whose it is.
    pub name: String,
    /// What it allows.
    pub role: Role,
    /// When it was created, ms since the epoch.
    pub created_ms: u64,
    /// When it ends. Absent: with the control plane's configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_ms: Option<u64>,
    /// When it was revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_ms: Option<u64>,
}

/// Answer of `POST /v1/tokens`: the only time the secret is shown.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TokenCreated {
    /// What was made.
    pub token: Token,
    /// The bearer token itself.
    pub secret: String,
}

impl fmt::Debug for TokenCreated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenCreated").field("token", &self.token).finish_non_exhaustive()
    }
}

/// Answer of `GET /v1/whoami`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct WhoAmI {
    /// Whose token it is.
    pub name: String,
    /// What it allows.
    pub role: Role,
    /// When it ends, ms since the epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_ms: Option<u64>,
}
