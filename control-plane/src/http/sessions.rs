//! `/v1/sessions`.

use axum::{Json, extract::State};
use protocol::admin::{KickRequest, Kicked, Page, ProblemBody, UserSession};

use super::{
    Http,
    extract::{Body, Caller, Id},
    problem::{Answer, Refusal},
};

/// A user's sessions, of all gateways.
#[utoipa::path(get, path = "/v1/sessions/{id}", tag = "sessions", params(("id" = String, Path)),
    responses((status = 200, body = Page<UserSession>), (status = "4XX", body = ProblemBody)))]
pub(super) async fn show(State(http): State<Http>, Id(user): Id) -> Answer<Json<Page<UserSession>>> {
    Ok(Json(Page { items: http.app.sessions(&user).await?, next: None }))
}

/// Closes a user's connections: their clients come back and resume.
#[utoipa::path(post, path = "/v1/sessions/{id}/kick", tag = "sessions", params(("id" = String, Path)),
    request_body = KickRequest, responses((status = 200, body = Kicked), (status = "4XX", body = ProblemBody)))]
pub(super) async fn kick(
    State(http): State<Http>,
    Caller(actor): Caller,
    Id(user): Id,
    Body(request): Body<KickRequest>,
) -> Answer<Json<Kicked>> {
    http.app.kick(&actor, &user, &request).await.map(Json).map_err(Refusal::audited)
}
