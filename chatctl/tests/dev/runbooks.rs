//! Every runbook runs to its end on a fleet with its fault injected, under load, and the checker holds throughout.

use serde_json::Value;
use tokio::time::{Duration, Instant, sleep};

use crate::support::{BUSY, DEADLINE, Home};

/// Waits for an incident of a failure mode that is not resolved.
async fn incident(home: &Home, mode: &str) -> Value {
    let find = |open: &Value| open.as_array().unwrap().iter().find(|incident| incident["mode"] == mode).cloned();
    let open = home.until(&["incident", "list"], |open| find(open).is_some()).await;
    find(&open).unwrap()
}

/// Of the sends of the last half minute, those that clients sent again, in percent.
async fn retries(home: &Home) -> f64 {
    let file = home.path("bundle.json");
    home.ok(&["support-bundle", "--file", file.to_str().unwrap()]).await;
    let bundle: Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    let lights = bundle["overview"]["lights"].as_array().unwrap();
    lights.iter().find(|light| light["mode"] == "lost_ack").unwrap()["value"].as_f64().unwrap()
}

async fn runs(home: &Home, args: &[&str]) {
    let mut all = vec!["runbook", "run"];
    all.extend_from_slice(args);
    all.extend(["--yes", "--timeout", "110s"]);
    let ran = home.run(&all).await;
    assert_eq!(ran.code, 0, "{args:?}: {ran:?}");
    assert!(ran.err.contains("done"), "{ran:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_runbook_runs_with_its_fault_in_force_and_nothing_is_lost() {
    let _busy = BUSY.lock().await;
    let home = Home::new();
    let _dev = home.dev(&["--ephemeral", "--port", "0", "--allow-faults"]).await;
    home.ok(&["conversation", "create", "group", "ann", "bob", "--id", "busy"]).await;
    let load = ["swarm", "run", "--clients", "40", "--rate", "120", "--duration", "75s", "--seed", "5"];
    let loaded = async { home.run(&load).await };
    let steered = async {
        home.ok(&["wait", "--for", "overview.users>=20", "--timeout", "30s"]).await;
        runs(&home, &["event-day"]).await;

        // Failure mode 1: a gateway dies and stays away for a while.
        home.ok(&["fault", "inject", "kill", "--scope", "gw-1", "--for", "6s", "--reason", "drill", "--yes"]).await;
        let crash = incident(&home, "gateway_crash").await;
        assert_eq!((&crash["runbook"], &crash["params"]["gateway"]), (&"gateway-crash".into(), &"gw-1".into()));
        home.ok(&["incident", "ack", crash["id"].as_str().unwrap()]).await;
        runs(&home, &["gateway-crash", "--param", "gateway=gw-1"]).await;
        home.ok(&["heartbeats", "auto"]).await;

        // Failure mode 4: the message store fails most writes.
        let fault = ["fault", "inject", "store-errors", "messages", "70", "--for", "12s", "--reason", "drill", "--yes"];
        home.ok(&fault).await;
        let writes = incident(&home, "write_timeouts").await;
        assert_eq!(writes["runbook"], "write-timeouts");
        runs(&home, &["write-timeouts", "--param", "window=1m", "--confirm", "lower=ONE"]).await;
        let ledger = home.json(&["consistency", "ledger"]).await;
        assert_eq!(ledger[0]["state"], "verified");

        // Failure mode 2: acks are dropped. Few sends are no statistic for an incident, so it is the figure that is
        // looked at: clients send again.
        let before = retries(&home).await;
        home.ok(&["fault", "inject", "drop-acks", "30", "--for", "1m", "--reason", "drill", "--yes", "--wait"]).await;
        let deadline = Instant::now() + DEADLINE;
        while retries(&home).await <= before {
            assert!(Instant::now() < deadline, "no ack was lost");
            sleep(Duration::from_millis(250)).await;
        }
        runs(&home, &["lost-ack"]).await;

        runs(&home, &["presence-storm", "--param", "for=30s"]).await;
        runs(&home, &["fanout-delay", "--param", "conversation=busy", "--param", "for=1m"]).await;
        home.ok(&["conversation", "mode", "busy", "live"]).await;
        runs(&home, &["rolling-restart"]).await;
        runs(&home, &["control-plane-lost"]).await;
        let user = home.ok(&["conversation", "members", "list", "busy"]).await;
        assert!(user.contains("ann"));
        // Nobody of that name is connected: closing nothing is well, too.
        runs(&home, &["split-brain", "--param", "user=ann", "--confirm", "kick=ann"]).await;
    };
    let (load, ()) = tokio::join!(loaded, steered);
    assert_eq!(load.code, 0, "{load:?}");
    assert!(load.err.contains("nothing lost, nothing shown twice, nothing out of order"), "{load:?}");

    let history = home.json(&["runbook", "history"]).await;
    let ids: Vec<_> = history.as_array().unwrap().iter().map(|run| run["target"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), 9, "{ids:?}");
    assert_eq!(home.json(&["audit", "verify"]).await["intact"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_fails_is_resumed_and_one_that_is_aborted_is_undone() {
    let home = Home::new();
    let _dev = home.dev(&["--ephemeral", "--port", "0"]).await;
    let text = "---\nid: try\ntitle: t\nrole: operator\nmax_affected: 0\n---\n# T\n\
        ```chatctl kind=check id=look\nchatctl node list\n```\n\
        ```chatctl kind=action id=rest undo=release\nchatctl breaker open presence --for 5m --wait\n```\n\
        ```chatctl kind=undo id=release\nchatctl breaker auto presence\n```\n\
        ```chatctl kind=check id=never timeout=2s\nchatctl wait --for 'overview.gateways_live>=99'\n```\n";
    let file = home.path("try.md");
    std::fs::write(&file, text).unwrap();
    let ran = home.run(&["runbook", "run", "--file", file.to_str().unwrap(), "--yes"]).await;
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.err.contains("step never failed"), "{ran:?}");
    let run = home.json(&["runbook", "history"]).await[0]["id"].as_str().unwrap().to_owned();
    let steps = home.json(&["runbook", "history", &run]).await;
    let states: Vec<_> = steps.as_array().unwrap().iter().map(|step| step["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["done", "done", "failed"]);
    // Only what waits or runs can be aborted: this one has ended, and says how to go on.
    let refused = home.run(&["runbook", "abort", &run]).await;
    assert_eq!(refused.code, 3, "{refused:?}");

    // One that waits is undone, the last first.
    home.ok(&["breaker", "auto", "presence"]).await;
    let waiting = text.replace("timeout=2s", "timeout=60s");
    std::fs::write(&file, waiting).unwrap();
    let started = home.run(&["runbook", "run", "--file", file.to_str().unwrap(), "--yes", "--timeout", "3s"]).await;
    assert_eq!(started.code, 6, "{started:?}");
    let run = home.json(&["runbook", "history"]).await[0]["id"].as_str().unwrap().to_owned();
    home.ok(&["runbook", "abort", &run, "--wait", "--timeout", "30s"]).await;
    let steps = home.json(&["runbook", "history", &run]).await;
    assert_eq!(steps[1]["state"], "undone", "{steps}");
    assert_eq!(home.json(&["override", "list"]).await.as_array().unwrap().len(), 0);

    // Words are asked for before anything begins.
    let refused = home.run(&["runbook", "run", "write-timeouts", "--yes"]).await;
    assert_eq!(refused.code, 3);
    assert!(refused.err.contains("--confirm lower=ONE"), "{refused:?}");
    assert_eq!(home.run(&["runbook", "run", "nosuch", "--yes"]).await.code, 4);
}
