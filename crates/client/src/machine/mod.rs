//! The rules of a client: a state machine without IO and without a clock. It is handed the time and what happens, and
//! answers with what to do.
//!
//! - [`view`]: what was seen of a conversation (duties 3 and 4).
//! - [`outbox`]: what is sent into it (duty 5).
//! - `connection`: attempts, backoff, heartbeats, moving house (duties 1, 2, 6 and 7).
//! - `traffic`: what to ask for and to send, conversation by conversation.
//! - `frames`: what the gateway says.

mod connection;
mod conversation;
mod frames;
mod io;
mod outbox;
mod traffic;
mod view;

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap, VecDeque},
    sync::Arc,
};

use domain::Backoff;
use protocol::frames::ClientFrame;
use rand::{SeedableRng, rngs::SmallRng};

pub use self::io::{Command, Effect, Failure, Input, LinkId};
use self::{connection::Dialing, conversation::Conversation};
use crate::{ClientConfig, Event, Fatal, Start};

/// A client without its sockets.
pub struct Core {
    // What it was told.
    device: String,
    start: Start,
    discover: bool,
    limits: Limits,

    // The connection.
    /// The one link that counts.
    current: Option<LinkId>,
    /// The link that is being made.
    dialing: Option<Dialing>,
    /// When to try again.
    reconnect_at_ms: Option<u64>,
    /// Whether the program wants a connection.
    wanted: bool,
    stopped: bool,
    backoff: Backoff,
    failures: u32,
    /// A hello of ours went unanswered: until then it may still reach a registry, as a session newer than the one that
    /// counts.
    ghost_until_ms: u64,
    /// Refused tokens in a row.
    refusals: u32,
    fresh_token: bool,
    heartbeat_spread_ms: u64,
    heartbeat_interval_ms: u64,
    heartbeat_at_ms: Option<u64>,
    /// Something must be heard by then.
    silence_at_ms: Option<u64>,
    /// The replay of this connection is waited for until then.
    replay_until_ms: Option<u64>,
    links: u64,

    // The conversations.
    conversations: BTreeMap<Arc<str>, Conversation>,
    /// Wake-ups by conversation. An early or stale one does no harm; at most one or two each are set at a time.
    wakeups: BinaryHeap<Reverse<(u64, Arc<str>)>>,
    /// Syncs under way, and who waits for a turn.
    syncs: usize,
    sync_queue: VecDeque<Arc<str>>,
    /// Sends without an answer, over all conversations.
    pending: usize,
    watched: Vec<String>,
    subscribed: Vec<String>,
    /// Discovery has its own `list` under way.
    discovering: bool,

    rng: SmallRng,
    effects: Vec<Effect>,
}

/// The numbers of [`ClientConfig`] that the rules need.
struct Limits {
    window: usize,
    held_max: usize,
    accept_timeout_ms: u64,
    silence_timeout_ms: u64,
}

impl Core {
    /// A client that has not connected yet.
    pub fn new(config: &ClientConfig) -> Self {
        let conversations =
            config.resume.iter().map(|(id, last)| (Arc::from(id.as_str()), Conversation::at(*last))).collect();
        Self {
            device: config.device.clone(),
            start: config.start,
            discover: config.discover,
            limits: Limits {
                window: config.window.max(1),
                held_max: config.held_max.max(1),
                accept_timeout_ms: config.accept_timeout_ms,
                silence_timeout_ms: config.silence_timeout_ms,
            },
            current: None,
            dialing: None,
            reconnect_at_ms: config.connect.then_some(0),
            wanted: config.connect,
            stopped: false,
            backoff: config.backoff,
            failures: 0,
            ghost_until_ms: 0,
            refusals: 0,
            fresh_token: false,
            heartbeat_spread_ms: 30_000,
            heartbeat_interval_ms: 30_000,
            heartbeat_at_ms: None,
            silence_at_ms: None,
            replay_until_ms: None,
            links: 0,
            conversations,
            wakeups: BinaryHeap::new(),
            syncs: 0,
            sync_queue: VecDeque::new(),
            pending: 0,
            watched: Vec::new(),
            subscribed: Vec::new(),
            discovering: false,
            rng: SmallRng::seed_from_u64(config.seed),
            effects: Vec::new(),
        }
    }

