//! The HTTP calls.

use serde_json::json;

use crate::support::{Client, conversation, fleet, http, http_at, key, name, names, service, token};

const CONVERSATIONS: &str = "/v1/conversations";

#[tokio::test]
async fn creating_is_idempotent_and_ids_are_taken_once() {
    let [a, b] = names();
    let id = name("c");
    let body = json!({"kind": "group", "members": [a, b], "id": id});
    let created = http("POST", CONVERSATIONS, Some(&service()), Some(&body)).await;
    assert_eq!((created.status, created.json()), (201, json!({"id": id, "kind": "group", "members": 2})));
    let again = json!({"kind": "group", "members": [b, a], "id": id});
    let again = http("POST", CONVERSATIONS, Some(&service()), Some(&again)).await;
    assert_eq!((again.status, again.json()), (200, json!({"id": id, "kind": "group", "members": 2})));
    for other in [
        json!({"kind": "channel", "members": [a, b], "id": id}),
        json!({"kind": "group", "members": [a, b, "c"], "id": id}),
        json!({"kind": "direct", "members": [a, b], "id": id}),
    ] {
        let taken = http("POST", CONVERSATIONS, Some(&service()), Some(&other)).await;
        assert_eq!((taken.status, taken.code().as_str()), (409, "conflict"), "{other}");
    }
}

#[tokio::test]
async fn a_pair_has_one_direct_conversation() {
    let [a, b] = names();
    let created =
        http("POST", CONVERSATIONS, Some(&service()), Some(&json!({"kind": "direct", "members": [a, b]}))).await;
    assert_eq!(created.status, 201);
    let id = created.json()["id"].clone();
    for again in
        [json!({"kind": "direct", "members": [b, a]}), json!({"kind": "direct", "members": [b, a], "id": name("c")})]
    {
        let answer = http("POST", CONVERSATIONS, Some(&service()), Some(&again)).await;
        assert_eq!((answer.status, &answer.json()["id"]), (200, &id), "{again}");
    }
}

#[tokio::test]
async fn what_is_no_conversation() {
    let [a, b] = names();
    let long: Vec<String> = (0..501).map(|n| format!("m{n}")).collect();
    for (body, status, code) in [
        (json!({"kind": "direct", "members": [a, b, "c"]}), 400, "invalid"),
        (json!({"kind": "direct", "members": [a]}), 400, "invalid"),
        (json!({"kind": "direct", "members": [a, a]}), 400, "invalid"),
        (json!({"kind": "group", "members": [a]}), 400, "invalid"),
        (json!({"kind": "group", "members": long}), 409, "group_full"),
        (json!({"kind": "choir", "members": [a, b]}), 400, "invalid"),
        (json!({"kind": "group", "members": [a, "b c"]}), 400, "invalid"),
        (json!({"kind": "group", "members": [a, b], "id": "x/y"}), 400, "invalid"),
        (json!({"kind": "group", "members": [a, b], "id": "x".repeat(65)}), 400, "invalid"),
        (json!({"kind": "group", "members": "ab"}), 400, "invalid"),
        (json!({"members": [a, b]}), 400, "invalid"),
        (json!([]), 400, "invalid"),
    ] {
        let answer = http("POST", CONVERSATIONS, Some(&service()), Some(&body)).await;
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{body}");
    }
    let to = fleet().gateways[0].address;
    for text in ["", "{", "not json", "\u{0}"] {
        let answer = http_at(to, "POST", CONVERSATIONS, Some(&service()), Some(text)).await;
        assert_eq!((answer.status, answer.code().as_str()), (400, "invalid"), "{text:?}");
    }
    let answer = http_at(to, "POST", CONVERSATIONS, Some(&service()), Some(&" ".repeat(2 << 20))).await;
    assert_eq!((answer.status, answer.code().as_str()), (413, "too_large"));
}

