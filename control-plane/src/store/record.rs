//! What the store keeps beside the API's own bodies.

use protocol::admin::{Lever, NodeRole, Role, Token};
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
    /// Overrides it should have in force, as the stream carries them; by id.
    #[serde(default)]
    pub overrides: Vec<OverrideRecord>,
    /// The life that shall end, so that its supervisor starts the next.
    #[serde(default)]
    pub restart_incarnation: u64,
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
        Self { version: self.version + 1, drain, previous: self.drain.clone(), ..self.clone() }
    }
}

/// An override in a desired state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OverrideRecord {
    /// Which.
    pub id: String,
    /// What it forces.
    pub lever: Lever,
    /// When it ends, ms since the epoch.
    pub until_ms: u64,
    /// How long it may last in all, ms.
    pub for_ms: u64,
    /// The first version of the desired state that has it.
    pub since_version: u64,
}

/// What kind of thing a [`Document`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DocumentKind {
    /// An override.
    Override,
    /// An incident.
    Incident,
    /// A window of downgraded consistency.
    Window,
    /// An event that the fleet is scaled for.
    Event,
    /// The answer to a mutating call, by its idempotency key.
    Answered,
    /// A schedule.
    Schedule,
}

impl DocumentKind {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Override, Self::Incident, Self::Window, Self::Event, Self::Answered, Self::Schedule];

    /// Its word in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Override => "override",
            Self::Incident => "incident",
            Self::Window => "window",
            Self::Event => "event",
            Self::Answered => "answered",
            Self::Schedule => "schedule",
        }
    }
}

/// A thing of the control plane that is looked up by its name and listed by its number. Most resources are such.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// What it is.
    pub kind: DocumentKind,
    /// Its name, unique within the kind.
    pub id: String,
    /// Its place in the order of the kind; newest is highest.
    pub number: u64,
    /// Not looked at by default any more.
    pub is_ended: bool,
    /// 1 when it is created, one more with each change. A commit whose revision does not follow fails with `Stale`.
    pub revision: u64,
    /// JSON.
    pub body: String,
}

/// A node as it registered last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeRecord {
    /// Its name.
    pub id: String,
    /// What it does.
    pub role: NodeRole,
    /// What of that (workers).
    #[serde(default)]
    pub roles: Vec<String>,
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
