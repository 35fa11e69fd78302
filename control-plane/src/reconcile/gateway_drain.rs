//! Drives drains and undrains. A pure rule: what is recorded of the operation, and what is known of the gateway, give
//! the next step, or none. `drained` comes from the gateway alone: it says so and reports 0 connections.
//!
//! A drain that fails or is cancelled leaves the gateway in service: its desired drain is taken back, and a gateway
//! that was lost learns of that when it comes back.

use domain::counted;
use protocol::{
    admin::{Operation, OperationKind, OperationPhase, OperationState, Progress},
    node::DrainPhase,
};

use crate::{app::nodes::NodeView, store::DrainRecord};

/// How long after its own end a drain, or an answer to a desired state, may take before the operation fails.
const PATIENCE_MS: u64 = 60_000;

/// What an operation becomes.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Step {
    pub(super) state: OperationState,
    pub(super) phase: OperationPhase,
    pub(super) progress: Progress,
    pub(super) error: Option<String>,
    pub(super) message: String,
    /// A new desired drain of the gateway, if it changes.
    pub(super) desired: Option<Option<DrainRecord>>,
}

/// The next step of an operation; `None` while there is nothing to do but wait.
pub(super) fn step(operation: &Operation, view: &NodeView, now_ms: u64) -> Option<Step> {
    match (operation.kind, operation.state) {
        (OperationKind::Drain, OperationState::Running) => drain(operation, view, now_ms),
        (OperationKind::Drain, OperationState::Cancelling) => cancel(operation, view, now_ms),
        (OperationKind::Undrain, _) => undrain(operation, view, now_ms),
        // Other kinds have jobs of their own.
        _ => None,
    }
}

fn drain(operation: &Operation, view: &NodeView, now_ms: u64) -> Option<Step> {
    let gateway = &operation.target;
    let is_ordered = ours(operation, view);
    if view.given_up {
        let why = format!("gateway {gateway} was lost while it drained; it accepts connections when it is back");
        return Some(failed(operation, view, why).desire(is_ordered.then_some(None)));
    }
    if !is_ordered {
        let order = operation.drain?;
        let record = DrainRecord {
            operation: operation.id.clone(),
            deadline_ms: order.deadline_ms,
            rate_per_s: order.rate_per_s,
        };
        return Some(going_on(operation, format!("{gateway} is told to drain")).desire(Some(Some(record))));
    }
    if let Some(reason) = view.refusal() {
        let why = format!("gateway {gateway} refused to drain: {reason}");
        return Some(failed(operation, view, why).desire(Some(view.desired.previous.clone())));
    }
    let progress = progress(operation, view);
    let reports_ours = view.report.drain.as_ref().is_some_and(|drain| drain.operation == operation.id);
    let (phase, message) = match view.phase() {
        _ if !reports_ours => (operation.phase, String::new()),
        DrainPhase::Draining => (OperationPhase::Draining, moving(&progress)),
        DrainPhase::Evicting => (OperationPhase::Evicting, moving(&progress)),
        DrainPhase::Drained | DrainPhase::Forced if progress.connections > 0 => (operation.phase, moving(&progress)),
        DrainPhase::Drained => return Some(drained(operation, progress, OperationPhase::Drained)),
        DrainPhase::Forced => return Some(drained(operation, progress, OperationPhase::Forced)),
        DrainPhase::Active | DrainPhase::Cancelled => (operation.phase, String::new()),
    };
    if now_ms > overdue_ms(operation) {
        let why = format!(
            "gateway {gateway} still reports {} long after its deadline",
            counted(progress.connections, "connections")
        );
        return Some(failed(operation, view, why).desire(Some(None)));
    }
    let changed = reports_ours && (phase != operation.phase || progress != operation.progress);
    changed.then(|| Step { phase, progress, ..going_on(operation, message) })
}

