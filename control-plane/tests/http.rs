//! The HTTP API: roles, refusals, bad input, watching.

#![allow(clippy::unwrap_used)]

mod support;

use std::{sync::Arc, time::Duration};

use backends::Clock;
use chat_control_plane::store::SqliteStore;
use protocol::{
    admin::{
        AuditEntry, Changed, Operation, OperationEvent, OperationPhase, OperationState, Page, ProblemBody, ProblemCode,
        TokenCreated,
    },
    node::DrainPhase,
};
use rand::{Rng as _, SeedableRng as _, rngs::SmallRng};
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use support::{ADMIN, Rig, http_client};

struct Api {
    rig: Rig,
    url: String,
    client: Client,
    _dir: tempfile::TempDir,
}

impl Api {
    async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(&dir.path().join("control.db")).await.unwrap();
        let rig = Rig::with(Arc::new(store), Clock::System).await;
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        rig.plane.serve(listener).unwrap();
        let client = http_client();
        Self { rig, url, client, _dir: dir }
    }

    async fn send(&self, token: &str, method: &str, path: &str, body: &str) -> (StatusCode, String) {
        let method: Method = method.parse().unwrap();
        let request = self.client.request(method, format!("{}{path}", self.url)).bearer_auth(token);
        let response = request.body(body.to_owned()).send().await.unwrap();
        (response.status(), response.text().await.unwrap())
    }

    async fn ok<T: serde::de::DeserializeOwned>(&self, method: &str, path: &str, body: &str) -> T {
        let (status, text) = self.send(ADMIN, method, path, body).await;
        assert!(status.is_success(), "{status} {text}");
        serde_json::from_str(&text).unwrap()
    }

    async fn problem(&self, token: &str, method: &str, path: &str, body: &str) -> (StatusCode, ProblemBody) {
        let (status, text) = self.send(token, method, path, body).await;
        assert!(!status.is_success(), "{status} {text}");
        (status, serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}")))
    }

    async fn token(&self, role: &str) -> TokenCreated {
        self.ok("POST", "/v1/tokens", &json!({"name": role, "role": role}).to_string()).await
    }
}

#[tokio::test]
async fn tokens_have_roles_ends_and_no_secret_at_rest() {
    let api = Api::start().await;
    let viewer = api.token("viewer").await;
    let (_, me) = api.send(&viewer.secret, "GET", "/v1/whoami", "").await;
    assert_eq!(serde_json::from_str::<Value>(&me).unwrap()["role"], "viewer");
    let tokens = api.rig.store.tokens().await.unwrap();
    assert!(!format!("{tokens:?}{}", serde_json::to_string(&tokens).unwrap()).contains(&viewer.secret));

    // A viewer can change nothing: every changing route of the document is tried.
    let document: Value = api.ok("GET", "/v1/openapi.json", "").await;
    let mut tried = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys().filter(|method| *method != "get") {
            let path = path.replace("{id}", "gw-1");
            let (status, body) = api.problem(&viewer.secret, &method.to_uppercase(), &path, "").await;
            assert_eq!((status, body.error.code), (StatusCode::FORBIDDEN, ProblemCode::Forbidden), "{method} {path}");
            let (status, _) = api.problem("no such token", &method.to_uppercase(), &path, "").await;
            assert_eq!(status, StatusCode::UNAUTHORIZED);
            tried += 1;
        }
    }
    assert!(tried >= 5);
    let audit: Page<AuditEntry> = api.ok("GET", "/v1/audit", "").await;
    assert_eq!(
        audit.items.iter().filter(|entry| entry.who == "viewer" && entry.result == "refused: 403").count(),
        tried
    );

    api.ok::<Value>("DELETE", &format!("/v1/tokens/{}", viewer.token.id), "").await;
    assert_eq!(api.problem(&viewer.secret, "GET", "/v1/whoami", "").await.0, StatusCode::UNAUTHORIZED);
    let short: TokenCreated = api.ok("POST", "/v1/tokens", r#"{"name":"s","role":"viewer","ttl_s":1}"#).await;
    let ends = tokio::time::Instant::now() + Duration::from_secs(10);
    while api.send(&short.secret, "GET", "/v1/whoami", "").await.0 != StatusCode::UNAUTHORIZED {
        assert!(tokio::time::Instant::now() < ends, "the token never ended");
    }
    let (status, body) = api.problem(ADMIN, "DELETE", "/v1/tokens/bootstrap", "").await;
    assert_eq!((status, body.error.code), (StatusCode::CONFLICT, ProblemCode::Conflict));
    api.rig.plane.shutdown().await;
}

