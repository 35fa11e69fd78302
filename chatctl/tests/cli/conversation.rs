//! Against a gateway that answers from the protocol page.

use axum::{
    Json, Router,
    extract::Path,
    http::{HeaderMap, StatusCode},
    routing::{get, post, put},
};
use serde_json::{Value, json};

use crate::support::Fleet;

type Answer = (StatusCode, Json<Value>);

fn refuse(status: StatusCode, code: &str, message: &str) -> Answer {
    (status, Json(json!({"error": {"code": code, "message": message}})))
}

async fn create(headers: HeaderMap, Json(body): Json<Value>) -> Answer {
    assert!(headers["authorization"].to_str().unwrap().starts_with("Bearer ey"));
    if body["kind"] == "direct" && body["members"].as_array().unwrap().len() != 2 {
        return refuse(StatusCode::BAD_REQUEST, "invalid", "members: a direct conversation has 2");
    }
    (StatusCode::CREATED, Json(json!({"id": "team", "kind": body["kind"], "members": 2})))
}

async fn show(Path(id): Path<String>) -> Answer {
    match id.as_str() {
        "team" => (StatusCode::OK, Json(json!({"id": "team", "kind": "group", "members": ["al", "bo"], "head": 7}))),
        _ => refuse(StatusCode::NOT_FOUND, "not_found", "no such conversation"),
    }
}

async fn member(Path((_, user)): Path<(String, String)>) -> Result<StatusCode, Answer> {
    match user.as_str() {
        "late" => Err(refuse(StatusCode::CONFLICT, "group_full", "500 members: convert it to a channel")),
        _ => Ok(StatusCode::NO_CONTENT),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn conversations_are_made_shown_and_joined() {
    let router = Router::new()
        .route("/v1/conversations", post(create))
        .route("/v1/conversations/{id}", get(show))
        .route("/v1/conversations/{id}/members/{user}", put(member).delete(member));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let serving = tokio::spawn(async { axum::serve(listener, router).await });

    let fleet = Fleet::start().await;
    let none = fleet.run(&["conversation", "show", "team"]).await;
    assert_eq!(none.code, 2);
    assert_eq!(
        none.err,
        "error: context test names no gateway\nhint: chatctl context set test --gateway http://HOST:PORT\n"
    );
    // The first one is dead: the second answers.
    fleet.ok(&["context", "set", "test", "--gateway", "http://127.0.0.1:1", "--gateway", &url]).await;
    let created = fleet.ok(&["conversation", "create", "group", "al", "bo", "--id", "team"]).await;
    assert_eq!(created, "CONVERSATION  KIND   MEMBERS\nteam          group  2\n");
    assert_eq!(fleet.run(&["conversation", "create", "direct", "al"]).await.code, 2);
    let shown = fleet.ok(&["conversation", "show", "team"]).await;
    assert_eq!(shown, "CONVERSATION  KIND   HEAD  MEMBERS\nteam          group  7     2\n");
    assert_eq!(fleet.ok(&["conversation", "members", "list", "team"]).await, "USER\nal\nbo\n");
    assert_eq!(fleet.run(&["conversation", "members", "add", "team", "cy"]).await.err, "cy is a member of team\n");
    assert_eq!(fleet.run(&["conversation", "members", "remove", "team", "cy"]).await.code, 0);
    let full = fleet.run(&["conversation", "members", "add", "team", "late"]).await;
    assert_eq!((full.code, full.err.as_str()), (3, "error: 500 members: convert it to a channel\n"));
    assert_eq!(fleet.run(&["conversation", "show", "none"]).await.code, 4);
    serving.abort();
}
