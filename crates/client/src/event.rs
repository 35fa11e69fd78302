//! What a client tells its program.

use std::{collections::BTreeMap, sync::Arc};

use protocol::frames::{Change, ConversationHead, ErrorFrame, Kind, MessageFrame, Page};
use uuid::Uuid;

/// Why a connection ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LostReason {
    /// The gateway closed it with this code.
    #[error("closed by the gateway with {code} {reason}")]
    Closed {
        /// The close code.
        code: u16,
        /// What the gateway said with it.
        reason: String,
    },
    /// The stream broke.
    #[error("the stream broke: {0}")]
    Broken(String),
    /// An answer was due and nothing came.
    #[error("nothing was heard for {0} ms")]
    Silent(u64),
    /// The program asked for it.
    #[error("the program asked for it")]
    Requested,
}

/// Why a client has stopped for good.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fatal {
    /// 4001: the same user and device connected elsewhere.
    #[error("superseded by a newer session of the same user and device")]
    Superseded,
    /// 4003 or HTTP 401 time and again, with fresh tokens.
    #[error("the gateways refuse every token")]
    Unauthorized,
    /// 4004 or HTTP 400: the client itself is at fault.
    #[error("protocol violation: {0}")]
    Violation(String),
}

/// What happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A connection stands. The one before it, if any, no longer counts.
    Connected {
        /// Strictly increasing for one user and device.
        session_version: u64,
        /// The gateway's name.
        gateway: String,
    },
    /// There is no connection now. The client comes back by itself, unless the program asked for this.
    Disconnected {
        /// Why.
        reason: LostReason,
    },
    /// The connection is gone or could not be made; the client tries by itself.
    Reconnecting {
        /// What failed.
        why: String,
        /// In how long it tries.
        retry_in_ms: u64,
    },
    /// The next message of its conversation: each exactly once, in order, without gaps.
    Shown(MessageFrame),
    /// The message with this key is durable.
    Accepted {
        /// Its key.
        key: Uuid,
        /// Where to.
        conversation: Arc<str>,
        /// Its id.
        message_id: Uuid,
        /// Its number, when already known.
        sequence_number: Option<u64>,
        /// The key was accepted before.
        duplicate: bool,
    },
    /// The message with this key is refused for good. `conflict` can come after an `Accepted`: then the first body
    /// stands.
    Refused {
        /// Its key.
        key: Uuid,
        /// Why.
        error: ErrorFrame,
    },
    /// The replay of a new connection is done: heads by conversation.
    Replayed {
        /// Id to head.
        heads: BTreeMap<String, u64>,
    },
    /// All of a conversation up to `head` was shown.
    Synced {
        /// Which.
        conversation: Arc<str>,
        /// Its highest number known to the server.
        head: u64,
    },
    /// The gateway sent a page that is not dense. Nothing is shown out of order for it; it is a fault of the gateway.
    PageWithHole {
        /// Of which conversation.
        conversation: Arc<str>,
        /// The number before the hole.
        after: u64,
    },
    /// The answer to `history`.
    History(Page),
    /// The answer to `list`, or a page of the discovery after a connect.
    Conversations {
        /// The page.
        conversations: Vec<ConversationHead>,
        /// Pass as `after` when there are more.
        next: Option<String>,
    },
    /// Someone watched came or went.
    Presence {
        /// Who.
        user: String,
        /// Whether they are here.
        online: bool,
        /// When they were.
        last_seen_ms: Option<u64>,
    },
    /// How far another member has got.
    Receipt {
        /// Where.
        conversation: String,
        /// Who.
        user: String,
        /// Highest number that reached the device.
        delivered: Option<u64>,
        /// Highest number read.
        read: Option<u64>,
    },
    /// Another member is typing.
    Typing {
        /// Where.
        conversation: String,
        /// Who.
        user: String,
    },
    /// Joined, left or converted.
    ConversationChanged {
        /// Which.
        conversation: String,
        /// What it is now.
        kind: Kind,
        /// What happened.
        change: Change,
    },
    /// Live messages of a channel come from now on.
    Subscribed {
        /// Which.
        conversation: String,
    },
    /// They no longer do.
    Unsubscribed {
        /// Which.
        conversation: String,
    },
    /// A request other than a send was refused.
    RequestRefused(ErrorFrame),
    /// The client has stopped; nothing follows.
    Fatal(Fatal),
}

/// Sees each event as it happens, within the client's task: for programs with thousands of clients, which want no
/// channel for each. Must not block.
pub trait Observer: Send + Sync {
    /// Called once per event, in order.
    fn on(&self, event: &Event);
}
