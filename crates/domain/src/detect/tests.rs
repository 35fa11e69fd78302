use super::*;

fn gateway(id: &str, connections: u64) -> GatewaySample {
    GatewaySample { id: id.into(), is_live: true, connections, ..GatewaySample::default() }
}

/// A second of a fleet at full load in which all is well; `n` gives it some weather.
fn healthy(n: u64) -> FleetSample {
    // A hash of the second: jitter that is the same in every run.
    let chance = |salt: u64, below: u64| {
        let mixed = (n.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ salt).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        ((mixed ^ (mixed >> 31)).wrapping_mul(0x94d0_49bb_1331_11eb) >> 33) % below
    };
    FleetSample {
        at_ms: n * 1_000,
        gateways: vec![gateway("gw-1", 40_000 + chance(1, 500)), gateway("gw-2", 40_000 + chance(2, 500))],
        gateways_measured: 2,
        workers_measured: 2,
        accepted: 20_000,
        delivered: 400_000,
        dedup_lookups: 20_000,
        dedup_hits: 2 + chance(3, 5),
        heartbeats: 2_600,
        heartbeat_errors: chance(4, 6),
        false_offline: u64::from(chance(5, 100) == 0),
        presence_cpu_percent: 40 + chance(6, 55),
        presence_p99_ms: 3 + chance(7, 20),
        stale_overwrites: 0,
        flip_flops: u64::from(chance(8, 60) == 0),
        fanout_messages: 8_000,
        direct_p99_ms: 5 + chance(16, 40),
        fanout_p99_ms: 300 + chance(9, 900),
        fanout_queue: chance(10, 4_000),
        writes: 400,
        write_errors: u64::from(chance(11, 50) == 0),
        write_p99_ms: if n % 600 == 77 { 120 } else { 20 + chance(12, 25) },
        pending_compactions: chance(13, 30),
        lag_records: chance(14, 20_000),
        lag_ms: chance(15, 900),
    }
}

fn fleet(seconds: u64, change: impl Fn(&mut FleetSample)) -> Vec<FleetSample> {
    (0..seconds)
        .map(|n| {
            let mut sample = healthy(n);
            change(&mut sample);
            sample
        })
        .collect()
}

fn found(mode: FailureMode, samples: &[FleetSample]) -> Option<Alarm> {
    mode.read(samples).findings.first().map(|finding| finding.alarm)
}

#[test]
fn an_hour_of_full_load_in_health_finds_nothing() {
    let samples = fleet(3_600, |_| {});
    for end in 1..=samples.len() {
        let window = &samples[end.saturating_sub(900)..end];
        for mode in FailureMode::ALL {
            let reading = mode.read(window);
            assert!(reading.findings.is_empty(), "{mode:?} at {end}: {reading:?}");
        }
    }
}

#[test]
fn a_gateway_that_is_not_heard_and_did_not_leave_has_crashed() {
    let mut samples = fleet(60, |_| {});
    let crash = |sample: &mut FleetSample| {
        let gateway = &mut sample.gateways[0];
        (gateway.is_live, gateway.silent_ms) = (false, 3_200);
    };
    let mut last = healthy(60);
    crash(&mut last);
    samples.push(last.clone());
    let reading = FailureMode::GatewayCrash.read(&samples);
    assert_eq!((reading.key.value, reading.findings.len()), (1.0, 1));
    assert_eq!((reading.findings[0].alarm, reading.findings[0].subject.as_deref()), (Alarm::Critical, Some("gw-1")));
    // One that was drained, and one that had nobody, are no news.
    for change in [|it: &mut GatewaySample| it.is_leaving = true, |it: &mut GatewaySample| it.connections = 0] {
        let mut quiet = last.clone();
        change(&mut quiet.gateways[0]);
        samples.pop();
        samples.push(quiet);
        assert_eq!(found(FailureMode::GatewayCrash, &samples), None);
    }
    // Everybody is elsewhere: users are saved.
    samples.pop();
    last.gateways[0].is_back = true;
    samples.push(last);
    assert_eq!(found(FailureMode::GatewayCrash, &samples), None);
}

