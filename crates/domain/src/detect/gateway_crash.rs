//! Failure mode 1: a gateway crashed. A gateway that had connections is not heard, and was not ordered to leave.

use super::{Alarm, Figure, Finding, FleetSample, GatewaySample, Reading, figure};

/// Of the connections from before, so many are back elsewhere when it is over.
const BACK_PERCENT: u64 = 95;
/// How far back "before" is, s.
const BEFORE_S: usize = 120;

pub(super) fn read(samples: &[FleetSample]) -> Reading {
    let lost = |it: &&GatewaySample| !it.is_live && !it.is_leaving && it.connections > 0;
    let now: Vec<&GatewaySample> =
        samples.last().map(|now| now.gateways.iter().filter(lost).collect()).unwrap_or_default();
    let recovered = is_recovered(samples);
    let key = figure("gateways lost", now.len() as f64, "gateways", 1.0);
    let findings = if recovered { Vec::new() } else { now.into_iter().map(finding).collect() };
    Reading { key, findings }
}

/// Everybody is back elsewhere: what is left is a machine to be mended, not users to be saved.
fn is_recovered(samples: &[FleetSample]) -> bool {
    let live =
        |sample: &FleetSample| -> u64 { sample.gateways.iter().filter(|it| it.is_live).map(|it| it.connections).sum() };
    let before = super::newest(samples, BEFORE_S).iter().map(live).max().unwrap_or(0);
    let now = samples.last().map_or(0, live);
    let lost: u64 = samples.last().map_or(0, |sample| {
        sample.gateways.iter().filter(|it| !it.is_live && !it.is_leaving).map(|it| it.connections).sum()
    });
    // While the survivors have no more than before without the lost ones, nobody has come back yet.
    lost > 0
        && now * 100 >= before * BACK_PERCENT
        && super::newest(samples, 30).iter().all(|sample| live(sample) * 100 >= before * BACK_PERCENT)
}

fn finding(gateway: &GatewaySample) -> Finding {
    let of = Some(gateway.id.clone());
    Finding {
        alarm: Alarm::Critical,
        summary: format!("{} is not heard and had {} connections", gateway.id, gateway.connections),
        evidence: vec![
            Figure { of: of.clone(), ..figure("connections dropped", gateway.connections as f64, "connections", 1.0) },
            Figure { of: of.clone(), ..figure("not heard for", gateway.silent_ms as f64, "ms", 3_000.0) },
        ],
        subject: of,
    }
}