#[tokio::test]
async fn the_501st_member_is_shown_the_way_out() {
    let start = name("m");
    let members: Vec<String> = (0..500).map(|n| format!("{start}.{n}")).collect();
    let members: Vec<&str> = members.iter().map(String::as_str).collect();
    let id = conversation("group", &members).await;
    let newcomer = format!("/v1/conversations/{id}/members/newcomer");
    let refused = http("PUT", &newcomer, Some(&service()), None).await;
    assert_eq!((refused.status, refused.code().as_str()), (409, "group_full"));
    let way_out = format!("POST /v1/conversations/{id}/convert");
    assert!(refused.text.contains(&way_out), "{refused:?}");
    // A member again is no newcomer.
    let known = format!("/v1/conversations/{id}/members/{}", members[7]);
    assert_eq!(http("PUT", &known, Some(&service()), None).await.status, 204);
    let path = format!("/v1/conversations/{id}/convert");
    let body = json!({"kind": "channel"});
    for _ in 0..2 {
        assert_eq!(http("POST", &path, Some(&service()), Some(&body)).await.status, 200);
    }
    assert_eq!(http("PUT", &newcomer, Some(&service()), None).await.status, 204);
    let shown = http("GET", &format!("/v1/conversations/{id}"), Some(&service()), None).await.json();
    assert_eq!((&shown["kind"], shown["members"].as_array().unwrap().len()), (&json!("channel"), 501));
}

#[tokio::test]
async fn members_come_and_go() {
    let [a, b] = names();
    let c = name("u");
    let (group, direct) = (conversation("group", &[&a, &b]).await, conversation("direct", &[&a, &b]).await);
    let path = format!("/v1/conversations/{group}/members/{c}");
    for method in ["PUT", "PUT", "DELETE", "DELETE"] {
        let answer = http(method, &path, Some(&service()), None).await;
        assert_eq!((answer.status, answer.text.as_str()), (204, ""), "{method}");
    }
    for (method, path, status, code) in [
        ("PUT", format!("/v1/conversations/{direct}/members/{c}"), 400, "invalid"),
        ("DELETE", format!("/v1/conversations/{direct}/members/{a}"), 400, "invalid"),
        ("PUT", "/v1/conversations/no-such/members/x".into(), 404, "not_found"),
        ("DELETE", "/v1/conversations/no-such/members/x".into(), 404, "not_found"),
        ("PUT", format!("/v1/conversations/{group}/members/a%20b"), 400, "invalid"),
        ("POST", format!("/v1/conversations/{direct}/convert"), 400, "invalid"),
        ("POST", "/v1/conversations/no-such/convert".into(), 404, "not_found"),
    ] {
        let body = json!({"kind": "channel"});
        let answer = http(method, &path, Some(&service()), (method == "POST").then_some(&body)).await;
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{method} {path}");
    }
}

#[tokio::test]
async fn back_ends_send_and_read() {
    let [a, b] = names();
    let id = conversation("group", &[&a, &b]).await;
    let mut reader = Client::connect(1, &b).await;
    let path = format!("/v1/conversations/{id}/messages");
    let key = key();
    let body = json!({"idempotency_key": key, "sender": a, "body": "from a back end"});
    for duplicate in [false, true] {
        let answer = http("POST", &path, Some(&service()), Some(&body)).await;
        assert_eq!(answer.status, 202, "{answer:?}");
        let accepted = answer.json();
        assert_eq!((&accepted["idempotency_key"], &accepted["conversation"]), (&json!(key), &json!(id)));
        assert_eq!(accepted["duplicate"], duplicate);
        assert!(accepted["message_id"].is_string());
    }
    assert_eq!(reader.until("message").await["body"], "from a back end");
    for (body, status, code) in [
        (json!({"idempotency_key": key, "sender": a, "body": "another"}), 409, "conflict"),
        (json!({"idempotency_key": "7", "sender": a, "body": "x"}), 400, "invalid"),
        (json!({"idempotency_key": key, "sender": a, "body": ""}), 400, "invalid"),
        (json!({"idempotency_key": key, "sender": "stranger", "body": "x"}), 403, "forbidden"),
        (json!({"idempotency_key": key, "sender": a, "body": "x".repeat(16_385)}), 413, "too_large"),
        (json!({"sender": a, "body": "x"}), 400, "invalid"),
    ] {
        let answer = http("POST", &path, Some(&service()), Some(&body)).await;
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{body}");
    }
    let body = json!({"idempotency_key": key, "sender": a, "body": "x"});
    let answer = http("POST", "/v1/conversations/no-such/messages", Some(&service()), Some(&body)).await;
    assert_eq!((answer.status, answer.code().as_str()), (404, "not_found"));

    let page = http("GET", &format!("{path}?after=0&limit=1"), Some(&service()), None).await;
    assert_eq!(page.status, 200);
    let page = page.json();
    assert_eq!(
        (&page["head"], &page["complete"], &page["messages"][0]["sender"]),
        (&json!(1), &json!(true), &json!(a))
    );
    for query in ["after=-1", "after=x", "limit=0", "limit=501", "limit=-3", "after=9007199254740992"] {
        let answer = http("GET", &format!("{path}?{query}"), Some(&service()), None).await;
        assert_eq!((answer.status, answer.code().as_str()), (400, "invalid"), "{query}");
    }
    let answer = http("GET", "/v1/conversations/no-such/messages", Some(&service()), None).await;
    assert_eq!((answer.status, answer.code().as_str()), (404, "not_found"));
}

