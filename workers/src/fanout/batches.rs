//! Batching of very active groups (failure mode 6): messages of a group that an operator batches wait for others and go
//! out together. Order is kept, and nothing is committed before its batch is delivered.

use std::collections::BTreeMap;

use backends::{levers::InForce, port::StoredMessage};
use domain::ConversationId;
use tokio::{
    sync::oneshot,
    time::{Duration, Instant},
};

use crate::delivery::Ticket;

/// Messages that may be held; past it every batch goes out at once.
const HELD_MAX: usize = 20_000;

/// What is held back, and what went out and is not with every gateway yet.
#[derive(Debug, Default)]
pub(super) struct Batches {
    held: BTreeMap<ConversationId, Held>,
    under_way: Vec<(Ticket, Vec<oneshot::Sender<()>>)>,
    len: usize,
}

#[derive(Debug)]
struct Held {
    since: Instant,
    messages: Vec<StoredMessage>,
    /// Dropped when every gateway has them.
    waits: Vec<oneshot::Sender<()>>,
}

/// A batch that goes out.
#[derive(Debug)]
pub(super) struct Due {
    pub(super) messages: Vec<StoredMessage>,
    pub(super) waits: Vec<oneshot::Sender<()>>,
}

impl Batches {
    /// True while messages of the group must wait: it is batched, or some of it is still held.
    pub(super) fn takes(&self, in_force: &InForce, conversation: &ConversationId) -> bool {
        in_force.batches.contains_key(conversation) || self.held.contains_key(conversation)
    }

    /// Holds a message; the receiver ends when every gateway has it.
    pub(super) fn hold(&mut self, message: StoredMessage) -> oneshot::Receiver<()> {
        let (done, wait) = oneshot::channel();
        let held = self.held.entry(message.conversation.clone()).or_insert_with(|| Held {
            since: Instant::now(),
            messages: Vec::new(),
            waits: Vec::new(),
        });
        held.messages.push(message);
        held.waits.push(done);
        self.len += 1;
        wait
    }

    /// The batches whose time has come.
    pub(super) fn due(&mut self, in_force: &InForce) -> Vec<Due> {
        let is_full = self.len > HELD_MAX;
        let is_due = |conversation: &ConversationId, held: &mut Held| {
            let window = in_force.batches.get(conversation).map_or(Duration::ZERO, |ms| Duration::from_millis(*ms));
            is_full || held.since.elapsed() >= window
        };
        let due: Vec<Due> = self
            .held
            .extract_if(.., is_due)
            .map(|(_, held)| Due { messages: held.messages, waits: held.waits })
            .collect();
        self.len -= due.iter().map(|due| due.messages.len()).sum::<usize>();
        due
    }

    /// A batch is in the gateways' queues.
    pub(super) fn sent(&mut self, ticket: Ticket, waits: Vec<oneshot::Sender<()>>) {
        self.under_way.push((ticket, waits));
    }

    /// Lets go of batches that every gateway has.
    pub(super) fn reap(&mut self) {
        self.under_way.retain_mut(|(ticket, _)| !ticket.is_done());
    }

    /// Batches that went out and that not every gateway has.
    pub(super) fn under_way(&mut self) -> usize {
        self.reap();
        self.under_way.len()
    }

    /// Messages held.
    pub(super) fn len(&self) -> usize {
        self.len
    }
}
