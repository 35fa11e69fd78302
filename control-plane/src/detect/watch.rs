//! Opens incidents for what the detectors find, keeps their evidence fresh, and resolves them by rule.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use domain::detect::{Alarm, FailureMode, Figure, Finding, FleetSample};
use protocol::admin::{Evidence, Incident, IncidentState, Mode, Severity};
use tokio::time::{Duration, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::{Event, Samples, webhook::REPEAT_MS};
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

/// What an incident is about ([`incidents::key`]).
type Key = (Mode, Option<String>);

/// What the watcher keeps in mind between two looks.
#[derive(Debug, Default)]
struct Mind {
    /// Resolved by hand while their rules held: they stay so until the rule was false once.
    hushed: BTreeSet<Key>,
    /// When nobody reported a mode's figures, the last time, ms since the epoch.
    unmeasured_ms: BTreeMap<Mode, u64>,
    /// When this control plane took over what earlier ones had opened, ms since the epoch.
    since_ms: Option<u64>,
    /// When Alertmanagers were told last of what is still open, ms since the epoch.
    repeated_ms: u64,
}

impl Mind {
    /// Until when it could not be told whether an incident is over: nobody measured it, or it is older than this
    /// control plane, which has not seen its rule's whole window yet.
    fn sure_ms(&self, incident: &Incident, mode: FailureMode) -> u64 {
        let measured_ms = self.unmeasured_ms.get(&incident.mode).copied().unwrap_or(0);
        let since_ms = self.since_ms.filter(|since_ms| incident.opened_ms < *since_ms);
        measured_ms.max(since_ms.map_or(0, |since_ms| since_ms + mode.window_ms()))
    }
}

/// Watches until `stop`.
pub(crate) async fn run(app: Arc<App>, stop: CancellationToken) {
    let mut ticks = interval(SAMPLE);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut mind = Mind::default();
    // What another control plane saw in between is not known: the past begins anew.
    *app.samples.lock() = Samples::default();
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        if let Err(error) = look(&app, &mut mind).await {
            tracing::warn!(%error, "incidents cannot be looked after now");
        }
    }
}

async fn look(app: &App, mind: &mut Mind) -> Result<(), AppError> {
    let (now_ms, views) = (app.clock.now_ms(), app.nodes.views());
    if mind.since_ms.is_none() {
        let open = app.store.documents(DocumentKind::Incident, false, u64::MAX, OPEN_MAX).await?;
        let mut samples = app.samples.lock();
        open.iter().filter_map(readable).for_each(|incident| samples.take_over(&incident));
        mind.since_ms = Some(now_ms);
    }
    let found = {
        let mut samples = app.samples.lock();
        samples.take(now_ms, &views);
        let samples = samples.all();
        let unmeasured = FailureMode::ALL.into_iter().filter(|mode| !mode.is_measured(samples));
        mind.unmeasured_ms.extend(unmeasured.map(|mode| (to_mode(mode), now_ms)));
        read(samples)
    };
    pass(app, found, mind).await
}

/// One that cannot be read, perhaps of a later version, must not blind the watcher for the others.
fn readable(document: &Document) -> Option<Incident> {
    incidents::read(document)
        .inspect_err(|error| tracing::warn!(%error, id = document.id, "an incident cannot be read"))
        .ok()
}

type Found = Vec<(FailureMode, Finding)>;

fn read(samples: &[FleetSample]) -> Found {
    let all = FailureMode::ALL.into_iter();
    all.flat_map(|mode| mode.read(samples).findings.into_iter().map(move |finding| (mode, finding))).collect()
}

async fn pass(app: &App, found: Found, mind: &mut Mind) -> Result<(), AppError> {
    let _writing = app.writing.lock().await;
    let now_ms = app.clock.now_ms();
    let open = app.store.documents(DocumentKind::Incident, false, u64::MAX, OPEN_MAX).await?;
    let open: Vec<(Incident, Document)> =
        open.into_iter().filter_map(|document| Some((readable(&document)?, document))).collect();
    if now_ms >= mind.repeated_ms + REPEAT_MS {
        mind.repeated_ms = now_ms;
        app.hooks.repeat(&open.iter().map(|(incident, _)| incident.clone()).collect::<Vec<_>>());
    }
    let name = |mode: FailureMode, finding: &Finding| (to_mode(mode), finding.subject.clone());
    mind.hushed.extend(app.resolved_by_hand.lock().drain(..));
    mind.hushed.retain(|key| found.iter().any(|(mode, finding)| name(*mode, finding) == *key));
    let mut changes = Vec::new();
    let mut events = Vec::new();
    for (incident, document) in &open {
        let mode = of_mode(incident.mode);
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
                if now_ms < mind.sure_ms(incident, mode).max(seen_ms) + mode.quiet_ms() {
                    continue;
                }
                next.seen_ms = seen_ms;
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
        let is_known = open.iter().any(|(incident, _)| incidents::key(incident) == key) || mind.hushed.contains(&key);
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

fn of_mode(mode: Mode) -> FailureMode {
    match mode {
        Mode::GatewayCrash => FailureMode::GatewayCrash,
        Mode::LostAck => FailureMode::LostAck,
        Mode::PresenceStorm => FailureMode::PresenceStorm,
        Mode::WriteTimeouts => FailureMode::WriteTimeouts,
        Mode::SplitBrain => FailureMode::SplitBrain,
        Mode::FanoutDelay => FailureMode::FanoutDelay,
    }
}
