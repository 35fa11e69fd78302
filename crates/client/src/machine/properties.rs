//! The rules against a network that loses, repeats and reorders frames and breaks links: whatever happens, in the end
//! each message was shown exactly once and in order, and each send got exactly one number.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use proptest::prelude::*;
use protocol::frames::{ClientFrame, ErrorCode, ErrorFrame, MessageFrame, Page, Reconnect, ServerFrame, Welcome};
use uuid::Uuid;

use super::{view::tests::message, *};
use crate::{Event, LostReason};

const CONVERSATIONS: [&str; 2] = ["one", "two"];
/// Small pages, so that catching up takes several.
const PAGE: usize = 3;

#[derive(Debug, Clone)]
enum Step {
    /// Someone else says something; its live copy is lost if `lost`.
    Say {
        conversation: usize,
        lost: bool,
    },
    /// This client says something.
    Send {
        conversation: usize,
    },
    /// A frame on its way to the client arrives: the oldest, or a later one.
    Arrive {
        index: usize,
        again: bool,
    },
    /// The oldest frame on its way to the client is lost.
    Lose,
    Break,
    Migrate,
    Pass {
        ms: u64,
    },
    /// The gateway is short of patience for the next sends.
    Refuse,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..2_usize, any::<bool>()).prop_map(|(conversation, lost)| Step::Say { conversation, lost }),
        3 => (0..2_usize).prop_map(|conversation| Step::Send { conversation }),
        8 => (0..3_usize, any::<bool>()).prop_map(|(index, again)| Step::Arrive { index, again }),
        2 => Just(Step::Lose),
        1 => Just(Step::Break),
        1 => Just(Step::Migrate),
        4 => (1..4_000_u64).prop_map(|ms| Step::Pass { ms }),
        1 => Just(Step::Refuse),
    ]
}

