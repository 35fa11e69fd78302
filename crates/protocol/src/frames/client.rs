//! What a client says.

use std::collections::BTreeMap;

use serde::Serialize;
use uuid::Uuid;

/// `send`: one message under an idempotency key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SendMessage {
    /// The key as the client wrote it; answers carry it unchanged.
    #[serde(rename = "idempotency_key")]
    pub key_text: String,
    /// The key as a value: upper and lower case are the same key.
    #[serde(skip)]
    pub key: Uuid,
    /// Where to.
    pub conversation: String,
    /// 1 to 16,384 bytes of UTF-8.
    pub body: String,
}

impl SendMessage {
    /// A message with the key in its usual form.
    pub fn new(key: Uuid, conversation: impl Into<String>, body: impl Into<String>) -> Self {
        Self { key_text: key.to_string(), key, conversation: conversation.into(), body: body.into() }
    }
}

/// `receipt`: how far a member has got.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Receipt {
    /// In which conversation.
    pub conversation: String,
    /// Highest number that reached the device.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delivered: Option<u64>,
    /// Highest number the person has read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read: Option<u64>,
}

/// Every frame a client may send.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[allow(missing_docs)] // The fields are those of the protocol page.
pub enum ClientFrame {
    Hello {
        device: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        token: Option<String>,
        #[serde(skip_serializing_if = "BTreeMap::is_empty")]
        resume: BTreeMap<String, u64>,
    },
    Send(SendMessage),
    Heartbeat,
    List {
        #[serde(skip_serializing_if = "Option::is_none")]
        after: Option<String>,
        limit: usize,
    },
    Sync {
        conversation: String,
        after: u64,
        limit: usize,
    },
    History {
        conversation: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        before: Option<u64>,
        limit: usize,
    },
    Receipt(Receipt),
    Typing {
        conversation: String,
    },
    Watch {
        users: Vec<String>,
    },
    Subscribe {
        conversation: String,
    },
    Unsubscribe {
        conversation: String,
    },
}

impl ClientFrame {
    /// The frame as the text that goes over the socket.
    pub fn encode(&self) -> String {
        // Strings, integers and maps with string keys: this cannot fail.
        serde_json::to_string(self).unwrap_or_default()
    }
}
