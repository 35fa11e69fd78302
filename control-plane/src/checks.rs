//! Drives reconciliations: asks workers to compare rows with the log, a step at a time and at a bounded rate. How far
//! it is stands in the operation, so it goes on after a takeover; starts those that are due by schedule.

use std::sync::Arc;

use domain::counted;
use protocol::{
    admin::{
        CheckedRows, NodeRole, Operation, OperationKind, OperationPhase, OperationState, ReconcileDetail,
        ReconcileRequest, Role,
    },
    node::{CheckRows, question},
};
use tokio::time::{Duration, Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::{
    app::{Actor, App, reconciliations::SCHEDULE},
    error::AppError,
    store::{DocumentKind, OperationFilter, StoreError},
};

/// Between two looks for something to check.
const LOOK: Duration = Duration::from_secs(2);
/// Most records of a step.
const STEP: u32 = 500;
const RATE_PER_S_DEFAULT: u32 = 5_000;
/// Damage that is kept; the rest is counted.
const DAMAGE_MAX: usize = 200;
/// Steps in a row that nobody answers; after them the operation fails and says so.
const SILENT_STEPS_MAX: u32 = 60;
/// Progress is written down this often.
const SAVE_EVERY: Duration = Duration::from_secs(1);

/// Checks until `stop`.
pub(crate) async fn run(app: Arc<App>, stop: CancellationToken) {
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            _ = timeout(LOOK, app.checks.notified()) => {}
        }
        let passed = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            passed = pass(&app) => passed,
        };
        if let Err(error) = passed {
            tracing::warn!(%error, "a reconciliation cannot go on now");
        }
    }
}

async fn pass(app: &App) -> Result<(), AppError> {
    start_due(app).await?;
    let active = app.store.operations(OperationFilter::Active, u64::MAX, usize::MAX).await?;
    for operation in active.into_iter().filter(|it| it.kind == OperationKind::Reconcile) {
        drive(app, &operation.id).await?;
    }
    Ok(())
}

