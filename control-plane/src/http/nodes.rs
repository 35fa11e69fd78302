//! `/v1/nodes`.

use axum::{Json, extract::State};
use protocol::admin::{Node, Page, ProblemBody, ReasonRequest};

use super::{
    Http,
    extract::{Body, Caller, Id},
    problem::{Answer, Refusal},
};

/// All nodes.
#[utoipa::path(get, path = "/v1/nodes", tag = "nodes",
    responses((status = 200, body = Page<Node>), (status = "4XX", body = ProblemBody)))]
pub(super) async fn list(State(http): State<Http>) -> Json<Page<Node>> {
    Json(Page { items: http.app.nodes(), next: None })
}

/// One node.
#[utoipa::path(get, path = "/v1/nodes/{id}", tag = "nodes", params(("id" = String, Path)),
    responses((status = 200, body = Node), (status = "4XX", body = ProblemBody)))]
pub(super) async fn show(State(http): State<Http>, Id(id): Id) -> Answer<Json<Node>> {
    Ok(Json(http.app.node(&id)?))
}

/// Forgets a node that is gone for good. One that is heard is refused.
#[utoipa::path(delete, path = "/v1/nodes/{id}", tag = "nodes", params(("id" = String, Path)),
    request_body = ReasonRequest, responses((status = 200, body = Node), (status = "4XX", body = ProblemBody)))]
pub(super) async fn forget(
    State(http): State<Http>,
    Caller(actor): Caller,
    Id(id): Id,
    Body(request): Body<ReasonRequest>,
) -> Answer<Json<Node>> {
    http.app.node_forget(&actor, &id, &request.reason).await.map(Json).map_err(Refusal::audited)
}
