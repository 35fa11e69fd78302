//! Failure mode 4: the message store does not keep up with writes.

use super::{Alarm, Finding, FleetSample, Reading, figure, newest, percent, sum, window};

/// p99 of writes, for ten seconds.
const CRITICAL_P99_MS: u64 = 100;
/// p99 of writes, for five minutes: add a node.
const WARNING_P99_MS: u64 = 50;
const WARNING_S: usize = 300;
const COMPACTIONS: u64 = 100;
const LAG_RECORDS: u64 = 1_000_000;
const LAG_MS: u64 = 60_000;
/// Writes of 100 that fail.
const ERROR_PERCENT: f64 = 5.0;
/// Fewer say nothing, unless they are so slow that there cannot be more: then so many do as would take all the window.
const WRITES_MIN: u64 = 50;
const SLOW_WRITES_MIN: u64 = 10;
/// A store that is down takes few batches, for each is tried again and again: fewer errors say enough.
const ERRORS_MIN: u64 = 5;
const WINDOW_S: usize = 10;

/// Writes have been slow for five minutes: the store needs another node.
pub fn store_is_tired(samples: &[FleetSample]) -> bool {
    window(samples, WARNING_S, 0)
        .is_some_and(|it| it.iter().all(|it| it.write_p99_ms > WARNING_P99_MS) && sum(it, |it| it.writes) >= WRITES_MIN)
}

pub(super) fn read(samples: &[FleetSample]) -> Reading {
    let Some(now) = samples.last() else {
        return Reading { key: figure("write p99", 0.0, "ms", CRITICAL_P99_MS as f64), findings: Vec::new() };
    };
    let recent = newest(samples, WINDOW_S);
    let (writes, errors) = (sum(recent, |it| it.writes), sum(recent, |it| it.write_errors));
    let key = figure("write p99", now.write_p99_ms as f64, "ms", CRITICAL_P99_MS as f64);
    let mut why = Vec::new();
    let is_slow = window(samples, WINDOW_S, 0).is_some_and(|it| it.iter().all(|it| it.write_p99_ms > CRITICAL_P99_MS));
    let is_full = writes >= SLOW_WRITES_MIN && writes * now.write_p99_ms >= WINDOW_S as u64 * 1_000;
    if is_slow && (writes >= WRITES_MIN || is_full) {
        why.push(format!("writes take {} ms", now.write_p99_ms));
    }
    if errors >= ERRORS_MIN && percent(errors, writes) > ERROR_PERCENT {
        why.push(format!("{errors} of {writes} writes failed in 10 s"));
    }
    if now.pending_compactions > COMPACTIONS {
        why.push(format!("{} compactions wait", now.pending_compactions));
    }
    if now.lag_records > LAG_RECORDS {
        why.push(format!("{} records are not stored", now.lag_records));
    }
    let rises = recent.first().is_some_and(|first| now.lag_ms > first.lag_ms);
    if now.lag_ms > LAG_MS && rises {
        why.push(format!("the lag is {} s and grows", now.lag_ms / 1_000));
    }
    let alarm = if why.is_empty() { Alarm::Warning } else { Alarm::Critical };
    if why.is_empty() && store_is_tired(samples) {
        why.push(format!("writes took over {WARNING_P99_MS} ms for 5 min: the store needs another node"));
    }
    let findings = (!why.is_empty()).then(|| Finding {
        alarm,
        summary: why.join("; "),
        evidence: vec![
            key.clone(),
            figure("writes that failed in 10 s", percent(errors, writes), "%", ERROR_PERCENT),
            figure("compactions that wait", now.pending_compactions as f64, "compactions", COMPACTIONS as f64),
            figure("records not stored", now.lag_records as f64, "records", LAG_RECORDS as f64),
            figure("oldest record not stored", now.lag_ms as f64, "ms", LAG_MS as f64),
        ],
        subject: None,
    });
    Reading { key, findings: findings.into_iter().collect() }
}