async fn start_due(app: &App) -> Result<(), AppError> {
    let Some(schedule) = app.store.document(DocumentKind::Schedule, SCHEDULE).await? else { return Ok(()) };
    let corrupt = |error: serde_json::Error| StoreError::Corrupt(error.to_string());
    let body: serde_json::Value = serde_json::from_str(&schedule.body).map_err(corrupt)?;
    if app.clock.now_ms() < body["due_ms"].as_u64().unwrap_or(u64::MAX) {
        return Ok(());
    }
    let request: ReconcileRequest = serde_json::from_value(body["request"].clone()).map_err(corrupt)?;
    let request = ReconcileRequest { every_ms: body["every_ms"].as_u64(), ..request };
    match app.reconcile(&Actor::new("schedule", Role::Operator), &request).await {
        // One that is running is as good.
        Ok(_) | Err(AppError::Busy { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

fn detail(operation: &Operation) -> Result<ReconcileDetail, AppError> {
    let detail = serde_json::from_value(operation.detail.clone());
    Ok(detail.map_err(|error| StoreError::Corrupt(format!("{}: {error}", operation.id)))?)
}

/// Drives one to its end.
async fn drive(app: &App, id: &str) -> Result<(), AppError> {
    let mut known = detail(&app.operation(id).await?)?;
    let rate = known.request.rate_per_s.unwrap_or(RATE_PER_S_DEFAULT);
    let (mut silent, mut saved) = (0, Instant::now());
    while let Some(at) = known.spans.iter().position(|span| span.next < span.end) {
        if app.operation(id).await?.state == OperationState::Cancelling {
            return save(app, id, &known, Some((OperationState::Cancelled, None))).await;
        }
        let began = Instant::now();
        match step(app, &known, at, rate).await {
            Ok(checked) => {
                silent = 0;
                let records = checked.records;
                take(&mut known, at, checked);
                let due = Duration::from_secs_f64(records as f64 / f64::from(rate));
                sleep(due.saturating_sub(began.elapsed())).await;
            }
            Err(why) => {
                silent += 1;
                if silent >= SILENT_STEPS_MAX {
                    let why = format!("no worker compares rows: {why}");
                    return save(app, id, &known, Some((OperationState::Failed, Some(why)))).await;
                }
                tracing::warn!(why, "a step of a reconciliation failed; will retry");
                sleep(Duration::from_secs(1)).await;
            }
        }
        if saved.elapsed() >= SAVE_EVERY {
            saved = Instant::now();
            save(app, id, &known, None).await?;
        }
    }
    let state = app.operation(id).await?.state;
    let ended = if state == OperationState::Cancelling { OperationState::Cancelled } else { OperationState::Succeeded };
    save(app, id, &known, Some((ended, None))).await
}

/// Asks a worker for one step; any that is heard can do it.
async fn step(app: &App, known: &ReconcileDetail, at: usize, rate: u32) -> Result<CheckedRows, String> {
    let span = &known.spans[at];
    let ask = CheckRows {
        lane: span.lane.clone(),
        partition: span.partition,
        from_offset: span.next,
        limit: records_of_step(rate, span.end - span.next),
        sample_ppm: known.request.sample_ppm.unwrap_or(1_000_000),
        conversation: known.request.conversation.clone().unwrap_or_default(),
        repair: known.request.repair,
    };
    let mut why = "no worker is live".to_owned();
    for view in app.nodes.views() {
        if view.lost || view.record.role != NodeRole::Worker {
            continue;
        }
        match app.nodes.ask(&view.record.id, question::Kind::CheckRows(ask.clone())).await {
            Ok(json) => return serde_json::from_str(&json).map_err(|error| error.to_string()),
            Err(error) => why = format!("{}: {error}", view.record.id),
        }
    }
    Err(why)
}

/// At a low rate a step is one second's worth: between two steps a cancel is seen.
fn records_of_step(rate: u32, left: u64) -> u32 {
    STEP.min(rate).min(u32::try_from(left).unwrap_or(STEP))
}

fn take(known: &mut ReconcileDetail, at: usize, checked: CheckedRows) {
    let span = &mut known.spans[at];
    // Nothing below the commit pointer any more: the log forgot it.
    span.next = if checked.records == 0 { span.end } else { checked.next };
    known.rows += checked.rows;
    known.damaged += checked.damage.len() as u64;
    let room = DAMAGE_MAX.saturating_sub(known.damage.len());
    known.damage.extend(checked.damage.into_iter().take(room));
}

async fn save(
    app: &App,
    id: &str,
    known: &ReconcileDetail,
    ended: Option<(OperationState, Option<String>)>,
) -> Result<(), AppError> {
    let _writing = app.writing.lock().await;
    let mut operation = app.operation(id).await?;
    let left: u64 = known.spans.iter().map(|span| span.end.saturating_sub(span.next)).sum();
    operation.progress.done = operation.progress.total.saturating_sub(left);
    operation.detail = serde_json::to_value(known).map_err(|error| StoreError::Corrupt(error.to_string()))?;
    let mut with = Vec::new();
    match ended {
        Some((state, error)) => with.push(app.operation_end(&mut operation, state, error)),
        None => operation.phase = OperationPhase::Working,
    }
    let message = match known.damaged {
        0 => format!("{} compared, no damage", counted(known.rows, "rows")),
        damaged => format!("{} compared, {damaged} damaged", counted(known.rows, "rows")),
    };
    app.operation_save(&mut operation, message, with).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_step_is_longer_than_a_second_at_its_rate_nor_than_what_is_left() {
        assert_eq!(records_of_step(1, 10_000), 1);
        assert_eq!(records_of_step(RATE_PER_S_DEFAULT, u64::MAX), STEP);
        assert_eq!(records_of_step(RATE_PER_S_DEFAULT, 7), 7);
    }
}
