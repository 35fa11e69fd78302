//! What was loaded, when, and what was not.

use protocol::{
    admin::{
        AuditEntry, Breaker, Gateway, Incident, Lag, Node, NodeStatus, Operation, OperationEvent, Override, Overview,
        PrescalePlan, ScaleEvent, UserSession, WhoAmI,
    },
    http::ConversationDetail,
};

use crate::{
    output::{Tone, noun, thousands},
    tui::event::{Data, Failure, Need},
};

/// How a kind of data stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Meta {
    /// When it came last.
    pub(crate) at_ms: Option<u64>,
    /// This control plane has no such endpoint.
    pub(crate) is_unserved: bool,
    /// Why it did not come last time.
    pub(crate) error: Option<String>,
}

/// Data of a kind.
#[derive(Debug, Clone)]
pub(crate) struct Slot<T> {
    /// The last that came.
    pub(crate) value: Option<T>,
    meta: Meta,
}

impl<T> Default for Slot<T> {
    fn default() -> Self {
        Self { value: None, meta: Meta::default() }
    }
}

impl<T> Slot<T> {
    fn put(&mut self, value: T, at_ms: u64) {
        *self = Self { value: Some(value), meta: Meta { at_ms: Some(at_ms), ..Meta::default() } };
    }
}

/// What is looked up, for what cannot be listed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct LookedUp {
    /// A user.
    pub(crate) user: String,
    /// A conversation.
    pub(crate) conversation: String,
    /// So many times the load of now; empty: the load of now.
    pub(crate) factor: String,
}

/// What a pane looks up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lookup {
    /// A user.
    User,
    /// A conversation.
    Conversation,
    /// A multiple of the load of now.
    Factor,
}

impl Lookup {
    /// What is typed after the pane's name.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::User => "USER",
            Self::Conversation => "CONVERSATION",
            Self::Factor => "FACTOR",
        }
    }
}

/// All that was loaded.
#[derive(Debug, Clone, Default)]
pub(crate) struct Store {
    /// The time, ms since the epoch.
    pub(crate) now_ms: u64,
    pub(crate) whoami: Slot<WhoAmI>,
    pub(crate) overview: Slot<Overview>,
    pub(crate) gateways: Slot<Vec<Gateway>>,
    pub(crate) nodes: Slot<Vec<Node>>,
    pub(crate) lag: Slot<Vec<Lag>>,
    pub(crate) breakers: Slot<Vec<Breaker>>,
    pub(crate) overrides: Slot<Vec<Override>>,
    pub(crate) incidents: Slot<Vec<Incident>>,
    pub(crate) operations: Slot<Vec<Operation>>,
    pub(crate) audit: Slot<Vec<AuditEntry>>,
    pub(crate) capacity: Slot<PrescalePlan>,
    pub(crate) scale_events: Slot<Vec<ScaleEvent>>,
    pub(crate) sessions: Slot<Vec<UserSession>>,
    pub(crate) conversation: Slot<ConversationDetail>,
    /// What the panes that look one thing up look at: the words after their names.
    pub(crate) looked_up: LookedUp,
    /// Events of the operation that is looked at.
    pub(crate) events: Slot<Vec<OperationEvent>>,
    /// Only how it stands: what came is in the question.
    pub(super) preview: Slot<()>,
}

impl Store {
    /// Looks at another one: what was loaded of the last is of no use.
    pub(super) fn look_up(&mut self, what: Lookup, word: &str) {
        let word = word.to_owned();
        match what {
            Lookup::User => (self.looked_up.user, self.sessions) = (word, Slot::default()),
            Lookup::Conversation => (self.looked_up.conversation, self.conversation) = (word, Slot::default()),
            Lookup::Factor => (self.looked_up.factor, self.capacity) = (word, Slot::default()),
        }
    }

