//! Failure mode 3: heartbeats overwhelm the presence store, mostly after a mass reconnect.

use super::{Alarm, Finding, FleetSample, Reading, figure, newest, percent, sum};

const CPU_PERCENT: u64 = 90;
const P99_MS: u64 = 50;
/// Heartbeats of 100 that fail, of at least so many in the window.
const ERROR_PERCENT: f64 = 1.0;
const HEARTBEATS_MIN: u64 = 200;
/// Users shown offline while they are connected.
const FALSE_OFFLINE_MIN: u64 = 20;
const WINDOW_S: usize = 10;

pub(super) fn read(samples: &[FleetSample]) -> Reading {
    let recent = newest(samples, WINDOW_S);
    let (beats, errors) = (sum(recent, |it| it.heartbeats), sum(recent, |it| it.heartbeat_errors));
    let offline = sum(recent, |it| it.false_offline);
    let (cpu, p99_ms) = samples.last().map_or((0, 0), |now| (now.presence_cpu_percent, now.presence_p99_ms));
    let error_percent = percent(errors, beats);
    let key = figure("heartbeats that fail", error_percent, "%", ERROR_PERCENT);
    let mut why = Vec::new();
    if cpu > CPU_PERCENT && p99_ms > P99_MS {
        why.push(format!("the presence store is at {cpu}% CPU with a p99 of {p99_ms} ms"));
    }
    if beats >= HEARTBEATS_MIN && error_percent > ERROR_PERCENT {
        why.push(format!("{error_percent:.1}% of heartbeats fail"));
    }
    if offline >= FALSE_OFFLINE_MIN {
        why.push(format!("{offline} connected users were shown offline in 10 s"));
    }
    // Most presence stores do not tell their CPU: then a slow one that also fails calls is worth a look, no more.
    let is_hint = why.is_empty() && cpu == 0 && p99_ms > P99_MS && errors > 0;
    if is_hint {
        why.push(format!("the presence store answers in {p99_ms} ms and some heartbeats fail"));
    }
    let findings = (!why.is_empty()).then(|| Finding {
        alarm: if is_hint { Alarm::Warning } else { Alarm::Critical },
        summary: why.join("; "),
        evidence: vec![
            key.clone(),
            figure("presence p99", p99_ms as f64, "ms", P99_MS as f64),
            figure("presence CPU", cpu as f64, "%", CPU_PERCENT as f64),
            figure("shown offline while connected", offline as f64, "users", FALSE_OFFLINE_MIN as f64),
        ],
        subject: None,
    });
    Reading { key, findings: findings.into_iter().collect() }
}
