//! Drives rollouts: drains a gateway, has the node restart, waits until its next life is well, and goes on; a few at a
//! time, and only while every other node of the role is well. It stops at the first failure. A pure rule, like that of
//! drains: what is recorded and what is reported give the next step.

use domain::{Survivors, counted};
use protocol::{
    admin::{NodeRole, Operation, OperationPhase, OperationState, RolloutDetail, RolloutNode, RolloutStep},
    node::DrainPhase,
};

use crate::{
    app::nodes::NodeView,
    store::{DesiredRecord, DrainRecord},
};

/// A node that is not back and well after this has failed: its supervisor gives up, or its next life cannot start.
const BACK_MS_MAX: u64 = 90_000;
/// A node that is back must be well for so long before the next one is begun.
const WELL_MS: u64 = 2_000;
/// A drain may take so much longer than its window.
const DRAIN_PATIENCE_MS: u64 = 30_000;
/// Most of the survivors' capacity that may be used (design, section 3).
const FULL_PERCENT: usize = 80;

/// What a pass changes.
pub(super) struct Rolled {
    pub(super) operation: Operation,
    pub(super) detail: RolloutDetail,
    pub(super) message: String,
    pub(super) desired: Vec<DesiredRecord>,
}

struct Pass<'a> {
    operation: &'a Operation,
    views: &'a [NodeView],
    now_ms: u64,
    messages: Vec<String>,
    desired: Vec<DesiredRecord>,
    failed: Option<String>,
}

/// One pass; `None` while there is nothing to do but wait.
pub(super) fn step(operation: &Operation, known: &RolloutDetail, views: &[NodeView], now_ms: u64) -> Option<Rolled> {
    let mut detail = known.clone();
    let mut next = operation.clone();
    let mut pass = Pass { operation, views, now_ms, messages: Vec::new(), desired: Vec::new(), failed: None };
    if operation.state == OperationState::Cancelling {
        pass.undo(&mut detail);
        next.state = OperationState::Cancelled;
        next.phase = OperationPhase::Cancelled;
    } else {
        pass.advance(&mut detail);
        if pass.failed.is_none() {
            pass.begin(&mut detail);
        }
        next.progress.done = detail.nodes.iter().filter(|node| node.step == RolloutStep::Done).count() as u64;
        if let Some(why) = pass.failed.take() {
            pass.undo(&mut detail);
            next.state = OperationState::Failed;
            next.phase = OperationPhase::Failed;
            next.error = Some(why.clone());
            pass.messages.push(why);
        } else if next.progress.done == next.progress.total {
            next.state = OperationState::Succeeded;
            next.phase = OperationPhase::Done;
            let are_all_known = detail.nodes.iter().all(|node| pass.view(&node.node).is_some());
            let which = if are_all_known { "every node" } else { "every node that is still known" };
            pass.messages.push(format!("{which} is back and well"));
        } else if !detail.is_paused {
            next.phase = OperationPhase::Working;
        }
    }
    let changed = detail != *known || next != *operation || !pass.desired.is_empty();
    changed.then(|| {
        let message = match pass.messages.is_empty() {
            true => detail.blocked.clone().unwrap_or_else(|| "goes on".to_owned()),
            false => pass.messages.join("; "),
        };
        Rolled { operation: next, detail, message, desired: pass.desired }
    })
}

