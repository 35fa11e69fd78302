//! `/v1/rollouts`, and pausing and resuming operations.

use axum::{Json, extract::State};
use protocol::admin::{Changed, Operation, ProblemBody, ReasonRequest, RolloutRequest};

use super::{
    Http,
    extract::{Body, Caller, Id},
    problem::{Answer, Refusal},
};

/// Begins to restart nodes, a few at a time.
#[utoipa::path(post, path = "/v1/rollouts", tag = "operations", request_body = RolloutRequest,
    responses((status = 200, body = Operation), (status = "4XX", body = ProblemBody)))]
pub(super) async fn create(
    State(http): State<Http>,
    Caller(actor): Caller,
    Body(request): Body<RolloutRequest>,
) -> Answer<Json<Operation>> {
    http.app.rollout(&actor, &request).await.map(Json).map_err(Refusal::audited)
}

/// Pauses a rollout: what is begun is finished, nothing new is begun.
#[utoipa::path(post, path = "/v1/operations/{id}/pause", tag = "operations", params(("id" = String, Path)),
    request_body = ReasonRequest, responses((status = 200, body = Changed<Operation>), (status = "4XX", body = ProblemBody)))]
pub(super) async fn pause(
    State(http): State<Http>,
    Caller(actor): Caller,
    Id(id): Id,
    Body(request): Body<ReasonRequest>,
) -> Answer<Json<Changed<Operation>>> {
    http.app.rollout_pause(&actor, &id, true, &request.reason).await.map(Json).map_err(Refusal::audited)
}

/// Resumes a paused rollout.
#[utoipa::path(post, path = "/v1/operations/{id}/resume", tag = "operations", params(("id" = String, Path)),
    request_body = ReasonRequest, responses((status = 200, body = Changed<Operation>), (status = "4XX", body = ProblemBody)))]
pub(super) async fn resume(
    State(http): State<Http>,
    Caller(actor): Caller,
    Id(id): Id,
    Body(request): Body<ReasonRequest>,
) -> Answer<Json<Changed<Operation>>> {
    http.app.rollout_pause(&actor, &id, false, &request.reason).await.map(Json).map_err(Refusal::audited)
}
