//! What happens to the terminal UI, and what it asks for in return. Everything that happens is an [`Event`] and comes
//! over one bounded channel, so the order on the screen is the order in which it happened.

use crossterm::event::{KeyEvent, MouseEvent};
use protocol::{
    admin::{
        AuditEntry, Breaker, BreakerState, DrainPreview, Gateway, Incident, Lag, Node, Operation, OperationEvent,
        Override, Overview, PrescalePlan, RunRequest, ScaleEvent, UserSession, WhoAmI,
    },
    http::ConversationDetail,
};

/// Something happened.
#[derive(Debug, Clone)]
pub(crate) enum Event {
    /// A key was pressed.
    Key(KeyEvent),
    /// Text was pasted: it goes into an input, and never becomes keys.
    Paste(String),
    /// The mouse did something.
    Mouse(MouseEvent),
    /// The terminal has another size: columns, rows.
    Resize(u16, u16),
    /// Time passes. Ms since the epoch.
    Tick(u64),
    /// What was asked for has come.
    Loaded(Data),
    /// What was asked for has not come.
    Failed(Need, Failure),
    /// An action has ended: what was done, or why not.
    Done(Result<String, String>),
    /// An action has begun something that goes on: an operation's id.
    Started(String),
}

/// A kind of data that a pane needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Need {
    /// Who the token belongs to.
    WhoAmI,
    /// The fleet on one page.
    Overview,
    /// All gateways.
    Gateways,
    /// All nodes.
    Nodes,
    /// Where persisters stand.
    Lag,
    /// All breakers.
    Breakers,
    /// All overrides.
    Overrides,
    /// All incidents.
    Incidents,
    /// Operations, newest first.
    Operations,
    /// The audit, newest first.
    Audit,
    /// What the load of now, or a multiple of it, needs.
    Capacity,
    /// Events that the fleet is scaled for.
    ScaleEvents,
    /// Where a user is.
    Sessions,
    /// One conversation.
    Conversation,
    /// Events of one operation.
    Events,
    /// What a drain would do.
    Preview,
}

/// What came.
#[derive(Debug, Clone)]
pub(crate) enum Data {
    /// See [`Need::WhoAmI`].
    WhoAmI(WhoAmI),
    /// See [`Need::Overview`].
    Overview(Box<Overview>),
    /// See [`Need::Gateways`].
    Gateways(Vec<Gateway>),
    /// See [`Need::Nodes`].
    Nodes(Vec<Node>),
    /// See [`Need::Lag`].
    Lag(Vec<Lag>),
    /// See [`Need::Breakers`].
    Breakers(Vec<Breaker>),
    /// See [`Need::Overrides`].
    Overrides(Vec<Override>),
    /// See [`Need::Incidents`].
    Incidents(Vec<Incident>),
    /// See [`Need::Operations`].
    Operations(Vec<Operation>),
    /// See [`Need::Audit`].
    Audit(Vec<AuditEntry>),
    /// See [`Need::Capacity`].
    Capacity(Box<PrescalePlan>),
    /// See [`Need::ScaleEvents`].
    ScaleEvents(Vec<ScaleEvent>),
    /// Sessions of this user.
    Sessions(String, Vec<UserSession>),
    /// See [`Need::Conversation`].
    Conversation(Box<ConversationDetail>),
    /// Events of an operation that are new.
    Events(String, Vec<OperationEvent>),
    /// See [`Need::Preview`].
    Preview(DrainPreview),
}

impl Data {
    /// What it answers.
    pub(crate) fn need(&self) -> Need {
        match self {
            Self::WhoAmI(_) => Need::WhoAmI,
            Self::Overview(_) => Need::Overview,
            Self::Gateways(_) => Need::Gateways,
            Self::Nodes(_) => Need::Nodes,
            Self::Lag(_) => Need::Lag,
            Self::Breakers(_) => Need::Breakers,
            Self::Overrides(_) => Need::Overrides,
            Self::Incidents(_) => Need::Incidents,
            Self::Operations(_) => Need::Operations,
            Self::Audit(_) => Need::Audit,
            Self::Capacity(_) => Need::Capacity,
            Self::ScaleEvents(_) => Need::ScaleEvents,
            Self::Sessions(..) => Need::Sessions,
            Self::Conversation(_) => Need::Conversation,
            Self::Events(..) => Need::Events,
            Self::Preview(_) => Need::Preview,
        }
    }
}

/// Why something has not come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Failure {
    /// This control plane has no such endpoint.
    Unserved,
    /// The control plane does not answer.
    Lost(String),
    /// It answers, and says no.
    Refused(String),
}

/// What the state wants done. Only the runner does it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Action {
    /// End the program.
    Quit,
    /// Load something.
    Load(Load),
    /// Change something in the fleet.
    Act(Act),
}

/// What to load.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Load {
    /// What needs no argument.
    Plain(Need),
    /// What so many times the load of now needs.
    Capacity(String),
    /// Where a user is.
    Sessions(String),
    /// A conversation.
    Conversation(String),
    /// Events of an operation after a sequence number.
    Events(String, u64),
    /// What the drain of a gateway would do.
    Preview(String),
}

impl Load {
    /// What it is.
    pub(crate) fn need(&self) -> Need {
        match self {
            Self::Plain(need) => *need,
            Self::Capacity(_) => Need::Capacity,
            Self::Sessions(_) => Need::Sessions,
            Self::Conversation(_) => Need::Conversation,
            Self::Events(..) => Need::Events,
            Self::Preview(_) => Need::Preview,
        }
    }
}

/// A change in the fleet. Each has its reason; that of a run is in its plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Act {
    /// Move every connection of a gateway elsewhere.
    Drain { gateway: String, reason: String },
    /// Put a gateway back into service.
    Undrain { gateway: String, reason: String },
    /// Cancel an operation.
    Cancel { operation: String, reason: String },
    /// Hold a breaker open or closed for a while.
    Breaker { name: String, state: BreakerState, scope: String, for_ms: u64, reason: String },
    /// End an override.
    Revert { id: String, reason: String },
    /// Take an incident.
    Ack { incident: String, reason: String },
    /// Say that an incident is over.
    Resolve { incident: String, reason: String },
    /// Run a runbook: this plan, as it was read.
    Run { request: Box<RunRequest> },
    /// Type the word that a step of a run waits for, for this plan and no other.
    Confirm { run: String, step: String, word: String, plan_hash: String },
    /// Close a user's connection of one device on one gateway.
    Kick { user: String, device: String, gateway: String, reason: String },
    /// Scale for so many times the load of now.
    Prescale { factor: String, reason: String },
    /// Go back to what was before the last prescale.
    Unscale { reason: String },
    /// Forget an event.
    ForgetEvent { name: String, reason: String },
    /// Deliver a group's messages in batches for a while.
    Batch { conversation: String, for_ms: u64, reason: String },
}
