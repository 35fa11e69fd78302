//! Errors of the HTTP API, who asks, and bodies that are read with words for what is wrong with them.

use std::sync::Arc;

use axum::{
    Json,
    body::Bytes,
    extract::{FromRequest, FromRequestParts, Request},
    http::{StatusCode, request::Parts},
    response::{IntoResponse, Response},
};
use backends::port::StoreError;
use domain::{ConversationId, UserId};
use protocol::{
    frames::{ErrorCode, ErrorFrame},
    http::{ErrorBody, ErrorDetail},
};
use serde::de::DeserializeOwned;

use crate::{
    auth::{Identity, Role},
    gateway::Shared,
    handshake::identify,
};

/// An answer that is not a success.
#[derive(Debug)]
pub(super) struct Problem {
    code: ErrorCode,
    message: String,
    retry_after_ms: Option<u64>,
}

impl Problem {
    pub(super) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), retry_after_ms: None }
    }

    pub(super) fn invalid(field: &str, why: impl std::fmt::Display) -> Self {
        Self::new(ErrorCode::Invalid, format!("{field}: {why}"))
    }

    pub(super) fn body(code: ErrorCode, message: &str) -> Json<ErrorBody> {
        Json(ErrorBody { error: ErrorDetail { code, message: message.to_owned() } })
    }

    fn status(&self) -> StatusCode {
        match self.code {
            ErrorCode::Invalid | ErrorCode::UnknownType => StatusCode::BAD_REQUEST,
            ErrorCode::Unauthorized => StatusCode::UNAUTHORIZED,
            ErrorCode::Forbidden => StatusCode::FORBIDDEN,
            ErrorCode::NotFound => StatusCode::NOT_FOUND,
            ErrorCode::Conflict | ErrorCode::GroupFull => StatusCode::CONFLICT,
            ErrorCode::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            ErrorCode::RateLimited => StatusCode::TOO_MANY_REQUESTS,
            ErrorCode::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

impl From<ErrorFrame> for Problem {
    fn from(error: ErrorFrame) -> Self {
        Self { code: error.code, message: error.message, retry_after_ms: error.retry_after_ms }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        // What the store said is for the log; the caller learns what to do.
        tracing::warn!(%error, "an http request failed at a store");
        let message = "a store does not answer now; nothing was changed that a retry would not mend";
        Self { code: ErrorCode::Unavailable, message: message.into(), retry_after_ms: Some(1_000) }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = (self.status(), Self::body(self.code, &self.message)).into_response();
        if let Some(ms) = self.retry_after_ms {
            response.headers_mut().insert("retry-after", ms.div_ceil(1_000).max(1).into());
        }
        response
    }
}

/// Anybody with a good token.
pub(super) struct Caller(pub(super) Identity);

impl Caller {
    pub(super) fn is_service(&self) -> bool {
        self.0.role == Role::Service
    }
}

impl FromRequestParts<Arc<Shared>> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, shared: &Arc<Shared>) -> Result<Self, Problem> {
        let request = http::Request::from_parts(parts.clone(), ());
        match identify(shared, &request) {
            Ok(identity) => Ok(Self(identity)),
            Err(why) => Err(Problem::new(ErrorCode::Unauthorized, why.to_string())),
        }
    }
}

/// A back end: a token with `role: "service"`.
pub(super) struct Service;

impl FromRequestParts<Arc<Shared>> for Service {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, shared: &Arc<Shared>) -> Result<Self, Problem> {
        let caller = Caller::from_request_parts(parts, shared).await?;
        if caller.is_service() {
            return Ok(Self);
        }
        Err(Problem::new(ErrorCode::Forbidden, "this call needs a token with the role service"))
    }
}

/// A JSON body, whatever its content type says.
pub(super) struct Body<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<Arc<Shared>> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, shared: &Arc<Shared>) -> Result<Self, Problem> {
        let bytes = Bytes::from_request(request, shared).await.map_err(|rejection| match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => Problem::new(ErrorCode::TooLarge, "the body is too large"),
            _ => Problem::new(ErrorCode::Invalid, "the body cannot be read"),
        })?;
        let body = serde_json::from_slice(&bytes);
        body.map(Self).map_err(|error| Problem::new(ErrorCode::Invalid, format!("body: {error}")))
    }
}

pub(super) fn conversation(id: &str) -> Result<ConversationId, Problem> {
    ConversationId::parse(id).map_err(|why| Problem::invalid("id", why))
}

pub(super) fn user(name: &str, field: &str) -> Result<UserId, Problem> {
    UserId::parse(name).map_err(|why| Problem::invalid(field, why))
}

pub(super) fn not_found() -> Problem {
    Problem::new(ErrorCode::NotFound, "no such conversation")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_must_come_back_later_is_told_when_in_whole_seconds() {
        let answer = |code, ms| Problem::from(ErrorFrame::new(code, "later").retry_after(ms)).into_response();
        for (code, ms, status, seconds) in [
            (ErrorCode::RateLimited, 1, 429, "1"),
            (ErrorCode::RateLimited, 1_001, 429, "2"),
            (ErrorCode::Unavailable, 3_000, 503, "3"),
        ] {
            let response = answer(code, ms);
            assert_eq!(
                (response.status().as_u16(), &response.headers()["retry-after"]),
                (status, &seconds.parse().unwrap())
            );
        }
        let refused = Problem::new(ErrorCode::Forbidden, "not here").into_response();
        assert_eq!((refused.status().as_u16(), refused.headers().get("retry-after")), (403, None));
    }
}
