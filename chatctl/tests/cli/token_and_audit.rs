use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};

use crate::support::Fleet;

fn claims(token: &str) -> serde_json::Value {
    let payload = token.trim().split('.').nth(1).unwrap();
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_for_users_back_ends_and_the_control_plane() {
    let fleet = Fleet::start().await;
    let alice = fleet.ok(&["token", "user", "alice", "--ttl", "2h"]).await;
    assert_eq!(alice.lines().count(), 1, "only the token");
    assert_eq!((&claims(&alice)["sub"], claims(&alice).get("role")), (&"alice".into(), None));
    let service = fleet.ok(&["token", "service"]).await;
    assert_eq!(claims(&service)["role"], "service");
    let two_hours = claims(&alice)["exp"].as_u64().unwrap() - claims(&service)["exp"].as_u64().unwrap();
    assert!((3_540..=3_660).contains(&two_hours));
    assert_eq!(fleet.run(&["token", "user", "not a name"]).await.code, 2);

    let secret = fleet.ok(&["token", "create", "vera", "--ttl", "1d"]).await;
    fleet.ok(&["context", "set", "test", "--admin-token", secret.trim()]).await;
    assert_eq!(fleet.run(&["gateway", "list"]).await.code, 0);
    let forbidden = fleet.run(&["token", "create", "eve", "--role", "admin"]).await;
    assert_eq!(forbidden.code, 1);
    assert!(forbidden.err.starts_with("error: this needs the role admin, the token has viewer\n"), "{}", forbidden.err);
    fleet.ok(&["context", "set", "test", "--admin-token", crate::support::ADMIN]).await;

    let listed = fleet.ok(&["token", "list", "-o", "json"]).await;
    assert!(!listed.contains(secret.trim()));
    let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
    let id = listed[1]["id"].as_str().unwrap();
    assert_eq!(fleet.run(&["token", "revoke", id]).await.code, 3, "it asks first");
    fleet.ok(&["token", "revoke", id, "--yes"]).await;
    assert_eq!(fleet.run(&["token", "revoke", "t-none", "--yes"]).await.code, 4);

    let verified = fleet.ok(&["audit", "verify"]).await;
    assert!(verified.starts_with("4 entries, head "), "{verified}");
    let audit = fleet.ok(&["audit"]).await;
    let rows: Vec<Vec<&str>> =
        audit.lines().map(|line| line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect()).collect();
    assert_eq!(rows[0], ["SEQ", "TIME", "WHO", "ACTION", "TARGET", "RESULT", "REASON"]);
    let newest = ["4", "2026-01-01T00:00:00Z", "admin", "token revoke", "t-none"];
    assert_eq!(rows[1][..5], newest);
    assert_eq!(rows[1][5], "refused: there is no token \"t-none\"");
    let forbidden = ["2", "2026-01-01T00:00:00Z", "vera", "post /v1/tokens", "/v1/tokens", "refused: 403", "-"];
    assert_eq!(rows[3], forbidden);
    assert_eq!(rows[4][2..6], ["admin", "token create", "vera", "done"]);
    assert_eq!(fleet.ok(&["audit", "list", "--limit", "1"]).await.lines().count(), 2);
}