#[test]
fn users_are_back_when_the_dropped_connections_are_back_for_half_a_minute() {
    // One of 30 gateways: less than 5% of the fleet, but all of its users.
    let mut loss = Loss::new(40_000, 1_200_000);
    for _ in 0..1_000 {
        loss.step(1_160_000);
        assert!(!loss.is_back(), "nobody came back, however long it takes");
    }
    loss.step(1_197_999);
    assert!(!loss.is_back(), "94.99% are not enough");
    for _ in 0..29 {
        loss.step(1_198_000);
        assert!(loss.is_back());
    }
    loss.step(1_160_000);
    assert!(!loss.is_back(), "29 s are not enough");
    for _ in 0..30 {
        loss.step(1_198_000);
    }
    loss.step(0);
    assert!(loss.is_back(), "the fleet may empty later");
    // They are back before it is known that they were gone: it is told all the same.
    let mut loss = Loss::new(40, 80);
    for _ in 0..5 {
        loss.step(80);
        assert!(!loss.is_back());
    }
    loss.step(80);
    assert!(loss.is_back());
    // Less in all than the gateway had: the fleet was not measured before.
    assert_eq!(Loss::new(1_000, 0).needed(), 950);
}

#[test]
fn retries_show_lost_acks_in_two_windows_of_enough_sends() {
    let mode = FailureMode::LostAck;
    assert_eq!(found(mode, &fleet(60, |it| it.dedup_hits = 30)), Some(Alarm::Warning));
    assert_eq!(found(mode, &fleet(60, |it| it.dedup_hits = 300)), Some(Alarm::Critical));
    assert_eq!(found(mode, &fleet(60, |it| it.dedup_hits = 20)), None, "0.1% is not above 0.1%");
    assert_eq!(found(mode, &fleet(59, |it| it.dedup_hits = 300)), None, "one window says nothing");
    let few = |it: &mut FleetSample| (it.dedup_lookups, it.dedup_hits) = (30, 30);
    assert_eq!(found(mode, &fleet(60, few)), None, "900 sends say nothing");
    let mut half = fleet(60, |_| {});
    half[30..].iter_mut().for_each(|it| it.dedup_hits = 300);
    assert_eq!(found(mode, &half), None);
}

#[test]
fn a_presence_storm_shows_in_three_ways() {
    let mode = FailureMode::PresenceStorm;
    assert_eq!(found(mode, &fleet(10, |it| it.heartbeat_errors = 30)), Some(Alarm::Critical));
    assert_eq!(found(mode, &fleet(10, |it| (it.heartbeats, it.heartbeat_errors) = (19, 19))), None, "190 say nothing");
    let hot = |it: &mut FleetSample| (it.presence_cpu_percent, it.presence_p99_ms) = (95, 80);
    assert_eq!(found(mode, &fleet(10, hot)), Some(Alarm::Critical));
    assert_eq!(found(mode, &fleet(10, |it| it.presence_p99_ms = 80)), None, "slow alone is no storm");
    let slow = |it: &mut FleetSample| (it.presence_cpu_percent, it.presence_p99_ms, it.heartbeat_errors) = (0, 80, 1);
    assert_eq!(found(mode, &fleet(10, slow)), Some(Alarm::Warning), "its CPU is not known: a hint");
    let well = |it: &mut FleetSample| (it.presence_cpu_percent, it.presence_p99_ms, it.heartbeat_errors) = (0, 80, 0);
    assert_eq!(found(mode, &fleet(10, well)), None);
    assert_eq!(found(mode, &fleet(10, |it| it.false_offline = 2)), Some(Alarm::Critical));
}

