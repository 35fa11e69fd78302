//! What a gateway says.

use std::{borrow::Cow, collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// What a conversation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Exactly two members; one for each pair.
    Direct,
    /// 2 to 500 members.
    Group,
    /// Any number of members; delivered to connections that subscribed.
    Channel,
}

impl Kind {
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Group => "group",
            Self::Channel => "channel",
        }
    }
}

/// Why a request was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)] // The codes are those of the protocol page.
pub enum ErrorCode {
    Unauthorized,
    Forbidden,
    NotFound,
    Invalid,
    Conflict,
    TooLarge,
    UnknownType,
    RateLimited,
    Unavailable,
    GroupFull,
}

/// `error`: a refusal that changed nothing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ErrorFrame {
    /// For programs.
    pub code: ErrorCode,
    /// For people.
    pub message: String,
    /// With `rate_limited` and `unavailable`: when to try again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
    /// The key of the refused `send`, as the client wrote it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
    /// The conversation of the refused request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conversation: Option<String>,
}

impl ErrorFrame {
    /// An error that names no request.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), retry_after_ms: None, idempotency_key: None, conversation: None }
    }

    /// Says when to try again.
    pub fn retry_after(mut self, ms: u64) -> Self {
        self.retry_after_ms = Some(ms);
        self
    }

    /// Names the conversation of the request.
    pub fn in_conversation(mut self, id: impl Into<String>) -> Self {
        self.conversation = Some(id.into());
        self
    }

    /// Names the key of the request.
    pub fn with_key(mut self, key: impl Into<String>) -> Self {
        self.idempotency_key = Some(key.into());
        self
    }
}

/// A message as members see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageFrame {
    /// Where it was said.
    pub conversation: String,
    /// Its number, the same for everyone.
    pub sequence_number: u64,
    /// Its id, the same wherever a retry lands.
    pub message_id: Uuid,
    /// Who said it.
    pub sender: String,
    /// What was said.
    pub body: Arc<str>,
    /// When the gateway took it, ms since the epoch.
    pub sent_at_ms: u64,
    /// In the copies for the sender's devices.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<Uuid>,
}

/// `messages`: a page of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page {
    /// Of which conversation.
    pub conversation: String,
    /// Ascending and dense.
    pub messages: Vec<MessageFrame>,
    /// The highest number known to the server.
    pub head: u64,
    /// True when `messages` reaches `head` (or, for `history`, the beginning).
    pub complete: bool,
}

/// How a client should come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reconnect {
    /// First delay.
    pub base_ms: u64,
    /// Longest delay.
    pub max_ms: u64,
    /// Most that chance adds.
    pub jitter_ms: u64,
    /// The first heartbeat is spread over this time (failure mode 3).
    pub heartbeat_spread_ms: u64,
}

/// `welcome`: the session is registered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    /// Whom the token names.
    pub user: String,
    /// As said in `hello`.
    pub device: String,
    /// Strictly increasing for one user and device.
    pub session_version: u64,
    /// The gateway's name.
    pub gateway: String,
    /// How often to send `heartbeat`.
    pub heartbeat_interval_ms: u64,
    /// How to come back.
    pub reconnect: Reconnect,
    /// The gateway's clock.
    pub server_time_ms: u64,
}

/// An entry of `conversations`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConversationHead {
    /// The id.
    pub conversation: String,
    /// What it is.
    pub kind: Kind,
    /// The highest number known to the server.
    pub head: u64,
}

/// What happened to a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum Change {
    Joined,
    Left,
    Converted,
}

/// Every frame a gateway may send.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[allow(missing_docs)] // The fields are those of the protocol page.
pub enum ServerFrame {
    Welcome(Welcome),
    Accepted {
        idempotency_key: String,
        conversation: String,
        message_id: Uuid,
        duplicate: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        sequence_number: Option<u64>,
    },
    Message(MessageFrame),
    Messages(Page),
    Batch {
        conversation: String,
        messages: Vec<MessageFrame>,
    },
    Synced {
        conversations: BTreeMap<String, u64>,
    },
    Conversations {
        conversations: Vec<ConversationHead>,
        #[serde(skip_serializing_if = "Option::is_none")]
        next: Option<String>,
    },
    Subscribed {
        conversation: String,
        head: u64,
    },
    Unsubscribed {
        conversation: String,
    },
    Presence {
        user: String,
        online: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        last_seen_ms: Option<u64>,
    },
    Receipt {
        conversation: String,
        user: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        delivered: Option<u64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        read: Option<u64>,
    },
    Typing {
        conversation: String,
        user: String,
    },
    Conversation {
        conversation: String,
        kind: Kind,
        head: u64,
        change: Change,
    },
    Migrate {
        within_ms: u64,
    },
    HeartbeatAck,
    Error(ErrorFrame),
    /// A type this version does not know. Never sent.
    #[serde(skip_serializing)]
    Unknown,
}

#[derive(Deserialize)]
struct Tag<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
}

impl ServerFrame {
    /// The frame as the text that goes over the socket.
    pub fn encode(&self) -> String {
        // Strings, integers and maps with string keys: this cannot fail.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Reads a frame; a type that is not known gives [`ServerFrame::Unknown`], as a client must ignore it.
    pub fn decode(text: &str) -> Result<Self, serde_json::Error> {
        // The busy types are read directly: an internally tagged enum would buffer each frame first.
        let tag: Tag<'_> = serde_json::from_str(text)?;
        Ok(match tag.kind.as_ref() {
            "message" => Self::Message(serde_json::from_str(text)?),
            "messages" => Self::Messages(serde_json::from_str(text)?),
            "welcome" => Self::Welcome(serde_json::from_str(text)?),
            "error" => Self::Error(serde_json::from_str(text)?),
            "accepted" | "batch" | "synced" | "conversations" | "subscribed" | "unsubscribed" | "presence"
            | "receipt" | "typing" | "conversation" | "migrate" | "heartbeat_ack" => serde_json::from_str(text)?,
            _ => Self::Unknown,
        })
    }
}