impl Pass<'_> {
    fn view(&self, id: &str) -> Option<&NodeView> {
        self.views.iter().find(|view| view.record.id == id)
    }

    /// Nodes that are under way, and those that are none any more.
    fn advance(&mut self, detail: &mut RolloutDetail) {
        let deadline_ms = detail.deadline_ms;
        for node in &mut detail.nodes {
            match node.step {
                RolloutStep::Draining => self.drained(node, deadline_ms),
                RolloutStep::Restarting => self.back(node),
                RolloutStep::Waiting if self.view(&node.node).is_none() => self.skip(node),
                RolloutStep::Waiting | RolloutStep::Done | RolloutStep::Failed => {}
            }
        }
    }

    /// A node that was forgotten before its turn: there is nothing to restart.
    fn skip(&mut self, node: &mut RolloutNode) {
        node.step = RolloutStep::Done;
        node.since_ms = self.now_ms;
        self.messages.push(format!("{} is not known any more: it is skipped", node.node));
    }

    fn drained(&mut self, node: &mut RolloutNode, deadline_ms: u64) {
        let Some(view) = self.view(&node.node).cloned() else {
            return self.fail(node, format!("{} is not known any more: it was forgotten while it drained", node.node));
        };
        let ours = view.report.drain.as_ref().is_some_and(|drain| drain.operation == self.operation.id);
        let is_empty = matches!(view.phase(), DrainPhase::Drained | DrainPhase::Forced) && view.report.connections == 0;
        if let Some(reason) = view.refusal() {
            self.fail(node, format!("{} refused to drain: {reason}", node.node));
        } else if view.given_up {
            self.fail(node, format!("{} was lost while it drained", node.node));
        } else if ours && is_empty {
            self.messages.push(format!("{} is empty and restarts", node.node));
            self.restart(node, &view);
        } else if self.now_ms > node.since_ms + deadline_ms + DRAIN_PATIENCE_MS {
            let left = counted(view.report.connections, "connections");
            self.fail(node, format!("{} still has {left} long after its deadline", node.node));
        }
    }

    /// The old life is told to end; the drain ends with it.
    fn restart(&mut self, node: &mut RolloutNode, view: &NodeView) {
        node.step = RolloutStep::Restarting;
        node.since_ms = self.now_ms;
        node.incarnation = view.record.incarnation;
        let desired = view.desired.next(None);
        self.desired.push(DesiredRecord { restart_incarnation: view.record.incarnation, ..desired });
    }

    fn back(&mut self, node: &mut RolloutNode) {
        let Some(view) = self.view(&node.node).cloned() else {
            return self
                .fail(node, format!("{} is not known any more: it was forgotten while it restarted", node.node));
        };
        let waited_ms = self.now_ms.saturating_sub(node.since_ms);
        let is_back = !view.lost && view.record.incarnation > node.incarnation;
        if is_back && view.report.trouble.is_empty() && waited_ms >= WELL_MS {
            node.step = RolloutStep::Done;
            node.since_ms = self.now_ms;
            self.messages.push(format!("{} is back and well", node.node));
        } else if let Some(reason) = view.refusal().filter(|_| !is_back) {
            self.fail(node, format!("{} refused to restart: {reason}", node.node));
        } else if waited_ms > BACK_MS_MAX {
            let why = if is_back { view.report.trouble.as_str() } else { "it did not come back" };
            self.fail(node, format!("{} is not well after a restart: {why}", node.node));
        }
    }

    fn fail(&mut self, node: &mut RolloutNode, why: String) {
        node.step = RolloutStep::Failed;
        node.since_ms = self.now_ms;
        self.failed.get_or_insert(why);
    }

    /// Begins with the next ones, if nothing is in the way.
    fn begin(&mut self, detail: &mut RolloutDetail) {
        detail.blocked = None;
        loop {
            let under_way = |step| matches!(step, RolloutStep::Draining | RolloutStep::Restarting);
            let busy = detail.nodes.iter().filter(|node| under_way(node.step)).count();
            let Some(next) = detail.nodes.iter().position(|node| node.step == RolloutStep::Waiting) else { return };
            if detail.is_paused || busy >= detail.max_unavailable as usize {
                return;
            }
            let id = detail.nodes[next].node.clone();
            if let Some(why) = self.in_the_way(detail, &id) {
                detail.blocked = Some(why);
                return;
            }
            // One that is not known any more was skipped just now.
            let Some(view) = self.view(&id).cloned() else { return };
            let node = &mut detail.nodes[next];
            if detail.role == NodeRole::Worker {
                self.messages.push(format!("{id} restarts"));
                self.restart(node, &view);
                continue;
            }
            node.step = RolloutStep::Draining;
            node.since_ms = self.now_ms;
            self.messages.push(format!("{id} drains"));
            let needed = view.report.connections * 2_000 / detail.deadline_ms.max(1) + 1;
            let drain = DrainRecord {
                operation: self.operation.id.clone(),
                deadline_ms: detail.deadline_ms,
                rate_per_s: needed.clamp(100, 5_000) as u32,
            };
            self.desired.push(view.desired.next(Some(drain)));
        }
    }

    /// The health gate: why the node may not be taken away now, and whether that can clear by itself.
    fn in_the_way(&self, detail: &RolloutDetail, id: &str) -> Option<String> {
        let mut survivors = Survivors { gateways: 0, connections: 0, capacity: 0 };
        let me = self.view(id)?;
        for view in self.views.iter().filter(|view| view.record.role == detail.role && view.record.id != id) {
            let other = &view.record.id;
            let known = detail.nodes.iter().find(|node| node.node == *other);
            if known.is_some_and(|node| matches!(node.step, RolloutStep::Draining | RolloutStep::Restarting)) {
                let same_zone = view.record.zone == me.record.zone;
                if same_zone && detail.role == NodeRole::Gateway {
                    return Some(format!("{other} of the same zone is under way: one gateway of a zone at once"));
                }
                survivors.connections += view.report.connections as usize;
                continue;
            }
            if view.lost {
                return Some(format!(
                    "{other} is lost: nothing is restarted until it is back or forgotten, or the rollout is cancelled"
                ));
            }
            if !view.report.trouble.is_empty() {
                return Some(format!("{other} is not well ({}): it is waited for", view.report.trouble));
            }
            survivors.connections += view.report.connections as usize;
            if view.desired.drain.is_none() {
                survivors.gateways += 1;
                survivors.capacity += view.record.capacity as usize;
            }
        }
        if detail.role == NodeRole::Worker {
            return None;
        }
        let after = survivors.connections + me.report.connections as usize;
        if survivors.gateways == 0 {
            return Some("no other gateway would stay: it can only clear when one is added or undrained".to_owned());
        }
        let limit = survivors.capacity * FULL_PERCENT / 100;
        (after > limit).then(|| {
            format!("the others would have {}, over {FULL_PERCENT}% of {}: it clears when clients leave or a gateway is added", counted(after as u64, "connections"), survivors.capacity)
        })
    }

    /// Gateways that are draining for this rollout take clients again; a restart that was ordered goes on by itself.
    fn undo(&mut self, detail: &mut RolloutDetail) {
        for node in &mut detail.nodes {
            let Some(view) = self.views.iter().find(|view| view.record.id == node.node) else { continue };
            if view.desired.drain.as_ref().is_some_and(|drain| drain.operation == self.operation.id) {
                self.desired.push(view.desired.next(None));
                self.messages.push(format!("{} takes clients again", node.node));
                if node.step == RolloutStep::Draining {
                    node.step = RolloutStep::Waiting;
                }
            }
        }
        if self.messages.is_empty() {
            self.messages.push("nothing more is begun".to_owned());
        }
    }
}

#[cfg(test)]
mod tests;
