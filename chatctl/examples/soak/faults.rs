//! What is done to the fleet, and how it is undone.

use std::{thread::sleep, time::Duration};

use crate::fleet::Fleet;

/// A fault.
pub(crate) struct Fault {
    pub(crate) name: &'static str,
    pub(crate) what: &'static str,
    /// How long it lasts.
    pub(crate) seconds: u64,
    /// It takes three Cassandra nodes.
    pub(crate) needs_ring: bool,
    strike: &'static [Step],
    mend: &'static [Step],
}

/// One thing that is done.
enum Step {
    /// A signal to programs of the fleet.
    Signal(&'static str, &'static [&'static str]),
    /// A command of the real stack.
    Stack(&'static [&'static str]),
    Wait(u64),
}

use Step::{Signal, Stack, Wait};

impl Fault {
    const fn new(name: &'static str, what: &'static str, strike: &'static [Step], mend: &'static [Step]) -> Self {
        let (mut seconds, mut n) = (0, 0);
        while n < strike.len() {
            if let Wait(wait) = strike[n] {
                seconds += wait;
            }
            n += 1;
        }
        Self { name, what, seconds, needs_ring: false, strike, mend }
    }

    const fn of_ring(mut self) -> Self {
        self.needs_ring = true;
        self
    }

    pub(crate) fn strike(&self, fleet: &Fleet) -> Result<(), String> {
        self.strike.iter().try_for_each(|step| step.run(fleet))
    }

    pub(crate) fn mend(&self, fleet: &Fleet) -> Result<(), String> {
        self.mend.iter().try_for_each(|step| step.run(fleet))
    }
}

impl Step {
    fn run(&self, fleet: &Fleet) -> Result<(), String> {
        match self {
            Signal(signal, names) => names.iter().try_for_each(|name| fleet.signal(name, signal)),
            Stack(args) => fleet.stack(args),
            Wait(seconds) => {
                sleep(Duration::from_secs(*seconds));
                Ok(())
            }
        }
    }
}

/// All faults. Programs that die are started again by the supervisor of the fleet.
pub(crate) const FAULTS: &[Fault] = &[
    Fault::new("gateway", "kill -9 of a gateway", &[Signal("KILL", &["gw-1"])], &[]),
    Fault::new("sequencer", "kill -9 of a sequencer", &[Signal("KILL", &["sequencer-1"])], &[]),
    Fault::new("fanout", "kill -9 of the group fan-out", &[Signal("KILL", &["fanout-1"])], &[]),
    Fault::new("persister", "kill -9 of the persister", &[Signal("KILL", &["persister-1"])], &[]),
    Fault::new("control-plane", "kill -9 of the control plane", &[Signal("KILL", &["control-plane"])], &[]),
    Fault::new("gateways", "kill -9 of all gateways", &[Signal("KILL", &["gw-1", "gw-2"])], &[]),
    Fault::new("sequencers", "kill -9 of all sequencers", &[Signal("KILL", &["sequencer-1", "sequencer-2"])], &[]),
    Fault::new(
        "sequencer-paused",
        "a sequencer stopped for longer than its session timeout: a zombie wakes up",
        &[Signal("STOP", &["sequencer-1"]), Wait(6)],
        &[Signal("CONT", &["sequencer-1"])],
    ),
    Fault::new(
        "gateway-paused",
        "a gateway stopped for 8 s",
        &[Signal("STOP", &["gw-1"]), Wait(8)],
        &[Signal("CONT", &["gw-1"])],
    ),
    Fault::new(
        "kafka-restart",
        "kill -9 and start of the broker",
        &[Stack(&["kill", "kafka"]), Wait(2)],
        &[Stack(&["start", "kafka"])],
    ),
    Fault::new(
        "kafka-paused",
        "the broker stopped for 5 s",
        &[Stack(&["pause", "kafka"]), Wait(5)],
        &[Stack(&["start", "kafka"])],
    ),
    Fault::new(
        "kafka-paused-long",
        "the broker stopped for 40 s: longer than a producer keeps records",
        &[Stack(&["pause", "kafka"]), Wait(40)],
        &[Stack(&["start", "kafka"])],
    ),
    Fault::new(
        "kafka-refuses-writes",
        "as with a full disk",
        &[Stack(&["refuse-writes", "on"]), Wait(4)],
        &[Stack(&["refuse-writes", "off"])],
    ),
    Fault::new("redis-registry-flush", "FLUSHALL", &[Stack(&["redis", "redis-registry", "flushall"])], &[]),
    Fault::new("redis-presence-flush", "FLUSHALL", &[Stack(&["redis", "redis-presence", "flushall"])], &[]),
    Fault::new("redis-dedup-flush", "FLUSHALL", &[Stack(&["redis", "redis-dedup", "flushall"])], &[]),
    Fault::new(
        "redis-registry-restart",
        "down for 3 s",
        &[Stack(&["kill", "redis-registry"]), Wait(3)],
        &[Stack(&["start", "redis-registry"])],
    ),
    Fault::new(
        "redis-presence-restart",
        "down for 3 s",
        &[Stack(&["kill", "redis-presence"]), Wait(3)],
        &[Stack(&["start", "redis-presence"])],
    ),
    Fault::new(
        "redis-dedup-restart",
        "down for 3 s",
        &[Stack(&["kill", "redis-dedup"]), Wait(3)],
        &[Stack(&["start", "redis-dedup"])],
    ),
    Fault::new(
        "mysql-restart",
        "down for 3 s",
        &[Stack(&["kill", "mariadb"]), Wait(3)],
        &[Stack(&["start", "mariadb"])],
    ),
    Fault::new(
        "cassandra-restart",
        "a node down for 3 s",
        &[Stack(&["kill", "cassandra-1"]), Wait(3)],
        &[Stack(&["start", "cassandra-1"])],
    ),
    Fault::new(
        "cassandra-paused",
        "a node stopped for 20 s",
        &[Stack(&["pause", "cassandra-1"]), Wait(20)],
        &[Stack(&["start", "cassandra-1"])],
    ),
    Fault::new(
        "ring-two-in-turn",
        "one of three Cassandra nodes killed, then another one once the first is back",
        &[
            Stack(&["kill", "cassandra-2"]),
            Wait(3),
            Stack(&["start", "cassandra-2"]),
            Wait(5),
            Stack(&["kill", "cassandra-3"]),
            Wait(3),
        ],
        &[Stack(&["start", "cassandra-3"])],
    )
    .of_ring(),
    Fault::new(
        "ring-one-paused",
        "one of three Cassandra nodes stopped for 20 s",
        &[Stack(&["pause", "cassandra-2"]), Wait(20)],
        &[Stack(&["start", "cassandra-2"])],
    )
    .of_ring(),
];
