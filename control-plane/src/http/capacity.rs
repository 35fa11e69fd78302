//! `/v1/capacity`, `/v1/events` and `/v1/prescale`.

use axum::{Json, extract::State};
use protocol::admin::{
    Changed, CreateEvent, Operation, Page, PrescalePlan, PrescaleRequest, ProblemBody, ReasonRequest, ScaleEvent,
};
use serde::Deserialize;

use super::{
    Http,
    extract::{Body, Caller, Id, Params},
    problem::{Answer, Refusal},
};

/// For which load.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct PlanParams {
    /// So many times the load of now. Default 1.
    factor: Option<f64>,
}

/// What the fleet bears, and what a factor of today's load needs.
#[utoipa::path(get, path = "/v1/capacity", tag = "capacity", params(PlanParams),
    responses((status = 200, body = PrescalePlan), (status = "4XX", body = ProblemBody)))]
pub(super) async fn plan(State(http): State<Http>, Params(params): Params<PlanParams>) -> Answer<Json<PrescalePlan>> {
    Ok(Json(http.app.prescale_plan(params.factor.unwrap_or(1.0)).await?))
}

/// Events, newest first.
#[utoipa::path(get, path = "/v1/events", tag = "capacity",
    responses((status = 200, body = Page<ScaleEvent>), (status = "4XX", body = ProblemBody)))]
pub(super) async fn events(State(http): State<Http>) -> Answer<Json<Page<ScaleEvent>>> {
    Ok(Json(Page { items: http.app.scale_events().await?, next: None }))
}

/// Plans an event.
#[utoipa::path(post, path = "/v1/events", tag = "capacity", request_body = CreateEvent,
    responses((status = 200, body = ScaleEvent), (status = "4XX", body = ProblemBody)))]
pub(super) async fn add(
    State(http): State<Http>,
    Caller(actor): Caller,
    Body(request): Body<CreateEvent>,
) -> Answer<Json<ScaleEvent>> {
    http.app.event_add(&actor, &request).await.map(Json).map_err(Refusal::audited)
}

/// Forgets an event.
#[utoipa::path(delete, path = "/v1/events/{id}", tag = "capacity", params(("id" = String, Path)),
    request_body = ReasonRequest, responses((status = 200, body = Changed<ScaleEvent>), (status = "4XX", body = ProblemBody)))]
pub(super) async fn remove(
    State(http): State<Http>,
    Caller(actor): Caller,
    Id(name): Id,
    Body(request): Body<ReasonRequest>,
) -> Answer<Json<Changed<ScaleEvent>>> {
    http.app.event_remove(&actor, &name, &request.reason).await.map(Json).map_err(Refusal::audited)
}

/// Adds the nodes that a factor needs, or takes away what the last prescale added.
#[utoipa::path(post, path = "/v1/prescale", tag = "capacity", request_body = PrescaleRequest,
    responses((status = 200, body = Changed<Operation>), (status = "4XX", body = ProblemBody)))]
pub(super) async fn apply(
    State(http): State<Http>,
    Caller(actor): Caller,
    Body(request): Body<PrescaleRequest>,
) -> Answer<Json<Changed<Operation>>> {
    http.app.prescale(&actor, &request).await.map(Json).map_err(Refusal::audited)
}
