//! What a swarm needs of the world.

use std::sync::Arc;

use domain::GROUP_MEMBERS_MAX;
use protocol::frames::Kind;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::Progress;
use crate::{BoxFuture, Connect, TokenSource};

/// Why a conversation was not created.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot create a {kind} of {members} members: {why}", kind = kind.as_str())]
pub struct CreateError {
    /// What was to be created.
    pub kind: Kind,
    /// With how many members.
    pub members: usize,
    /// What the gateway said.
    pub why: String,
}

/// Creates conversations: `POST /v1/conversations` with a service token, however the program does HTTP.
pub trait Conversations: Send + Sync {
    /// Returns the id. Has its own deadline and retries.
    fn create(&self, kind: Kind, members: Vec<String>) -> BoxFuture<'static, Result<String, CreateError>>;
}

/// The fleet under the swarm, and who watches it.
#[derive(Clone)]
pub struct Fleet {
    /// How to reach some gateway.
    pub connect: Arc<dyn Connect>,
    /// A token for any user.
    pub tokens: Arc<dyn TokenSource>,
    /// How to create conversations.
    pub conversations: Arc<dyn Conversations>,
    /// Where progress is shown, about four times a second.
    pub progress: Option<watch::Sender<Progress>>,
    /// Ends the swarm early; the outcome says so.
    pub cancel: CancellationToken,
}

/// Why a swarm did not get as far as an outcome.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SwarmError {
    /// The log has more speakers than a group has members.
    #[error(
        "the log has {0} speakers and a group holds {GROUP_MEMBERS_MAX}: \
         replay those who speak first with a limit of {GROUP_MEMBERS_MAX} speakers or less"
    )]
    TooManySpeakers(usize),
    /// A conversation needs two.
    #[error("{0} clients are too few: a conversation needs 2")]
    TooFew(usize),
    /// A number makes no sense.
    #[error("{field} {why}")]
    Invalid {
        /// Which.
        field: &'static str,
        /// What it must be.
        why: &'static str,
    },
    /// No conversation.
    #[error(transparent)]
    Create(#[from] CreateError),
    /// The clients did not get in.
    #[error("only {connected} of {clients} clients got a connection within {seconds} s: {why}")]
    NotConnected {
        /// How many did.
        connected: usize,
        /// Of how many.
        clients: usize,
        /// How long was waited.
        seconds: u64,
        /// The last failure.
        why: String,
    },
    /// Cancelled before the first message.
    #[error("cancelled before the first message")]
    Cancelled,
}