/// A gateway, its network and its log, in one.
struct World {
    core: Core,
    now_ms: u64,
    log: BTreeMap<String, Vec<MessageFrame>>,
    keys: BTreeMap<(String, Uuid), u64>,
    links: Vec<LinkId>,
    network: VecDeque<Input>,
    refuse: bool,
    shown: BTreeMap<String, Vec<u64>>,
    accepted: Vec<Uuid>,
    sent: u128,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut config = crate::ClientConfig::new("me", "phone", Arc::new(|_: &str| String::new()));
        (config.seed, config.discover, config.held_max, config.window) = (seed, false, 2, 1 + seed as usize % 2);
        config.resume.insert("one".into(), 0);
        Self {
            core: Core::new(&config),
            now_ms: 0,
            log: BTreeMap::new(),
            keys: BTreeMap::new(),
            links: Vec::new(),
            network: VecDeque::new(),
            refuse: false,
            shown: BTreeMap::new(),
            accepted: Vec::new(),
            sent: 0,
        }
    }

    fn feed(&mut self, input: Input) {
        for effect in self.core.on(self.now_ms, input) {
            match effect {
                Effect::Connect { link, .. } => {
                    self.links.push(link);
                    self.network.push_back(Input::Opened(link));
                }
                Effect::Send(link, frame) | Effect::SendLossy(link, frame) => self.gateway(link, frame),
                Effect::Close(link) | Effect::Break(link) => self.links.retain(|open| *open != link),
                Effect::Emit(Event::Shown(message)) => {
                    self.shown.entry(message.conversation).or_default().push(message.sequence_number);
                }
                Effect::Emit(Event::Accepted { key, .. }) => self.accepted.push(key),
                Effect::Emit(Event::Fatal(fatal)) => panic!("{fatal}"),
                Effect::Emit(_) => {}
            }
        }
    }

    fn answer(&mut self, link: LinkId, frame: ServerFrame) {
        self.network.push_back(Input::Frame(link, frame));
    }

    fn page(&self, conversation: &str, after: u64, limit: usize) -> Page {
        let log = self.log.get(conversation).map_or(&[][..], Vec::as_slice);
        let messages: Vec<_> = log.iter().skip(after as usize).take(limit).cloned().collect();
        let complete = after as usize + messages.len() >= log.len();
        Page { conversation: conversation.into(), messages, head: log.len() as u64, complete }
    }

    fn append(&mut self, conversation: &str) -> MessageFrame {
        let log = self.log.entry(conversation.to_owned()).or_default();
        let message = message(conversation, log.len() as u64 + 1);
        log.push(message.clone());
        message
    }

    fn gateway(&mut self, link: LinkId, frame: ClientFrame) {
        match frame {
            ClientFrame::Hello { resume, .. } => {
                self.answer(link, welcome(link.0));
                let heads = resume.iter().map(|(id, after)| {
                    let page = self.page(id, *after, usize::MAX);
                    let head = page.head;
                    self.network.push_back(Input::Frame(link, ServerFrame::Messages(page)));
                    (id.clone(), head)
                });
                let conversations = heads.collect::<Vec<_>>().into_iter().collect();
                self.answer(link, ServerFrame::Synced { conversations });
            }
            ClientFrame::Sync { conversation, after, .. } => {
                let page = self.page(&conversation, after, PAGE);
                self.answer(link, ServerFrame::Messages(page));
            }
            ClientFrame::Send(send) if self.refuse => {
                self.refuse = false;
                let error = ErrorFrame::new(ErrorCode::Unavailable, "not now").retry_after(700).with_key(send.key_text);
                self.answer(link, ServerFrame::Error(error));
            }
            ClientFrame::Send(send) => {
                let place = (send.conversation.clone(), send.key);
                let duplicate = self.keys.contains_key(&place);
                if !duplicate {
                    let message = self.append(&send.conversation);
                    self.keys.insert(place, message.sequence_number);
                    self.answer(link, ServerFrame::Message(message));
                }
                self.answer(
                    link,
                    ServerFrame::Accepted {
                        idempotency_key: send.key_text,
                        conversation: send.conversation,
                        message_id: Uuid::nil(),
                        duplicate,
                        sequence_number: None,
                    },
                );
            }
            ClientFrame::Heartbeat => self.answer(link, ServerFrame::HeartbeatAck),
            other => panic!("{other:?}"),
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Say { conversation, lost } => {
                let message = self.append(CONVERSATIONS[conversation]);
                if !lost && let Some(link) = self.links.last().copied() {
                    self.answer(link, ServerFrame::Message(message));
                }
            }
            Step::Send { conversation } => {
                self.sent += 1;
                let key = Uuid::from_u128(self.sent);
                self.feed(Input::Command(Command::Send {
                    key,
                    conversation: CONVERSATIONS[conversation].into(),
                    body: "text".into(),
                }));
            }
            Step::Arrive { index, again } => {
                let index = index.min(self.network.len().saturating_sub(1));
                if let Some(input) = self.network.remove(index) {
                    if again && matches!(input, Input::Frame(..)) {
                        self.network.push_back(input.clone());
                    }
                    self.feed(input);
                }
            }
            // The opening of a link is the driver's own word and cannot be lost.
            Step::Lose => drop(self.network.pop_front_if(|input| matches!(input, Input::Frame(..)))),
            Step::Break => {
                for link in std::mem::take(&mut self.links) {
                    self.feed(Input::Lost(link, LostReason::Broken("test".into())));
                }
            }
            Step::Migrate => {
                if let Some(link) = self.links.last().copied() {
                    self.answer(link, ServerFrame::Migrate { within_ms: 1_000 });
                }
            }
            Step::Pass { ms } => self.pass(ms),
            Step::Refuse => self.refuse = true,
        }
    }

    fn pass(&mut self, ms: u64) {
        let end_ms = self.now_ms + ms;
        while let Some(due_ms) = self.core.due_ms().filter(|due_ms| *due_ms <= end_ms) {
            self.now_ms = self.now_ms.max(due_ms);
            self.feed(Input::Tick);
            assert!(self.core.due_ms().is_none_or(|next_ms| next_ms > self.now_ms), "a tick must make progress");
        }
        self.now_ms = end_ms;
    }

    /// From here on nothing is lost: a live message in each conversation, and time.
    fn settle(&mut self) {
        // What the driver guards: an attempt whose welcome was lost ends.
        self.network.clear();
        self.step(Step::Break);
        for _ in 0..400 {
            while let Some(input) = self.network.pop_front() {
                self.feed(input);
            }
            self.pass(500);
        }
        for id in CONVERSATIONS {
            let message = self.append(id);
            let link = *self.links.last().expect("the client is connected by now");
            self.answer(link, ServerFrame::Message(message));
        }
        for _ in 0..100 {
            while let Some(input) = self.network.pop_front() {
                self.feed(input);
            }
            self.pass(500);
        }
    }
}

fn welcome(session_version: u64) -> ServerFrame {
    ServerFrame::Welcome(Welcome {
        user: "me".into(),
        device: "phone".into(),
        session_version,
        gateway: "g".into(),
        heartbeat_interval_ms: 30_000,
        reconnect: Reconnect { base_ms: 1_000, max_ms: 30_000, jitter_ms: 1_000, heartbeat_spread_ms: 30_000 },
        server_time_ms: 0,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn each_message_is_shown_once_and_in_order(seed in any::<u64>(), steps in prop::collection::vec(step(), 0..120)) {
        let mut world = World::new(seed);
        world.feed(Input::Tick);
        steps.into_iter().for_each(|step| world.step(step));
        world.settle();
        for (id, log) in &world.log {
            let expected: Vec<u64> = (1..=log.len() as u64).collect();
            prop_assert_eq!(&world.shown[id], &expected, "{}", id);
        }
        // Each send was answered once and has one number.
        let mut accepted = world.accepted.clone();
        accepted.sort_unstable();
        let sent: Vec<_> = (1..=world.sent).map(Uuid::from_u128).collect();
        prop_assert_eq!(accepted, sent);
        prop_assert_eq!(world.keys.len() as u128, world.sent);
        prop_assert_eq!(world.core.pending(), 0);
        // With one send under way at a time the order of sends is the order of numbers.
        if seed % 2 == 0 {
            for id in CONVERSATIONS {
                let of = world.keys.iter().filter(|((place, _), _)| place == id).map(|(_, number)| *number);
                prop_assert!(of.collect::<Vec<_>>().is_sorted(), "{}", id);
            }
        }
    }
}
