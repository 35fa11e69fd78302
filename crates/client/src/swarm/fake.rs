//! A fleet in memory that keeps the protocol, as far as a swarm needs it, and fails by a seeded plan.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use futures_util::{SinkExt, StreamExt};
use parking_lot::Mutex;
use protocol::frames::{ClientFrame, Kind, MessageFrame, Page, Reconnect, ServerFrame, Welcome};
use rand::{Rng, SeedableRng, rngs::SmallRng};
use tokio::{io::DuplexStream, sync::mpsc};
use tokio_tungstenite::tungstenite::Message;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{Conversations, CreateError, Fleet};
use crate::{Attempt, BoxFuture, Connect, ConnectError, Connected};

/// How often things go wrong, each from 0 to 1.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Faults {
    pub(super) lose_ack: f64,
    pub(super) lose_push: f64,
    pub(super) push_twice: f64,
    pub(super) break_link: f64,
    /// Accept and forget: what the checker must find.
    pub(super) forget: f64,
}

#[derive(Default)]
struct Place {
    members: BTreeSet<String>,
    log: Vec<MessageFrame>,
    keys: BTreeMap<(String, Uuid), Uuid>,
}

struct State {
    places: BTreeMap<String, Place>,
    links: BTreeMap<String, (u64, mpsc::UnboundedSender<ServerFrame>)>,
    versions: u64,
    rng: SmallRng,
    faults: Faults,
}

/// See the module.
#[derive(Clone)]
pub(super) struct FakeFleet(Arc<Mutex<State>>);

impl FakeFleet {
    pub(super) fn new(seed: u64, faults: Faults) -> Self {
        let rng = SmallRng::seed_from_u64(seed);
        let (places, links) = (BTreeMap::new(), BTreeMap::new());
        Self(Arc::new(Mutex::new(State { places, links, versions: 0, rng, faults })))
    }

    /// As a swarm takes it. A user's token is the user's name.
    pub(super) fn fleet(&self) -> Fleet {
        Fleet {
            connect: Arc::new(self.clone()),
            tokens: Arc::new(|user: &str| user.to_owned()),
            conversations: Arc::new(self.clone()),
            progress: None,
            cancel: CancellationToken::new(),
        }
    }
}

impl Conversations for FakeFleet {
    fn create(&self, kind: Kind, members: Vec<String>) -> BoxFuture<'static, Result<String, CreateError>> {
        let mut state = self.0.lock();
        let id = format!("{}-{}", kind.as_str(), state.places.len());
        let place = Place { members: members.into_iter().collect(), ..Place::default() };
        state.places.insert(id.clone(), place);
        Box::pin(async move { Ok(id) })
    }
}

impl Connect for FakeFleet {
    fn connect(&self, _attempt: Attempt) -> BoxFuture<'static, Result<Connected, ConnectError>> {
        let fleet = self.clone();
        Box::pin(async move {
            let (near, far) = tokio::io::duplex(16 * 1024);
            // It ends with its stream; the test's runtime owns it.
            tokio::spawn(fleet.serve(far));
            Ok(Connected { stream: Box::new(near), gateway: "fake".into(), host: "fake".into(), path: "/v1/ws".into() })
        })
    }
}

impl FakeFleet {
    async fn serve(self, stream: DuplexStream) {
        let mut user = String::new();
        #[allow(clippy::result_large_err)] // The type is the handshake's.
        let look = |request: &tokio_tungstenite::tungstenite::handshake::server::Request, response| {
            let token = request.headers()["authorization"].to_str().unwrap();
            user = token.trim_start_matches("Bearer ").to_owned();
            Ok(response)
        };
        let Ok(mut socket) = tokio_tungstenite::accept_hdr_async(stream, look).await else { return };
        let (push, mut pushed) = mpsc::unbounded_channel();
        let mut version = 0;
        loop {
            let frames = tokio::select! {
                biased;
                message = socket.next() => match message {
                    Some(Ok(Message::Text(text))) => match ClientFrame::decode(&text).unwrap() {
                        ClientFrame::Hello { device, resume, .. } => self.hello(&user, device, resume, &push, &mut version),
                        frame => self.answer(&user, frame),
                    },
                    _ => break,
                },
                Some(frame) = pushed.recv() => vec![frame],
            };
            for frame in frames {
                let _ = socket.feed(Message::text(frame.encode())).await;
            }
            if socket.flush().await.is_err() || self.0.lock().chance(|faults| faults.break_link) {
                break;
            }
        }
        let mut state = self.0.lock();
        if state.links.get(&user).is_some_and(|(current, _)| *current == version) {
            state.links.remove(&user);
        }
    }

