//! `/healthz` and `/readyz`.

use axum::extract::State;
use protocol::admin::ProblemBody;

use super::{Http, problem::Answer};
use crate::error::AppError;

/// The program runs.
#[utoipa::path(get, path = "/healthz", tag = "health", responses((status = 200)), security(()))]
pub(super) async fn healthz() -> &'static str {
    "ok\n"
}

/// The store answers, and this replica leads.
#[utoipa::path(get, path = "/readyz", tag = "health", responses((status = 200), (status = 503, body = ProblemBody)),
    security(()))]
pub(super) async fn readyz(State(http): State<Http>) -> Answer<&'static str> {
    http.app.store.ping().await.map_err(AppError::from)?;
    http.app.seat.check()?;
    Ok("ok\n")
}