    /// Takes in what came.
    pub(super) fn put(&mut self, data: Data) {
        let now = self.now_ms;
        match data {
            Data::WhoAmI(it) => self.whoami.put(it, now),
            Data::Overview(it) => self.overview.put(*it, now),
            Data::Gateways(it) => self.gateways.put(it, now),
            Data::Nodes(it) => self.nodes.put(it, now),
            Data::Lag(it) => self.lag.put(it, now),
            Data::Breakers(it) => self.breakers.put(it, now),
            Data::Overrides(it) => self.overrides.put(it, now),
            Data::Incidents(it) => self.incidents.put(it, now),
            Data::Operations(it) => self.operations.put(it, now),
            Data::Audit(it) => self.audit.put(it, now),
            Data::Capacity(it) => self.capacity.put(*it, now),
            Data::ScaleEvents(it) => self.scale_events.put(it, now),
            // Another one is looked at by now.
            Data::Sessions(user, it) if user == self.looked_up.user => self.sessions.put(it, now),
            Data::Sessions(..) => {}
            Data::Conversation(it) if it.id == self.looked_up.conversation => self.conversation.put(*it, now),
            Data::Conversation(_) => {}
            Data::Events(_, new) => {
                let mut all = self.events.value.take().unwrap_or_default();
                let last = all.last().map_or(0, |event| event.sequence);
                all.extend(new.into_iter().filter(|event| event.sequence > last));
                self.events.put(all, now);
            }
            Data::Preview(_) => self.preview.put((), now),
        }
    }

    /// Takes in that something did not come. The last of it stays.
    pub(super) fn fail(&mut self, need: Need, failure: Failure) {
        let meta = self.meta_mut(need);
        match failure {
            Failure::Unserved => meta.is_unserved = true,
            Failure::Lost(why) | Failure::Refused(why) => meta.error = Some(why),
        }
    }

    /// How a kind of data stands.
    pub(crate) fn meta(&self, need: Need) -> &Meta {
        match need {
            Need::WhoAmI => &self.whoami.meta,
            Need::Overview => &self.overview.meta,
            Need::Gateways => &self.gateways.meta,
            Need::Nodes => &self.nodes.meta,
            Need::Lag => &self.lag.meta,
            Need::Breakers => &self.breakers.meta,
            Need::Overrides => &self.overrides.meta,
            Need::Incidents => &self.incidents.meta,
            Need::Operations => &self.operations.meta,
            Need::Audit => &self.audit.meta,
            Need::Capacity => &self.capacity.meta,
            Need::ScaleEvents => &self.scale_events.meta,
            Need::Sessions => &self.sessions.meta,
            Need::Conversation => &self.conversation.meta,
            Need::Events => &self.events.meta,
            Need::Preview => &self.preview.meta,
        }
    }

    fn meta_mut(&mut self, need: Need) -> &mut Meta {
        match need {
            Need::WhoAmI => &mut self.whoami.meta,
            Need::Overview => &mut self.overview.meta,
            Need::Gateways => &mut self.gateways.meta,
            Need::Nodes => &mut self.nodes.meta,
            Need::Lag => &mut self.lag.meta,
            Need::Breakers => &mut self.breakers.meta,
            Need::Overrides => &mut self.overrides.meta,
            Need::Incidents => &mut self.incidents.meta,
            Need::Operations => &mut self.operations.meta,
            Need::Audit => &mut self.audit.meta,
            Need::Capacity => &mut self.capacity.meta,
            Need::ScaleEvents => &mut self.scale_events.meta,
            Need::Sessions => &mut self.sessions.meta,
            Need::Conversation => &mut self.conversation.meta,
            Need::Events => &mut self.events.meta,
            Need::Preview => &mut self.preview.meta,
        }
    }
}

/// A figure with its unit, as `1,234 ms`, `1.5 s` or `12%`.
pub(crate) fn figure(value: f64, unit: &str) -> String {
    let is_whole = value.fract() == 0.0 || value.abs() >= 100.0;
    let number = match () {
        () if !value.is_finite() => return "-".to_owned(),
        () if is_whole && value >= 0.0 => thousands(value.round() as u64),
        () if is_whole => format!("-{}", thousands(value.abs().round() as u64)),
        () => format!("{value:.1}"),
    };
    match unit {
        "" => number,
        "%" => format!("{number}%"),
        _ => format!("{number} {}", noun(if value == 1.0 { 1 } else { 2 }, unit)),
    }
}

/// How full a gateway is, in percent.
pub(crate) fn load_percent(gateway: &Gateway) -> u64 {
    (gateway.connections * 100).checked_div(gateway.capacity).unwrap_or(0)
}

/// What that means: 80% is what a drain elsewhere may not pass.
pub(crate) fn load_tone(gateway: &Gateway) -> Tone {
    match load_percent(gateway) {
        _ if gateway.status == NodeStatus::Lost => Tone::Bad,
        0..60 => Tone::Good,
        60..80 => Tone::Busy,
        _ => Tone::Bad,
    }
}
