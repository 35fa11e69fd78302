//! The levers of the operations plane on a running fleet: each is in force where it says, and ends by itself.

use serde_json::Value;

use crate::support::{BUSY, Home};

#[tokio::test(flavor = "multi_thread")]
async fn an_override_is_in_force_everywhere_and_ends_by_itself() {
    let home = Home::new();
    let _dev = home.dev(&["--ephemeral", "--port", "0"]).await;
    let open = ["breaker", "open", "presence", "--for", "3s", "--reason", "test", "--yes", "--wait"];
    assert_eq!(home.json(&open).await["state"], "active");
    let held = home.json(&["breaker", "list", "--odd"]).await;
    assert_eq!(held.as_array().unwrap().len(), 3, "two gateways and a worker: {held}");
    assert!(held.as_array().unwrap().iter().all(|breaker| breaker["state"] == "open" && breaker["set_by"] == "admin"));
    let again = home.run(&open).await;
    assert_eq!(again.code, 3);
    assert!(again.err.contains("chatctl override revert"), "{again:?}");
    home.until(&["breaker", "list", "--odd"], |odd| *odd == Value::Array(Vec::new())).await;
    let over = home.until(&["override", "list", "--all"], |all| all[0]["state"] == "ended").await;
    assert_eq!(over[0]["ended_by"], "time");

    // Faults are off unless the fleet was started with them: the first node that is told refuses, and nobody else is.
    let fault = ["fault", "inject", "drop-acks", "10", "--for", "1m", "--reason", "test", "--yes", "--wait"];
    let refused = home.run(&fault).await;
    assert_eq!(refused.code, 3);
    assert!(refused.err.contains("--allow-faults"), "{refused:?}");
    assert_eq!(
        home.json(&["node", "list"])
            .await
            .as_array()
            .unwrap()
            .iter()
            .filter(|it| it["desired_version"].as_u64() > Some(3))
            .count(),
        1
    );
    for (args, code) in [
        (vec!["breaker", "open", "planet", "--for", "1m", "--reason", "x", "--yes"], 2),
        (vec!["breaker", "open", "presence", "--for", "1m", "--yes"], 2),
        (vec!["consistency", "set", "one", "--for", "31m", "--reason", "x", "--yes"], 2),
        (vec!["fault", "inject", "kill", "--for", "5s", "--reason", "x", "--yes"], 2),
        (vec!["breaker", "auto", "presence"], 0),
        (vec!["breaker", "auto", "planet"], 2),
        (vec!["breaker", "auto", "presence", "--scope", "gw-9"], 4),
        (vec!["heartbeats", "limit", "0", "--for", "1m", "--reason", "x", "--yes"], 2),
        (vec!["session", "show", "nobody"], 4),
        (vec!["prescale", "revert", "--yes"], 0),
        (vec!["wait", "--for", "gateway/gw-9.connections==0"], 4),
    ] {
        let ran = home.run(&args).await;
        assert_eq!(ran.code, code, "{args:?}: {ran:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_downgrade_is_written_again_and_rows_agree_with_the_log() {
    let _busy = BUSY.lock().await;
    let home = Home::new();
    let _dev = home.dev(&["--ephemeral", "--port", "0"]).await;
    home.ok(&["consistency", "set", "one", "--for", "10m", "--reason", "peak", "--yes", "--wait"]).await;
    assert_eq!(home.run(&["consistency", "verify"]).await.code, 3, "it is still lowered");
    home.ok(&["swarm", "run", "--clients", "20", "--rate", "200", "--duration", "3s"]).await;
    let behind = home.json(&["lag", "--behind"]).await;
    assert!(!behind.as_array().unwrap().is_empty(), "the commit pointer stands still");
    home.ok(&["consistency", "restore", "--wait", "--timeout", "60s"]).await;
    home.ok(&["consistency", "verify", "--timeout", "60s"]).await;
    assert_eq!(home.json(&["lag", "--behind"]).await.as_array().unwrap().len(), 0);
    let ledger = home.json(&["consistency", "ledger"]).await;
    assert_eq!(ledger[0]["state"], "verified");

    home.ok(&["reconcile", "run", "--rate", "100000", "--wait", "--timeout", "60s"]).await;
    let run = home.json(&["operation", "list"]).await[0].clone();
    assert_eq!((&run["state"], &run["detail"]["damaged"]), (&"succeeded".into(), &0.into()), "{run}");
    assert!(run["detail"]["rows"].as_u64().unwrap() > 300, "{run}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fleet_grows_for_an_event_and_restarts_under_load() {
    let _busy = BUSY.lock().await;
    let home = Home::new();
    let _dev = home.dev(&["--ephemeral", "--port", "0"]).await;
    let loaded = home.run(&["swarm", "run", "--clients", "60", "--rate", "150", "--duration", "30s", "--seed", "3"]);
    let steered = async {
        home.ok(&["wait", "--for", "overview.now.messages_per_s>=100", "--timeout", "30s"]).await;
        // Plans go by means of some seconds: a hundred times too little needs no node more.
        let needs_more = |plan: &Value| {
            let mut rows = plan["rows"].as_array().unwrap().iter();
            rows.any(|row| row["what"] != "store nodes" && row["add"] != 0)
        };
        home.until(&["prescale", "plan", "--factor", "100"], needs_more).await;
        home.ok(&["prescale", "apply", "--factor", "100", "--yes", "--wait", "--reason", "cup"]).await;
        let grown = home.json(&["node", "list"]).await.as_array().unwrap().len();
        assert!(grown > 3, "{grown} nodes");
        home.ok(&["rollout", "restart", "gateways", "--deadline", "3s", "--max-unavailable", "1", "--yes", "--wait"])
            .await;
        home.ok(&["prescale", "revert", "--yes", "--wait"]).await;
        assert_eq!(home.json(&["node", "list"]).await.as_array().unwrap().len(), 3, "what was added is forgotten");
    };
    let (load, ()) = tokio::join!(loaded, steered);
    assert_eq!(load.code, 0, "{load:?}");
    assert!(home.run(&["doctor"]).await.out.contains("intact"));
    let bundle = home.path("bundle.json");
    home.ok(&["support-bundle", "--file", bundle.to_str().unwrap()]).await;
    let text = std::fs::read_to_string(bundle).unwrap();
    assert!(text.contains("rollout") && !text.contains("cft_"));
}
