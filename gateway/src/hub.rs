//! Who is connected here, and the way of a delivery to their sockets.

use std::{
    collections::HashMap,
    hash::BuildHasherDefault,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
};

use backends::port::Session;
use bytes::Bytes;
use domain::{ConversationId, DeviceId, UserId};
use parking_lot::Mutex;
use protocol::frames::CloseCode;
use rustc_hash::FxHasher;

use crate::{auth::Identity, socket::Io};

/// Live frames that may wait for a replay, of all conversations of a connection. Past it they are dropped, and what
/// they said is replayed once more.
const HELD_FRAMES: usize = 512;

type Map<K, V> = HashMap<K, V, BuildHasherDefault<FxHasher>>;

/// Live frames held back while their conversation is replayed.
#[derive(Default)]
pub(crate) struct Held {
    conversations: Map<ConversationId, HeldFrames>,
    frames: usize,
}

/// Of one conversation.
#[derive(Default)]
pub(crate) struct HeldFrames {
    /// Number and frame, in the order they came.
    pub(crate) frames: Vec<(u64, Bytes)>,
    /// Some were dropped: up to this number the conversation must be replayed.
    pub(crate) dropped_to: Option<u64>,
}

/// A connection that said hello.
pub(crate) struct Conn {
    pub(crate) user: UserId,
    pub(crate) device: DeviceId,
    pub(crate) session_version: u64,
    /// When its token ends, ms since the epoch.
    pub(crate) expires_ms: u64,
    /// When it was last heard of (hello or heartbeat), ms since the epoch.
    pub(crate) heard_ms: AtomicU64,
    /// The place of its heartbeat among those that wait to be forwarded; 0 when none does.
    pub(crate) heartbeat: AtomicU64,
    /// It was told to migrate.
    pub(crate) told_to_migrate: AtomicBool,
    /// The registry forgot it and was told of it again.
    pub(crate) restored: AtomicBool,
    /// It ended: a sign of life of it that still waits is not forwarded.
    pub(crate) gone: AtomicBool,
    /// Channels it is subscribed to. Locked after the hub's state.
    subscriptions: Mutex<Vec<ConversationId>>,
    pub(crate) io: Mutex<Io>,
    held: Mutex<Option<Box<Held>>>,
}

impl Conn {
    pub(crate) fn new(identity: Identity, device: DeviceId, session_version: u64, now_ms: u64, io: Io) -> Self {
        Self {
            user: identity.user,
            device,
            session_version,
            expires_ms: identity.expires_ms,
            heard_ms: AtomicU64::new(now_ms),
            heartbeat: AtomicU64::new(0),
            told_to_migrate: AtomicBool::new(false),
            restored: AtomicBool::new(false),
            gone: AtomicBool::new(false),
            subscriptions: Mutex::new(Vec::new()),
            io: Mutex::new(io),
            held: Mutex::new(None),
        }
    }

    pub(crate) fn session(&self) -> Session {
        Session { user: self.user.clone(), device: self.device.clone(), session_version: self.session_version }
    }

    /// Queues a frame and writes it if the socket takes it.
    pub(crate) fn send(&self, frame: Bytes, now_ms: u64) {
        let mut io = self.io.lock();
        if io.push(frame) {
            io.flush_for_owner(now_ms);
        }
    }

    pub(crate) fn close(&self, code: CloseCode) {
        self.io.lock().close(code);
    }

    /// Queues a live message, or holds it back while its conversation is replayed. True when a flush is due.
    fn push_message(&self, conversation: &ConversationId, number: u64, frame: &Bytes) -> bool {
        // The lock is held to the end: a replay that finishes in between must not let a newer frame overtake.
        let mut held = self.held.lock();
        if let Some(held) = held.as_mut()
            && let Some(waiting) = held.conversations.get_mut(conversation)
        {
            if held.frames < HELD_FRAMES && waiting.dropped_to.is_none() {
                held.frames += 1;
                waiting.frames.push((number, frame.clone()));
            } else {
                waiting.dropped_to = waiting.dropped_to.max(Some(number));
            }
            return false;
        }
        self.io.lock().push(frame.clone())
    }

