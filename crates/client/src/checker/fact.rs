//! One thing that happened.

use uuid::Uuid;

/// A user of [`Names`](super::Names).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UserNo(pub u32);
/// A user on a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClientId(pub u32);
/// A conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConversationNo(pub u32);
/// A hash of a body.
pub type BodyDigest = u64;

/// The hash by which bodies are told apart here.
pub fn digest(body: &str) -> BodyDigest {
    domain::body_hash(body) as u64
}

/// One thing that happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)] // The fields say themselves what they are.
pub enum Fact {
    /// The client is to see this conversation from number `from` on (1: all of it).
    Member { client: ClientId, conversation: ConversationNo, from: u64 },
    /// A program asked its client to send.
    Sent { client: ClientId, conversation: ConversationNo, key: Uuid, body: BodyDigest },
    /// The client heard `accepted`.
    Accepted { client: ClientId, conversation: ConversationNo, key: Uuid, message_id: Uuid },
    /// The send was refused for good.
    Refused { client: ClientId, conversation: ConversationNo, key: Uuid },
    /// The key was used for another body.
    Conflict { client: ClientId, conversation: ConversationNo, key: Uuid },
    /// The client showed a message.
    Shown {
        client: ClientId,
        conversation: ConversationNo,
        number: u64,
        message_id: Uuid,
        sender: UserNo,
        body: BodyDigest,
    },
    /// The client got a connection.
    Connected { client: ClientId, session_version: u64 },
    /// The client's program let go of it for good; its view stays as it is.
    Closed { client: ClientId },
    /// The client has had the time to see everything: what it was not shown is lost.
    Final { client: ClientId },
    /// The intake log has this message.
    Logged { conversation: ConversationNo, message_id: Uuid },
    /// A reading of the log from some recovery point gave this message this number.
    Numbered { conversation: ConversationNo, number: u64, message_id: Uuid },
}