#[tokio::test]
async fn bad_input_gets_a_problem_body_and_never_a_500() {
    let api = Api::start().await;
    let _one = api.rig.gateway("gw-1", 1, 3);
    api.rig.gateway_where("gw-1", |gateway| gateway.connections == 3).await;
    let drain = "/v1/gateways/gw-1/drain";
    let cases: &[(&str, &str, &str, StatusCode, ProblemCode)] = &[
        ("POST", drain, "{", StatusCode::BAD_REQUEST, ProblemCode::Invalid),
        ("POST", drain, "\u{0}\u{1}", StatusCode::BAD_REQUEST, ProblemCode::Invalid),
        ("POST", drain, "[]", StatusCode::BAD_REQUEST, ProblemCode::Invalid),
        ("POST", drain, r#"{"dead_line":1}"#, StatusCode::BAD_REQUEST, ProblemCode::Invalid),
        ("POST", drain, r#"{"deadline_ms":"soon"}"#, StatusCode::BAD_REQUEST, ProblemCode::Invalid),
        ("POST", drain, r#"{"deadline_ms":-1}"#, StatusCode::BAD_REQUEST, ProblemCode::Invalid),
        ("POST", drain, r#"{"deadline_ms":18446744073709551615}"#, StatusCode::BAD_REQUEST, ProblemCode::Invalid),
        ("POST", drain, r#"{"rate_per_s":0}"#, StatusCode::BAD_REQUEST, ProblemCode::Invalid),
        ("POST", drain, "{}", StatusCode::CONFLICT, ProblemCode::Refused),
        ("POST", "/v1/gateways/gw-9/drain", "{}", StatusCode::NOT_FOUND, ProblemCode::NotFound),
        ("POST", "/v1/gateways/%ff/drain", "{}", StatusCode::BAD_REQUEST, ProblemCode::Invalid),
        ("POST", "/v1/operations/op-9/cancel", "{}", StatusCode::NOT_FOUND, ProblemCode::NotFound),
        ("GET", "/v1/operations/op-9/events", "", StatusCode::NOT_FOUND, ProblemCode::NotFound),
        ("GET", "/v1/operations?state=weird", "", StatusCode::BAD_REQUEST, ProblemCode::Invalid),
        ("GET", "/v1/operations?limit=0", "", StatusCode::BAD_REQUEST, ProblemCode::Invalid),
        ("GET", "/v1/operations?colour=red", "", StatusCode::BAD_REQUEST, ProblemCode::Invalid),
        ("GET", "/v1/nodes/none", "", StatusCode::NOT_FOUND, ProblemCode::NotFound),
        ("GET", "/v2/nodes", "", StatusCode::NOT_FOUND, ProblemCode::NotFound),
        ("PUT", "/v1/nodes", "", StatusCode::METHOD_NOT_ALLOWED, ProblemCode::MethodNotAllowed),
        ("POST", "/v1/tokens", r#"{"name":"a b","role":"viewer"}"#, StatusCode::BAD_REQUEST, ProblemCode::Invalid),
        ("POST", "/v1/tokens", r#"{"name":"a","role":"root"}"#, StatusCode::BAD_REQUEST, ProblemCode::Invalid),
        (
            "POST",
            "/v1/tokens",
            r#"{"name":"a","role":"viewer","ttl_s":0}"#,
            StatusCode::BAD_REQUEST,
            ProblemCode::Invalid,
        ),
    ];
    for (method, path, body, status, code) in cases {
        let (got, problem) = api.problem(ADMIN, method, path, body).await;
        assert_eq!((got, problem.error.code), (*status, *code), "{method} {path} {body}: {problem:?}");
    }
    let large = format!(r#"{{"reason":"{}"}}"#, "x".repeat(100_000));
    assert_eq!(api.problem(ADMIN, "POST", drain, &large).await.0, StatusCode::PAYLOAD_TOO_LARGE);
    let long = format!(r#"{{"reason":"{}"}}"#, "é".repeat(501));
    assert_eq!(api.problem(ADMIN, "POST", drain, &long).await.0, StatusCode::BAD_REQUEST);
    let (_, refused) = api.problem(ADMIN, "POST", drain, "").await;
    assert_eq!(refused.error.override_flag.as_deref(), Some("--force"));
    api.rig.plane.shutdown().await;
}

#[tokio::test]
async fn a_drain_is_watched_to_its_end_and_an_undrain_is_told_who_is_in_the_way() {
    let api = Api::start().await;
    let (one, _two) = (api.rig.gateway("gw-1", 1, 100), api.rig.gateway("gw-2", 1, 0));
    api.rig.gateway_where("gw-1", |gateway| gateway.connections == 100).await;
    api.rig.gateway_where("gw-2", |_| true).await;
    let begun: Operation = api.ok("POST", "/v1/gateways/gw-1/drain", r#"{"reason":"update"}"#).await;
    let again: Changed<Operation> = api.ok("POST", "/v1/gateways/gw-1/drain", "{}").await;
    let already = format!("gateway gw-1 is draining already, by {}: nothing to do", begun.id);
    assert_eq!((again.now.id, again.already), (begun.id.clone(), Some(already)));
    let (status, busy) = api.problem(ADMIN, "POST", "/v1/gateways/gw-1/undrain", "{}").await;
    assert_eq!((status, busy.error.operation.as_deref()), (StatusCode::CONFLICT, Some(begun.id.as_str())));
    // The gateway has the order: before that, what it says of a drain would be overwritten.
    api.rig.operation_where(&begun.id, |operation| operation.phase == OperationPhase::Draining).await;
    let path = format!("{}/v1/operations/{}/events", api.url, begun.id);
    let watching = tokio::spawn(api.client.get(&path).bearer_auth(ADMIN).send());
    one.gateway.set(0, DrainPhase::Drained);
    let text = watching.await.unwrap().unwrap().text().await.unwrap();
    let events: Vec<OperationEvent> = text
        .lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .map(|data| serde_json::from_str(data).unwrap())
        .collect();
    let sequences: Vec<_> = events.iter().map(|event| event.sequence).collect();
    assert_eq!(sequences, (1..=events.len() as u64).collect::<Vec<_>>());
    assert_eq!(events.last().unwrap().state, OperationState::Succeeded);

    // From after an event, on an ended operation: the rest, and the end.
    let rest = format!("/v1/operations/{}/events?after={}", begun.id, events.len() - 1);
    let (_, text) = api.send(ADMIN, "GET", &rest, "").await;
    assert_eq!(text.matches("data: ").count(), 1);
    let verdict: Value = api.ok("GET", "/v1/audit/verify", "").await;
    assert_eq!(verdict["intact"], true);
    api.rig.plane.shutdown().await;
}

/// Bodies made from valid ones by cutting, doubling and changing bytes: refused or done, never a 500.
#[tokio::test]
async fn mangled_bodies_never_give_a_500() {
    let api = Api::start().await;
    let seeds = [
        ("/v1/gateways/gw-1/drain", r#"{"deadline_ms":30000,"rate_per_s":10,"force":true,"reason":"é🙂"}"#),
        ("/v1/gateways/gw-1/undrain", r#"{"reason":"why"}"#),
        ("/v1/operations/op-1/cancel", r#"{"reason":"why"}"#),
        ("/v1/tokens", r#"{"name":"ann","role":"viewer","ttl_s":60,"reason":"why"}"#),
    ];
    let mut rng = SmallRng::seed_from_u64(11);
    for round in 0..400 {
        let (path, body) = seeds[round % seeds.len()];
        let mut bytes = body.as_bytes().to_vec();
        for _ in 0..rng.random_range(1..6) {
            let at = rng.random_range(0..bytes.len().max(1)).min(bytes.len().saturating_sub(1));
            match rng.random_range(0..4) {
                0 if !bytes.is_empty() => bytes[at] = rng.random(),
                1 => bytes.truncate(at),
                2 => bytes.extend_from_within(at.min(bytes.len())..),
                _ => bytes.extend_from_slice(b"[{\"9e999"),
            }
        }
        let sent = api.client.post(format!("{}{path}", api.url)).bearer_auth(ADMIN).body(bytes.clone()).send();
        let response = sent.await.unwrap();
        let (status, text) = (response.status(), response.text().await.unwrap());
        assert_ne!(status, StatusCode::INTERNAL_SERVER_ERROR, "{path} {bytes:?}");
        if !status.is_success() {
            serde_json::from_str::<ProblemBody>(&text).unwrap_or_else(|error| panic!("{error}: {text} for {bytes:?}"));
        }
    }
    let verdict: Value = api.ok("GET", "/v1/audit/verify", "").await;
    assert_eq!(verdict["intact"], true);
    api.rig.plane.shutdown().await;
}

#[tokio::test]
async fn incidents_alerts_metrics_and_the_overview_are_served() {
    let api = Api::start().await;
    let one = api.rig.gateway("gw-1", 1, 1_000);
    api.rig.gateway_where("gw-1", |gateway| gateway.connections == 1_000).await;
    one.kill().await;
    let ends = tokio::time::Instant::now() + Duration::from_secs(20);
    let incident = loop {
        let open: Page<Value> = api.ok("GET", "/v1/incidents?mode=gateway_crash", "").await;
        if let Some(found) = open.items.into_iter().next() {
            break found;
        }
        assert!(tokio::time::Instant::now() < ends, "no incident");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    let id = incident["id"].as_str().unwrap();
    let alerts: Value = api.ok("GET", "/v1/alerts", "").await;
    assert_eq!(
        (&alerts[0]["labels"]["alertname"], &alerts[0]["labels"]["incident"]),
        (&"gateway_crash".into(), &id.into())
    );
    assert_eq!(alerts[0]["generatorURL"], format!("{}/v1/incidents/{id}", api.url));
    let overview: Value = api.ok("GET", "/v1/overview", "").await;
    assert_eq!((&overview["lights"][0]["state"], &overview["lights"][0]["incident"]), (&"firing".into(), &id.into()));
    assert_eq!((&overview["gateways_lost"], &overview["incidents_open"]), (&1.into(), &1.into()));
    let (status, metrics) = api.send("", "GET", "/metrics", "").await;
    assert_eq!(status, StatusCode::OK);
    for line in
        [r#"chat_incidents_open{mode="gateway_crash"} 1"#, r#"chat_control_nodes{role="gateway",status="lost"} 1"#]
    {
        assert!(metrics.lines().any(|it| it == line), "{line} is not in {metrics}");
    }

    let viewer = api.token("viewer").await;
    let ack = format!("/v1/incidents/{id}/ack");
    let (status, _) = api.problem(&viewer.secret, "POST", &ack, "{}").await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    let acked: Value = api.ok("POST", &ack, r#"{"reason":"mine"}"#).await;
    assert_eq!(acked["state"], "acknowledged");
    let none: Page<Value> = api.ok("GET", "/v1/incidents?mode=lost_ack&all=true", "").await;
    assert!(none.items.is_empty());
    let (status, body) = api.problem(ADMIN, "GET", "/v1/incidents?mode=sunspots", "").await;
    assert_eq!((status, body.error.code), (StatusCode::BAD_REQUEST, ProblemCode::Invalid));
    let (status, body) = api.problem(ADMIN, "GET", "/v1/incidents/inc-9-0000", "").await;
    assert_eq!((status, body.error.code), (StatusCode::NOT_FOUND, ProblemCode::NotFound));
    api.rig.plane.shutdown().await;
}

#[tokio::test]
async fn a_key_is_answered_once_and_a_revision_that_is_gone_is_refused() {
    let api = Api::start().await;
    let _gateways = [api.rig.gateway("gw-1", 1, 10), api.rig.gateway("gw-2", 1, 10)];
    api.rig.gateway_where("gw-2", |gateway| gateway.connections == 10).await;
    let force =
        json!({ "lever": { "kind": "breaker", "name": "presence", "state": "open" }, "for_ms": 60_000, "reason": "x" });
    let call = async |key: &str, body: &Value| {
        let request = api.client.post(format!("{}/v1/overrides", api.url)).bearer_auth(ADMIN);
        let response = request.header("idempotency-key", key).body(body.to_string()).send().await.unwrap();
        let replayed = response.headers().contains_key("idempotency-replayed");
        (response.status(), replayed, response.json::<Value>().await.unwrap())
    };
    let (status, replayed, first) = call("k-1", &force).await;
    assert!(status.is_success() && !replayed, "{first}");
    let (status, replayed, again) = call("k-1", &force).await;
    assert!(status.is_success() && replayed);
    assert_eq!(first["id"], again["id"]);
    // The same key for something else is a mistake; another key is another call, which finds the breaker held.
    let other = json!({ "lever": { "kind": "heartbeat_rate", "per_s": 5 }, "for_ms": 60_000, "reason": "x" });
    assert_eq!(call("k-1", &other).await.0, StatusCode::CONFLICT);
    assert_eq!(call("k-2", &force).await.0, StatusCode::CONFLICT);

    let id = first["id"].as_str().unwrap();
    let end = async |revision: &str| {
        let request = api.client.delete(format!("{}/v1/overrides/{id}", api.url)).bearer_auth(ADMIN);
        request.header("if-match", revision).body("{}").send().await.unwrap().status()
    };
    assert_eq!(end("99").await, StatusCode::PRECONDITION_FAILED);
    assert_eq!(end("soon").await, StatusCode::BAD_REQUEST);
    // It moves on while nodes acknowledge it: the revision of now is good.
    loop {
        let now: Value = api.ok("GET", &format!("/v1/overrides/{id}"), "").await;
        match end(&format!("\"{}\"", now["revision"])).await {
            StatusCode::OK => break,
            status => assert_eq!(status, StatusCode::PRECONDITION_FAILED),
        }
    }
}
