//! In front of every route: who calls, may they, and a line in the audit when a change is refused before it reaches
//! the application. A replica that does not lead sends callers to the one that does. A caller without a valid token is only logged: strangers must not fill the audit.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::{HeaderMap, header::AUTHORIZATION},
    middleware::Next,
    response::{IntoResponse, Response},
};
use tokio::time::{Duration, timeout};

use super::{
    Internal, idempotency, precondition,
    problem::{Audited, Refusal},
    routes::{Method, Route},
};
use crate::{
    app::{Actor, App, Deed},
    error::AppError,
};

/// A call that takes longer is given up. A stream of events counts until it begins.
const CALL_DEADLINE: Duration = Duration::from_secs(15);

/// What guards one route.
#[derive(Clone)]
pub(super) struct Gate {
    pub(super) app: Arc<App>,
    pub(super) route: Route,
}

pub(super) async fn guard(State(gate): State<Gate>, request: Request, next: Next) -> Response {
    match timeout(CALL_DEADLINE, pass(&gate, request, next)).await {
        Ok(response) => response,
        Err(_) => Refusal::timed_out().into_response(),
    }
}

async fn pass(gate: &Gate, mut request: Request, next: Next) -> Response {
    let Some(needed) = gate.route.role else { return next.run(request).await };
    if let Err(error) = gate.app.seat.check() {
        return Refusal::from(error).into_response();
    }
    let internal = request.extensions_mut().remove::<Internal>().map(|Internal(actor)| Ok(actor));
    let authenticated = match internal {
        Some(actor) => actor,
        None => authenticate(&gate.app, request.headers()).await,
    };
    let actor = match authenticated {
        Ok(actor) => actor,
        Err(error) => {
            tracing::info!(path = gate.route.path, "call without a valid token");
            return Refusal::from(error).into_response();
        }
    };
    let target = request.uri().path().to_owned();
    let response = if actor.role < needed {
        Refusal::from(AppError::Forbidden { needed, has: actor.role }).into_response()
    } else {
        request.extensions_mut().insert(actor.clone());
        match gate.route.method {
            Method::Get => next.run(request).await,
            Method::Post | Method::Delete => match precondition::check(&gate.app, &target, request.headers()).await {
                Ok(()) => idempotency::once(&gate.app, &actor, request, next).await,
                Err(refusal) => refusal.into_response(),
            },
        }
    };
    let refused = response.status().is_client_error() || response.status().is_server_error();
    if gate.route.method != Method::Get && refused && response.extensions().get::<Audited>().is_none() {
        let action = format!("{} {}", gate.route.method.as_str(), gate.route.path);
        let deed = Deed { action: &action, target: &target, reason: "" };
        gate.app.audit_refused(&actor, &deed, response.status().as_str()).await;
    }
    response
}

async fn authenticate(app: &App, headers: &HeaderMap) -> Result<Actor, AppError> {
    let value = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).ok_or(AppError::Unauthorized)?;
    let (scheme, secret) = value.split_once(' ').ok_or(AppError::Unauthorized)?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(AppError::Unauthorized);
    }
    app.authenticate(secret.trim()).await
}
