//! Real chat logs through real WebSockets: nothing lost, nothing twice, nothing out of order.

use crate::support::{BUSY, Home, logs};

#[tokio::test(flavor = "multi_thread")]
async fn all_logs_at_full_speed() {
    let _busy = BUSY.lock().await;
    let home = Home::new();
    let logs = logs();
    let _dev = home.dev(&["--ephemeral", "--port", "0"]).await;
    for log in logs {
        let outcome = home.replay(&log, "max").holds().await;
        eprintln!("{}: {} deliveries in {} s", log.display(), outcome["delivered"], outcome["seconds"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_is_drained_in_the_middle() {
    let _busy = BUSY.lock().await;
    let home = Home::new();
    let logs = logs();
    let _dev = home.dev(&["--ephemeral", "--port", "0"]).await;
    for log in logs {
        let mut replay = home.replay(&log, "6000");
        replay.until_share(0.2).await;
        home.ok(&["gateway", "drain", "gw-1", "--yes", "--wait", "--deadline", "10s", "--reason", "test"]).await;
        let gateways: serde_json::Value =
            serde_json::from_str(&home.ok(&["gateway", "list", "-o", "json"]).await).unwrap();
        assert_eq!((&gateways[0]["connections"], &gateways[0]["phase"]), (&0.into(), &"drained".into()));
        home.ok(&["gateway", "undrain", "gw-1", "--wait"]).await;
        let outcome = replay.holds().await;
        assert!(outcome["reconnects"].as_u64().unwrap() > 0, "nobody moved: {outcome}");
    }
}
