//! The HTTP API on the gateway's port: conversations for back ends, health, metrics.
//!
//! The head of the first request was read by the handshake already; those bytes are given to hyper again.

mod conversations;
mod members;
mod messages;
mod problem;
mod rewind;

use std::sync::Arc;

use axum::{
    Router,
    extract::{DefaultBodyLimit, Request, State},
    http::StatusCode,
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post, put},
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use protocol::frames::ErrorCode;
use tokio::time::Duration;

use self::{problem::Problem, rewind::Rewind};
use crate::{gateway::Shared, socket::ByteStream};

/// Largest body: 500 member names and a body of 16 KiB fit many times; a channel may be made with thousands.
const BODY_BYTES: usize = 1 << 20;
/// How long a client may take to send the head of its next request.
const HEAD_DEADLINE: Duration = Duration::from_secs(30);

/// Serves HTTP on a stream of which `read` was read already, until it closes or the gateway stops.
pub(crate) async fn serve(shared: Arc<Shared>, stream: Box<dyn ByteStream>, read: Vec<u8>) {
    let stop = shared.stop.clone();
    let service = TowerToHyperService::new(router(shared));
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_DEADLINE)
        .serve_connection(TokioIo::new(Rewind::new(read, stream)), service);
    tokio::pin!(connection);
    tokio::select! {
        biased;
        ended = connection.as_mut() => if let Err(error) = ended {
            tracing::debug!(%error, "an http connection broke");
        },
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            // What is under way is finished; the shutdown of the gateway bounds it.
            let _ = connection.await;
        }
    }
}

fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/v1/conversations", post(conversations::create))
        .route("/v1/conversations/{id}", get(conversations::show))
        .route("/v1/conversations/{id}/convert", post(conversations::convert))
        .route("/v1/conversations/{id}/members/{user}", put(members::add).delete(members::remove))
        .route("/v1/conversations/{id}/messages", get(messages::page).post(messages::send))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .fallback(|| async { Problem::new(ErrorCode::NotFound, "no such path") })
        .method_not_allowed_fallback(|| async {
            (StatusCode::METHOD_NOT_ALLOWED, Problem::body(ErrorCode::Invalid, "no such method on this path"))
        })
        .layer(middleware::from_fn_with_state(shared.clone(), to_the_end))
        .layer(DefaultBodyLimit::max(BODY_BYTES))
        .with_state(shared)
}

/// Changes are made to their end, also when the caller hangs up in the middle: a member that was removed and whose removal
/// no cache was told of would go on reading until the version of the members expires.
async fn to_the_end(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    if request.method().is_safe() {
        return next.run(request).await;
    }
    let done = shared.tasks.spawn(next.run(request)).await;
    done.unwrap_or_else(|error| {
        tracing::error!(%error, "a request ended without an answer");
        Problem::new(ErrorCode::Unavailable, "it is not known whether this was done; ask again").into_response()
    })
}

async fn ready(State(shared): State<Arc<Shared>>) -> Response {
    match shared.readiness() {
        Ok(()) => "ok\n".into_response(),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")).into_response(),
    }
}

async fn metrics(State(shared): State<Arc<Shared>>) -> Response {
    shared.metrics.connections.set(shared.hub.connections() as i64);
    let kind = [("content-type", "text/plain; version=0.0.4")];
    (kind, shared.metrics.render(&shared.ports.dependencies)).into_response()
}
