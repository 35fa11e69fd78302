//! Operations: whatever takes longer than a call. Watching one is separate from running it.

use protocol::admin::{
    Changed, DrainOrdered, Operation, OperationEvent, OperationKind, OperationPhase, OperationState, Page, Progress,
};
use tokio::{
    sync::{OwnedSemaphorePermit, watch},
    time::{Duration, timeout},
};

use super::{Actor, App, audit::Deed, check_limit, check_reason};
use crate::{
    error::AppError,
    store::{Change, DesiredRecord, OperationFilter},
};

/// Events given to a watcher at once.
const EVENTS_BATCH: usize = 100;
/// A watcher that nobody woke looks again after this.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// Which operations to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OperationQuery {
    /// Only those in this state.
    pub state: Option<OperationState>,
    /// Only those with a lower number.
    pub before: Option<u64>,
    /// At most this many, 1-500; default 100.
    pub limit: Option<usize>,
}

/// A place in an operation's events.
pub(crate) struct Watcher {
    operation: String,
    after: u64,
    changed: watch::Receiver<u64>,
    _permit: OwnedSemaphorePermit,
}

impl App {
    /// Newest first.
    pub async fn operations(&self, query: &OperationQuery) -> Result<Page<Operation>, AppError> {
        let limit = check_limit(query.limit)?;
        let filter = query.state.map_or(OperationFilter::All, OperationFilter::In);
        let items = self.store.operations(filter, query.before.unwrap_or(u64::MAX), limit).await?;
        let next = items.last().filter(|last| items.len() == limit && last.number > 1).map(|last| last.number);
        Ok(Page { items, next })
    }

    /// One operation.
    pub async fn operation(&self, id: &str) -> Result<Operation, AppError> {
        self.store.operation(id).await?.ok_or_else(|| AppError::not_found("operation", id))
    }

    /// Cancels an operation: it undoes what it did, then ends. Cancelling twice is one cancel.
    pub async fn cancel(&self, actor: &Actor, id: &str, reason: &str) -> Result<Changed<Operation>, AppError> {
        let deed = Deed { action: "operation cancel", target: id, reason };
        let result = self.cancel_begin(actor, id, &deed).await;
        self.audited(actor, &deed, result).await
    }

    async fn cancel_begin(&self, actor: &Actor, id: &str, deed: &Deed<'_>) -> Result<Changed<Operation>, AppError> {
        check_reason(deed.reason)?;
        let _writing = self.writing.lock().await;
        let mut operation = self.operation(id).await?;
        match (operation.state, operation.kind) {
            (state @ (OperationState::Cancelling | OperationState::Cancelled), _) => {
                let is = if state == OperationState::Cancelled { "is cancelled" } else { "is being cancelled" };
                let why = format!("operation {id} {is} already: nothing to do");
                return self.unchanged(actor, deed, &operation, state.as_str(), why).await;
            }
            (OperationState::Running, OperationKind::Undrain) => {
                return Err(AppError::Conflict {
                    what: format!("operation {id} is an undrain: it takes moments and cannot be cancelled"),
                    hint: format!("drain the gateway again: chatctl gateway drain {}", operation.target),
                });
            }
            (OperationState::Running, _) => {}
            (ended, _) => {
                return Err(AppError::Conflict {
                    what: format!("operation {id} has ended: {ended}"),
                    hint: format!("see chatctl operation show {id}"),
                });
            }
        }
        let before = operation.state;
        operation.state = OperationState::Cancelling;
        let audit = self.audit_done(actor, deed, before.as_str(), operation.state.as_str());
        self.operation_save(&mut operation, format!("cancelled by {}", actor.name), vec![audit]).await?;
        self.nudge.notify_one();
        self.runs.notify_one();
        Ok(Changed::done(operation))
    }

    /// Records an operation that ends as it begins, for it finds nothing to do: whoever waits for one has one to wait
    /// for. The caller holds `writing`.
    pub(super) async fn operation_of_nothing(
        &self,
        actor: &Actor,
        mut operation: Operation,
        state: &str,
        why: String,
        deed: &Deed<'_>,
    ) -> Result<Changed<Operation>, AppError> {
        let asked = self.audit_done(actor, deed, state, &format!("operation {}", operation.id));
        let ended = self.operation_end(&mut operation, OperationState::Succeeded, None);
        self.operation_save(&mut operation, why.clone(), vec![asked, ended]).await?;
        Ok(Changed::already(operation, why))
    }

