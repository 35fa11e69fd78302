//! Bodies of the gateway's HTTP API. The paths and codes are in the protocol page.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::frames::{ErrorCode, ErrorFrame, Kind, SendMessage};

/// `POST /v1/conversations`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreateConversation {
    /// What to create.
    pub kind: Kind,
    /// User ids.
    pub members: Vec<String>,
    /// The id; made up when missing (a direct conversation's follows from its pair).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
}

/// Answer of `POST /v1/conversations`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConversationCreated {
    /// The id.
    pub id: String,
    /// What it is.
    pub kind: Kind,
    /// How many members it has.
    pub members: usize,
}

/// Answer of `GET /v1/conversations/{id}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConversationDetail {
    /// The id.
    pub id: String,
    /// What it is.
    pub kind: Kind,
    /// Who is in it, ascending.
    pub members: Vec<String>,
    /// The highest number known to the server.
    pub head: u64,
}

/// `POST /v1/conversations/{id}/convert`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Convert {
    /// Only `channel`.
    pub kind: Kind,
}

/// `POST /v1/conversations/{id}/messages`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PostMessage {
    /// A UUID.
    pub idempotency_key: String,
    /// A member.
    pub sender: String,
    /// 1 to 16,384 bytes of UTF-8.
    pub body: String,
}

impl PostMessage {
    /// Checks key and body as those of a `send` frame are checked.
    pub fn into_send(self, conversation: &str) -> Result<SendMessage, ErrorFrame> {
        let key: Uuid = crate::frames::parse_key(&self.idempotency_key)
            .ok_or_else(|| ErrorFrame::new(ErrorCode::Invalid, "idempotency_key: must be a UUID"))?;
        crate::frames::check_body(&self.body)?;
        Ok(SendMessage { key_text: self.idempotency_key, key, conversation: conversation.into(), body: self.body })
    }
}

/// The error body of every HTTP answer that is not a success.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// The error.
    pub error: ErrorDetail,
}

/// Inside of [`ErrorBody`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorDetail {
    /// For programs.
    pub code: ErrorCode,
    /// For people.
    pub message: String,
}
