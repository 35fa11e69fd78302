//! `/v1/overrides` and `/v1/breakers`.

use axum::{Json, extract::State};
use protocol::admin::{Breaker, Changed, CreateOverride, Override, Page, ProblemBody, ReasonRequest, RevertRequest};
use serde::Deserialize;

use super::{
    Http,
    extract::{Body, Caller, Id, Params},
    problem::{Answer, Refusal},
};

/// Which overrides.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ListParams {
    /// Also those that are over.
    #[serde(default)]
    all: bool,
}

/// Overrides, newest first.
#[utoipa::path(get, path = "/v1/overrides", tag = "overrides", params(ListParams),
    responses((status = 200, body = Page<Override>), (status = "4XX", body = ProblemBody)))]
pub(super) async fn list(State(http): State<Http>, Params(params): Params<ListParams>) -> Answer<Json<Page<Override>>> {
    Ok(Json(Page { items: http.app.overrides(params.all).await?, next: None }))
}

/// One override.
#[utoipa::path(get, path = "/v1/overrides/{id}", tag = "overrides", params(("id" = String, Path)),
    responses((status = 200, body = Override), (status = "4XX", body = ProblemBody)))]
pub(super) async fn show(State(http): State<Http>, Id(id): Id) -> Answer<Json<Override>> {
    Ok(Json(http.app.override_(&id).await?))
}

/// Forces something for a while.
#[utoipa::path(post, path = "/v1/overrides", tag = "overrides", request_body = CreateOverride,
    responses((status = 200, body = Override), (status = "4XX", body = ProblemBody)))]
pub(super) async fn create(
    State(http): State<Http>,
    Caller(actor): Caller,
    Body(request): Body<CreateOverride>,
) -> Answer<Json<Override>> {
    http.app.override_create(&actor, &request).await.map(Json).map_err(Refusal::audited)
}

/// Ends an override before its time.
#[utoipa::path(delete, path = "/v1/overrides/{id}", tag = "overrides", params(("id" = String, Path)),
    request_body = ReasonRequest, responses((status = 200, body = Changed<Override>), (status = "4XX", body = ProblemBody)))]
pub(super) async fn end(
    State(http): State<Http>,
    Caller(actor): Caller,
    Id(id): Id,
    Body(request): Body<ReasonRequest>,
) -> Answer<Json<Changed<Override>>> {
    http.app.override_end(&actor, &id, &request.reason).await.map(Json).map_err(Refusal::audited)
}

/// Ends whatever holds something.
#[utoipa::path(post, path = "/v1/overrides/revert", tag = "overrides", request_body = RevertRequest,
    responses((status = 200, body = Page<Override>), (status = "4XX", body = ProblemBody)))]
pub(super) async fn revert(
    State(http): State<Http>,
    Caller(actor): Caller,
    Body(request): Body<RevertRequest>,
) -> Answer<Json<Page<Override>>> {
    let items = http.app.override_revert_slot(&actor, &request).await.map_err(Refusal::audited)?;
    Ok(Json(Page { items, next: None }))
}

/// Every breaker of every node that is heard.
#[utoipa::path(get, path = "/v1/breakers", tag = "overrides",
    responses((status = 200, body = Page<Breaker>), (status = "4XX", body = ProblemBody)))]
pub(super) async fn breakers(State(http): State<Http>) -> Answer<Json<Page<Breaker>>> {
    Ok(Json(Page { items: http.app.breakers().await?, next: None }))
}