    /// Something happens at `now_ms`. Returns what to do about it, in order.
    pub fn on(&mut self, now_ms: u64, input: Input) -> Vec<Effect> {
        if !self.stopped {
            match input {
                Input::Tick => self.tick(now_ms),
                Input::Command(command) => self.command(now_ms, command),
                Input::Opened(link) => self.opened(link),
                Input::Failed(link, failure) => self.failed(now_ms, link, failure),
                Input::Frame(link, frame) => self.frame(now_ms, link, frame),
                Input::Lost(link, reason) => self.lost(now_ms, link, reason),
            }
        }
        std::mem::take(&mut self.effects)
    }

    /// When [`Input::Tick`] is due next.
    pub fn due_ms(&self) -> Option<u64> {
        if self.stopped {
            return None;
        }
        let wakeup = self.current.and(self.wakeups.peek()).map(|Reverse((at_ms, _))| *at_ms);
        let times = [self.reconnect_at_ms, self.heartbeat_at_ms, self.silence_at_ms, self.replay_until_ms, wakeup];
        times.into_iter().flatten().min()
    }

    /// Last seen number of each conversation: what to resume from.
    pub fn seen(&self) -> BTreeMap<String, u64> {
        self.conversations.iter().map(|(id, conversation)| (id.to_string(), conversation.view.last())).collect()
    }

    /// Sends that have no answer yet. The caller bounds them: each [`Command::Send`] adds one.
    pub fn pending(&self) -> usize {
        self.pending
    }

    fn tick(&mut self, now_ms: u64) {
        self.connection_tick(now_ms);
        self.traffic_tick(now_ms);
    }

    fn command(&mut self, now_ms: u64, command: Command) {
        match command {
            Command::Send { key, conversation, body } => {
                self.conversation(&conversation).outbox.push(key, body);
                self.pending += 1;
                self.pump(now_ms, &conversation);
            }
            Command::Sync { conversation } => {
                let entry = self.conversation(&conversation);
                (entry.sync_wanted, entry.barred) = (true, false);
                self.pump(now_ms, &conversation);
            }
            Command::History { conversation, before, limit } => self.ask_history(now_ms, &conversation, before, limit),
            Command::List { after, limit } => self.say(ClientFrame::List { after, limit }),
            Command::Receipt(receipt) => self.say_lossy(ClientFrame::Receipt(receipt)),
            Command::Typing { conversation } => self.say_lossy(ClientFrame::Typing { conversation }),
            Command::Watch { users } => {
                self.watched.clone_from(&users);
                self.say(ClientFrame::Watch { users });
            }
            Command::Subscribe { conversation } => {
                if !self.subscribed.contains(&conversation) {
                    self.subscribed.push(conversation.clone());
                }
                self.say(ClientFrame::Subscribe { conversation });
            }
            Command::Unsubscribe { conversation } => {
                self.subscribed.retain(|id| *id != conversation);
                self.say(ClientFrame::Unsubscribe { conversation });
            }
            Command::Connect => self.want_connection(now_ms),
            Command::Disconnect => self.leave(),
            Command::DropConnection => self.drop_connection(now_ms),
        }
    }

    /// The conversation with this id, unseen if new.
    fn conversation(&mut self, id: &Arc<str>) -> &mut Conversation {
        self.conversations.entry(id.clone()).or_default()
    }

    /// Sends on the link that counts; without one nothing is sent.
    fn say(&mut self, frame: ClientFrame) {
        if let Some(link) = self.current {
            self.effects.push(Effect::Send(link, frame));
        }
    }

    fn say_lossy(&mut self, frame: ClientFrame) {
        if let Some(link) = self.current {
            self.effects.push(Effect::SendLossy(link, frame));
        }
    }

    fn emit(&mut self, event: Event) {
        self.effects.push(Effect::Emit(event));
    }

    fn stop(&mut self, fatal: Fatal) {
        self.close_links();
        self.stopped = true;
        self.emit(Event::Fatal(fatal));
    }
}
