//! The HTTP API. One file a resource; [`routes`] lists every route with the role it needs, and the OpenAPI document is
//! tested against that list.

mod audit;
mod capacity;
mod consistency;
mod extract;
mod gateways;
mod guard;
mod health;
mod idempotency;
mod incidents;
mod metrics;
mod nodes;
mod openapi;
mod operations;
mod overrides;
mod precondition;
mod problem;
mod reconciliations;
mod rollouts;
mod routes;
mod runbooks;
mod sessions;
mod tls;
mod tokens;

use std::sync::Arc;

pub(crate) use self::tls::TlsListener;
pub use self::tls::{ApiCertificate, ApiCertificateError};
use axum::{Router, extract::DefaultBodyLimit};
use tokio_util::sync::CancellationToken;

use crate::{
    app::{Actor, App},
    error::AppError,
};

/// Largest body.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// Header: a call with it is done once.
pub(crate) const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// A call from within the program, with the rights of somebody who was authenticated before. Only an extension of a
/// request can say so: nothing that comes over a socket has one.
#[derive(Clone)]
pub(crate) struct Internal(pub(crate) Actor);

/// What handlers share.
#[derive(Clone)]
struct Http {
    app: Arc<App>,
    stop: CancellationToken,
}

/// All of the API.
pub(crate) fn router(app: Arc<App>, stop: CancellationToken) -> Router {
    let http = Http { app, stop };
    routes::all(&http)
        .router
        .fallback(async || problem::Refusal::from(AppError::not_found("route", "for this path")))
        .method_not_allowed_fallback(async || problem::Refusal::method_not_allowed())
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(http)
}
