//! What every resource shares: pages, changes, reasons, problems.

use serde::{Deserialize, Serialize};

words!(
    /// Why a call was not done.
    ProblemCode {
        /// No token, or one that is not valid.
        Unauthorized = "unauthorized",
        /// The token's role does not allow it.
        Forbidden = "forbidden",
        /// There is no such thing.
        NotFound = "not_found",
        /// The route does not know this method.
        MethodNotAllowed = "method_not_allowed",
        /// The request is wrong; the message says where.
        Invalid = "invalid",
        /// The body is too large.
        TooLarge = "too_large",
        /// Something else is in the way.
        Conflict = "conflict",
        /// The thing is at another revision than `If-Match` says.
        PreconditionFailed = "precondition_failed",
        /// A guard refused; `override_flag` may override it.
        Refused = "refused",
        /// The control plane cannot do it now.
        Unavailable = "unavailable",
    }
);

/// `POST /v1/gateways/{id}/undrain` and `POST /v1/operations/{id}/cancel`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ReasonRequest {
    /// Why.
    #[serde(default)]
    pub reason: String,
}

/// A thing after a change of it was asked for. What is asked for twice is done once: the second answer is no refusal,
/// but says so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Changed<T> {
    /// The thing.
    #[serde(flatten)]
    pub now: T,
    /// Why nothing was changed: it was so already, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub already: Option<String>,
}

impl<T> Changed<T> {
    /// It was changed.
    pub const fn done(now: T) -> Self {
        Self { now, already: None }
    }

    /// It was so already.
    pub fn already(now: T, why: impl Into<String>) -> Self {
        Self { now, already: Some(why.into()) }
    }
}

impl<T> std::ops::Deref for Changed<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.now
    }
}

/// A page of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// Pass as `before` to get the next page; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
}

/// The body of every answer that is not a success.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ProblemBody {
    /// The problem.
    pub error: Problem,
}

/// The message of a replica that does not lead. A caller that knows several addresses asks the next.
pub const NOT_LEADER: &str = "this replica does not lead";

/// Inside of [`ProblemBody`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Problem {
    /// For programs.
    pub code: ProblemCode,
    /// What and why, for people.
    pub message: String,
    /// What to try.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The chatctl flag that overrides the refusal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub override_flag: Option<String>,
    /// The operation that is in the way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
}