    /// From now on live frames of these conversations wait for [`Conn::release`].
    pub(crate) fn hold(&self, conversations: impl IntoIterator<Item = ConversationId>) {
        let mut held = self.held.lock();
        let held = held.get_or_insert_default();
        held.conversations.extend(conversations.into_iter().map(|id| (id, HeldFrames::default())));
    }

    /// The replay of a conversation reached `head`: what was held above it goes out, and it is live. When frames were
    /// dropped it stays held, and the number up to which to replay once more is returned.
    pub(crate) fn release(&self, conversation: &ConversationId, head: u64, now_ms: u64) -> Option<u64> {
        let mut slot = self.held.lock();
        let held = slot.as_mut()?;
        let waiting = held.conversations.get_mut(conversation)?;
        held.frames -= waiting.frames.len();
        if let Some(dropped_to) = waiting.dropped_to.take()
            && dropped_to > head
        {
            waiting.frames.clear();
            return Some(dropped_to);
        }
        let waiting = held.conversations.remove(conversation)?;
        let mut io = self.io.lock();
        for (_, frame) in waiting.frames.into_iter().filter(|(number, _)| *number > head) {
            io.push(frame);
        }
        io.flush_for_owner(now_ms);
        drop(io);
        if held.conversations.is_empty() {
            *slot = None;
        }
        None
    }

    /// This conversation cannot be replayed: it is not held any more.
    pub(crate) fn forget_held(&self, conversation: &ConversationId) {
        let mut slot = self.held.lock();
        if let Some(held) = slot.as_mut() {
            let frames = held.conversations.remove(conversation).map_or(0, |waiting| waiting.frames.len());
            held.frames -= frames;
            if held.conversations.is_empty() {
                *slot = None;
            }
        }
    }
}

#[derive(Default)]
struct State {
    users: Map<UserId, Vec<Arc<Conn>>>,
    channels: Map<ConversationId, Vec<Arc<Conn>>>,
}

/// The connections of a gateway.
#[derive(Default)]
pub(crate) struct Hub {
    state: Mutex<State>,
    connections: AtomicUsize,
}

/// A message as its sender's devices and as everybody else sees it; each serialised at most once.
pub(crate) struct Rendered<'a> {
    pub(crate) conversation: &'a ConversationId,
    pub(crate) number: u64,
    pub(crate) sender: &'a UserId,
    pub(crate) for_sender: std::cell::OnceCell<Bytes>,
    pub(crate) for_others: std::cell::OnceCell<Bytes>,
    pub(crate) render: &'a dyn Fn(bool) -> Bytes,
}

impl Rendered<'_> {
    fn frame(&self, user: &UserId) -> &Bytes {
        let own = user == self.sender;
        let cell = if own { &self.for_sender } else { &self.for_others };
        cell.get_or_init(|| (self.render)(own))
    }
}

/// Sockets with something new in their queues.
#[derive(Default)]
pub(crate) struct Touched(Vec<Arc<Conn>>);

impl Touched {
    /// Writes to all of them; what does not fit is finished by their owners.
    pub(crate) fn flush(self, now_ms: u64) {
        for conn in self.0 {
            conn.io.lock().flush_for_owner(now_ms);
        }
    }
}

impl Hub {
    /// Adds a connection. Older sessions of the same device are closed with 4001; so is this one when a newer one came
    /// first (I7).
    pub(crate) fn insert(&self, conn: &Arc<Conn>) {
        let mut state = self.state.lock();
        let conns = state.users.entry(conn.user.clone()).or_insert_with(|| Vec::with_capacity(1));
        for other in conns.iter().filter(|other| other.device == conn.device) {
            let older = if other.session_version <= conn.session_version { other } else { conn };
            older.close(CloseCode::Superseded);
        }
        conns.push(conn.clone());
        self.connections.fetch_add(1, Ordering::Relaxed);
    }

