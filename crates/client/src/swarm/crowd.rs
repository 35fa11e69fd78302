//! The clients of a swarm: starting them at a rate, sending through them, waiting until all saw everything.

use std::{future::Future, sync::Arc, time::Duration};

use tokio::time::{Instant, sleep};

use super::{
    Fleet, Outcome, SwarmError,
    book::{Book, Witness},
};
use crate::{Client, ClientConfig, ClientHandle, checker::ClientId};

/// How long the first connections may take beyond the time that the ramp takes.
const CONNECT_PATIENCE: Duration = Duration::from_secs(60);
/// Without progress for this long, those who are behind ask.
const NUDGE_AFTER: Duration = Duration::from_secs(5);
const TICK: Duration = Duration::from_millis(100);

/// A client to be.
pub(super) struct Part {
    pub(super) user: String,
    pub(super) conversations: Vec<Arc<str>>,
    /// Connects at once; otherwise when told.
    pub(super) connect: bool,
}

pub(super) struct Member {
    pub(super) handle: ClientHandle,
    pub(super) witness: Arc<Witness>,
    pub(super) conversations: Vec<Arc<str>>,
}

/// See the module.
pub(super) struct Crowd {
    fleet: Fleet,
    pub(super) book: Arc<Book>,
    pub(super) members: Vec<Member>,
    device: String,
    seed: u64,
    pending_max: usize,
}

impl Crowd {
    pub(super) fn new(fleet: Fleet, book: Arc<Book>, device: &str, seed: u64, pending_max: usize) -> Self {
        Self { fleet, book, members: Vec::new(), device: device.to_owned(), seed, pending_max }
    }

    /// Starts the clients, so many a second, and waits for those that are to be connected.
    pub(super) async fn start(&mut self, parts: Vec<Part>, per_s: u32) -> Result<(), SwarmError> {
        let to_connect = parts.iter().filter(|part| part.connect).count();
        let gap = Duration::from_secs(1) / per_s.max(1);
        let mut next = Instant::now();
        for part in parts {
            // One sleep for several clients: timers are a millisecond apart at best.
            if next > Instant::now() + Duration::from_millis(5) {
                self.unless_cancelled(tokio::time::sleep_until(next)).await?;
            }
            next += gap;
            self.join(part);
        }
        let deadline = Instant::now() + CONNECT_PATIENCE;
        while self.book.connected() < to_connect {
            if Instant::now() >= deadline {
                let (connected, seconds) = (self.book.connected(), CONNECT_PATIENCE.as_secs());
                let why = self.book.last_failure();
                return Err(SwarmError::NotConnected { connected, clients: to_connect, seconds, why });
            }
            self.unless_cancelled(sleep(TICK)).await?;
        }
        Ok(())
    }

    async fn unless_cancelled(&self, wait: impl Future<Output = ()>) -> Result<(), SwarmError> {
        match self.fleet.cancel.run_until_cancelled(wait).await {
            Some(()) => Ok(()),
            None => Err(SwarmError::Cancelled),
        }
    }

    fn join(&mut self, part: Part) {
        let witness = self.book.client(&part.user, &self.device, &part.conversations);
        let mut config = ClientConfig::new(part.user, self.device.as_str(), self.fleet.tokens.clone());
        config.resume = part.conversations.iter().map(|id| (id.to_string(), 0)).collect();
        config.seed = self.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(self.members.len() as u64);
        config.connect = part.connect;
        config.discover = false;
        config.pending_max = self.pending_max;
        let handle = Client::observed(config, self.fleet.connect.clone(), witness.clone());
        self.members.push(Member { handle, witness, conversations: part.conversations });
    }

    /// Has a client send; waits only if it has too many sends without an answer.
    pub(super) async fn send(&self, member: usize, conversation: &str, body: &str) {
        let member = &self.members[member];
        let key = member.handle.new_key();
        self.book.sent(member.witness.client, conversation, key, body);
        // A client that has stopped leaves its send unanswered, and the outcome says so.
        let _ = member.handle.send_with_key(key, conversation, body).await;
    }

    /// Connects those who left and waits until every send is answered and everyone saw everything, or until nothing
    /// has moved for `patience`.
    pub(super) async fn settle(&self, patience: Duration) {
        for member in &self.members {
            let _ = member.handle.connect().await;
        }
        let (mut pulse, mut moved, mut nudged) = (0, Instant::now(), Instant::now());
        while !self.fleet.cancel.is_cancelled() {
            let behind = self.behind();
            if behind.is_empty() && self.book.unanswered() == 0 {
                return;
            }
            let now = Instant::now();
            let beat = self.book.pulse();
            if beat != pulse {
                (pulse, moved) = (beat, now);
            }
            if now - moved >= patience {
                return;
            }
            if now - moved >= NUDGE_AFTER && now - nudged >= NUDGE_AFTER {
                nudged = now;
                for (member, conversation) in behind {
                    self.book.late_sync();
                    let _ = member.handle.sync(conversation).await;
                }
            }
            sleep(TICK).await;
        }
    }

    fn behind(&self) -> Vec<(&Member, &str)> {
        let pairs = self.members.iter().flat_map(|member| member.conversations.iter().map(move |id| (member, &**id)));
        pairs
            .filter(|(member, id)| {
                let standing = self.book.standing(member.witness.client, id);
                standing.seen < standing.expected
            })
            .collect()
    }

    /// Closes every client and judges.
    pub(super) async fn finish(self) -> Outcome {
        let cancelled = self.fleet.cancel.is_cancelled();
        self.close().await;
        let clients: Vec<ClientId> = self.members.iter().map(|member| member.witness.client).collect();
        self.book.outcome(&clients, cancelled)
    }

    /// Closes every client.
    pub(super) async fn close(&self) {
        for member in &self.members {
            member.handle.close().await;
        }
    }
}

/// Does the work, and shows progress beside it.
pub(super) async fn with_progress<T>(
    fleet: &Fleet,
    book: &Book,
    clients: usize,
    to_send: Option<u64>,
    work: impl Future<Output = T>,
) -> T {
    let report = async {
        loop {
            if let Some(progress) = &fleet.progress {
                progress.send_replace(book.progress(clients, to_send));
            }
            sleep(Duration::from_millis(250)).await;
        }
    };
    let result = tokio::select! {
        biased;
        result = work => result,
        never = report => never,
    };
    if let Some(progress) = &fleet.progress {
        progress.send_replace(book.progress(clients, to_send));
    }
    result
}
