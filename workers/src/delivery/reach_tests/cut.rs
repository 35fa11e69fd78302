//! Streams that are cut, or break, or stand still: what was on its way is delivered or told.

use tokio::time::Instant;

use super::*;
use crate::delivery::links::{OUTAGE, QUEUE_CALLS};

#[tokio::test(start_paused = true)]
async fn a_gateway_that_is_forgotten_keeps_its_stream_for_the_grace_and_is_told_after_it() {
    let mut fleet = Fleet::start(live(&[("gw", 1)])).await;
    let (mut stream, _) = fleet.stream().await;
    fleet.see(Gateways { memory_ms: 0, ..live(&[]) }).await;
    sleep(FORGOTTEN_GRACE - AT_ONCE).await;
    let mut ticket = fleet.deliver().await;
    stream.acknowledge().await;
    done(&mut ticket).await;
    sleep(AT_ONCE).await;
    fleet.looks(2).await;
    while stream.next().await.is_some() {}
    fleet.show(live(&[("gw", 1)]));
    assert!(fleet.is_told().await);
}

#[tokio::test(start_paused = true)]
async fn another_life_of_one_that_was_forgotten_for_long_is_not_told() {
    let mut fleet = Fleet::start(live(&[("gw", 1)])).await;
    let (mut stream, _) = fleet.stream().await;
    fleet.see(Gateways { memory_ms: 0, ..live(&[]) }).await;
    sleep(FORGOTTEN_GRACE).await;
    fleet.looks(2).await;
    while stream.next().await.is_some() {}
    fleet.show(live(&[("gw", 2)]));
    assert!(!fleet.is_told().await);
}

#[tokio::test(start_paused = true)]
async fn looks_that_fail_do_not_make_a_gateway_forgotten_for_long() {
    let mut fleet = Fleet::start(live(&[("gw", 1)])).await;
    let (mut stream, _) = fleet.stream().await;
    fleet.see(Gateways { memory_ms: 0, ..live(&[]) }).await;
    fleet.lose();
    sleep(2 * FORGOTTEN_GRACE).await;
    fleet.see(Gateways { memory_ms: 0, ..live(&[]) }).await;
    fleet.deliver().await;
    stream.take().await;
}

#[tokio::test(start_paused = true)]
async fn what_was_under_way_to_one_life_may_have_been_for_the_next() {
    let mut fleet = Fleet::start(live(&[("gw", 1)])).await;
    // Its machine is gone, and the stream does not know it. It is back before the worker looks.
    let (_stream, _) = fleet.stream().await;
    fleet.deliver().await;
    fleet.show(live(&[("gw", 2)]));
    assert!(fleet.is_told().await);
}

