//! The fold of facts into a verdict.

use std::collections::BTreeSet;

use rustc_hash::{FxHashMap, FxHashSet};
use uuid::Uuid;

use super::{BodyDigest, ClientId, ConversationNo, Fact, Invariant, Names, UserNo, Verdict};

/// Numbers that a view has skipped are remembered up to here; further ones are only counted.
const HOLES_MAX: usize = 1_000;
/// A number above this is nonsense: nothing is allocated for what lies below it.
const NUMBERS_MAX: usize = 10_000_000;

/// What is known of a message.
#[derive(Debug, Clone, Copy, Default)]
struct Message {
    sent: Option<(UserNo, BodyDigest)>,
    /// It was sent again with another body.
    two_bodies: Option<BodyDigest>,
    accepted: u32,
    conflicts: u32,
    number: Option<u64>,
    shown: Option<BodyDigest>,
}

/// What a client has been shown of a conversation.
#[derive(Debug, Default)]
struct View {
    first: u64,
    last: u64,
    holes: BTreeSet<u64>,
}

#[derive(Debug, Default)]
struct Conversation {
    /// Message id by number, from number 1.
    numbers: Vec<Option<Uuid>>,
    messages: FxHashMap<Uuid, Message>,
    views: FxHashMap<ClientId, View>,
    logged: FxHashSet<Uuid>,
    numbered: FxHashMap<u64, Uuid>,
}

/// Judges facts as they come.
#[derive(Debug, Default)]
pub struct Checker {
    names: Names,
    conversations: FxHashMap<ConversationNo, Conversation>,
    versions: FxHashMap<ClientId, u64>,
    finals: BTreeSet<ClientId>,
    /// Users with a client in this history: their messages must have been sent here.
    known: FxHashSet<UserNo>,
    so_far: Verdict,
}

impl Checker {
    /// Judges facts about these names; more may be added.
    pub fn new(names: Names) -> Self {
        Self { names, ..Self::default() }
    }

    /// The names; facts are made with their numbers.
    pub fn names(&mut self) -> &mut Names {
        &mut self.names
    }

    /// What could be said without waiting for the end: counts are current, losses are not judged yet.
    pub fn so_far(&self) -> &Verdict {
        &self.so_far
    }

    /// The highest number of a conversation that anybody was shown.
    pub fn head(&self, conversation: ConversationNo) -> u64 {
        self.conversations.get(&conversation).map_or(0, |it| it.numbers.len() as u64)
    }

    /// Up to which number a client was shown a conversation without a gap.
    pub fn seen(&self, client: ClientId, conversation: ConversationNo) -> u64 {
        let view = self.conversations.get(&conversation).and_then(|it| it.views.get(&client));
        view.map_or(0, |view| view.holes.first().map_or(view.last, |hole| hole - 1))
    }

    /// One more thing happened.
    pub fn on(&mut self, fact: Fact) {
        match fact {
            Fact::Member { client, conversation, from } => {
                self.known.insert(self.names.user_of(client));
                let first = from.max(1);
                let view = View { first, last: first - 1, holes: BTreeSet::new() };
                self.conversations.entry(conversation).or_default().views.entry(client).or_insert(view);
            }
            Fact::Sent { client, conversation, key, body } => self.sent(client, conversation, key, body),
            Fact::Accepted { client, conversation, key, message_id } => {
                self.accepted(client, conversation, key, message_id);
            }
            Fact::Refused { .. } => self.so_far.refused += 1,
            Fact::Conflict { client, conversation, key } => {
                self.so_far.refused += 1;
                if let Some(message) = self.message(client, conversation, key) {
                    message.conflicts += 1;
                }
            }
            Fact::Shown { client, conversation, number, message_id, sender, body } => {
                self.so_far.delivered += 1;
                self.shown_to(client, conversation, number);
                self.shown(client, conversation, number, message_id, sender, body);
            }
            Fact::Connected { client, session_version } => self.connected(client, session_version),
            Fact::Closed { .. } => {}
            Fact::Final { client } => drop(self.finals.insert(client)),
            Fact::Logged { conversation, message_id } => {
                self.conversations.entry(conversation).or_default().logged.insert(message_id);
            }
            Fact::Numbered { conversation, number, message_id } => self.numbered(conversation, number, message_id),
        }
    }

    fn message(&mut self, client: ClientId, conversation: ConversationNo, key: Uuid) -> Option<&mut Message> {
        let id = self.names.message_id(conversation, self.names.user_of(client), key)?;
        Some(self.conversations.entry(conversation).or_default().messages.entry(id).or_default())
    }

    fn sent(&mut self, client: ClientId, conversation: ConversationNo, key: Uuid, body: BodyDigest) {
        let user = self.names.user_of(client);
        self.known.insert(user);
        let Some(message) = self.message(client, conversation, key) else { return };
        match message.sent {
            None => {
                message.sent = Some((user, body));
                self.so_far.sent += 1;
            }
            Some((_, first)) if first != body => message.two_bodies = Some(body),
            Some(_) => {}
        }
    }

