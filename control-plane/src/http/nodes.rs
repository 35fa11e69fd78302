//! `/v1/nodes`.

use axum::{Json, extract::State};
use protocol::admin::{Node, Page, ProblemBody};

use super::{Http, extract::Id, problem::Answer};

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
