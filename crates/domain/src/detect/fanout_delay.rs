//! Failure mode 6: group messages arrive late. Groups that an operator batches are not in the figures.

use super::{Alarm, Finding, FleetSample, Reading, figure, newest, sum, window};

const WARNING_P99_MS: u64 = 2_000;
const CRITICAL_P99_MS: u64 = 5_000;
/// Two windows of this must both show it, with at least so many messages each.
const WINDOW_S: usize = 10;
const MESSAGES_MIN: u64 = 50;
/// Messages that wait, and grow over a minute.
const QUEUE: u64 = 10_000;
const QUEUE_S: usize = 60;

pub(super) fn read(samples: &[FleetSample]) -> Reading {
    let worst = |samples: &[FleetSample]| samples.iter().map(|it| it.fanout_p99_ms).min().unwrap_or(0);
    let now_ms = samples.last().map_or(0, |now| now.fanout_p99_ms);
    let key = figure("fan-out p99", now_ms as f64, "ms", WARNING_P99_MS as f64);
    let is_late = |above_ms: u64| {
        [0, WINDOW_S].into_iter().all(|ago| {
            window(samples, WINDOW_S, ago)
                .is_some_and(|it| worst(it) > above_ms && sum(it, |it| it.fanout_messages) >= MESSAGES_MIN)
        })
    };
    let queue = samples.last().map_or(0, |now| now.fanout_queue);
    let before = newest(samples, QUEUE_S).first().map_or(0, |first| first.fanout_queue);
    let is_growing = samples.len() >= QUEUE_S && queue > QUEUE && queue > before;
    let mut why = Vec::new();
    if is_late(WARNING_P99_MS) {
        why.push(format!("group messages take {now_ms} ms to reach the gateways"));
    }
    if is_growing {
        why.push(format!("{queue} group messages wait, and more each minute"));
    }
    let findings = (!why.is_empty()).then(|| Finding {
        alarm: if is_late(CRITICAL_P99_MS) { Alarm::Critical } else { Alarm::Warning },
        summary: why.join("; "),
        evidence: vec![key.clone(), figure("group messages that wait", queue as f64, "messages", QUEUE as f64)],
        subject: None,
    });
    Reading { key, findings: findings.into_iter().collect() }
}
