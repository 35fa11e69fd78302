//! Swarms against a fleet in memory, in paused time.

use std::{path::Path, time::Duration};

use super::{
    fake::{FakeFleet, Faults},
    irc::Log,
    *,
};

const STORMY: Faults = Faults { lose_ack: 0.1, lose_push: 0.02, push_twice: 0.1, break_link: 0.005, forget: 0.0 };

const LOG: &str = "[10:00] <ann> one
[10:00] <bob> two
=== cid [n=cid@example.org] has joined #test
[10:01] <cid> three
=== bob [n=bob@example.org] has quit [\"Leaving\"]
[10:01] <ann> four
[10:02]  * cid nods
[10:03] <bob> back again
";

fn assert_holds(outcome: &Outcome) {
    let violations: Vec<_> = outcome.violations.iter().map(ToString::to_string).collect();
    assert_eq!(violations, [""; 0]);
    assert!(outcome.holds, "{outcome:?}");
}

#[tokio::test(start_paused = true)]
async fn a_log_is_replayed() {
    for speed in [Speed::Max, Speed::Times(1.0)] {
        let fleet = FakeFleet::new(1, Faults::default()).fleet();
        let config = ReplayConfig { speed, ..ReplayConfig::new(Log::parse(LOG).unwrap()) };
        let outcome = replay(fleet, config).await.unwrap();
        assert_holds(&outcome);
        assert_eq!((outcome.clients, outcome.sent, outcome.accepted, outcome.delivered), (3, 6, 6, 18));
    }
}

#[tokio::test(start_paused = true)]
async fn a_log_is_replayed_through_a_storm() {
    for seed in 0..10 {
        let fleet = FakeFleet::new(seed, STORMY).fleet();
        let config = ReplayConfig { seed, ..ReplayConfig::new(Log::parse(LOG).unwrap()) };
        let outcome = replay(fleet, config).await.unwrap();
        assert_holds(&outcome);
        assert_eq!((outcome.accepted, outcome.delivered), (6, 18));
    }
}

#[tokio::test(start_paused = true)]
async fn a_real_log_is_replayed_through_a_storm() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/irc/2006-06-01.train-a.txt");
    let Ok(text) = std::fs::read_to_string(&path) else {
        eprintln!("SKIPPED: no chat log at {}", path.display());
        return;
    };
    let log = Log::parse(&text).unwrap();
    let (speakers, messages) = (log.speakers().len() as u64, log.messages() as u64);
    let fleet = FakeFleet::new(7, Faults { lose_push: 0.001, break_link: 0.0005, ..STORMY }).fleet();
    let outcome = replay(fleet, ReplayConfig::new(log)).await.unwrap();
    assert_holds(&outcome);
    assert_eq!((outcome.accepted, outcome.delivered), (messages, messages * speakers));
    assert!(outcome.reconnects > 0, "{outcome:?}");
}

#[tokio::test(start_paused = true)]
async fn a_load_with_churn_holds() {
    let fleet = FakeFleet::new(3, Faults { break_link: 0.0, ..STORMY }).fleet();
    let config = RunConfig { rate_per_s: 50.0, churn_per_min: 120.0, group_size: 7, ..RunConfig::new("load", 40) };
    let outcome = run(fleet, config).await.unwrap();
    assert_holds(&outcome);
    assert!((1_400..=1_500).contains(&outcome.sent), "{outcome:?}");
    assert!(outcome.reconnects > 30, "{outcome:?}");
}

#[tokio::test(start_paused = true)]
async fn a_fleet_that_forgets_what_it_accepted_is_found_out() {
    let fleet = FakeFleet::new(3, Faults { forget: 0.02, ..Faults::default() }).fleet();
    let outcome = run(fleet, RunConfig { group_size: 5, ..RunConfig::new("load", 10) }).await.unwrap();
    assert!(!outcome.holds && outcome.lost > 10, "{outcome:?}");
    assert!(outcome.violations[0].to_string().contains("was accepted and shown to nobody"), "{outcome:?}");
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_run_says_so() {
    let fleet = FakeFleet::new(3, Faults::default()).fleet();
    let cancel = fleet.cancel.clone();
    let config = RunConfig { duration: Duration::from_secs(3_600), ..RunConfig::new("load", 10) };
    let (outcome, ()) = tokio::join!(run(fleet, config), async {
        tokio::time::sleep(Duration::from_secs(5)).await;
        cancel.cancel();
    });
    let outcome = outcome.unwrap();
    assert!(outcome.cancelled && !outcome.holds && outcome.violations.is_empty(), "{outcome:?}");
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_run_is_refused() {
    let fleet = FakeFleet::new(1, Faults::default()).fleet();
    let many: String = (0..501).map(|n| format!("[10:00] <user{n}> hi\n")).collect();
    let config = ReplayConfig::new(Log::parse(&many).unwrap());
    assert_eq!(replay(fleet.clone(), config.clone()).await, Err(SwarmError::TooManySpeakers(501)));
    let few = ReplayConfig { speakers_max: Some(1), ..config.clone() };
    assert_eq!(replay(fleet.clone(), few).await, Err(SwarmError::TooFew(1)));
    let some = ReplayConfig { speakers_max: Some(10), ..config };
    assert_eq!(replay(fleet.clone(), some).await.unwrap().delivered, 100);
    let error = run(fleet, RunConfig { group_size: 501, ..RunConfig::new("load", 600) }).await.unwrap_err();
    assert!(error.to_string().contains("group size"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn clients_that_cannot_get_in_say_why() {
    let mut fleet = FakeFleet::new(1, Faults::default()).fleet();
    // Nobody listens on port 1.
    fleet.connect = std::sync::Arc::new(crate::TcpConnect::new(["ws://127.0.0.1:1"]).unwrap());
    let error = run(fleet, RunConfig::new("load", 4)).await.unwrap_err().to_string();
    assert!(
        error.starts_with("only 0 of 4 clients got a connection within 60 s: cannot reach ws://127.0.0.1:1: "),
        "{error}"
    );
}

#[test]
fn a_seed_replays() {
    let outcome = |seed| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        let fleet = FakeFleet::new(seed, STORMY).fleet();
        let config = RunConfig { seed, churn_per_min: 60.0, group_size: 5, ..RunConfig::new("load", 20) };
        runtime.block_on(run(fleet, config)).unwrap()
    };
    assert_eq!(outcome(5), outcome(5));
    assert_ne!(outcome(5), outcome(6));
}

#[tokio::test(start_paused = true)]
#[ignore = "takes a minute: the size that one process must hold"]
async fn five_thousand_clients() {
    let fleet = FakeFleet::new(3, Faults::default()).fleet();
    let config = RunConfig { rate_per_s: 500.0, churn_per_min: 600.0, ..RunConfig::new("load", 5_000) };
    let outcome = run(fleet, config).await.unwrap();
    assert_holds(&outcome);
    eprintln!("{}", serde_json::to_string_pretty(&outcome).unwrap());
}