fn cancel(operation: &Operation, view: &NodeView, now_ms: u64) -> Option<Step> {
    let gateway = &operation.target;
    if ours(operation, view) {
        return Some(going_on(operation, format!("{gateway} is told to accept connections again")).desire(Some(None)));
    }
    let cancelled = |message| Step {
        state: OperationState::Cancelled,
        phase: OperationPhase::Cancelled,
        progress: progress(operation, view),
        ..going_on(operation, message)
    };
    if view.given_up {
        return Some(cancelled(format!("{gateway} is lost; it accepts connections when it is back")));
    }
    if let Some(reason) = view.refusal() {
        return Some(failed(operation, view, format!("gateway {gateway} refused to stop draining: {reason}")));
    }
    if view.is_settled() && accepts(view) {
        return Some(cancelled(format!("{gateway} accepts connections again")));
    }
    is_late(operation, now_ms)
        .then(|| failed(operation, view, format!("gateway {gateway} does not say that it stopped draining")))
}

fn undrain(operation: &Operation, view: &NodeView, now_ms: u64) -> Option<Step> {
    let gateway = &operation.target;
    if view.desired.drain.is_some() {
        return Some(going_on(operation, format!("{gateway} is told to accept connections")).desire(Some(None)));
    }
    if view.given_up {
        let why = format!("gateway {gateway} is lost; it accepts connections when it is back");
        return Some(failed(operation, view, why));
    }
    if let Some(reason) = view.refusal() {
        let why = format!("gateway {gateway} refused to accept connections: {reason}");
        return Some(failed(operation, view, why).desire(Some(view.desired.previous.clone())));
    }
    if view.is_settled() && accepts(view) {
        return Some(Step {
            state: OperationState::Succeeded,
            phase: OperationPhase::Active,
            progress: progress(operation, view),
            ..going_on(operation, format!("{gateway} accepts connections"))
        });
    }
    is_late(operation, now_ms)
        .then(|| failed(operation, view, format!("gateway {gateway} does not say that it accepts connections")))
}

impl Step {
    fn desire(self, desired: Option<Option<DrainRecord>>) -> Self {
        Self { desired, ..self }
    }
}

fn going_on(operation: &Operation, message: String) -> Step {
    Step {
        state: operation.state,
        phase: operation.phase,
        progress: operation.progress,
        error: None,
        message,
        desired: None,
    }
}

fn failed(operation: &Operation, view: &NodeView, why: String) -> Step {
    Step {
        state: OperationState::Failed,
        phase: OperationPhase::Failed,
        progress: progress(operation, view),
        error: Some(why.clone()),
        ..going_on(operation, why)
    }
}

fn drained(operation: &Operation, progress: Progress, phase: OperationPhase) -> Step {
    let message = match phase {
        OperationPhase::Forced => format!("{} is empty; {} were closed", operation.target, progress.evicted),
        _ => format!("{} is empty; all moved by themselves", operation.target),
    };
    Step { state: OperationState::Succeeded, phase, progress, ..going_on(operation, message) }
}

fn ours(operation: &Operation, view: &NodeView) -> bool {
    view.desired.drain.as_ref().is_some_and(|drain| drain.operation == operation.id)
}

fn accepts(view: &NodeView) -> bool {
    matches!(view.phase(), DrainPhase::Active | DrainPhase::Cancelled)
}

fn progress(operation: &Operation, view: &NodeView) -> Progress {
    let reported = view.report.drain.as_ref().filter(|drain| drain.operation == operation.id);
    let connections = view.report.connections;
    match reported {
        None => Progress { connections, ..operation.progress },
        Some(drain) => Progress {
            connections_at_start: drain.connections_at_start,
            connections,
            told_to_migrate: drain.told_to_migrate,
            evicted: drain.evicted,
            ..Progress::default()
        },
    }
}

fn moving(progress: &Progress) -> String {
    format!("{} of {} left", progress.connections, counted(progress.connections_at_start, "connections"))
}

/// When a drain should long have ended: its window, the closing of everybody at its rate, and some patience.
fn overdue_ms(operation: &Operation) -> u64 {
    let window_ms = operation.drain.map_or(0, |drain| {
        let closing_s = operation.progress.connections_at_start / u64::from(drain.rate_per_s.max(1));
        drain.deadline_ms.saturating_add(closing_s.saturating_mul(1_000))
    });
    operation.created_ms.saturating_add(window_ms).saturating_add(PATIENCE_MS)
}

fn is_late(operation: &Operation, now_ms: u64) -> bool {
    now_ms > operation.updated_ms.saturating_add(PATIENCE_MS)
}
