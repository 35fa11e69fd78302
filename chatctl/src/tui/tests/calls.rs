//! What calls to a control plane become.

use std::collections::BTreeMap;

use axum::{
    Json, Router,
    http::StatusCode,
    routing::{get, post},
};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::fixture;
use crate::{
    context::Context,
    runbook,
    tui::{
        event::{Act, Data, Event, Failure, Load, Need},
        perform::{self, Fleet},
    },
};

/// A control plane that serves these routes.
async fn api(routes: Router) -> Fleet {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, routes).await });
    Fleet::new("test", Context { control_plane: url, ..Context::default() }).unwrap()
}

fn problem(code: &str, message: &str) -> Json<Value> {
    Json(json!({ "error": { "code": code, "message": message, "hint": "try this", "override_flag": "--force" } }))
}

async fn failed(api: &Fleet, load: Load) -> Failure {
    match perform::load(api, load).await {
        Event::Failed(_, failure) => failure,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_is_not_served_is_told_from_what_is_refused_and_what_is_lost() {
    let not_found = || async { (StatusCode::NOT_FOUND, problem("not_found", "there is no such route")) };
    let not_this = || async {
        (StatusCode::METHOD_NOT_ALLOWED, problem("method_not_allowed", "this path does not know this method"))
    };
    let denied = || async { (StatusCode::FORBIDDEN, problem("forbidden", "a viewer may not")) };
    let routes = Router::new()
        .route("/v1/overview", get(not_found))
        .route("/v1/incidents", get(not_this))
        .route("/v1/gateways/gw-1/drain", post(not_found))
        .route("/v1/audit", get(denied));
    let api = api(routes).await;
    assert_eq!(failed(&api, Load::Plain(Need::Overview)).await, Failure::Unserved);
    assert_eq!(failed(&api, Load::Plain(Need::Incidents)).await, Failure::Unserved);
    // A web server that is no control plane, for all one knows an older one.
    assert_eq!(failed(&api, Load::Plain(Need::Nodes)).await, Failure::Unserved);
    let no = failed(&api, Load::Plain(Need::Audit)).await;
    assert_eq!(no, Failure::Refused("a viewer may not\ntry this\n--force overrides this, on the command line".into()));
    // A gateway that is gone says nothing about what is served.
    assert!(matches!(failed(&api, Load::Preview("gw-1".into())).await, Failure::Refused(_)));
    let nobody = Context { control_plane: "http://127.0.0.1:1".into(), ..Context::default() };
    assert!(matches!(
        failed(&Fleet::new("nobody", nobody).unwrap(), Load::Plain(Need::WhoAmI)).await,
        Failure::Lost(_)
    ));
}

#[tokio::test]
async fn incidents_are_taken_and_refusals_say_why() {
    let incident = json!({
        "id": "inc-1", "number": 1, "revision": 2, "mode": "lost_ack", "severity": "warning",
        "state": "acknowledged", "summary": "acks are lost", "evidence": [], "runbook": "lost-ack",
        "opened_ms": 1, "seen_ms": 2,
    });
    let list = json!({ "items": [incident.clone()] });
    let ack = move |Json(body): Json<Value>| async move {
        assert_eq!(body, json!({ "reason": "mine" }));
        Json(incident)
    };
    let routes = Router::new()
        .route("/v1/incidents", get(|| async { Json(list) }))
        .route("/v1/incidents/inc-1/ack", post(ack))
        .route("/v1/incidents/inc-1/resolve", post(|| async { (StatusCode::CONFLICT, problem("refused", "no")) }));
    let api = api(routes).await;
    match perform::load(&api, Load::Plain(Need::Incidents)).await {
        Event::Loaded(Data::Incidents(all)) => assert_eq!(all.len(), 1),
        other => panic!("{other:?}"),
    }
    match perform::act(&api, Act::Ack { incident: "inc-1".into(), reason: "mine".into() }).await {
        Event::Done(done) => assert_eq!(done, Ok("inc-1 is acknowledged".to_owned())),
        other => panic!("{other:?}"),
    }
    match perform::act(&api, Act::Resolve { incident: "inc-1".into(), reason: "over".into() }).await {
        Event::Done(done) => {
            assert_eq!(done, Err("no\ntry this\n--force overrides this, on the command line".to_owned()));
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_run_is_sent_as_it_was_read() {
    let runbook = runbook::find("write-timeouts").unwrap();
    let request = runbook::plan(&runbook, &BTreeMap::new(), "the store fails").unwrap();
    let read = serde_json::to_value(&request).unwrap();
    let begin = move |Json(body): Json<Value>| async move {
        assert_eq!(body, read);
        Json(fixture::waiting_run())
    };
    let api = api(Router::new().route("/v1/runbooks/runs", post(begin))).await;
    match perform::act(&api, Act::Run { request: Box::new(request) }).await {
        Event::Started(id) => assert_eq!(id, "op-40"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn events_of_an_operation_that_goes_on_are_read_until_it_is_quiet() {
    let event = |sequence: u64| {
        let event = json!({
            "operation": "op-1", "sequence": sequence, "at_ms": 1, "state": "running", "phase": "draining",
            "progress": {
                "connections_at_start": 9, "connections": 3, "told_to_migrate": 6, "evicted": 0,
            },
            "message": "told 6",
        });
        format!("id: {sequence}\ndata: {event}\n\n")
    };
    let body = format!(": hello\n\n{}{}", event(4), event(5));
    let stream = move || async move {
        let first = futures_util::stream::iter([Ok::<_, std::io::Error>(body)]);
        // The rest never comes.
        axum::body::Body::from_stream(futures_util::StreamExt::chain(first, futures_util::stream::pending()))
    };
    let api = api(Router::new().route("/v1/operations/op-1/events", get(stream))).await;
    match perform::load(&api, Load::Events("op-1".into(), 3)).await {
        Event::Loaded(Data::Events(id, events)) => {
            assert_eq!((id.as_str(), events.iter().map(|it| it.sequence).collect()), ("op-1", vec![4, 5]));
        }
        other => panic!("{other:?}"),
    }
}
