//! Messages of a conversation, for back ends.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, Query, State},
    http::StatusCode,
};
use protocol::{
    frames::{LIST_LIMIT_DEFAULT, PAGE_LIMIT_MAX, ServerFrame},
    http::PostMessage,
};
use serde::Deserialize;

use super::problem::{Body, Caller, Problem, Service, conversation, not_found, user};
use crate::gateway::Shared;

#[derive(Deserialize)]
pub(super) struct PageQuery {
    after: Option<String>,
    limit: Option<String>,
}

/// Read by hand: a number that is none gets words.
fn number(field: &str, text: Option<&str>, default: u64, most: u64) -> Result<u64, Problem> {
    let Some(text) = text else { return Ok(default) };
    let number = text.parse().ok().filter(|number| *number <= most);
    number.ok_or_else(|| Problem::invalid(field, format_args!("must be an integer from 0 to {most}")))
}

pub(super) async fn page(
    State(shared): State<Arc<Shared>>,
    caller: Caller,
    Path(id): Path<String>,
    Query(query): Query<PageQuery>,
) -> Result<Json<ServerFrame>, Problem> {
    let id = conversation(&id)?;
    let after = number("after", query.after.as_deref(), 0, (1 << 53) - 1)?;
    let limit = number("limit", query.limit.as_deref(), LIST_LIMIT_DEFAULT as u64, PAGE_LIMIT_MAX as u64)?;
    if limit == 0 {
        return Err(Problem::invalid("limit", "must be at least 1"));
    }
    let membership = if caller.is_service() {
        let found = shared.memberships.get(&id, &caller.0.user).await?;
        found.ok_or_else(not_found)?.kind
    } else {
        shared.authorise(id.as_str(), &caller.0.user).await?.1
    };
    let reader = (!caller.is_service()).then_some(&caller.0.user);
    let page = shared.page_after(&id, membership, reader, after, limit as usize).await?;
    Ok(Json(ServerFrame::Messages(page)))
}

pub(super) async fn send(
    State(shared): State<Arc<Shared>>,
    _: Service,
    Path(id): Path<String>,
    Body(message): Body<PostMessage>,
) -> Result<(StatusCode, Json<ServerFrame>), Problem> {
    let id = conversation(&id)?;
    let sender = user(&message.sender, "sender")?;
    let send = message.into_send(id.as_str())?;
    let prepared = shared.prepare(&sender, send).await?;
    match shared.submit(prepared).await {
        ServerFrame::Error(error) => Err(error.into()),
        accepted => {
            shared.metrics.accepted.inc();
            Ok((StatusCode::ACCEPTED, Json(accepted)))
        }
    }
}
