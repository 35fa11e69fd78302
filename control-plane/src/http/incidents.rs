//! `/v1/incidents`, `/v1/alerts` and `/v1/overview`.

use axum::{Json, extract::State};
use protocol::admin::{Changed, Incident, Mode, Overview, Page, ProblemBody, ReasonRequest};
use serde::Deserialize;

use super::{
    Http,
    extract::{Body, Caller, Id, Params},
    problem::{Answer, Refusal},
};

/// Which incidents.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ListParams {
    /// Also those that are resolved.
    #[serde(default)]
    all: bool,
    /// Only those of this failure mode.
    mode: Option<Mode>,
    /// Only those with a lower number: `next` of the page before.
    before: Option<u64>,
    /// 1-500, default 100.
    limit: Option<usize>,
}

/// Incidents, newest first.
#[utoipa::path(get, path = "/v1/incidents", tag = "incidents", params(ListParams),
    responses((status = 200, body = Page<Incident>), (status = "4XX", body = ProblemBody)))]
pub(super) async fn list(State(http): State<Http>, Params(params): Params<ListParams>) -> Answer<Json<Page<Incident>>> {
    let page = match params.mode {
        Some(mode) => http.app.incidents_of(mode, params.all, params.before, params.limit).await?,
        None => http.app.incidents(params.all, params.before, params.limit).await?,
    };
    Ok(Json(page))
}

/// One incident.
#[utoipa::path(get, path = "/v1/incidents/{id}", tag = "incidents", params(("id" = String, Path)),
    responses((status = 200, body = Incident), (status = "4XX", body = ProblemBody)))]
pub(super) async fn show(State(http): State<Http>, Id(id): Id) -> Answer<Json<Incident>> {
    Ok(Json(http.app.incident(&id).await?))
}

/// Takes an incident.
#[utoipa::path(post, path = "/v1/incidents/{id}/ack", tag = "incidents", params(("id" = String, Path)),
    request_body = ReasonRequest, responses((status = 200, body = Changed<Incident>), (status = "4XX", body = ProblemBody)))]
pub(super) async fn ack(
    State(http): State<Http>,
    Caller(actor): Caller,
    Id(id): Id,
    Body(request): Body<ReasonRequest>,
) -> Answer<Json<Changed<Incident>>> {
    http.app.incident_ack(&actor, &id, &request.reason).await.map(Json).map_err(Refusal::audited)
}

/// Resolves an incident by hand.
#[utoipa::path(post, path = "/v1/incidents/{id}/resolve", tag = "incidents", params(("id" = String, Path)),
    request_body = ReasonRequest, responses((status = 200, body = Changed<Incident>), (status = "4XX", body = ProblemBody)))]
pub(super) async fn resolve(
    State(http): State<Http>,
    Caller(actor): Caller,
    Id(id): Id,
    Body(request): Body<ReasonRequest>,
) -> Answer<Json<Changed<Incident>>> {
    http.app.incident_resolve(&actor, &id, &request.reason).await.map(Json).map_err(Refusal::audited)
}

/// Incidents that are not resolved, in the shape of Alertmanager's API, version 2.
#[utoipa::path(get, path = "/v1/alerts", tag = "incidents",
    responses((status = 200), (status = "4XX", body = ProblemBody)))]
pub(super) async fn alerts(State(http): State<Http>) -> Answer<Json<Vec<serde_json::Value>>> {
    let open = http.app.incidents(false, None, Some(500)).await?.items;
    Ok(Json(open.iter().map(|incident| http.app.hooks.alert(incident)).collect()))
}

/// The whole fleet on one page.
#[utoipa::path(get, path = "/v1/overview", tag = "overview",
    responses((status = 200, body = Overview), (status = "4XX", body = ProblemBody)))]
pub(super) async fn overview(State(http): State<Http>) -> Answer<Json<Overview>> {
    Ok(Json(http.app.overview().await?))
}