    /// Records a new operation; the reconciler does the rest. The caller holds `writing`.
    pub(super) async fn operation_create(
        &self,
        actor: &Actor,
        kind: OperationKind,
        drain: Option<DrainOrdered>,
        connections: u64,
        deed: &Deed<'_>,
    ) -> Result<Operation, AppError> {
        let mut operation = self.operation_new(actor, kind, deed.target, deed.reason, serde_json::Value::Null).await?;
        operation.progress = Progress { connections_at_start: connections, connections, ..Progress::default() };
        operation.drain = drain;
        let before = if kind == OperationKind::Drain { "active" } else { "drained" };
        let audit = self.audit_done(actor, deed, before, &format!("operation {}", operation.id));
        self.operation_save(&mut operation, format!("{kind} of {} ordered", deed.target), vec![audit]).await?;
        self.nudge.notify_one();
        Ok(operation)
    }

    /// A new operation, not recorded yet. The caller holds `writing`.
    pub(super) async fn operation_new(
        &self,
        actor: &Actor,
        kind: OperationKind,
        target: &str,
        reason: &str,
        detail: serde_json::Value,
    ) -> Result<Operation, AppError> {
        let number = self.store.operations_head().await? + 1;
        let now_ms = self.clock.now_ms();
        Ok(Operation {
            id: format!("op-{number}-{:04x}", self.random_tail()),
            number,
            epoch: 1,
            revision: 0,
            kind,
            target: target.to_owned(),
            state: OperationState::Running,
            phase: OperationPhase::Ordered,
            progress: Progress::default(),
            drain: None,
            detail,
            reason: reason.to_owned(),
            who: actor.name.clone(),
            created_ms: now_ms,
            updated_ms: now_ms,
            ended_ms: None,
            error: None,
        })
    }

    /// Ends an operation; the line for the audit is saved with it.
    pub(crate) fn operation_end(
        &self,
        operation: &mut Operation,
        state: OperationState,
        error: Option<String>,
    ) -> Change {
        let phase = match state {
            OperationState::Succeeded => OperationPhase::Done,
            OperationState::Cancelled => OperationPhase::Cancelled,
            _ => OperationPhase::Failed,
        };
        let audit = self.audit_ended(operation, phase, error.as_deref());
        operation.state = state;
        operation.phase = phase;
        operation.error = error;
        audit
    }

    /// Commits a changed operation with its event and whatever belongs to it, and wakes the watchers. The caller
    /// holds `writing`.
    pub(crate) async fn operation_save(
        &self,
        operation: &mut Operation,
        message: String,
        mut with: Vec<Change>,
    ) -> Result<(), AppError> {
        operation.revision += 1;
        operation.updated_ms = self.clock.now_ms();
        if operation.state.is_final() {
            operation.ended_ms = Some(operation.updated_ms);
        }
        let event = OperationEvent {
            operation: operation.id.clone(),
            sequence: operation.revision,
            at_ms: operation.updated_ms,
            state: operation.state,
            phase: operation.phase,
            progress: operation.progress,
            message,
        };
        tracing::info!(operation = %operation.id, state = %event.state, phase = %event.phase, "{}", event.message);
        with.push(Change::Operation(Box::new(operation.clone())));
        with.push(Change::Event(event));
        let desired: Vec<DesiredRecord> = with.iter().filter_map(desired_of).cloned().collect();
        self.store.commit(with).await?;
        desired.into_iter().for_each(|desired| self.nodes.desire(desired));
        self.changed.send_modify(|changes| *changes += 1);
        Ok(())
    }

    /// Starts to watch an operation, from after one of its events.
    pub(crate) async fn watch(&self, id: &str, after: u64) -> Result<Watcher, AppError> {
        let permit = self.watchers.clone().try_acquire_owned().map_err(|_| AppError::TooMany("watchers"))?;
        let changed = self.changed.subscribe();
        self.operation(id).await?;
        Ok(Watcher { operation: id.to_owned(), after, changed, _permit: permit })
    }

    /// The next events of a watched operation; empty when it has ended and all were given.
    pub(crate) async fn watch_next(&self, watcher: &mut Watcher) -> Result<Vec<OperationEvent>, AppError> {
        loop {
            watcher.changed.borrow_and_update();
            // The operation is read first: events of its end are then surely in the list.
            let ended = self.operation(&watcher.operation).await?.state.is_final();
            let events = self.store.events(&watcher.operation, watcher.after, EVENTS_BATCH).await?;
            if let Some(last) = events.last() {
                watcher.after = last.sequence;
                return Ok(events);
            }
            if ended {
                return Ok(Vec::new());
            }
            // A change by another control plane over the same store wakes nobody here: look again after a while.
            let _ = timeout(LOOK_AGAIN, watcher.changed.changed()).await;
        }
    }
}

fn desired_of(change: &Change) -> Option<&DesiredRecord> {
    match change {
        Change::Desired(desired) => Some(desired),
        _ => None,
    }
}
