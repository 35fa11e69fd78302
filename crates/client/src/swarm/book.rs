//! What the clients of a swarm do and see: one book for all, fed by an observer in each client.

use std::sync::Arc;

use hdrhistogram::Histogram;
use parking_lot::Mutex;
use protocol::frames::{ErrorCode, MessageFrame};
use rustc_hash::FxHashMap;
use tokio::time::Instant;
use uuid::Uuid;

use super::{Latency, Outcome, Progress, outcome::Rest};
use crate::{
    Event, Observer,
    checker::{Checker, ClientId, ConversationNo, Fact, digest},
};

/// See the module.
pub(super) struct Book(Mutex<Pages>);

struct Pages {
    checker: Checker,
    started: Instant,
    /// When the first message was sent and the last one shown.
    first_sent: Option<Instant>,
    last_shown: Option<Instant>,
    /// By key: the sends without an answer.
    open: FxHashMap<Uuid, (Instant, ConversationNo)>,
    /// By message id: when it was sent. Kept to the end: a late member's delivery counts, too.
    sent_at: FxHashMap<Uuid, Instant>,
    accepted_in: FxHashMap<ConversationNo, u64>,
    /// Whose connection stands; whose ever stood.
    connected: usize,
    reconnects: u64,
    late_syncs: u64,
    /// Clients that stopped for good.
    stopped: u64,
    /// Why the last connection was lost or not made.
    last_failure: Option<String>,
    latency: Histogram<u64>,
    accept_latency: Histogram<u64>,
}

/// What a client is still waiting for.
pub(super) struct Standing {
    pub(super) seen: u64,
    pub(super) expected: u64,
}

impl Book {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(Pages {
            checker: Checker::default(),
            started: Instant::now(),
            first_sent: None,
            last_shown: None,
            open: FxHashMap::default(),
            sent_at: FxHashMap::default(),
            accepted_in: FxHashMap::default(),
            connected: 0,
            reconnects: 0,
            late_syncs: 0,
            stopped: 0,
            last_failure: None,
            latency: histogram(),
            accept_latency: histogram(),
        })))
    }

    /// A client that will see these conversations from their beginning.
    pub(super) fn client(self: &Arc<Self>, user: &str, device: &str, conversations: &[Arc<str>]) -> Arc<Witness> {
        let mut pages = self.0.lock();
        let client = pages.checker.names().client(user, device);
        for id in conversations {
            let conversation = pages.checker.names().conversation(id);
            pages.checker.on(Fact::Member { client, conversation, from: 1 });
        }
        Arc::new(Witness { book: self.clone(), client, state: Mutex::default() })
    }

    /// A client is about to send.
    pub(super) fn sent(&self, client: ClientId, conversation: &str, key: Uuid, body: &str) {
        let now = Instant::now();
        let mut pages = self.0.lock();
        let conversation = pages.checker.names().conversation(conversation);
        pages.checker.on(Fact::Sent { client, conversation, key, body: digest(body) });
        let user = pages.checker.names().user_of(client);
        if let Some(id) = pages.checker.names().message_id(conversation, user, key) {
            pages.sent_at.insert(id, now);
        }
        pages.open.insert(key, (now, conversation));
        pages.first_sent.get_or_insert(now);
    }

    pub(super) fn connected(&self) -> usize {
        self.0.lock().connected
    }

    /// Something that grows as long as there is progress.
    pub(super) fn pulse(&self) -> u64 {
        let pages = self.0.lock();
        let so_far = pages.checker.so_far();
        so_far.delivered + so_far.accepted + so_far.refused + pages.reconnects
    }

    pub(super) fn unanswered(&self) -> u64 {
        self.0.lock().open.len() as u64
    }

    pub(super) fn standing(&self, client: ClientId, conversation: &str) -> Standing {
        let mut pages = self.0.lock();
        let no = pages.checker.names().conversation(conversation);
        let accepted = pages.accepted_in.get(&no).copied().unwrap_or(0);
        Standing { seen: pages.checker.seen(client, no), expected: pages.checker.head(no).max(accepted) }
    }

    pub(super) fn late_sync(&self) {
        self.0.lock().late_syncs += 1;
    }

    pub(super) fn last_failure(&self) -> String {
        self.0.lock().last_failure.clone().unwrap_or_else(|| "no attempt has ended".into())
    }

    pub(super) fn progress(&self, clients: usize, to_send: Option<u64>) -> Progress {
        let pages = self.0.lock();
        let so_far = pages.checker.so_far();
        Progress {
            clients,
            connected: pages.connected,
            reconnects: pages.reconnects,
            sent: so_far.sent,
            accepted: so_far.accepted,
            delivered: so_far.delivered,
            to_send,
            latency: Latency::from(&pages.latency),
            seconds: pages.started.elapsed().as_secs_f64(),
        }
    }

    /// The end: all views are final, unless the swarm was cut short.
    pub(super) fn outcome(&self, clients: &[ClientId], cancelled: bool) -> Outcome {
        let mut pages = self.0.lock();
        if !cancelled {
            clients.iter().for_each(|client| pages.checker.on(Fact::Final { client: *client }));
        }
        let (first, last) = (pages.first_sent, pages.last_shown);
        let seconds = first.zip(last).map_or(0.0, |(first, last)| last.saturating_duration_since(first).as_secs_f64());
        let rest = Rest {
            cancelled,
            clients: clients.len(),
            unanswered: pages.open.len() as u64,
            reconnects: pages.reconnects,
            late_syncs: pages.late_syncs,
            stopped: pages.stopped,
            latency: Latency::from(&pages.latency),
            accept_latency: Latency::from(&pages.accept_latency),
            seconds,
        };
        Outcome::new(pages.checker.verdict(), rest)
    }
}