    /// Removes a connection that ended.
    pub(crate) fn remove(&self, conn: &Arc<Conn>) {
        let mut state = self.state.lock();
        if let Some(conns) = state.users.get_mut(&conn.user) {
            let before = conns.len();
            conns.retain(|other| !Arc::ptr_eq(other, conn));
            self.connections.fetch_sub(before - conns.len(), Ordering::Relaxed);
            if conns.is_empty() {
                state.users.remove(&conn.user);
            }
        }
        for channel in std::mem::take(&mut *conn.subscriptions.lock()) {
            unsubscribe(&mut state, conn, &channel);
        }
    }

    /// Adds a subscription. False when the connection has `most` already.
    pub(crate) fn subscribe(&self, conn: &Arc<Conn>, channel: &ConversationId, most: usize) -> bool {
        let mut state = self.state.lock();
        let mut subscriptions = conn.subscriptions.lock();
        if subscriptions.contains(channel) {
            return true;
        }
        if subscriptions.len() >= most {
            return false;
        }
        subscriptions.push(channel.clone());
        state.channels.entry(channel.clone()).or_default().push(conn.clone());
        true
    }

    pub(crate) fn unsubscribe(&self, conn: &Arc<Conn>, channel: &ConversationId) {
        let mut state = self.state.lock();
        conn.subscriptions.lock().retain(|other| other != channel);
        unsubscribe(&mut state, conn, channel);
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    pub(crate) fn users(&self) -> usize {
        self.state.lock().users.len()
    }

    /// A user's connections.
    pub(crate) fn of_user(&self, user: &str) -> Vec<Arc<Conn>> {
        self.state.lock().users.get(user).cloned().unwrap_or_default()
    }

    /// True while a user has a connection here.
    pub(crate) fn is_connected(&self, user: &UserId) -> bool {
        self.state.lock().users.contains_key(user.as_str())
    }

    /// Every connection, in the order of users: a drain and a sweep go through them.
    pub(crate) fn all(&self) -> Vec<Arc<Conn>> {
        let mut all: Vec<Arc<Conn>> = self.state.lock().users.values().flatten().cloned().collect();
        // The order of a hash map is not for others to depend on.
        all.sort_unstable_by(|a, b| {
            (&a.user, &a.device, a.session_version).cmp(&(&b.user, &b.device, b.session_version))
        });
        all
    }

    /// Queues a message for the connections of these users (or of a channel's subscribers). Returns how many.
    pub(crate) fn deliver(
        &self,
        message: &Rendered<'_>,
        users: &[String],
        subscribers: bool,
        touched: &mut Touched,
    ) -> usize {
        let state = self.state.lock();
        let mut deliveries = 0;
        let mut push = |conn: &Arc<Conn>| {
            deliveries += 1;
            if conn.push_message(message.conversation, message.number, message.frame(&conn.user)) {
                touched.0.push(conn.clone());
            }
        };
        if subscribers {
            state.channels.get(message.conversation).into_iter().flatten().for_each(&mut push);
        }
        for user in users {
            state.users.get(user.as_str()).into_iter().flatten().for_each(&mut push);
        }
        deliveries
    }

    /// Queues a finished frame for the connections of these users.
    pub(crate) fn push(&self, frame: &Bytes, users: &[String], except: &str, touched: &mut Touched) {
        let state = self.state.lock();
        for user in users.iter().filter(|user| *user != except) {
            for conn in state.users.get(user.as_str()).into_iter().flatten() {
                if conn.io.lock().push(frame.clone()) {
                    touched.0.push(conn.clone());
                }
            }
        }
    }
}

fn unsubscribe(state: &mut State, conn: &Arc<Conn>, channel: &ConversationId) {
    if let Some(conns) = state.channels.get_mut(channel) {
        conns.retain(|other| !Arc::ptr_eq(other, conn));
        if conns.is_empty() {
            state.channels.remove(channel);
        }
    }
}
