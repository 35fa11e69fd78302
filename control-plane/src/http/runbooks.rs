//! `/v1/runbooks/runs`.

use axum::{Json, extract::State};
use protocol::admin::{ConfirmRequest, Operation, ProblemBody, RunRequest};

use super::{
    Http,
    extract::{Body, Caller, Id},
    problem::{Answer, Refusal},
};

/// Begins a run of a runbook, or goes on with one that failed.
#[utoipa::path(post, path = "/v1/runbooks/runs", tag = "runbooks", request_body = RunRequest,
    responses((status = 200, body = Operation), (status = "4XX", body = ProblemBody)))]
pub(super) async fn create(
    State(http): State<Http>,
    Caller(actor): Caller,
    Body(request): Body<RunRequest>,
) -> Answer<Json<Operation>> {
    http.app.run_begin(&actor, &request).await.map(Json).map_err(Refusal::audited)
}

/// Types the word that a step of a run asks for.
#[utoipa::path(post, path = "/v1/operations/{id}/confirm", tag = "runbooks", params(("id" = String, Path)),
    request_body = ConfirmRequest, responses((status = 200, body = Operation), (status = "4XX", body = ProblemBody)))]
pub(super) async fn confirm(
    State(http): State<Http>,
    Caller(actor): Caller,
    Id(id): Id,
    Body(request): Body<ConfirmRequest>,
) -> Answer<Json<Operation>> {
    http.app.run_confirm(&actor, &id, &request).await.map(Json).map_err(Refusal::audited)
}
