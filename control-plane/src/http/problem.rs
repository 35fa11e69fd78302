//! The last step of every refusal: an error becomes a status and a problem body. What the caller sees and what the log
//! gets are apart: the store's own words stay in the log.

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header::RETRY_AFTER},
    response::{IntoResponse, Response},
};
use domain::DrainRefusal;
use protocol::admin::{NOT_LEADER, Problem, ProblemBody, ProblemCode};

use crate::{error::AppError, store::StoreError};

/// Marks a response whose refusal is in the audit already.
#[derive(Debug, Clone, Copy)]
pub(super) struct Audited;

/// An answer that is not a success.
#[derive(Debug)]
pub(super) struct Refusal {
    problem: Problem,
    is_audited: bool,
}

/// What handlers give.
pub(super) type Answer<T> = Result<T, Refusal>;

impl Refusal {
    pub(super) fn new(code: ProblemCode, message: impl Into<String>) -> Self {
        let problem = Problem { code, message: message.into(), hint: None, override_flag: None, operation: None };
        Self { problem, is_audited: false }
    }

    pub(super) fn method_not_allowed() -> Self {
        Self::new(ProblemCode::MethodNotAllowed, "this path does not know this method")
            .hint("see /v1/openapi.json for what it knows")
    }

    pub(super) fn timed_out() -> Self {
        Self::new(ProblemCode::Unavailable, "the call took too long and was given up")
            .hint("look whether it was done before you try again")
    }

    /// A refusal of the application, which writes its own line in the audit.
    pub(super) fn audited(error: AppError) -> Self {
        Self { is_audited: true, ..Self::from(error) }
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.problem.hint = Some(hint.into());
        self
    }

    fn status(&self) -> StatusCode {
        match self.problem.code {
            ProblemCode::Unauthorized => StatusCode::UNAUTHORIZED,
            ProblemCode::Forbidden => StatusCode::FORBIDDEN,
            ProblemCode::NotFound => StatusCode::NOT_FOUND,
            ProblemCode::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            ProblemCode::Invalid => StatusCode::BAD_REQUEST,
            ProblemCode::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            ProblemCode::PreconditionFailed => StatusCode::PRECONDITION_FAILED,
            ProblemCode::Conflict | ProblemCode::Refused => StatusCode::CONFLICT,
            ProblemCode::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

impl From<AppError> for Refusal {
    fn from(error: AppError) -> Self {
        let message = error.to_string();
        match error {
            AppError::Unauthorized => Self::new(ProblemCode::Unauthorized, message)
                .hint("send `Authorization: Bearer TOKEN`; an admin makes one: chatctl token create"),
            AppError::Forbidden { needed, .. } => {
                Self::new(ProblemCode::Forbidden, message).hint(format!("ask an admin for a token with role {needed}"))
            }
            AppError::NotFound { what: "gateway", .. } => {
                Self::new(ProblemCode::NotFound, message).hint("chatctl gateway list shows all")
            }
            AppError::NotFound { what: "operation", .. } => {
                Self::new(ProblemCode::NotFound, message).hint("chatctl operation list shows all")
            }
            AppError::NotFound { what: "override", .. } => {
                Self::new(ProblemCode::NotFound, message).hint("chatctl override list --all shows all")
            }
            AppError::NotFound { what: "incident", .. } => {
                Self::new(ProblemCode::NotFound, message).hint("chatctl incident list --all shows all")
            }
            AppError::NotFound { what: "node", .. } => {
                Self::new(ProblemCode::NotFound, message).hint("chatctl node list shows all")
            }
            AppError::Store(StoreError::Stale(_)) => Self::new(ProblemCode::Conflict, message)
                .hint("somebody else changed it in between: look again, and try again"),
            AppError::NotFound { .. } => Self::new(ProblemCode::NotFound, message),
            AppError::Invalid { .. } => Self::new(ProblemCode::Invalid, message),
            AppError::Busy { operation, .. } => {
                let mut refusal = Self::new(ProblemCode::Conflict, message).hint(format!(
                    "watch it: chatctl operation watch {operation}, or end it: chatctl operation cancel {operation}"
                ));
                refusal.problem.operation = Some(operation);
                refusal
            }
            AppError::Conflict { hint, .. } => Self::new(ProblemCode::Conflict, message).hint(hint),
            AppError::Refused { hint, flag, .. } => {
                let mut refusal = Self::new(ProblemCode::Refused, message).hint(hint);
                refusal.problem.override_flag = Some(flag.to_owned());
                refusal
            }
            AppError::DrainRefused { refusal, .. } => drain_refused(message, &refusal),
            AppError::Follows { leader } => follows(leader),
            AppError::Store(StoreError::Deposed) => follows(None),
            AppError::Store(error) => {
                tracing::error!(%error, "the store failed a call");
                Self::new(ProblemCode::Unavailable, message).hint("try again; see the control plane's log")
            }
            AppError::TooMany(_) => Self::new(ProblemCode::Unavailable, message).hint("try again later"),
        }
    }
}

fn follows(leader: Option<String>) -> Refusal {
    let hint = match leader.filter(|url| !url.is_empty()) {
        Some(url) => format!("the one that leads is at {url}"),
        None => "none leads now: try again in some seconds".to_owned(),
    };
    Refusal::new(ProblemCode::Unavailable, NOT_LEADER).hint(hint)
}

fn drain_refused(message: String, refusal: &DrainRefusal) -> Refusal {
    let mend = match refusal {
        DrainRefusal::NoSurvivor => "start or undrain another gateway first",
        DrainRefusal::TooFull { .. } => "add a gateway first",
        DrainRefusal::RateTooLow { .. } => "raise --rate or --deadline",
        DrainRefusal::DeadlineTooShort(_) => "raise --deadline",
    };
    let mut answer = Refusal::new(ProblemCode::Refused, message).hint(mend);
    if refusal.is_overridable() {
        answer.problem.override_flag = Some("--force".to_owned());
    }
    answer
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, is_audited) = (self.status(), self.is_audited);
        let mut response = (status, Json(ProblemBody { error: self.problem })).into_response();
        if status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        if is_audited {
            response.extensions_mut().insert(Audited);
        }
        response
    }
}
