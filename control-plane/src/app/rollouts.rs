//! Rollouts: beginning, pausing and resuming them. The reconciler drives them; cancelling is that of operations.

use domain::counted;
use protocol::admin::{
    Changed, NodeRole, Operation, OperationKind, OperationPhase, OperationState, RolloutDetail, RolloutNode,
    RolloutRequest, RolloutStep,
};

use super::{Actor, App, audit::Deed, check_reason, overrides::FLEET};
use crate::{
    error::AppError,
    store::{OperationFilter, StoreError},
};

/// A gateway's drain when no window is asked for.
const DEADLINE_MS_DEFAULT: u64 = 30_000;
const DEADLINE_MS: std::ops::RangeInclusive<u64> = 1_000..=3_600_000;

impl App {
    /// Begins to restart nodes, a few at a time. With `dry_run` it only says in which order.
    pub async fn rollout(&self, actor: &Actor, request: &RolloutRequest) -> Result<Operation, AppError> {
        let target = format!("{}s", request.role);
        let deed = Deed { action: "rollout restart", target: &target, reason: &request.reason };
        let result = self.rollout_begin(actor, request, &deed).await;
        self.audited(actor, &deed, result).await
    }

    /// Pauses a rollout (what is begun is finished), or resumes it.
    pub async fn rollout_pause(
        &self,
        actor: &Actor,
        id: &str,
        is_paused: bool,
        reason: &str,
    ) -> Result<Changed<Operation>, AppError> {
        let action = if is_paused { "operation pause" } else { "operation resume" };
        let deed = Deed { action, target: id, reason };
        let result = self.pause(actor, id, is_paused, &deed).await;
        self.audited(actor, &deed, result).await
    }

    async fn rollout_begin(
        &self,
        actor: &Actor,
        request: &RolloutRequest,
        deed: &Deed<'_>,
    ) -> Result<Operation, AppError> {
        check_reason(&request.reason)?;
        let deadline_ms = request.deadline_ms.unwrap_or(DEADLINE_MS_DEFAULT);
        if !DEADLINE_MS.contains(&deadline_ms) {
            return Err(AppError::invalid("deadline_ms", format!("is {deadline_ms}, must be 1,000 ms to 1 h")));
        }
        let max_unavailable = request.max_unavailable.unwrap_or(1);
        if max_unavailable == 0 {
            return Err(AppError::invalid("max_unavailable", "must be 1 or more: else nothing could be restarted"));
        }
        let _writing = self.writing.lock().await;
        let views = self.nodes.views();
        let nodes: Vec<_> = views.iter().filter(|view| view.record.role == request.role).collect();
        if let Some(lost) = nodes.iter().find(|view| view.lost) {
            return Err(AppError::Conflict {
                what: format!("{} is lost: a rollout begins with every node heard", lost.record.id),
                hint: format!(
                    "bring it back first, or, if it is gone for good: chatctl node forget {}",
                    lost.record.id
                ),
            });
        }
        if nodes.is_empty() {
            return Err(AppError::Conflict {
                what: format!("there is no {} to restart", request.role),
                hint: "chatctl node list shows all nodes".to_owned(),
            });
        }
        if request.role == NodeRole::Gateway && nodes.len() < 2 {
            return Err(AppError::Conflict {
                what: "there is one gateway only: its clients would have nowhere to go".to_owned(),
                hint: "add a gateway first".to_owned(),
            });
        }
        let active = self.store.operations(OperationFilter::Active, u64::MAX, usize::MAX).await?;
        if let Some(running) = active.iter().find(|it| it.kind == OperationKind::Rollout) {
            return Err(AppError::Busy { target: FLEET.to_owned(), kind: running.kind, operation: running.id.clone() });
        }
        let now_ms = self.clock.now_ms();
        let detail = RolloutDetail {
            role: request.role,
            max_unavailable,
            deadline_ms,
            is_paused: false,
            blocked: None,
            nodes: nodes
                .iter()
                .map(|view| RolloutNode {
                    node: view.record.id.clone(),
                    step: RolloutStep::Waiting,
                    incarnation: view.record.incarnation,
                    since_ms: now_ms,
                })
                .collect(),
        };
        let detail = serde_json::to_value(&detail).map_err(|error| StoreError::Corrupt(error.to_string()))?;
        let mut operation = self.operation_new(actor, OperationKind::Rollout, FLEET, &request.reason, detail).await?;
        operation.progress.total = nodes.len() as u64;
        if request.dry_run {
            return Ok(operation);
        }
        let audit = self.audit_done(actor, deed, "", &format!("operation {}", operation.id));
        let target = format!("{}s", request.role);
        let message = format!("rollout of {}, {max_unavailable} at once", counted(nodes.len() as u64, &target));
        self.operation_save(&mut operation, message, vec![audit]).await?;
        self.nudge.notify_one();
        Ok(operation)
    }

    async fn pause(
        &self,
        actor: &Actor,
        id: &str,
        is_paused: bool,
        deed: &Deed<'_>,
    ) -> Result<Changed<Operation>, AppError> {
        check_reason(deed.reason)?;
        let _writing = self.writing.lock().await;
        let mut operation = self.operation(id).await?;
        if operation.kind != OperationKind::Rollout || operation.state != OperationState::Running {
            return Err(AppError::Conflict {
                what: format!(
                    "operation {id} is a {} and {}: only a running rollout is paused",
                    operation.kind, operation.state
                ),
                hint: format!("see chatctl operation show {id}"),
            });
        }
        let mut detail = rollout_detail(&operation)?;
        let before = if detail.is_paused { "paused" } else { "running" };
        if detail.is_paused == is_paused {
            let is = if is_paused { "is paused already" } else { "is not paused" };
            return self
                .unchanged(actor, deed, &operation, before, format!("operation {id} {is}: nothing to do"))
                .await;
        }
        detail.is_paused = is_paused;
        operation.phase = if is_paused { OperationPhase::Paused } else { OperationPhase::Working };
        operation.detail = serde_json::to_value(&detail).map_err(|error| StoreError::Corrupt(error.to_string()))?;
        let after = if is_paused { "paused" } else { "running" };
        let audit = self.audit_done(actor, deed, before, after);
        self.operation_save(&mut operation, format!("{after} by {}", actor.name), vec![audit]).await?;
        self.nudge.notify_one();
        Ok(Changed::done(operation))
    }
}

/// The detail of a rollout.
pub(crate) fn rollout_detail(operation: &Operation) -> Result<RolloutDetail, AppError> {
    let detail = serde_json::from_value(operation.detail.clone());
    Ok(detail.map_err(|error| StoreError::Corrupt(format!("{}: {error}", operation.id)))?)
}
