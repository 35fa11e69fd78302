//! Failure mode 5: one user on two gateways. The registry was overwritten by a lower version, or a session goes back and
//! forth.

use super::{Alarm, Finding, FleetSample, Reading, figure, newest, sum};
use crate::counted;

const WINDOW_S: usize = 60;
const OVERWRITES_MIN: u64 = 1;
/// Below this somebody walks between two networks: so many, and so many more for each 5,000 connections.
const FLIP_FLOPS_MIN: u64 = 3;
const CONNECTIONS_OF_A_FLIP: u64 = 5_000;

pub(super) fn read(samples: &[FleetSample]) -> Reading {
    let recent = newest(samples, WINDOW_S);
    let (stale, flips) = (sum(recent, |it| it.stale_overwrites), sum(recent, |it| it.flip_flops));
    let connections: u64 = samples.last().map_or(0, |now| now.gateways.iter().map(|it| it.connections).sum());
    let flips_min = FLIP_FLOPS_MIN.max(connections / CONNECTIONS_OF_A_FLIP);
    let is_found = stale >= OVERWRITES_MIN || flips >= flips_min;
    let key = if stale > 0 || flips == 0 {
        figure("stale registrations in 60 s", stale as f64, "sessions", OVERWRITES_MIN as f64)
    } else {
        figure("sessions back and forth in 60 s", flips as f64, "sessions", flips_min as f64)
    };
    let findings = is_found.then(|| Finding {
        alarm: Alarm::Critical,
        summary: format!(
            "{} overwritten by an older one, {flips} went back and forth within a minute",
            counted(stale, "sessions")
        ),
        evidence: vec![
            figure("stale registrations in 60 s", stale as f64, "sessions", OVERWRITES_MIN as f64),
            figure("sessions back and forth in 60 s", flips as f64, "sessions", flips_min as f64),
        ],
        subject: None,
    });
    Reading { key, findings: findings.into_iter().collect() }
}
