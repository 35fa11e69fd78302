//! What a client is told when it starts.

use std::{collections::BTreeMap, sync::Arc};

use domain::Backoff;

use crate::TokenSource;

/// What to do with a conversation first seen in the middle: a live message with a number above 1, no resume entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Start {
    /// Nothing of it was seen: catch up from its first message.
    #[default]
    AtTheBeginning,
    /// What came before does not matter: the first message seen is the first one shown.
    AtFirstSeen,
}

/// Where the token travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TokenPlacement {
    /// `Authorization: Bearer` of the upgrade.
    #[default]
    Header,
    /// `hello.token`, as browsers must.
    Hello,
}

/// Everything a client needs to know. [`ClientConfig::new`] gives the protocol's numbers.
#[derive(Clone)]
pub struct ClientConfig {
    /// Whose client it is; handed to the token source.
    pub user: String,
    /// Which of the user's devices.
    pub device: String,
    /// Who gives tokens; asked again when one is refused.
    pub token: Arc<dyn TokenSource>,
    /// Where the token travels.
    pub token_placement: TokenPlacement,
    /// Last seen number of each conversation (0: from the start).
    pub resume: BTreeMap<String, u64>,
    /// Seed of all the client's chances.
    pub seed: u64,
    /// What to do with a conversation first seen in the middle.
    pub start: Start,
    /// Ask for the list of conversations after each `welcome` and catch up with those that are behind. Without it a
    /// conversation that is not resumed is found when its next message comes.
    pub discover: bool,
    /// Connect at once. Otherwise wait for [`ClientHandle::connect`](crate::ClientHandle::connect).
    pub connect: bool,
    /// How to come back until a `welcome` says it.
    pub backoff: Backoff,
    /// Most sends without an answer; then `send` waits and `try_send` says [`SendError::Full`](crate::SendError).
    pub pending_max: usize,
    /// Most sends of one conversation under way at a time. With 1 the order of sends is the order of numbers whatever
    /// fails; with more, a send that was refused for a while can be overtaken by those already under way.
    pub window: usize,
    /// Most messages above a gap that are held back in one conversation; past it they are dropped and synced again.
    pub held_max: usize,
    /// No `accepted` within this time: the same key again. Protocol: 3,000 ms. Doubled at each retry on one connection.
    pub accept_timeout_ms: u64,
    /// Longest wait for connection and upgrade, and again for `welcome`.
    pub connect_timeout_ms: u64,
    /// Something that wants an answer was sent and nothing at all was heard for this long: the connection is dead.
    pub silence_timeout_ms: u64,
}

impl ClientConfig {
    /// A client with the protocol's numbers.
    pub fn new(user: impl Into<String>, device: impl Into<String>, token: Arc<dyn TokenSource>) -> Self {
        Self {
            user: user.into(),
            device: device.into(),
            token,
            token_placement: TokenPlacement::default(),
            resume: BTreeMap::new(),
            seed: 0,
            start: Start::default(),
            discover: true,
            connect: true,
            backoff: Backoff::default(),
            pending_max: 256,
            window: 16,
            held_max: 256,
            accept_timeout_ms: 3_000,
            connect_timeout_ms: 10_000,
            silence_timeout_ms: 15_000,
        }
    }
}
