//! The ports: what the logic needs of the systems behind it.
//!
//! Every call of every port returns within [`CALL_DEADLINE`], with what it was asked for or with
//! [`StoreError::Unavailable`]. Adapters of networked systems uphold it, so callers need no timeout of their own; those
//! that have one cannot wait that long. [`Consumer::next`] alone may wait for ever: that nothing happens is no failure.

mod directory;
mod log;
mod messages;
mod presence;
mod recent;
mod registry;

use std::time::Duration;

pub use directory::{Added, Conversation, Created, Directory, Membership, Removed};
pub use log::{Appending, Consumer, ConsumerEvent, Entry, Lane, Log, Topic};
pub use messages::{Head, Messages, Replica, StoredMessage};
pub use presence::{Presence, PresenceState};
pub use recent::{Recent, Remembered};
pub use registry::{
    Beat, Claim, FORGOTTEN_GRACE, GatewayLease, Gateways, Registered, Registry, Route, RouteHit, Routes, Session,
};

/// The longest that a call of a port may take.
pub const CALL_DEADLINE: Duration = Duration::from_secs(5);

/// Why a store did not do what it was asked. Nothing was half done that a retry would not mend.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The store does not answer, or said to come back later.
    #[error("{store} is unavailable: {why}")]
    Unavailable {
        /// Which store.
        store: &'static str,
        /// What happened.
        why: String,
    },
    /// The store holds something this program cannot read.
    #[error("{store} holds something unreadable: {why}")]
    Corrupt {
        /// Which store.
        store: &'static str,
        /// What is wrong with it.
        why: String,
    },
}

impl StoreError {
    /// The store does not answer.
    pub fn unavailable(store: &'static str, why: impl ToString) -> Self {
        Self::Unavailable { store, why: why.to_string() }
    }

    /// The store holds something unreadable.
    pub fn corrupt(store: &'static str, why: impl ToString) -> Self {
        Self::Corrupt { store, why: why.to_string() }
    }

    /// True when the same call may succeed later.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Unavailable { .. } => true,
            Self::Corrupt { .. } => false,
        }
    }
}

/// What a port answers.
pub type StoreResult<T> = Result<T, StoreError>;
