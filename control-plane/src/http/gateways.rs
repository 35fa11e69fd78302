//! `/v1/gateways`.

use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use protocol::admin::{Changed, DrainPreview, DrainRequest, Gateway, Operation, Page, ProblemBody, ReasonRequest};

use super::{
    Http,
    extract::{Body, Caller, Id},
    problem::{Answer, Refusal},
};

/// All gateways.
#[utoipa::path(get, path = "/v1/gateways", tag = "gateways",
    responses((status = 200, body = Page<Gateway>), (status = "4XX", body = ProblemBody)))]
pub(super) async fn list(State(http): State<Http>) -> Json<Page<Gateway>> {
    Json(Page { items: http.app.gateways(), next: None })
}

/// One gateway.
#[utoipa::path(get, path = "/v1/gateways/{id}", tag = "gateways", params(("id" = String, Path)),
    responses((status = 200, body = Gateway), (status = "4XX", body = ProblemBody)))]
pub(super) async fn show(State(http): State<Http>, Id(id): Id) -> Answer<Json<Gateway>> {
    Ok(Json(http.app.gateway(&id)?))
}

/// Begins to drain a gateway, or says what that would do.
#[utoipa::path(post, path = "/v1/gateways/{id}/drain", tag = "gateways", params(("id" = String, Path)),
    request_body = DrainRequest,
    responses((status = 202, body = Changed<Operation>), (status = 200, description = "A dry run", body = DrainPreview),
        (status = "4XX", body = ProblemBody)))]
pub(super) async fn drain(
    State(http): State<Http>,
    Caller(actor): Caller,
    Id(id): Id,
    Body(request): Body<DrainRequest>,
) -> Answer<Response> {
    if request.dry_run {
        return Ok(Json(http.app.drain_preview(&id, &request).await?).into_response());
    }
    let operation = http.app.drain(&actor, &id, &request).await.map_err(Refusal::audited)?;
    Ok((StatusCode::ACCEPTED, Json(operation)).into_response())
}

/// Puts a drained gateway back into service.
#[utoipa::path(post, path = "/v1/gateways/{id}/undrain", tag = "gateways", params(("id" = String, Path)),
    request_body = ReasonRequest, responses((status = 202, body = Changed<Operation>), (status = "4XX", body = ProblemBody)))]
pub(super) async fn undrain(
    State(http): State<Http>,
    Caller(actor): Caller,
    Id(id): Id,
    Body(request): Body<ReasonRequest>,
) -> Answer<(StatusCode, Json<Changed<Operation>>)> {
    let operation = http.app.undrain(&actor, &id, &request.reason).await.map_err(Refusal::audited)?;
    Ok((StatusCode::ACCEPTED, Json(operation)))
}