#[tokio::test]
async fn who_may_call() {
    let [a, b] = names();
    let id = conversation("group", &[&a, &b]).await;
    let (show, messages) = (format!("/v1/conversations/{id}"), format!("/v1/conversations/{id}/messages"));
    // A user reads the conversations it is a member of, and changes nothing.
    let shown = http("GET", &show, Some(&token(&a)), None).await;
    assert_eq!((shown.status, shown.json()), (200, json!({"id": id, "kind": "group", "members": [a, b], "head": 0})));
    assert_eq!(http("GET", &messages, Some(&token(&b)), None).await.status, 200);
    let other = token(&name("u"));
    let service = service();
    let body = json!({"kind": "channel"});
    for (method, path, token, status, code) in [
        ("GET", show.as_str(), Some(other.as_str()), 403, "forbidden"),
        ("GET", &messages, Some(&other), 403, "forbidden"),
        ("GET", "/v1/conversations/no-such", Some(&service), 404, "not_found"),
        ("POST", CONVERSATIONS, Some(&other), 403, "forbidden"),
        ("POST", &format!("{show}/convert"), Some(&token(&a)), 403, "forbidden"),
        ("PUT", &format!("{show}/members/x"), Some(&token(&a)), 403, "forbidden"),
        ("POST", &messages, Some(&token(&a)), 403, "forbidden"),
        ("GET", &show, None, 401, "unauthorized"),
        ("GET", &show, Some("nonsense"), 401, "unauthorized"),
        ("POST", CONVERSATIONS, None, 401, "unauthorized"),
        ("GET", "/v1/nothing", Some(&service), 404, "not_found"),
        ("DELETE", CONVERSATIONS, Some(&service), 405, "invalid"),
    ] {
        let answer = http(method, path, token, (method == "POST").then_some(&body)).await;
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{method} {path}");
    }
}

#[tokio::test]
async fn health_readiness_and_metrics() {
    let mut client = Client::connect(0, &name("u")).await;
    client.still_answers().await;
    for path in ["/healthz", "/readyz"] {
        assert_eq!(http("GET", path, None, None).await.status, 200, "{path}");
    }
    let metrics = http("GET", "/metrics", None, None).await;
    assert_eq!(metrics.status, 200);
    assert!(metrics.head.contains("content-type: text/plain"), "{}", metrics.head);
    let value = |name: &str| -> f64 {
        let line = metrics.text.lines().find(|line| line.split(' ').next() == Some(name));
        line.unwrap_or_else(|| panic!("{name}: {}", metrics.text)).rsplit(' ').next().unwrap().parse().unwrap()
    };
    assert!(value("chat_gateway_connections") >= 1.0);
    assert!(value("chat_gateway_upgrades_total") >= 1.0);
    assert!(value("chat_gateway_heartbeats_total") >= 1.0);
    // Every family says what it is.
    assert!(metrics.text.contains("# TYPE chat_gateway_accepted"));
}
