//! Scales the fleet: tells the provisioner how many nodes there shall be, waits until they are there, drains gateways
//! before they go; and does so by itself ahead of events and after them.

mod events;

use std::sync::Arc;

use domain::counted;
use protocol::admin::{NodeRole, Operation, OperationKind, OperationPhase, OperationState, PrescaleDetail};
use tokio::time::{Duration, timeout};
use tokio_util::sync::CancellationToken;

use crate::{
    app::App,
    error::AppError,
    store::{Change, DesiredRecord, DrainRecord, OperationFilter, StoreError},
};

/// Between two looks.
const LOOK: Duration = Duration::from_secs(1);
/// Nodes that are not there after this will not come.
const THERE_MS_MAX: u64 = 15 * 60_000;
/// Window and rate of the drain of a gateway that leaves.
const DRAIN_MS: u64 = 30_000;
const DRAIN_RATE_PER_S: u32 = 2_000;

/// What a node bears and costs, where that cannot be measured on a fleet at rest.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rates {
    /// Messages a second of a worker.
    pub messages_per_s: f64,
    /// Deliveries a second of a worker.
    pub deliveries_per_s: f64,
    /// Rows a second of a node of the message store.
    pub rows_per_s: f64,
    /// Where these three come from.
    pub source: &'static str,
    /// Until a new gateway takes clients, ms.
    pub gateway_lead_ms: u64,
    /// Until a new worker has its partitions, ms.
    pub worker_lead_ms: u64,
    /// Until a new node of the message store has its data, ms.
    pub store_lead_ms: u64,
    /// Price of a gateway an hour.
    pub gateway_price_per_h: f64,
    /// Price of a worker an hour.
    pub worker_price_per_h: f64,
    /// Price of a store node an hour.
    pub store_price_per_h: f64,
}

impl Default for Rates {
    /// What was measured on two cores with everything on them (docs/performance.md): a floor, not a promise.
    fn default() -> Self {
        Self {
            messages_per_s: 8_000.0,
            deliveries_per_s: 80_000.0,
            rows_per_s: 20_000.0,
            source: "assumed: docs/performance.md, two cores; set capacity.* to your own",
            gateway_lead_ms: 30_000,
            worker_lead_ms: 30_000,
            store_lead_ms: 30 * 60_000,
            gateway_price_per_h: 0.0,
            worker_price_per_h: 0.0,
            store_price_per_h: 0.0,
        }
    }
}

/// Scales until `stop`.
pub(crate) async fn run(app: Arc<App>, stop: CancellationToken) {
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            _ = timeout(LOOK, app.scaling.notified()) => {}
        }
        let passed = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            passed = pass(&app) => passed,
        };
        if let Err(error) = passed {
            tracing::warn!(%error, "the fleet cannot be scaled now");
        }
    }
}

async fn pass(app: &App) -> Result<(), AppError> {
    events::pass(app).await?;
    if app.autoscale.nodes_max > 0 {
        app.autoscale().await?;
    }
    let active = app.store.operations(OperationFilter::Active, u64::MAX, usize::MAX).await?;
    for operation in active.into_iter().filter(|it| it.kind == OperationKind::Prescale) {
        step(app, &operation.id).await?;
    }
    Ok(())
}

fn prescale_detail(operation: &Operation) -> Result<PrescaleDetail, AppError> {
    let detail = serde_json::from_value(operation.detail.clone());
    Ok(detail.map_err(|error| StoreError::Corrupt(format!("{}: {error}", operation.id)))?)
}

