//! `kill -9` in the middle of a replay, and a restart on the same directory and ports.

use crate::support::{BUSY, Dev, Home, logs};

/// Starts a fleet on ports in a row that nobody has: a restart must come back to the same ones.
async fn on_fixed_ports(home: &Home) -> (Dev, String) {
    // Below the ports that the system gives to others by itself.
    let base = 20_000 + (std::process::id() % 10_000) as u16;
    for attempt in 0..50 {
        let port = (base + attempt * 7).to_string();
        match home.try_dev(&["--port", &port]).await {
            Ok(dev) => return (dev, port),
            Err(ran) => assert!(ran.err.contains("in use"), "{ran:?}"),
        }
    }
    panic!("no ports in a row are free");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_accepted_is_lost() {
    let _busy = BUSY.lock().await;
    let home = Home::new();
    let Some(log) = logs().pop() else { return };
    let (mut dev, port) = on_fixed_ports(&home).await;
    let mut replay = home.replay(&log, "20000");
    for share in [0.2, 0.5] {
        replay.until_share(share).await;
        dev.kill().await;
        dev = home.dev(&["--port", &port]).await;
    }
    let outcome = replay.holds().await;
    assert!(outcome["reconnects"].as_u64() > outcome["clients"].as_u64(), "all came back, twice: {outcome}");
}
