//! What the clients do and see, told to the checker as it happens.

use std::{
    collections::BTreeMap,
    hash::{Hash as _, Hasher as _},
    sync::Arc,
};

use backends::Clock;
use client::{
    Event, Observer,
    checker::{Checker, ClientId, Fact, digest},
};
use parking_lot::Mutex;
use protocol::frames::ErrorCode;
use rustc_hash::FxHasher;
use uuid::Uuid;

struct Book {
    checker: Checker,
    /// Over every fact and its time: two runs of one seed must agree.
    trace: FxHasher,
    /// Sends without an answer: key to conversation.
    open: BTreeMap<(ClientId, Uuid), String>,
    fatal: Vec<String>,
    connects: usize,
    clock: Clock,
}

/// The book of a run.
#[derive(Clone)]
pub(super) struct Witness(Arc<Mutex<Book>>);

impl Witness {
    pub(super) fn new(clock: Clock) -> Self {
        let (checker, trace) = (Checker::default(), FxHasher::default());
        let (open, fatal) = (BTreeMap::new(), Vec::new());
        Self(Arc::new(Mutex::new(Book { checker, trace, open, fatal, connects: 0, clock })))
    }

    /// The eyes of one client.
    pub(super) fn client(&self, user: &str) -> Arc<Eyes> {
        let client = self.0.lock().checker.names().client(user, "sim");
        Arc::new(Eyes { book: self.clone(), client })
    }

    pub(super) fn with<T>(&self, look: impl FnOnce(&mut Checker) -> T) -> T {
        look(&mut self.0.lock().checker)
    }

    pub(super) fn fact(&self, fact: Fact) {
        let mut book = self.0.lock();
        (book.clock.now_ms(), format!("{fact:?}")).hash(&mut book.trace);
        book.checker.on(fact);
    }

    pub(super) fn sent(&self, client: ClientId, conversation: &str, key: Uuid, body: &str) {
        let no = self.with(|checker| checker.names().conversation(conversation));
        self.0.lock().open.insert((client, key), conversation.to_owned());
        self.fact(Fact::Sent { client, conversation: no, key, body: digest(body) });
    }

    pub(super) fn is_open(&self, client: ClientId, key: Uuid) -> bool {
        self.0.lock().open.contains_key(&(client, key))
    }

    pub(super) fn unanswered(&self) -> usize {
        self.0.lock().open.len()
    }

    pub(super) fn fatal(&self) -> Vec<String> {
        self.0.lock().fatal.clone()
    }

    /// How often clients connected.
    pub(super) fn connects(&self) -> usize {
        self.0.lock().connects
    }

    pub(super) fn trace(&self) -> u64 {
        self.0.lock().trace.finish()
    }
}

/// See [`Witness::client`].
pub(super) struct Eyes {
    book: Witness,
    pub(super) client: ClientId,
}

impl Eyes {
    fn answered(&self, key: Uuid) -> Option<String> {
        self.book.0.lock().open.remove(&(self.client, key))
    }
}

impl Observer for Eyes {
    fn on(&self, event: &Event) {
        let client = self.client;
        let conversation = |id: &str| self.book.with(|checker| checker.names().conversation(id));
        match event {
            Event::Connected { session_version, .. } => {
                self.book.0.lock().connects += 1;
                self.book.fact(Fact::Connected { client, session_version: *session_version });
            }
            Event::Shown(message) => {
                let sender = self.book.with(|checker| checker.names().user(&message.sender));
                self.book.fact(Fact::Shown {
                    client,
                    conversation: conversation(&message.conversation),
                    number: message.sequence_number,
                    message_id: message.message_id,
                    sender,
                    body: digest(&message.body),
                });
            }
            Event::Accepted { key, conversation: id, message_id, .. } => {
                self.answered(*key);
                let conversation = conversation(id);
                self.book.fact(Fact::Accepted { client, conversation, key: *key, message_id: *message_id });
            }
            Event::Refused { key, error } => {
                let id = self.answered(*key).or_else(|| error.conversation.clone()).unwrap_or_default();
                let conversation = conversation(&id);
                self.book.fact(match error.code {
                    ErrorCode::Conflict => Fact::Conflict { client, conversation, key: *key },
                    _ => Fact::Refused { client, conversation, key: *key },
                });
            }
            Event::PageWithHole { conversation, after } => {
                self.book.0.lock().fatal.push(format!("I5: a page of {conversation} has a hole after {after}"));
            }
            Event::Fatal(fatal) => self.book.0.lock().fatal.push(format!("client {}: {fatal}", client.0)),
            _ => {}
        }
    }
}