#[test]
fn a_store_that_does_not_keep_up_shows_in_its_writes_or_its_lag() {
    let mode = FailureMode::WriteTimeouts;
    assert_eq!(found(mode, &fleet(10, |it| it.write_p99_ms = 101)), Some(Alarm::Critical));
    assert_eq!(found(mode, &fleet(10, |it| it.write_p99_ms = 100)), None);
    assert_eq!(found(mode, &fleet(9, |it| it.write_p99_ms = 500)), None, "nine seconds say nothing");
    assert_eq!(found(mode, &fleet(10, |it| (it.write_p99_ms, it.writes) = (240, 4))), None, "40 writes say nothing");
    assert_eq!(
        found(mode, &fleet(10, |it| (it.write_p99_ms, it.writes) = (1_000, 1))),
        Some(Alarm::Critical),
        "one at a time, each a second long: there cannot be more"
    );
    assert_eq!(found(mode, &fleet(300, |it| it.write_p99_ms = 60)), Some(Alarm::Warning));
    assert_eq!(found(mode, &fleet(299, |it| it.write_p99_ms = 60)), None);
    assert_eq!(found(mode, &fleet(2, |it| it.pending_compactions = 101)), Some(Alarm::Critical));
    assert_eq!(found(mode, &fleet(2, |it| it.lag_records = 1_000_001)), Some(Alarm::Critical));
    assert_eq!(found(mode, &fleet(10, |it| it.lag_ms = 61_000)), None, "it does not grow");
    assert_eq!(found(mode, &fleet(10, |it| it.lag_ms = 61_000 + it.at_ms)), Some(Alarm::Critical));
    assert_eq!(found(mode, &fleet(10, |it| it.write_errors = it.writes)), Some(Alarm::Critical));
}

#[test]
fn a_stale_registration_or_many_flips_are_a_split_brain() {
    let mode = FailureMode::SplitBrain;
    let calm = |it: &mut FleetSample| it.flip_flops = 0;
    let mut samples = fleet(60, calm);
    assert_eq!(found(mode, &samples), None);
    samples[5].flip_flops = 12;
    assert_eq!(found(mode, &samples), None, "of 80,000 some walk between two networks");
    samples[50].flip_flops = 5;
    assert_eq!(found(mode, &samples), Some(Alarm::Critical));
    let small =
        |it: &mut FleetSample| (it.gateways, it.flip_flops) = (vec![gateway("gw-1", 40)], u64::from(it.at_ms < 3_000));
    assert_eq!(found(mode, &fleet(60, small)), Some(Alarm::Critical), "of 40 three do not");
    let mut samples = fleet(60, calm);
    samples[0].stale_overwrites = 1;
    assert_eq!(found(mode, &samples), Some(Alarm::Critical));
    samples.push(FleetSample::default());
    assert_eq!(found(mode, &samples), None, "a minute later it is over");
}

#[test]
fn late_group_messages_show_in_two_windows_or_in_a_queue_that_grows() {
    let mode = FailureMode::FanoutDelay;
    assert_eq!(found(mode, &fleet(20, |it| it.fanout_p99_ms = 2_001)), Some(Alarm::Warning));
    assert_eq!(found(mode, &fleet(20, |it| it.fanout_p99_ms = 5_001)), Some(Alarm::Critical));
    assert_eq!(found(mode, &fleet(20, |it| it.fanout_p99_ms = 2_000)), None);
    assert_eq!(found(mode, &fleet(19, |it| it.fanout_p99_ms = 9_000)), None);
    assert_eq!(found(mode, &fleet(20, |it| (it.fanout_p99_ms, it.fanout_messages) = (9_000, 4))), None);
    assert_eq!(found(mode, &fleet(60, |it| it.fanout_queue = 11_000 + it.at_ms)), Some(Alarm::Warning));
    assert_eq!(found(mode, &fleet(60, |it| it.fanout_queue = 20_000)), None, "it does not grow");
}

#[test]
fn what_nobody_reports_is_not_measured() {
    assert!(FailureMode::ALL.iter().all(|mode| !mode.is_measured(&[])));
    assert!(FailureMode::ALL.iter().all(|mode| mode.is_measured(&[healthy(1)])));
    let alone = FleetSample { workers_measured: 0, ..healthy(1) };
    let measured = FailureMode::ALL.map(|mode| mode.is_measured(std::slice::from_ref(&alone)));
    assert_eq!(measured, [true, true, true, false, true, false]);
}
