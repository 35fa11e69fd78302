//! Forgetting nodes that are gone for good: scaled away, or never to be started again under their names.

use protocol::admin::{Node, Operation, OperationKind, RolloutStep};

use super::{Actor, App, audit::Deed, check_reason, rollouts::rollout_detail};
use crate::{
    error::AppError,
    store::{Change, OperationFilter},
};

impl App {
    /// Forgets a node, and what was ordered of it. One that is heard is not forgotten.
    pub async fn node_forget(&self, actor: &Actor, id: &str, reason: &str) -> Result<Node, AppError> {
        let deed = Deed { action: "node forget", target: id, reason };
        let result = self.forget(actor, id, &deed).await;
        self.audited(actor, &deed, result).await
    }

    async fn forget(&self, actor: &Actor, id: &str, deed: &Deed<'_>) -> Result<Node, AppError> {
        check_reason(deed.reason)?;
        let _writing = self.writing.lock().await;
        let view = self.nodes.view(id).ok_or_else(|| AppError::not_found("node", id))?;
        if !view.lost {
            return Err(AppError::Conflict {
                what: format!("node {id} is heard: only what is gone for good is forgotten"),
                hint: "stop it, and forget it 3 s later".to_owned(),
            });
        }
        let active = self.store.operations(OperationFilter::Active, u64::MAX, usize::MAX).await?;
        if let Some(running) = active.into_iter().find(|it| counts_on(it, id)) {
            return Err(AppError::Busy { target: id.to_owned(), kind: running.kind, operation: running.id });
        }
        let audit = self.audit_done(actor, deed, "lost", "forgotten");
        self.store.commit(vec![Change::ForgetNode(id.to_owned()), audit]).await?;
        self.nodes.forget(&[id.to_owned()]);
        Ok(view.to_node())
    }

    /// Forgets the nodes that an operation took away, those of them that are not heard any more. False while others
    /// count on some of them: these are forgotten by a later call.
    pub(crate) async fn nodes_forget(&self, ids: &[String]) -> Result<bool, AppError> {
        let _writing = self.writing.lock().await;
        let is_lost = |id: &&String| self.nodes.view(id).is_some_and(|view| view.lost);
        let lost: Vec<String> = ids.iter().filter(is_lost).cloned().collect();
        if lost.is_empty() {
            return Ok(true);
        }
        let active = self.store.operations(OperationFilter::Active, u64::MAX, usize::MAX).await?;
        let is_needed = |id: &String| active.iter().any(|it| counts_on(it, id));
        let (needed, gone): (Vec<String>, Vec<String>) = lost.into_iter().partition(is_needed);
        if !gone.is_empty() {
            self.store.commit(gone.iter().cloned().map(Change::ForgetNode).collect()).await?;
            self.nodes.forget(&gone);
        }
        Ok(needed.is_empty())
    }
}

/// An operation that waits for this node: it is the target, or a rollout has it under way. One that a rollout has not
/// begun with may go: it is skipped then, and while it is lost and known nothing else is begun.
fn counts_on(operation: &Operation, id: &str) -> bool {
    if operation.kind != OperationKind::Rollout {
        return operation.target == id;
    }
    // One that cannot be read may have any node under way.
    let Ok(detail) = rollout_detail(operation) else { return true };
    let under_way = |step| matches!(step, RolloutStep::Draining | RolloutStep::Restarting);
    detail.nodes.iter().any(|node| node.node == id && under_way(node.step))
}
