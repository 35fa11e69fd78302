//! What goes into the machine and what comes out of it.

use std::sync::Arc;

use protocol::frames::{ClientFrame, Receipt, ServerFrame};
use uuid::Uuid;

use crate::{Event, LostReason};

/// One connection or attempt at one; never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LinkId(pub u64);

/// What a program asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)] // The fields are those of the protocol's frames.
pub enum Command {
    /// Send a message, now or when there is a connection.
    Send { key: Uuid, conversation: Arc<str>, body: String },
    /// Catch up with a conversation whether or not it seems behind; ends with [`Event::Synced`].
    Sync { conversation: Arc<str> },
    /// Read backwards; ends with [`Event::History`].
    History { conversation: Arc<str>, before: Option<u64>, limit: usize },
    /// List the user's conversations.
    List { after: Option<String>, limit: usize },
    /// Say how far one has got. Dropped while there is no connection.
    Receipt(Receipt),
    /// Say that one is typing. Dropped while there is no connection.
    Typing { conversation: String },
    /// Whose presence to push; said again on each new connection.
    Watch { users: Vec<String> },
    /// Live messages of a channel; said again on each new connection.
    Subscribe { conversation: String },
    /// No more of them.
    Unsubscribe { conversation: String },
    /// Be connected.
    Connect,
    /// Be disconnected; everything else is kept.
    Disconnect,
    /// Lose the connection as if the network had; the client comes back by itself.
    DropConnection,
}

/// Why an attempt failed, as far as the rules care.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The HTTP status of a refused upgrade.
    pub status: Option<u16>,
    /// `Retry-After`.
    pub retry_after_ms: Option<u64>,
    /// For people.
    pub why: String,
}

/// What happens to a client.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// Time passed: [`Core::due_ms`](crate::Core::due_ms) has come. Too early or too often does no harm.
    Tick,
    /// The program asks.
    Command(Command),
    /// The upgrade is done.
    Opened(LinkId),
    /// There will be no connection.
    Failed(LinkId, Failure),
    /// The gateway speaks.
    Frame(LinkId, ServerFrame),
    /// The connection is gone.
    Lost(LinkId, LostReason),
}

/// What the driver is to do, in this order.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Connect and do the upgrade; answer with `Opened` or `Failed`.
    Connect {
        /// Its name from now on.
        link: LinkId,
        /// The attempts before this one that failed.
        attempt: u32,
        /// A random number for the connector.
        chance: u64,
        /// The last token was refused: ask for another.
        fresh_token: bool,
    },
    /// Send a frame. Frames of one link keep their order.
    Send(LinkId, ClientFrame),
    /// Send a frame that matters only now: drop it if the link is congested.
    SendLossy(LinkId, ClientFrame),
    /// Close the link, or give up the attempt. Nothing that it says from now on counts.
    Close(LinkId),
    /// Break the link without a closing word; nothing that it says from now on counts.
    Break(LinkId),
    /// Tell the program.
    Emit(Event),
}