    fn hello(
        &self,
        user: &str,
        device: String,
        resume: BTreeMap<String, u64>,
        push: &mpsc::UnboundedSender<ServerFrame>,
        version: &mut u64,
    ) -> Vec<ServerFrame> {
        let mut state = self.0.lock();
        state.versions += 1;
        *version = state.versions;
        state.links.insert(user.to_owned(), (*version, push.clone()));
        let mut frames = vec![ServerFrame::Welcome(Welcome {
            user: user.to_owned(),
            device,
            session_version: *version,
            gateway: "fake".into(),
            heartbeat_interval_ms: 30_000,
            reconnect: Reconnect { base_ms: 100, max_ms: 1_000, jitter_ms: 100, heartbeat_spread_ms: 30_000 },
            server_time_ms: 0,
        })];
        let mut conversations = BTreeMap::new();
        for (id, after) in resume {
            let page = state.page(&id, after, usize::MAX);
            conversations.insert(id, page.head);
            frames.push(ServerFrame::Messages(page));
        }
        frames.push(ServerFrame::Synced { conversations });
        frames
    }

    fn answer(&self, user: &str, frame: ClientFrame) -> Vec<ServerFrame> {
        let mut state = self.0.lock();
        match frame {
            ClientFrame::Sync { conversation, after, limit } => {
                vec![ServerFrame::Messages(state.page(&conversation, after, limit))]
            }
            ClientFrame::Heartbeat => vec![ServerFrame::HeartbeatAck],
            ClientFrame::Send(send) => {
                let place = state.places.get_mut(&send.conversation).unwrap();
                assert!(place.members.contains(user), "{user} is no member of {}", send.conversation);
                let (conversation, sender) = (send.conversation.parse().unwrap(), user.parse().unwrap());
                let message_id = domain::message_id(&conversation, &sender, send.key);
                let duplicate = place.keys.insert((user.to_owned(), send.key), message_id).is_some();
                if !duplicate && !state.chance(|faults| faults.forget) {
                    state.append(user, &send, message_id);
                }
                if state.chance(|faults| faults.lose_ack) {
                    return Vec::new();
                }
                vec![ServerFrame::Accepted {
                    idempotency_key: send.key_text,
                    conversation: send.conversation,
                    message_id,
                    duplicate,
                    sequence_number: None,
                }]
            }
            other => panic!("a swarm does not say {other:?}"),
        }
    }
}

impl State {
    fn chance(&mut self, of: impl Fn(&Faults) -> f64) -> bool {
        let share = of(&self.faults);
        share > 0.0 && self.rng.random_bool(share)
    }

    fn page(&self, conversation: &str, after: u64, limit: usize) -> Page {
        let log = &self.places[conversation].log;
        let messages: Vec<_> = log.iter().skip(after as usize).take(limit).cloned().collect();
        let complete = after as usize + messages.len() >= log.len();
        Page { conversation: conversation.into(), messages, head: log.len() as u64, complete }
    }

    fn append(&mut self, sender: &str, send: &protocol::frames::SendMessage, message_id: Uuid) {
        let place = self.places.get_mut(&send.conversation).unwrap();
        let message = MessageFrame {
            conversation: send.conversation.clone(),
            sequence_number: place.log.len() as u64 + 1,
            message_id,
            sender: sender.to_owned(),
            body: send.body.as_str().into(),
            sent_at_ms: 0,
            idempotency_key: None,
        };
        place.log.push(message.clone());
        for member in place.members.clone() {
            let copies = if self.chance(|faults| faults.lose_push) {
                0
            } else {
                1 + usize::from(self.chance(|faults| faults.push_twice))
            };
            if let Some((_, push)) = self.links.get(&member) {
                (0..copies).for_each(|_| drop(push.send(ServerFrame::Message(message.clone()))));
            }
        }
    }
}
