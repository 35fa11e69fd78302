//! `/v1/tokens` and `/v1/whoami`.

use axum::{Json, extract::State, http::StatusCode};
use protocol::admin::{Changed, CreateToken, Page, ProblemBody, Token, TokenCreated, WhoAmI};

use super::{
    Http,
    extract::{Body, Caller, Id},
    problem::{Answer, Refusal},
};

/// Who the caller is.
#[utoipa::path(get, path = "/v1/whoami", tag = "tokens",
    responses((status = 200, body = WhoAmI), (status = "4XX", body = ProblemBody)))]
pub(super) async fn whoami(Caller(actor): Caller) -> Json<WhoAmI> {
    Json(WhoAmI { name: actor.name, role: actor.role, expires_ms: actor.expires_ms })
}

/// All tokens, without their secrets.
#[utoipa::path(get, path = "/v1/tokens", tag = "tokens",
    responses((status = 200, body = Page<Token>), (status = "4XX", body = ProblemBody)))]
pub(super) async fn list(State(http): State<Http>) -> Answer<Json<Page<Token>>> {
    Ok(Json(Page { items: http.app.tokens().await?, next: None }))
}

/// Makes a token; the answer is the only place where its secret is.
#[utoipa::path(post, path = "/v1/tokens", tag = "tokens", request_body = CreateToken,
    responses((status = 201, body = TokenCreated), (status = "4XX", body = ProblemBody)))]
pub(super) async fn create(
    State(http): State<Http>,
    Caller(actor): Caller,
    Body(request): Body<CreateToken>,
) -> Answer<(StatusCode, Json<TokenCreated>)> {
    let created = http.app.token_create(&actor, &request).await.map_err(Refusal::audited)?;
    Ok((StatusCode::CREATED, Json(created)))
}

/// Ends a token at once.
#[utoipa::path(delete, path = "/v1/tokens/{id}", tag = "tokens", params(("id" = String, Path)),
    responses((status = 200, body = Changed<Token>), (status = "4XX", body = ProblemBody)))]
pub(super) async fn revoke(
    State(http): State<Http>,
    Caller(actor): Caller,
    Id(id): Id,
) -> Answer<Json<Changed<Token>>> {
    http.app.token_revoke(&actor, &id).await.map(Json).map_err(Refusal::audited)
}
