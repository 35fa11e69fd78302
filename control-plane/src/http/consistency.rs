//! `/v1/consistency` and `/v1/lag`.

use axum::{Json, extract::State};
use protocol::admin::{Consistency, ConsistencyWindow, Lag, Page, ProblemBody};
use serde::Deserialize;

use super::{Http, extract::Params, problem::Answer};

/// Which windows.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct WindowParams {
    /// Also those that are verified.
    #[serde(default)]
    all: bool,
}

/// How stored messages are written now.
#[utoipa::path(get, path = "/v1/consistency", tag = "consistency",
    responses((status = 200, body = Consistency), (status = "4XX", body = ProblemBody)))]
pub(super) async fn show(State(http): State<Http>) -> Answer<Json<Consistency>> {
    Ok(Json(http.app.consistency().await?))
}

/// The ledger of downgrades, newest first.
#[utoipa::path(get, path = "/v1/consistency/windows", tag = "consistency", params(WindowParams),
    responses((status = 200, body = Page<ConsistencyWindow>), (status = "4XX", body = ProblemBody)))]
pub(super) async fn windows(
    State(http): State<Http>,
    Params(params): Params<WindowParams>,
) -> Answer<Json<Page<ConsistencyWindow>>> {
    Ok(Json(Page { items: http.app.windows(params.all).await?, next: None }))
}

/// Where each partition's persister stands.
#[utoipa::path(get, path = "/v1/lag", tag = "consistency",
    responses((status = 200, body = Page<Lag>), (status = "4XX", body = ProblemBody)))]
pub(super) async fn lag(State(http): State<Http>) -> Json<Page<Lag>> {
    Json(Page { items: http.app.lag(), next: None })
}
