//! Reconcilers: one file a job. Each pass looks at what is recorded and what is reported, and takes the next step; it
//! may be repeated, interrupted or run by the next control plane without harm. Passes run by timer and by nudge.

mod gateway_drain;
mod overrides;
mod rollout;
mod windows;

use std::sync::Arc;

use protocol::admin::{Operation, OperationKind, OperationState};
use tokio::time::{Duration, timeout};
use tokio_util::sync::CancellationToken;

use crate::{
    app::{App, rollouts::rollout_detail},
    error::AppError,
    store::{Change, OperationFilter, StoreError},
};

/// Time between two passes without a nudge.
const PASS_INTERVAL: Duration = Duration::from_millis(500);
/// Operations looked at in one pass.
const OPERATIONS_MAX: usize = 1_000;

/// Runs passes until `stop`.
pub(crate) async fn run(app: Arc<App>, stop: CancellationToken) {
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            // Either the nudge or the timer: both lead to a pass.
            _ = timeout(PASS_INTERVAL, app.nudge.notified()) => {}
        }
        if let Err(error) = pass(&app).await {
            tracing::warn!(%error, "reconciler: this pass failed, the next one tries again");
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = tokio::time::sleep(PASS_INTERVAL) => {}
            }
        }
    }
}

async fn pass(app: &App) -> Result<(), AppError> {
    // Before operations: a state that was refused for an override is no refusal of a drain.
    overrides::pass(app).await?;
    // One that fails does not hold up the others.
    let mut failed = windows::pass(app).await.err();
    let active = app.store.operations(OperationFilter::Active, u64::MAX, OPERATIONS_MAX).await?;
    for operation in active {
        match step(app, &operation).await {
            Ok(()) => {}
            Err(AppError::Store(StoreError::Superseded(id))) => {
                tracing::warn!(operation = %id, "driven by another control plane");
            }
            Err(error) => failed = Some(error),
        }
    }
    failed.map_or(Ok(()), Err)
}

/// Takes operations over from the control plane before this one.
pub(crate) async fn take_over(app: &App) -> Result<(), AppError> {
    let _writing = app.writing.lock().await;
    for mut operation in app.store.operations(OperationFilter::Active, u64::MAX, OPERATIONS_MAX).await? {
        operation.epoch += 1;
        app.operation_save(&mut operation, "taken over after a restart of the control plane".to_owned(), Vec::new())
            .await?;
    }
    Ok(())
}

/// One step of one operation.
async fn step(app: &App, listed: &Operation) -> Result<(), AppError> {
    let _writing = app.writing.lock().await;
    // Read again under the lock: it may have been cancelled since.
    let mut operation = app.operation(&listed.id).await?;
    if operation.state.is_final() {
        return Ok(());
    }
    match operation.kind {
        OperationKind::Drain | OperationKind::Undrain => drain(app, &mut operation).await,
        OperationKind::Rollout => roll(app, &operation).await,
        // They have drivers of their own.
        OperationKind::Reconcile | OperationKind::Prescale | OperationKind::Runbook => Ok(()),
    }
}

async fn roll(app: &App, operation: &Operation) -> Result<(), AppError> {
    let (detail, views) = (rollout_detail(operation)?, app.nodes.views());
    let Some(rolled) = rollout::step(operation, &detail, &views, app.clock.now_ms()) else { return Ok(()) };
    let mut next = rolled.operation;
    next.detail = serde_json::to_value(&rolled.detail).map_err(|error| StoreError::Corrupt(error.to_string()))?;
    let mut with: Vec<Change> = rolled.desired.into_iter().map(Change::Desired).collect();
    if next.state.is_final() {
        with.push(app.audit_ended(operation, next.phase, next.error.as_deref()));
    }
    app.operation_save(&mut next, rolled.message, with).await
}

/// One step of a drain or an undrain.
async fn drain(app: &App, operation: &mut Operation) -> Result<(), AppError> {
    let Some(view) = app.nodes.view(&operation.target) else {
        // It was forgotten, or the store is one from before it came: there is nothing to wait for, nor to undo.
        let why = format!("{} is not known any more", operation.target);
        let audit = app.operation_end(operation, OperationState::Failed, Some(why.clone()));
        return app.operation_save(operation, why, vec![audit]).await;
    };
    let Some(step) = gateway_drain::step(operation, &view, app.clock.now_ms()) else { return Ok(()) };
    let mut with: Vec<Change> = Vec::new();
    with.extend(step.desired.map(|drain| Change::Desired(view.desired.next(drain))));
    if step.state.is_final() {
        with.push(app.audit_ended(operation, step.phase, step.error.as_deref()));
    }
    operation.phase = step.phase;
    operation.state = step.state;
    operation.progress = step.progress;
    operation.error = step.error;
    app.operation_save(operation, step.message, with).await
}
