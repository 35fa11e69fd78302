//! Failure mode 2: acks are lost. Clients send again, and the dedup cache finds their keys.

use super::{Alarm, Finding, FleetSample, Reading, figure, percent, sum, window};

/// Hits of 100 sends.
const WARNING_PERCENT: f64 = 0.1;
const CRITICAL_PERCENT: f64 = 1.0;
/// Two windows of this must both show it.
const WINDOW_S: usize = 30;
/// Fewer say nothing.
const HITS_MIN: u64 = 20;
const LOOKUPS_MIN: u64 = 1_000;

pub(super) fn read(samples: &[FleetSample]) -> Reading {
    let rate = |samples: &[FleetSample]| {
        let (hits, lookups) = (sum(samples, |it| it.dedup_hits), sum(samples, |it| it.dedup_lookups));
        (percent(hits, lookups), hits, lookups)
    };
    let (now, hits, lookups) = rate(super::newest(samples, WINDOW_S));
    let key = figure("sends that are retries", now, "%", WARNING_PERCENT);
    let holds = |of: Option<&[FleetSample]>| {
        of.map(rate).is_some_and(|(percent, hits, lookups)| {
            percent > WARNING_PERCENT && hits >= HITS_MIN && lookups >= LOOKUPS_MIN
        })
    };
    let is_found = holds(window(samples, WINDOW_S, 0)) && holds(window(samples, WINDOW_S, WINDOW_S));
    let findings = is_found.then(|| Finding {
        alarm: if now > CRITICAL_PERCENT { Alarm::Critical } else { Alarm::Warning },
        summary: format!("{now:.2}% of sends are retries: acks do not arrive"),
        evidence: vec![
            key.clone(),
            figure("retries in 30 s", hits as f64, "sends", HITS_MIN as f64),
            figure("sends in 30 s", lookups as f64, "sends", LOOKUPS_MIN as f64),
        ],
        subject: None,
    });
    Reading { key, findings: findings.into_iter().collect() }
}
