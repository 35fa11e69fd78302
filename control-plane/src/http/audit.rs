//! `/v1/audit`.

use axum::{Json, extract::State};
use protocol::admin::{AuditEntry, AuditVerdict, Page, ProblemBody};
use serde::Deserialize;

use super::{Http, extract::Params, problem::Answer};

/// Which entries.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ListParams {
    /// Only those with a lower number: `next` of the page before.
    before: Option<u64>,
    /// 1-500, default 100.
    limit: Option<usize>,
}

/// The audit, newest first.
#[utoipa::path(get, path = "/v1/audit", tag = "audit", params(ListParams),
    responses((status = 200, body = Page<AuditEntry>), (status = "4XX", body = ProblemBody)))]
pub(super) async fn list(
    State(http): State<Http>,
    Params(params): Params<ListParams>,
) -> Answer<Json<Page<AuditEntry>>> {
    Ok(Json(http.app.audit(params.before, params.limit).await?))
}

/// Checks the hash chain of the whole audit.
#[utoipa::path(get, path = "/v1/audit/verify", tag = "audit",
    responses((status = 200, body = AuditVerdict), (status = "4XX", body = ProblemBody)))]
pub(super) async fn verify(State(http): State<Http>) -> Answer<Json<AuditVerdict>> {
    Ok(Json(http.app.audit_verify().await?))
}