/// Up to 10 minutes in milliseconds, to 2 digits: a few kilobytes, whatever comes.
fn histogram() -> Histogram<u64> {
    // The bounds are constants that the crate accepts.
    Histogram::new_with_bounds(1, 600_000, 2).unwrap_or_else(|error| unreachable!("{error}"))
}

/// The observer of one client.
pub(super) struct Witness {
    book: Arc<Book>,
    pub(super) client: ClientId,
    state: Mutex<Presence>,
}

#[derive(Default)]
struct Presence {
    connected: bool,
    ever: bool,
}

impl Observer for Witness {
    fn on(&self, event: &Event) {
        match event {
            Event::Connected { session_version, .. } => self.connected(*session_version),
            Event::Disconnected { .. } => self.disconnected(),
            Event::Reconnecting { why, .. } => self.book.0.lock().last_failure = Some(why.clone()),
            Event::Fatal(fatal) => self.stopped(fatal.to_string()),
            Event::Shown(message) => self.shown(message),
            Event::Accepted { key, conversation, message_id, .. } => self.accepted(*key, conversation, *message_id),
            Event::Refused { key, error } => self.refused(*key, error.code, error.conversation.as_deref()),
            _ => {}
        }
    }
}

impl Witness {
    fn connected(&self, session_version: u64) {
        let mut pages = self.book.0.lock();
        let mut state = self.state.lock();
        pages.connected += usize::from(!state.connected);
        pages.reconnects += u64::from(state.ever);
        (state.connected, state.ever) = (true, true);
        pages.checker.on(Fact::Connected { client: self.client, session_version });
    }

    fn disconnected(&self) {
        let mut pages = self.book.0.lock();
        let was = std::mem::take(&mut self.state.lock().connected);
        pages.connected -= usize::from(was);
    }

    fn stopped(&self, why: String) {
        self.disconnected();
        let mut pages = self.book.0.lock();
        pages.stopped += 1;
        pages.last_failure = Some(why);
    }

    fn shown(&self, message: &MessageFrame) {
        let now = Instant::now();
        let mut pages = self.book.0.lock();
        let names = pages.checker.names();
        let (conversation, sender) = (names.conversation(&message.conversation), names.user(&message.sender));
        let own = names.user_of(self.client) == sender;
        pages.checker.on(Fact::Shown {
            client: self.client,
            conversation,
            number: message.sequence_number,
            message_id: message.message_id,
            sender,
            body: digest(&message.body),
        });
        pages.last_shown = Some(now);
        if !own && let Some(sent_at) = pages.sent_at.get(&message.message_id).copied() {
            pages.latency.saturating_record((now - sent_at).as_millis() as u64);
        }
    }

    fn accepted(&self, key: Uuid, conversation: &str, message_id: Uuid) {
        let now = Instant::now();
        let mut pages = self.book.0.lock();
        let conversation = pages.checker.names().conversation(conversation);
        pages.checker.on(Fact::Accepted { client: self.client, conversation, key, message_id });
        if let Some((sent_at, _)) = pages.open.remove(&key) {
            *pages.accepted_in.entry(conversation).or_default() += 1;
            pages.accept_latency.saturating_record((now - sent_at).as_millis() as u64);
        }
    }

    fn refused(&self, key: Uuid, code: ErrorCode, conversation: Option<&str>) {
        let mut pages = self.book.0.lock();
        let open = pages.open.remove(&key).map(|(_, conversation)| conversation);
        let named = conversation.map(|id| pages.checker.names().conversation(id));
        let Some(conversation) = open.or(named) else { return };
        let client = self.client;
        pages.checker.on(match code {
            ErrorCode::Conflict => Fact::Conflict { client, conversation, key },
            _ => Fact::Refused { client, conversation, key },
        });
    }
}
