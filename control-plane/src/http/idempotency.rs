//! Idempotency keys: a call that changes something and carries one is done once; made again with the same key, it gets
//! the first answer again. So a caller that lost the answer may ask again without harm.

use axum::{
    body::{Body, Bytes, to_bytes},
    extract::Request,
    http::{HeaderValue, StatusCode, header::CONTENT_TYPE},
    middleware::Next,
    response::{IntoResponse, Response},
};
use protocol::admin::ProblemCode;
use serde::{Deserialize, Serialize};

use super::{BODY_BYTES_MAX, IDEMPOTENCY_KEY, problem::Refusal};
use crate::{
    app::{Actor, App},
    error::AppError,
    store::{Change, Document, DocumentKind, StoreError, sha256_hex},
};

/// Answers kept; older ones are forgotten.
const KEPT: u64 = 10_000;
/// Longest key.
const KEY_CHARS_MAX: usize = 200;
/// Says that an answer is an earlier one.
const REPLAYED: &str = "idempotency-replayed";

/// An answer as it is kept.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    /// Of method, path and body: the same key for something else is a mistake.
    fingerprint: String,
    status: u16,
    body: String,
}

/// Runs a call once for its key; without a key, as it is.
pub(super) async fn once(app: &App, actor: &Actor, request: Request, next: Next) -> Response {
    let Some(key) = request.headers().get(IDEMPOTENCY_KEY) else { return next.run(request).await };
    let Ok(key) = key.to_str().map(str::to_owned) else {
        return Refusal::new(ProblemCode::Invalid, "Idempotency-Key: must be plain text").into_response();
    };
    if key.is_empty() || key.len() > KEY_CHARS_MAX {
        let why = format!("Idempotency-Key: must have 1-{KEY_CHARS_MAX} characters");
        return Refusal::new(ProblemCode::Invalid, why).into_response();
    }
    let id = sha256_hex(&format!("{}\n{key}", actor.name));
    if !app.answering.lock().insert(id.clone()) {
        return Refusal::new(ProblemCode::Conflict, "a call with this Idempotency-Key is being answered")
            .hint("wait for it, or ask again in a moment")
            .into_response();
    }
    let answering = Answering { app, id: &id };
    let response = answer(app, &id, request, next).await;
    drop(answering);
    response.unwrap_or_else(|error| Refusal::from(error).into_response())
}

/// Lets go of a key, also when the caller hangs up.
struct Answering<'a> {
    app: &'a App,
    id: &'a str,
}

impl Drop for Answering<'_> {
    fn drop(&mut self) {
        self.app.answering.lock().remove(self.id);
    }
}

async fn answer(app: &App, id: &str, request: Request, next: Next) -> Result<Response, AppError> {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, BODY_BYTES_MAX).await else {
        return Ok(Refusal::new(ProblemCode::TooLarge, format!("body: over {BODY_BYTES_MAX} bytes")).into_response());
    };
    let call = format!("{} {}\n{}", parts.method, parts.uri, String::from_utf8_lossy(&body));
    let fingerprint = sha256_hex(&call);
    if let Some(known) = app.store.document(DocumentKind::Answered, id).await? {
        let kept: Kept = serde_json::from_str(&known.body).map_err(|error| StoreError::Corrupt(error.to_string()))?;
        return Ok(replay(kept, &fingerprint));
    }
    let response = next.run(Request::from_parts(parts, Body::from(body))).await;
    // What failed on our side is not an answer: asked again it is tried again.
    if response.status().is_server_error() {
        return Ok(response);
    }
    let (parts, body) = response.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap_or_else(|_| Bytes::new());
    let kept = Kept { fingerprint, status: parts.status.as_u16(), body: String::from_utf8_lossy(&body).into_owned() };
    keep(app, id, &kept).await;
    Ok(Response::from_parts(parts, Body::from(body)))
}

fn replay(kept: Kept, fingerprint: &str) -> Response {
    if kept.fingerprint != fingerprint {
        return Refusal::new(ProblemCode::Conflict, "this Idempotency-Key was used for another call")
            .hint("use a new key for a new call")
            .into_response();
    }
    let status = StatusCode::from_u16(kept.status).unwrap_or(StatusCode::OK);
    let mut response = (status, kept.body).into_response();
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    response
}

/// The call is done whether or not its answer can be kept.
async fn keep(app: &App, id: &str, kept: &Kept) {
    let kept = async {
        let number = app.store.documents_head(DocumentKind::Answered).await? + 1;
        let body = serde_json::to_string(kept).map_err(|error| StoreError::Corrupt(error.to_string()))?;
        let kind = DocumentKind::Answered;
        let document = Document { kind, id: id.to_owned(), number, is_ended: true, revision: 1, body };
        app.store.commit(vec![Change::Document(document), Change::Forget(kind, number.saturating_sub(KEPT))]).await
    };
    if let Err(error) = kept.await {
        tracing::warn!(%error, "the answer to an idempotency key is not kept");
    }
}
