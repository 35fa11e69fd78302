//! From start to end: ready file, context, signals.

use std::os::unix::fs::PermissionsExt as _;

use serde_json::Value;

use crate::support::Home;

#[tokio::test(flavor = "multi_thread")]
async fn the_ready_file_tells_everything_and_goes_at_exit() {
    let home = Home::new();
    let mut dev = home.dev(&["--ephemeral", "--port", "0", "--gateways", "3", "--allow-faults"]).await;
    let ready = &dev.ready;
    assert_eq!(ready["gateways"].as_array().unwrap().len(), 3);
    for (n, gateway) in ready["gateways"].as_array().unwrap().iter().enumerate() {
        assert_eq!(gateway["id"], format!("gw-{}", n + 1));
        let (ws, http) = (gateway["ws"].as_str().unwrap(), gateway["http"].as_str().unwrap());
        assert_eq!(ws.replace("ws://", "http://"), format!("{http}/v1/ws"));
    }
    assert_eq!((&ready["jwt"]["alg"], &ready["allow_faults"]), (&"HS256".into(), &true.into()));
    for secret in ["admin_token", "service_token"] {
        assert!(ready[secret].as_str().unwrap().len() > 20, "{secret}");
    }
    let mode = std::fs::metadata(&dev.ready_file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "it holds secrets");

    // Its context is current, and at the first look nothing is wrong.
    let gateways: Value = serde_json::from_str(&home.ok(&["gateway", "list", "-o", "json"]).await).unwrap();
    for gateway in gateways.as_array().unwrap() {
        let is = (&gateway["status"], &gateway["phase"], &gateway["trouble"]);
        assert_eq!(is, (&"live".into(), &"active".into(), &"".into()), "{gateway}");
    }

    dev.signal("TERM");
    assert_eq!(dev.ended().await.code(), Some(0));
    assert!(!dev.ready_file.exists());
    assert_eq!(home.run(&["gateway", "list"]).await.code, 5);
    assert_eq!(home.run(&["swarm", "run"]).await.code, 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_conversations_and_drains_outlive_a_restart() {
    let home = Home::new();
    let mut dev = home.dev(&["--port", "0"]).await;
    let secret = dev.ready["jwt"].clone();
    home.ok(&["conversation", "create", "group", "alice", "bob", "--id", "tea"]).await;
    home.ok(&["gateway", "drain", "gw-2", "--yes", "--wait", "--deadline", "1s"]).await;
    dev.signal("INT");
    assert_eq!(dev.ended().await.code(), Some(0));
    let dev = home.dev(&["--port", "0"]).await;
    assert_eq!(dev.ready["jwt"], secret);
    assert!(home.ok(&["conversation", "show", "tea"]).await.contains("tea"));
    let gateways = home.ok(&["gateway", "list"]).await;
    assert!(gateways.lines().nth(2).unwrap().contains("drained"), "{gateways}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_context_of_another_fleet_is_kept() {
    let home = Home::new();
    let other = "https://dev.example.org";
    home.ok(&["context", "set", "dev", "--control-plane", other]).await;
    home.ok(&["context", "set", "prod", "--control-plane", "https://prod.example.org"]).await;
    let _dev = home.dev(&["--ephemeral", "--port", "0"]).await;
    assert!(home.ok(&["context", "show", "dev"]).await.contains(other));
}
