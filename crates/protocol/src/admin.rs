//! Bodies of the control plane's HTTP API (`/v1/...`). Names are stable: programs read them, and so does `-o json`.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$word_doc:meta])* $word:ident = $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
        #[serde(rename_all = "snake_case")]
        pub enum $name { $($(#[$word_doc])* $word),+ }

        impl $name {
            /// The word on the wire.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$word => $text),+ }
            }

            /// Reads the word back.
            pub fn parse(text: &str) -> Option<Self> {
                match text { $($text => Some(Self::$word),)+ _ => None }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}

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
words!(
    /// What a node does.
    NodeRole {
        /// Holds client connections.
        Gateway = "gateway",
        /// Orders, delivers and stores messages.
        Worker = "worker",
    }
);
words!(
    /// Whether a node is heard.
    NodeStatus {
        /// Reports arrive.
        Live = "live",
        /// No report for 3 s.
        Lost = "lost",
    }
);
words!(
    /// Where a gateway stands, as it says itself.
    GatewayPhase {
        /// Accepts connections.
        Active = "active",
        /// Tells its connections to move.
        Draining = "draining",
        /// Past the deadline: closes what is left.
        Evicting = "evicting",
        /// Has no connection; nobody was closed.
        Drained = "drained",
        /// Has no connection; some were closed.
        Forced = "forced",
    }
);
words!(
    /// What an operation does.
    OperationKind {
        /// Empties a gateway.
        Drain = "drain",
        /// Puts a gateway back into service.
        Undrain = "undrain",
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
        /// Cancelled.
        Cancelled = "cancelled",
        /// Failed.
        Failed = "failed",
    }
);
words!(
    /// Why a call was not done.
    ProblemCode {
        /// No token, or one that is not valid.
        Unauthorized = "unauthorized",
        /// The token's role does not allow it.
        Forbidden = "forbidden",
        /// There is no such thing.
        NotFound = "not_found",
        /// The route does not know this method.
        MethodNotAllowed = "method_not_allowed",
        /// The request is wrong; the message says where.
        Invalid = "invalid",
        /// The body is too large.
        TooLarge = "too_large",
        /// Something else is in the way.
        Conflict = "conflict",
        /// A guard refused; `override_flag` may override it.
        Refused = "refused",
        /// The control plane cannot do it now.
        Unavailable = "unavailable",
    }
);

impl OperationState {
    /// True when the operation has ended.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled)
    }
}

/// One gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Gateway {
    /// Its name.
    pub id: String,
    /// Whether it is heard.
    pub status: NodeStatus,
    /// Where it stands.
    pub phase: GatewayPhase,
    /// The operation that drains or drained it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    /// Connections now.
    pub connections: u64,
    /// Most connections.
    pub capacity: u64,
    /// Users connected.
    pub users: u64,
    /// Where it stands in the world.
    pub zone: String,
    /// Where clients connect.
    pub client_url: String,
    /// Where its HTTP is served.
    pub http_url: String,
    /// What is down, in words; empty when all is well.
    pub trouble: String,
    /// Messages accepted since it started.
    pub accepted_total: u64,
    /// Deliveries since it started.
    pub delivered_total: u64,
    /// Refusals since it started.
    pub refused_total: u64,
    /// Slow clients closed since it started.
    pub slow_consumers_total: u64,
}

/// One node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Node {
    /// Its name.
    pub id: String,
    /// What it does.
    pub role: NodeRole,
    /// Whether it is heard.
    pub status: NodeStatus,
    /// Which life of it: grows at each start.
    pub incarnation: u64,
    /// Name and version of its program.
    pub software: String,
    /// Where it stands in the world.
    pub zone: String,
    /// Version of the desired state it should run by.
    pub desired_version: u64,
    /// Version it acknowledged last; 0 when none since the control plane started.
    pub acked_version: u64,
    /// Why it refused a desired state, when it refused the newest it answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nack: Option<NackDetail>,
    /// How long ago it was heard, ms.
    pub heard_ms_ago: u64,
    /// Connections (gateways).
    pub connections: u64,
    /// Partitions it sequences (workers).
    pub partitions: u32,
    /// Records that wait.
    pub lag_records: u64,
    /// Age of the oldest record that waits, ms.
    pub lag_ms: u64,
    /// What is down, in words; empty when all is well.
    pub trouble: String,
}

/// A node's refusal of a desired state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NackDetail {
    /// The version refused.
    pub version: u64,
    /// Why.
    pub reason: String,
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
    /// To which node.
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
}

/// The numbers a drain runs by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DrainOrdered {
    /// After this the rest is closed.
    pub deadline_ms: u64,
    /// At most this many are moved a second.
    pub rate_per_s: u32,
    /// Guards were overridden.
    pub forced: bool,
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

/// `POST /v1/gateways/{id}/drain`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct DrainRequest {
    /// After this the rest is closed. Default 30,000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline_ms: Option<u64>,
    /// At most this many are moved a second. Default: what the deadline needs, at most 5,000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_per_s: Option<u32>,
    /// Overrides the guard.
    #[serde(default)]
    pub force: bool,
    /// Only say what would be done.
    #[serde(default)]
    pub dry_run: bool,
    /// Why.
    #[serde(default)]
    pub reason: String,
}

/// `POST /v1/gateways/{id}/undrain` and `POST /v1/operations/{id}/cancel`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ReasonRequest {
    /// Why.
    #[serde(default)]
    pub reason: String,
}

/// What a drain would do: the answer to a dry run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DrainPreview {
    /// The gateway.
    pub gateway: String,
    /// Connections to move.
    pub connections: u64,
    /// The numbers it would run by.
    pub drain: DrainOrdered,
    /// Gateways that would stay.
    pub survivors: u64,
    /// Their connections afterwards.
    pub survivors_connections: u64,
    /// Their capacity.
    pub survivors_capacity: u64,
    /// Why it would be refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
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

/// A page of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// Pass as `before` to get the next page; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
}

/// The body of every answer that is not a success.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ProblemBody {
    /// The problem.
    pub error: Problem,
}

/// Inside of [`ProblemBody`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Problem {
    /// For programs.
    pub code: ProblemCode,
    /// What and why, for people.
    pub message: String,
    /// What to try.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The chatctl flag that overrides the refusal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub override_flag: Option<String>,
    /// The operation that is in the way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_on_the_wire_are_the_words_in_code() {
        for state in ["running", "cancelling", "succeeded", "failed", "cancelled"] {
            let parsed = OperationState::parse(state).unwrap();
            assert_eq!(serde_json::to_string(&parsed).unwrap(), format!("\"{state}\""));
        }
        assert_eq!(serde_json::to_string(&ProblemCode::MethodNotAllowed).unwrap(), "\"method_not_allowed\"");
        assert!(Role::Viewer < Role::Operator && Role::Operator < Role::Admin);
    }

    #[test]
    fn a_secret_is_not_in_debug_output() {
        let token = Token {
            id: "t-1".into(),
            name: "ann".into(),
            role: Role::Viewer,
            created_ms: 1,
            expires_ms: None,
            revoked_ms: None,
        };
        let created = TokenCreated { token, secret: "hush".into() };
        assert!(!format!("{created:?}").contains("hush"));
    }
}
