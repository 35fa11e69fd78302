//! `/v1/reconciliations`.

use axum::{Json, extract::State};
use protocol::admin::{Operation, ProblemBody, ReconcileRequest};

use super::{
    Http,
    extract::{Body, Caller},
    problem::{Answer, Refusal},
};

/// Begins to compare stored rows with the log.
#[utoipa::path(post, path = "/v1/reconciliations", tag = "operations", request_body = ReconcileRequest,
    responses((status = 200, body = Operation), (status = "4XX", body = ProblemBody)))]
pub(super) async fn create(
    State(http): State<Http>,
    Caller(actor): Caller,
    Body(request): Body<ReconcileRequest>,
) -> Answer<Json<Operation>> {
    http.app.reconcile(&actor, &request).await.map(Json).map_err(Refusal::audited)
}
