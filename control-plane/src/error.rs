//! The one error of the control plane. It becomes an HTTP answer as the last step, in `http::problem`.

use domain::DrainRefusal;
use protocol::admin::Role;

use crate::store::StoreError;

/// Why a call was not done. The text is for the caller.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum AppError {
    /// No valid token.
    #[error("the token is missing, unknown, expired or revoked")]
    Unauthorized,
    /// The role does not allow it.
    #[error("this needs the role {needed}, the token has {has}")]
    Forbidden {
        /// The least role that may.
        needed: Role,
        /// The caller's.
        has: Role,
    },
    /// No such thing.
    #[error("there is no {what} {id:?}")]
    NotFound {
        /// What kind of thing.
        what: &'static str,
        /// The name asked for.
        id: String,
    },
    /// A wrong request.
    #[error("{field}: {why}")]
    Invalid {
        /// Where.
        field: &'static str,
        /// What is wrong.
        why: String,
    },
    /// Another operation has the target.
    #[error("{target} has a running {kind}: {operation}")]
    Busy {
        /// The node.
        target: String,
        /// What runs.
        kind: protocol::admin::OperationKind,
        /// Its name.
        operation: String,
    },
    /// The target is not in a state for this.
    #[error("{what}")]
    Conflict {
        /// What is in the way.
        what: String,
        /// What to do about it.
        hint: String,
    },
    /// A guard refused; a flag overrides it.
    #[error("{what}")]
    Refused {
        /// Why.
        what: String,
        /// What to do about it.
        hint: String,
        /// The chatctl flag that overrides it.
        flag: &'static str,
    },
    /// A guard refused a drain.
    #[error("drain of {gateway} refused: {refusal}")]
    DrainRefused {
        /// Which gateway.
        gateway: String,
        /// Why.
        refusal: DrainRefusal,
    },
    /// Another replica leads, or none does.
    #[error("{}", protocol::admin::NOT_LEADER)]
    Follows {
        /// Where the one that leads is, if known.
        leader: Option<String>,
    },
    /// The store cannot do it now.
    #[error("the control plane's store cannot answer")]
    Store(#[from] StoreError),
    /// Too much at once.
    #[error("too many {0} at once")]
    TooMany(&'static str),
}

impl AppError {
    pub(crate) fn not_found(what: &'static str, id: &str) -> Self {
        Self::NotFound { what, id: id.chars().take(80).collect() }
    }

    pub(crate) fn invalid(field: &'static str, why: impl Into<String>) -> Self {
        Self::Invalid { field, why: why.into() }
    }
}
