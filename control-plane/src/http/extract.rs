//! What handlers take from a request. Whatever is wrong with it becomes a problem body.

use axum::{
    extract::{FromRequest, FromRequestParts, Path, Query, Request},
    http::{StatusCode, request::Parts},
};
use protocol::admin::ProblemCode;
use serde::de::DeserializeOwned;

use super::{Http, problem::Refusal};
use crate::{app::Actor, error::AppError};

/// Who calls; the guard found out.
pub(super) struct Caller(pub(super) Actor);

impl FromRequestParts<Http> for Caller {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &Http) -> Result<Self, Refusal> {
        parts.extensions.get::<Actor>().cloned().map(Self).ok_or_else(|| AppError::Unauthorized.into())
    }
}

/// The name in the path.
pub(super) struct Id(pub(super) String);

impl FromRequestParts<Http> for Id {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, http: &Http) -> Result<Self, Refusal> {
        match Path::<String>::from_request_parts(parts, http).await {
            Ok(Path(id)) => Ok(Self(id)),
            Err(_) => Err(Refusal::new(ProblemCode::Invalid, "path: the name is not UTF-8")),
        }
    }
}

/// The query.
pub(super) struct Params<T>(pub(super) T);

impl<T: DeserializeOwned + Send> FromRequestParts<Http> for Params<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, http: &Http) -> Result<Self, Refusal> {
        match Query::<T>::from_request_parts(parts, http).await {
            Ok(Query(params)) => Ok(Self(params)),
            Err(error) => Err(Refusal::new(ProblemCode::Invalid, format!("query: {}", error.body_text()))),
        }
    }
}

/// A JSON body. None at all counts as `{}`.
pub(super) struct Body<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<Http> for Body<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, http: &Http) -> Result<Self, Refusal> {
        let bytes = match axum::body::Bytes::from_request(request, http).await {
            Ok(bytes) => bytes,
            Err(error) if error.status() == StatusCode::PAYLOAD_TOO_LARGE => {
                let why = format!("body: over {} bytes", super::BODY_BYTES_MAX);
                return Err(Refusal::new(ProblemCode::TooLarge, why));
            }
            Err(_) => return Err(Refusal::new(ProblemCode::Invalid, "body: ended before its time")),
        };
        let text: &[u8] = if bytes.is_empty() { b"{}" } else { &bytes };
        // serde would take an array of the fields, too.
        if !text.trim_ascii_start().starts_with(b"{") {
            return Err(Refusal::new(ProblemCode::Invalid, "body: must be a JSON object"));
        }
        serde_json::from_slice(text)
            .map(Self)
            .map_err(|error| Refusal::new(ProblemCode::Invalid, format!("body: {error}")))
    }
}
