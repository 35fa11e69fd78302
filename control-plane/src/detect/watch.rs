//! Opens incidents for what the detectors find, keeps their evidence fresh, and resolves them by rule.

use std::{collections::BTreeSet, sync::Arc};

use domain::detect::{Alarm, FailureMode, Figure, Finding};
use protocol::admin::{Evidence, Incident, IncidentState, Mode, Severity};
use tokio::time::{Duration, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::Event;
use crate::{
    app::{App, incidents},
    error::AppError,
    store::{Document, DocumentKind},
};

/// Between two samples.
const SAMPLE: Duration = Duration::from_secs(1);
/// Evidence of an open incident is written down this often.
const EVIDENCE_MS: u64 = 10_000;
/// Incidents that may be open at once.
const OPEN_MAX: usize = 1_000;

/// Watches until `stop`.
pub(crate) async fn run(app: Arc<App>, stop: CancellationToken) {
    let mut ticks = interval(SAMPLE);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // Resolved by hand while their rules held: they stay so until the rule was false once.
    let mut hushed: BTreeSet<(Mode, Option<String>)> = BTreeSet::new();
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        let (now_ms, views) = (app.clock.now_ms(), app.nodes.views());
        let found = {
            let mut samples = app.samples.lock();
            samples.take(now_ms, &views);
            read(samples.all())
        };
        if let Err(error) = pass(&app, found, &mut hushed).await {
            tracing::warn!(%error, "incidents cannot be looked after now");
        }
    }
}

type Found = Vec<(FailureMode, Finding)>;

fn read(samples: &[domain::detect::FleetSample]) -> Found {
    let all = FailureMode::ALL.into_iter();
    all.flat_map(|mode| mode.read(samples).findings.into_iter().map(move |finding| (mode, finding))).collect()
}

async fn pass(app: &App, found: Found, hushed: &mut BTreeSet<(Mode, Option<String>)>) -> Result<(), AppError> {
    let _writing = app.writing.lock().await;
    let now_ms = app.clock.now_ms();
    let open = app.store.documents(DocumentKind::Incident, false, u64::MAX, OPEN_MAX).await?;
    let open: Vec<(Incident, Document)> = open
        .into_iter()
        .map(|document| Ok((incidents::read(&document)?, document)))
        .collect::<Result<_, AppError>>()?;
    let name = |mode: FailureMode, finding: &Finding| (to_mode(mode), finding.subject.clone());
    hushed.extend(app.resolved_by_hand.lock().drain(..));
    hushed.retain(|key| found.iter().any(|(mode, finding)| name(*mode, finding) == *key));
    let mut changes = Vec::new();
    let mut events = Vec::new();
    for (incident, document) in &open {
        let mode = FailureMode::ALL.into_iter().find(|mode| to_mode(*mode) == incident.mode);
        let held = found.iter().find(|(mode, finding)| name(*mode, finding) == incidents::key(incident));
        let mut next = incident.clone();
        match held {
            Some((_, finding)) if now_ms >= incident.seen_ms + EVIDENCE_MS || severity(finding) > incident.severity => {
                next.seen_ms = now_ms;
                next.severity = next.severity.max(severity(finding));
                next.summary.clone_from(&finding.summary);
                next.evidence = finding.evidence.iter().map(evidence).collect();
            }
            Some(_) => app.seen(&incident.id, now_ms),
            None => {
                let seen_ms = app.last_seen(&incident.id).unwrap_or(incident.seen_ms).max(incident.seen_ms);
                if now_ms < seen_ms + mode.map_or(60_000, FailureMode::quiet_ms) {
                    continue;
                }
                next.state = IncidentState::Resolved;
                next.resolved_ms = Some(now_ms);
                next.resolved_by = Some("rule".to_owned());
                app.forget_seen(&incident.id);
                changes.push(app.audit_incident(&next, "incident resolve"));
                events.push(Event::Resolved(next.clone()));
            }
        }
        if next != *incident {
            changes.push(incidents::write(&next, document.number, document.revision + 1)?);
        }
    }
    for (mode, finding) in &found {
        let key = name(*mode, finding);
        let is_known = open.iter().any(|(incident, _)| incidents::key(incident) == key) || hushed.contains(&key);
        if is_known || open.len() + events.len() >= OPEN_MAX {
            continue;
        }
        let number = app.store.documents_head(DocumentKind::Incident).await? + 1 + events.len() as u64;
        let incident = opened(app, number, key.0, finding, now_ms);
        tracing::warn!(id = incident.id, mode = %incident.mode, "{}", incident.summary);
        changes.push(incidents::write(&incident, number, 1)?);
        changes.push(app.audit_incident(&incident, "incident open"));
        events.push(Event::Opened(incident));
    }
    if changes.is_empty() {
        return Ok(());
    }
    app.store.commit(changes).await?;
    for event in events {
        app.hooks.push(event);
    }
    Ok(())
}

fn opened(app: &App, number: u64, mode: Mode, finding: &Finding, now_ms: u64) -> Incident {
    let mut params = std::collections::BTreeMap::new();
    if let (Mode::GatewayCrash, Some(gateway)) = (mode, &finding.subject) {
        params.insert("gateway".to_owned(), gateway.clone());
    }
    Incident {
        id: format!("inc-{number}-{:04x}", app.random_tail()),
        number,
        revision: 1,
        mode,
        severity: severity(finding),
        state: IncidentState::Open,
        summary: finding.summary.clone(),
        evidence: finding.evidence.iter().map(evidence).collect(),
        runbook: mode.runbook().to_owned(),
        params,
        opened_ms: now_ms,
        seen_ms: now_ms,
        acknowledged_by: None,
        resolved_ms: None,
        resolved_by: None,
    }
}

fn severity(finding: &Finding) -> Severity {
    match finding.alarm {
        Alarm::Warning => Severity::Warning,
        Alarm::Critical => Severity::Critical,
    }
}

fn evidence(figure: &Figure) -> Evidence {
    Evidence {
        figure: figure.name.to_owned(),
        value: figure.value,
        unit: figure.unit.to_owned(),
        threshold: figure.threshold,
        of: figure.of.clone(),
    }
}

/// The mode as the API names it.
pub(crate) fn to_mode(mode: FailureMode) -> Mode {
    match mode {
        FailureMode::GatewayCrash => Mode::GatewayCrash,
        FailureMode::LostAck => Mode::LostAck,
        FailureMode::PresenceStorm => Mode::PresenceStorm,
        FailureMode::WriteTimeouts => Mode::WriteTimeouts,
        FailureMode::SplitBrain => Mode::SplitBrain,
        FailureMode::FanoutDelay => Mode::FanoutDelay,
    }
}
