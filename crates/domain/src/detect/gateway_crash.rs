//! Failure mode 1: a gateway crashed. A gateway that had connections is not heard, and was not ordered to leave.

use super::{Alarm, Figure, Finding, FleetSample, GatewaySample, Reading, figure};
use crate::counted;

/// Not heard for this long, a gateway is lost, ms.
const SILENT_MS: u64 = 3_000;
/// Of the dropped connections, so many are back elsewhere when its users are saved.
const BACK_PERCENT: u64 = 95;
/// They must be back for this long, s. It is also how long the rule must not hold.
const BACK_S: u32 = 30;
/// A crash is told for this long also when all its users come back at once, as good clients do, s.
const TOLD_S: u32 = 5;

/// What a lost gateway dropped, and whether that is back elsewhere. Kept from second to second: a window of samples
/// ends before users that are slow to come back have come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loss {
    connections: u64,
    needed: u64,
    age_s: u32,
    back_s: u32,
}

impl Loss {
    /// The evidence that says what was dropped.
    pub const DROPPED: &str = "connections dropped";
    /// The evidence whose threshold says what the fleet must have again.
    pub const FLEET: &str = "connections of the fleet";

    /// A gateway with so many connections is lost; the fleet had `before` in all when it was heard last.
    pub fn new(connections: u64, before: u64) -> Self {
        // Of those dropped, not of all: in a big fleet all of one gateway's are less than 5%.
        let may_be_missing = connections * (100 - BACK_PERCENT) / 100;
        Self::resumed(connections, before.max(connections) - may_be_missing)
    }

    /// One that was noticed before: the connections dropped, and those the fleet must have again.
    pub const fn resumed(connections: u64, needed: u64) -> Self {
        Self { connections, needed, age_s: 0, back_s: 0 }
    }

    /// A second passed; the gateways that are heard have `live` connections. Users that were back for 30 s are saved,
    /// also when the fleet later empties for the night.
    pub fn step(&mut self, live: u64) {
        self.age_s = self.age_s.saturating_add(1);
        if self.back_s < BACK_S {
            self.back_s = if live >= self.needed { self.back_s + 1 } else { 0 };
        }
    }

    /// What it dropped.
    pub const fn connections(&self) -> u64 {
        self.connections
    }

    /// Connections that the fleet must have so that its users count as back.
    pub const fn needed(&self) -> u64 {
        self.needed
    }

    /// Its users are back elsewhere: what is left is a machine to be mended.
    pub const fn is_back(&self) -> bool {
        self.age_s > TOLD_S && self.back_s > 0
    }
}

pub(super) fn read(samples: &[FleetSample]) -> Reading {
    let Some(now) = samples.last() else {
        return Reading { key: figure("gateways lost", 0.0, "gateways", 1.0), findings: Vec::new() };
    };
    let lost: Vec<&GatewaySample> =
        now.gateways.iter().filter(|it| !it.is_live && !it.is_leaving && it.connections > 0 && !it.is_back).collect();
    Reading {
        key: figure("gateways lost", lost.len() as f64, "gateways", 1.0),
        findings: lost.into_iter().map(|gateway| finding(gateway, now.live_connections())).collect(),
    }
}

fn finding(gateway: &GatewaySample, live: u64) -> Finding {
    let of = Some(gateway.id.clone());
    let of_it =
        |name, value: u64, unit, threshold| Figure { of: of.clone(), ..figure(name, value as f64, unit, threshold) };
    Finding {
        alarm: Alarm::Critical,
        summary: format!("{} is not heard and had {}", gateway.id, counted(gateway.connections, "connections")),
        evidence: vec![
            of_it(Loss::DROPPED, gateway.connections, "connections", 1.0),
            of_it("not heard for", gateway.silent_ms, "ms", SILENT_MS as f64),
            figure(Loss::FLEET, live as f64, "connections", gateway.needed as f64),
        ],
        subject: of,
    }
}