async fn step(app: &App, id: &str) -> Result<(), AppError> {
    let operation = app.operation(id).await?;
    let mut detail = prescale_detail(&operation)?;
    if operation.state == OperationState::Cancelling {
        let message = match detail.is_down {
            false => "cancelled: what was added stays until `prescale revert`".to_owned(),
            true => "cancelled: what was drained stays so until `gateway undrain` or `prescale revert`".to_owned(),
        };
        return save(app, &operation, &detail, message, Some((OperationState::Cancelled, None))).await;
    }
    let late = app.clock.now_ms() > operation.created_ms + THERE_MS_MAX;
    if !detail.leaving.is_empty() && !empty_leaving(app, &operation, &detail, late).await? {
        return Ok(());
    }
    if !detail.is_told {
        if let Err(why) = app.provisioner.tell(&detail).await {
            let why = format!("the provisioner does not take it: {why}");
            return save(app, &operation, &detail, why.clone(), Some((OperationState::Failed, Some(why)))).await;
        }
        detail.is_told = true;
        let message = format!("the provisioner ({}) is told", app.provisioner.name());
        return save(app, &operation, &detail, message, None).await;
    }
    let views = app.nodes.views();
    let live = |role| views.iter().filter(|view| view.record.role == role && !view.lost).count() as u64;
    let (gateways, workers) = (live(NodeRole::Gateway), live(NodeRole::Worker));
    let target = detail.target;
    let is_there = if detail.is_down {
        gateways <= target.gateways && workers <= target.workers
    } else {
        gateways >= target.gateways && workers >= target.workers
    };
    let mut message = format!("{} and {} are live", counted(gateways, "gateways"), counted(workers, "workers"));
    if target.store_nodes > detail.before.store_nodes {
        message += &format!(
            "; {} in all asked for: a new one comes when it has its data",
            counted(target.store_nodes, "store nodes")
        );
    }
    if is_there {
        // What another operation waits for is forgotten once that has ended; each of them gives up on a lost node soon.
        if !app.nodes_forget(&detail.leaving).await? && !late {
            return Ok(());
        }
        return save(app, &operation, &detail, message, Some((OperationState::Succeeded, None))).await;
    }
    if late {
        let why = format!("the nodes did not come or go within 15 min: {message}");
        return save(app, &operation, &detail, why.clone(), Some((OperationState::Failed, Some(why)))).await;
    }
    Ok(())
}

/// Drains the gateways that are to go. True once none of them holds a connection.
async fn empty_leaving(
    app: &App,
    operation: &Operation,
    detail: &PrescaleDetail,
    late: bool,
) -> Result<bool, AppError> {
    // Held from the look at what each shall do to its change: an override that is set meanwhile is not undone.
    let _writing = app.writing.lock().await;
    let views = app.nodes.views();
    let mut desired = Vec::new();
    let mut left = Vec::new();
    for id in &detail.leaving {
        let Some(view) = views.iter().find(|view| view.record.id == *id) else { continue };
        if view.lost || view.record.role != NodeRole::Gateway {
            continue;
        }
        if view.desired.drain.is_none() {
            let operation = operation.id.clone();
            let drain = DrainRecord { operation, deadline_ms: DRAIN_MS, rate_per_s: DRAIN_RATE_PER_S };
            desired.push(view.desired.next(Some(drain)));
        }
        if view.desired.drain.is_none() || view.report.connections > 0 || !view.is_settled() {
            left.push(id.as_str());
        }
    }
    let left = left.join(", ");
    if left.is_empty() {
        return Ok(true);
    }
    if late {
        let why = format!("{left} did not become empty");
        let failed = Some((OperationState::Failed, Some(why.clone())));
        save_held(app, operation, detail, why, failed, desired).await?;
    } else if !desired.is_empty() {
        save_held(app, operation, detail, format!("{left} are drained"), None, desired).await?;
    }
    Ok(false)
}

async fn save(
    app: &App,
    known: &Operation,
    detail: &PrescaleDetail,
    message: String,
    ended: Option<(OperationState, Option<String>)>,
) -> Result<(), AppError> {
    let _writing = app.writing.lock().await;
    save_held(app, known, detail, message, ended, Vec::new()).await
}

/// To be called by whoever holds `app.writing`.
async fn save_held(
    app: &App,
    known: &Operation,
    detail: &PrescaleDetail,
    message: String,
    ended: Option<(OperationState, Option<String>)>,
    desired: Vec<DesiredRecord>,
) -> Result<(), AppError> {
    let mut operation = app.operation(&known.id).await?;
    operation.detail = serde_json::to_value(detail).map_err(|error| StoreError::Corrupt(error.to_string()))?;
    let mut with: Vec<Change> = desired.into_iter().map(Change::Desired).collect();
    match ended {
        Some((state, error)) => {
            if state == OperationState::Succeeded {
                operation.progress.done = operation.progress.total;
                if detail.is_down {
                    with.extend(app.prescale_is_back().await?);
                }
            }
            with.push(app.operation_end(&mut operation, state, error));
        }
        None => operation.phase = OperationPhase::Working,
    }
    app.operation_save(&mut operation, message, with).await
}
