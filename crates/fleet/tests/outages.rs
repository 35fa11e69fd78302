//! Stories of a registry that cannot be reached or forgets: how long clients hear nothing, and how many must come back.
//! In simulated time and good weather; the seeds do the same in bad weather and judge only whether all comes right.

use chatfleet_fleet::sim::{Plan, Stage, on_stage};
use tokio::time::{Duration, sleep};

const CLIENTS: usize = 12;
const SECOND: Duration = Duration::from_secs(1);

fn story(tell: impl AsyncFn(&mut Stage)) {
    for seed in 1..=5 {
        on_stage(&Plan { clients: CLIENTS, ..Plan::new(seed) }, &tell);
    }
}

#[test]
fn a_gateway_that_alone_loses_the_registry_lets_its_clients_go_where_they_are_found() {
    story(async |stage| {
        stage.cut_off("gw-1", 90 * SECOND);
        sleep(10 * SECOND).await;
        stage.say().await;
        let took = stage.all_have_seen().await;
        assert!(took < 10 * SECOND, "some heard nothing for {took:?}");
    });
}

#[test]
fn a_flush_between_the_sessions_and_the_lease_hides_nobody() {
    story(async |stage| {
        stage.flush_twice();
        sleep(3 * SECOND).await;
        stage.say().await;
        let took = stage.all_have_seen().await;
        assert!(took < SECOND, "some heard nothing for {took:?}");
    });
}

#[test]
fn while_nobody_reaches_the_registry_all_hear_everything_and_after_it_they_resume_one_after_another() {
    story(async |stage| {
        let before = stage.connects();
        for node in ["gw-1", "gw-2", "worker-1", "worker-2"] {
            stage.cut_off(node, 20 * SECOND);
        }
        sleep(15 * SECOND).await;
        stage.say().await;
        let took = stage.all_have_seen().await;
        assert!(took < SECOND, "some heard nothing for {took:?}");
        assert_eq!(stage.connects(), before, "nobody must come back while the registry is down");
        for _ in 0..16 {
            sleep(SECOND / 2).await;
            stage.say().await;
            let took = stage.all_have_seen().await;
            assert!(took < 3 * SECOND, "some heard nothing for {took:?}");
        }
        let at_once = stage.connects() - before;
        assert!(at_once <= CLIENTS / 2, "{at_once} of {CLIENTS} came back at once");
        sleep(35 * SECOND).await;
        assert!(stage.connects() - before >= CLIENTS, "what the registry lost before, nobody knows");
    });
}