#[tokio::test(start_paused = true)]
async fn what_was_under_way_when_a_lease_ended_may_have_been_for_the_next_life() {
    let mut fleet = Fleet::start(live(&[("gw", 1)])).await;
    let (_stream, _) = fleet.stream().await;
    // The look asks before the next life has its lease, and the delivery after it.
    fleet.registry.held.send_replace(true);
    fleet.show(ended("gw"));
    fleet.looks(1).await;
    fleet.deliver().await;
    fleet.registry.held.send_replace(false);
    fleet.looks(1).await;
    fleet.show(live(&[("gw", 2)]));
    assert!(fleet.is_told().await);
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_room_when_the_stream_is_cut_is_under_way_too() {
    let mut fleet = Fleet::start(live(&[("gw", 1)])).await;
    let (_stream, _) = fleet.stream().await;
    let links = fleet.links.clone();
    let all = tokio::spawn(async move {
        loop {
            links.deliver(&node("gw"), Lane::Group, Vec::new()).await;
        }
    });
    sleep(Duration::from_secs(1)).await;
    fleet.show(live(&[("gw", 2)]));
    assert!(fleet.is_told().await);
    all.abort();
}

#[tokio::test(start_paused = true)]
async fn the_next_life_is_not_told_when_the_last_one_had_everything() {
    let mut fleet = Fleet::start(live(&[("gw", 1)])).await;
    let (mut stream, _) = fleet.stream().await;
    let mut ticket = fleet.deliver().await;
    stream.acknowledge().await;
    done(&mut ticket).await;
    fleet.show(live(&[("gw", 2)]));
    assert!(!fleet.is_told().await);
}

#[tokio::test(start_paused = true)]
async fn a_gateway_is_told_until_it_has_acknowledged_something_since() {
    let mut fleet = Fleet::start(live(&[])).await;
    fleet.links.deliver_blindly();
    fleet.show(live(&[("gw", 1)]));
    for _ in 0..3 {
        // It breaks, read or not.
        let (_stream, missed) = fleet.stream().await;
        assert!(missed);
    }
    let (mut stream, missed) = fleet.stream().await;
    assert!(missed);
    let mut ticket = fleet.deliver().await;
    stream.acknowledge().await;
    done(&mut ticket).await;
    drop(stream);
    assert!(!fleet.is_told().await);
}

#[tokio::test(start_paused = true)]
async fn what_a_broken_stream_had_not_delivered_is_delivered_by_the_next_and_nobody_is_told() {
    let mut fleet = Fleet::start(live(&[("gw", 1)])).await;
    let (stream, _) = fleet.stream().await;
    let mut ticket = fleet.deliver().await;
    drop(stream);
    let (mut stream, missed) = fleet.stream().await;
    assert!(!missed);
    stream.acknowledge().await;
    done(&mut ticket).await;
}

#[tokio::test(start_paused = true)]
async fn a_gateway_whose_lease_ended_hears_that_it_is_cut_off() {
    let mut fleet = Fleet::start(live(&[("gw", 1)])).await;
    let (mut stream, _) = fleet.stream().await;
    while stream.owned().await {}
    fleet.show(ended("gw"));
    assert!(stream.hello().await);
    // It has closed its clients by the time it has a lease again: who came since is not closed once more.
    fleet.show(live(&[("gw", 1)]));
    assert!(!fleet.is_told().await);
}

#[tokio::test(start_paused = true)]
async fn leases_that_ended_in_an_outage_are_not_believed_ended_for_the_grace() {
    let mut fleet = Fleet::start(live(&[("gw", 1)])).await;
    let (mut stream, _) = fleet.stream().await;
    fleet.lose();
    sleep(OUTAGE).await;
    fleet.see(ended("gw")).await;
    for _ in 0..3 {
        sleep(AT_ONCE).await;
        let mut ticket = fleet.deliver().await;
        stream.acknowledge().await;
        done(&mut ticket).await;
    }
    // It is back in time.
    fleet.see(live(&[("gw", 1)])).await;
    sleep(FORGOTTEN_GRACE).await;
    fleet.deliver().await;
    stream.take().await;
}

#[tokio::test(start_paused = true)]
async fn who_is_not_back_when_the_grace_after_an_outage_is_over_is_cut_and_told() {
    let mut fleet = Fleet::start(live(&[("gw", 1)])).await;
    let (mut stream, _) = fleet.stream().await;
    while stream.owned().await {}
    fleet.lose();
    sleep(OUTAGE).await;
    fleet.see(ended("gw")).await;
    sleep(FORGOTTEN_GRACE - AT_ONCE).await;
    assert!(stream.hello().await);
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_stands_still_is_waited_for_once() {
    let mut fleet = Fleet::start(live(&[("gw", 1)])).await;
    let (_stream, _) = fleet.stream().await;
    let began = Instant::now();
    while began.elapsed().is_zero() {
        fleet.deliver().await;
    }
    // It is told by a new stream, and has not heard it.
    for _ in 0..3 * QUEUE_CALLS {
        timeout(AT_ONCE, fleet.deliver()).await.expect("no call waits for one that must resume anyway");
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_dropped_while_a_gateway_was_being_told_is_told_after_that() {
    let mut fleet = Fleet::start(live(&[("gw", 1)])).await;
    let (stream, _) = fleet.stream().await;
    let began = Instant::now();
    while began.elapsed().is_zero() {
        fleet.deliver().await;
    }
    drop(stream);
    let (mut stream, missed) = fleet.stream().await;
    assert!(missed);
    for _ in 0..3 * QUEUE_CALLS {
        fleet.deliver().await;
    }
    stream.acknowledge().await;
    assert!(fleet.is_told().await);
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_has_heard_of_it_is_waited_for_again() {
    let mut fleet = Fleet::start(live(&[])).await;
    fleet.links.deliver_blindly();
    fleet.show(live(&[("gw", 1)]));
    let (mut stream, _) = fleet.stream().await;
    let mut ticket = fleet.deliver().await;
    stream.acknowledge().await;
    done(&mut ticket).await;
    let began = Instant::now();
    for _ in 0..3 * QUEUE_CALLS {
        fleet.deliver().await;
    }
    assert!(began.elapsed() >= AT_ONCE);
}