    fn accepted(&mut self, client: ClientId, conversation: ConversationNo, key: Uuid, message_id: Uuid) {
        let derived = self.names.message_id(conversation, self.names.user_of(client), key);
        let Some(message) = self.message(client, conversation, key) else { return };
        message.accepted += 1;
        let (first, unknown) = (message.accepted == 1, message.sent.is_none());
        self.so_far.accepted += u64::from(first);
        let Self { names, so_far, .. } = self;
        let (place, who) = (names.conversation_name(conversation), names.client_name(client));
        if unknown {
            so_far.violate(Invariant::I4, || format!("{place}: {who} got accepted for key {key}, which it never sent"));
        }
        if derived != Some(message_id) {
            so_far.violate(Invariant::I4, || {
                let derived = derived.unwrap_or_default();
                format!("{place}: {who} sent key {key} and got message id {message_id} instead of {derived}")
            });
        }
    }

    /// Whether it was this client's turn to see this number (I5).
    fn shown_to(&mut self, client: ClientId, conversation: ConversationNo, number: u64) {
        let view = self.conversations.entry(conversation).or_default().views.entry(client);
        let view = view.or_insert_with(|| View { first: 1, ..View::default() });
        let Self { names, so_far, .. } = self;
        let (place, who) = (names.conversation_name(conversation), names.client_name(client));
        let last = view.last;
        if number == last + 1 {
            view.last = number;
        } else if number > last {
            view.holes.extend((last + 1..number).take(HOLES_MAX.saturating_sub(view.holes.len())));
            view.last = number;
            so_far.out_of_order += 1;
            so_far.violate(Invariant::I5, || format!("{place}: {who} was shown number {number} right after {last}"));
        } else if view.holes.remove(&number) || number < view.first {
            so_far.out_of_order += 1;
            so_far.violate(Invariant::I5, || format!("{place}: {who} was shown number {number} after {last}"));
        } else {
            so_far.shown_twice += 1;
            so_far.violate(Invariant::I5, || format!("{place}: {who} was shown number {number} twice"));
        }
    }

    /// Whether what was shown is what everybody sees, and what was sent (I3, I4).
    fn shown(
        &mut self,
        client: ClientId,
        conversation: ConversationNo,
        number: u64,
        message_id: Uuid,
        sender: UserNo,
        body: BodyDigest,
    ) {
        let Self { names, so_far, conversations, known, .. } = self;
        let it = conversations.entry(conversation).or_default();
        let (place, who, from) =
            (names.conversation_name(conversation), names.client_name(client), names.user_name(sender));
        let index = match usize::try_from(number) {
            Ok(n) if (1..=NUMBERS_MAX).contains(&n) => n - 1,
            _ => return so_far.violate(Invariant::I3, || format!("{place}: {who} was shown number {number}")),
        };
        if it.numbers.len() <= index {
            it.numbers.resize(index + 1, None);
        }
        let holder = *it.numbers[index].get_or_insert(message_id);
        if holder != message_id {
            so_far.violate(Invariant::I3, || {
                format!("{place}: number {number} is {message_id} of {from} for {who}, and {holder} for others")
            });
        }
        let message = it.messages.entry(message_id).or_default();
        let first = *message.number.get_or_insert(number);
        if first != number {
            so_far.violate(Invariant::I4, || {
                format!("{place}: message {message_id} of {from} has number {first} and, for {who}, {number}")
            });
        }
        if *message.shown.get_or_insert(body) != body {
            so_far.violate(Invariant::I3, || format!("{place}: number {number} of {from} has another text for {who}"));
        }
        match message.sent {
            Some((user, text)) if user != sender || (text != body && message.two_bodies != Some(body)) => {
                so_far.violate(Invariant::I4, || {
                    format!("{place}: number {number}, as {who} was shown it, is not what {from} sent")
                });
            }
            None if known.contains(&sender) => {
                so_far.violate(Invariant::I3, || {
                    format!("{place}: {who} was shown number {number}, which {from} never sent")
                });
            }
            Some(_) | None => {}
        }
        if it.numbered.get(&number).is_some_and(|logged| *logged != message_id) {
            so_far.violate(Invariant::I2, || {
                format!("{place}: number {number}, as {who} was shown it, differs from the log")
            });
        }
    }

    fn connected(&mut self, client: ClientId, session_version: u64) {
        let before = self.versions.insert(client, session_version);
        if let Some(before) = before.filter(|before| *before >= session_version) {
            let who = self.names.client_name(client);
            self.so_far.violate(Invariant::I7, || {
                format!("{who} got session version {session_version} after version {before}")
            });
        }
    }

