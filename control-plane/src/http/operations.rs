//! `/v1/operations`.

use std::convert::Infallible;

use axum::{
    Json,
    extract::State,
    http::HeaderMap,
    response::sse::{Event, KeepAlive, Sse},
};
use futures_util::{Stream, StreamExt as _, stream};
use protocol::admin::{
    Changed, Operation, OperationEvent, OperationState, Page, ProblemBody, ProblemCode, ReasonRequest,
};
use serde::Deserialize;

use super::{
    Http,
    extract::{Body, Caller, Id, Params},
    problem::{Answer, Refusal},
};
use crate::app::{OperationQuery, Watcher};

/// Which operations.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ListParams {
    /// Only those in this state.
    state: Option<OperationState>,
    /// Only those with a lower number: `next` of the page before.
    before: Option<u64>,
    /// 1-500, default 100.
    limit: Option<usize>,
}

/// Where to begin.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct EventParams {
    /// Only events with a higher sequence. The header `Last-Event-ID` says the same.
    after: Option<u64>,
}

/// Operations, newest first.
#[utoipa::path(get, path = "/v1/operations", tag = "operations", params(ListParams),
    responses((status = 200, body = Page<Operation>), (status = "4XX", body = ProblemBody)))]
pub(super) async fn list(
    State(http): State<Http>,
    Params(params): Params<ListParams>,
) -> Answer<Json<Page<Operation>>> {
    let query = OperationQuery { state: params.state, before: params.before, limit: params.limit };
    Ok(Json(http.app.operations(&query).await?))
}

/// One operation.
#[utoipa::path(get, path = "/v1/operations/{id}", tag = "operations", params(("id" = String, Path)),
    responses((status = 200, body = Operation), (status = "4XX", body = ProblemBody)))]
pub(super) async fn show(State(http): State<Http>, Id(id): Id) -> Answer<Json<Operation>> {
    Ok(Json(http.app.operation(&id).await?))
}

/// Cancels an operation: it undoes what it did, then ends.
#[utoipa::path(post, path = "/v1/operations/{id}/cancel", tag = "operations", params(("id" = String, Path)),
    request_body = ReasonRequest, responses((status = 200, body = Changed<Operation>), (status = "4XX", body = ProblemBody)))]
pub(super) async fn cancel(
    State(http): State<Http>,
    Caller(actor): Caller,
    Id(id): Id,
    Body(request): Body<ReasonRequest>,
) -> Answer<Json<Changed<Operation>>> {
    http.app.cancel(&actor, &id, &request.reason).await.map(Json).map_err(Refusal::audited)
}

/// Server-sent events of an operation, from the first; ends when the operation has ended.
#[utoipa::path(get, path = "/v1/operations/{id}/events", tag = "operations",
    params(("id" = String, Path), EventParams),
    responses((status = 200, content_type = "text/event-stream", body = OperationEvent),
        (status = "4XX", body = ProblemBody)))]
pub(super) async fn events(
    State(http): State<Http>,
    Id(id): Id,
    Params(params): Params<EventParams>,
    headers: HeaderMap,
) -> Answer<Sse<impl Stream<Item = Result<Event, Infallible>>>> {
    let after = match headers.get("last-event-id").map(|value| value.to_str().ok().and_then(|text| text.parse().ok())) {
        Some(None) => return Err(Refusal::new(ProblemCode::Invalid, "Last-Event-ID: must be a number")),
        Some(Some(after)) => after,
        None => params.after.unwrap_or(0),
    };
    let watcher = http.app.watch(&id, after).await?;
    Ok(Sse::new(follow(http, watcher)).keep_alive(KeepAlive::default()))
}

fn follow(http: Http, watcher: Watcher) -> impl Stream<Item = Result<Event, Infallible>> {
    let stop = http.stop.clone();
    stream::unfold((http, watcher), async |(http, mut watcher)| {
        match http.app.watch_next(&mut watcher).await {
            Ok(events) if events.is_empty() => None,
            Ok(events) => Some((events, (http, watcher))),
            Err(error) => {
                // The watcher sees the stream end and asks again from where it was.
                tracing::warn!(%error, "a watcher's stream ends");
                None
            }
        }
    })
    .flat_map(|events| stream::iter(events.into_iter().map(|event| Ok(to_sse(&event)))))
    .take_until(stop.cancelled_owned())
}

fn to_sse(event: &OperationEvent) -> Event {
    let data = serde_json::to_string(event).unwrap_or_default();
    Event::default().id(event.sequence.to_string()).event(event.phase.as_str()).data(data)
}