    fn numbered(&mut self, conversation: ConversationNo, number: u64, message_id: Uuid) {
        let Self { names, so_far, conversations, .. } = self;
        let it = conversations.entry(conversation).or_default();
        let place = names.conversation_name(conversation);
        let first = *it.numbered.entry(number).or_insert(message_id);
        let shown = (number as usize).checked_sub(1).and_then(|index| *it.numbers.get(index)?);
        if first != message_id {
            so_far.violate(Invariant::I2, || {
                format!("{place}: number {number} is {first} in one reading of the log and {message_id} in another")
            });
        } else if shown.is_some_and(|shown| shown != message_id) {
            so_far
                .violate(Invariant::I2, || format!("{place}: number {number} in the log differs from what was shown"));
        }
    }

    /// The judgement if nothing more happens.
    pub fn verdict(&self) -> Verdict {
        let mut verdict = self.so_far.clone();
        let mut conversations: Vec<_> = self.conversations.iter().collect();
        conversations.sort_unstable_by_key(|(no, _)| **no);
        for (no, it) in conversations {
            let place = self.names.conversation_name(*no);
            self.judge_holes(place, it, &mut verdict);
            self.judge_losses(place, it, &mut verdict);
            self.judge_keys(place, it, &mut verdict);
        }
        verdict
    }

    /// I3: no number between 1 and the highest is nobody's, if a whole conversation was watched.
    fn judge_holes(&self, place: &str, it: &Conversation, verdict: &mut Verdict) {
        let watched = it.views.iter().any(|(client, view)| view.first == 1 && self.finals.contains(client));
        for (index, _) in it.numbers.iter().enumerate().filter(|(_, id)| watched && id.is_none()) {
            verdict.violate(Invariant::I3, || format!("{place}: nobody was shown number {}", index + 1));
        }
    }

    /// I1 and I3: what was accepted, and what anybody was shown, every final view has.
    fn judge_losses(&self, place: &str, it: &Conversation, verdict: &mut Verdict) {
        let head = it.numbers.len() as u64;
        let mut finals: Vec<_> = it.views.iter().filter(|(client, _)| self.finals.contains(client)).collect();
        finals.sort_unstable_by_key(|(client, _)| **client);
        let mut lost = FxHashSet::default();
        for (client, view) in &finals {
            let missing = view.holes.iter().copied().chain(view.last + 1..=head).filter(|n| *n >= view.first);
            for number in missing {
                let who = self.names.client_name(**client);
                let Some(id) = it.numbers[number as usize - 1] else { continue };
                if it.messages.get(&id).is_some_and(|message| message.accepted > 0) {
                    lost.insert(id);
                    verdict.violate(Invariant::I1, || {
                        format!("{place}: number {number} was accepted and never shown to {who}")
                    });
                } else {
                    verdict.violate(Invariant::I3, || {
                        format!("{place}: number {number} was shown to others and not to {who}")
                    });
                }
            }
        }
        let mut unseen: Vec<_> = it.messages.iter().filter(|(_, message)| message.accepted > 0).collect();
        unseen.sort_unstable_by_key(|(id, _)| **id);
        for (id, message) in unseen {
            let sender = message.sent.map_or("?", |(user, _)| self.names.user_name(user));
            if message.number.is_none() && !finals.is_empty() {
                lost.insert(*id);
                verdict.violate(Invariant::I1, || {
                    format!("{place}: message {id} of {sender} was accepted and shown to nobody")
                });
            }
            if !it.logged.is_empty() && !it.logged.contains(id) {
                verdict.violate(Invariant::I1, || {
                    format!("{place}: message {id} of {sender} was accepted and is not in the log")
                });
            }
        }
        verdict.lost += lost.len() as u64;
    }

    /// I4: a key with two bodies has a conflict, and only such a key.
    fn judge_keys(&self, place: &str, it: &Conversation, verdict: &mut Verdict) {
        let mut odd: Vec<_> =
            it.messages.iter().filter(|(_, message)| message.conflicts > 0 || message.two_bodies.is_some()).collect();
        odd.sort_unstable_by_key(|(id, _)| **id);
        for (id, message) in odd {
            let sender = message.sent.map_or("?", |(user, _)| self.names.user_name(user));
            // With the log at hand its fold is the judge: a conflict that the servers learn of late is told to the
            // connections of that moment, and may be lost with them.
            let judged_by_log = !it.logged.is_empty();
            if message.two_bodies.is_some() && message.conflicts == 0 && message.accepted > 1 && !judged_by_log {
                verdict.violate(Invariant::I4, || {
                    format!("{place}: two bodies of {sender} under one key ({id}) were both accepted")
                });
            }
            if message.two_bodies.is_none() && message.conflicts > 0 {
                verdict.violate(Invariant::I4, || {
                    format!("{place}: message {id} of {sender} has one body and got a conflict")
                });
            }
        }
    }
}
