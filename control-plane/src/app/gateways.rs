//! Gateways: looking at them, draining them, putting them back.

use domain::{DrainPlan, DrainRefusal, Survivors, drain_guard};
use protocol::{
    admin::{
        Changed, DrainOrdered, DrainPreview, DrainRequest, Gateway, GatewayPhase, NodeRole, NodeStatus, Operation,
        OperationKind, OperationState,
    },
    node::DrainPhase,
};

use super::{Actor, App, audit::Deed, check_reason, nodes::NodeView};
use crate::{error::AppError, store::OperationFilter};

/// A drain's window when none is asked for.
const DEADLINE_MS_DEFAULT: u64 = 30_000;
/// Longest window.
const DEADLINE_MS_MAX: u64 = 24 * 3_600_000;
/// Bounds of the rate when none is asked for.
const RATE_DEFAULT: std::ops::RangeInclusive<u64> = 100..=5_000;

fn to_gateway(view: &NodeView) -> Gateway {
    let phase = match view.phase() {
        DrainPhase::Active | DrainPhase::Cancelled => GatewayPhase::Active,
        DrainPhase::Draining => GatewayPhase::Draining,
        DrainPhase::Evicting => GatewayPhase::Evicting,
        DrainPhase::Drained => GatewayPhase::Drained,
        DrainPhase::Forced => GatewayPhase::Forced,
    };
    Gateway {
        id: view.record.id.clone(),
        status: if view.lost { NodeStatus::Lost } else { NodeStatus::Live },
        phase,
        operation: view.desired.drain.as_ref().map(|drain| drain.operation.clone()),
        connections: view.report.connections,
        capacity: view.record.capacity,
        users: view.report.users,
        zone: view.record.zone.clone(),
        client_url: view.record.client_url.clone(),
        http_url: view.record.http_url.clone(),
        trouble: view.report.trouble.clone(),
        accepted_total: view.report.accepted_total,
        delivered_total: view.report.delivered_total,
        refused_total: view.report.refused_total,
        slow_consumers_total: view.report.slow_consumers_total,
    }
}

impl App {
    /// All gateways, by name.
    pub fn gateways(&self) -> Vec<Gateway> {
        let views = self.nodes.views();
        views.iter().filter(|view| view.record.role == NodeRole::Gateway).map(to_gateway).collect()
    }

    /// One gateway.
    pub fn gateway(&self, id: &str) -> Result<Gateway, AppError> {
        self.gateway_view(id).map(|view| to_gateway(&view))
    }

    /// What a drain would do, and whether it would be refused.
    pub async fn drain_preview(&self, id: &str, request: &DrainRequest) -> Result<DrainPreview, AppError> {
        let view = self.gateway_view(id)?;
        let (plan, survivors) = self.plan(&view, &self.active().await?, request)?;
        let refused = drain_guard(&plan, survivors).err().filter(|refusal| !overridden(refusal, request));
        Ok(DrainPreview {
            gateway: id.to_owned(),
            connections: plan.connections as u64,
            drain: ordered(&plan, request),
            survivors: survivors.gateways as u64,
            survivors_connections: (survivors.connections + plan.connections) as u64,
            survivors_capacity: survivors.capacity as u64,
            refused: refused.map(|refusal| refusal.to_string()),
        })
    }

    /// Begins to drain a gateway. One that drains or is drained stays with the operation that does or did that.
    pub async fn drain(&self, actor: &Actor, id: &str, request: &DrainRequest) -> Result<Changed<Operation>, AppError> {
        let deed = Deed { action: "gateway drain", target: id, reason: &request.reason };
        let result = self.drain_begin(actor, id, request, &deed).await;
        self.audited(actor, &deed, result).await
    }

    /// Puts a drained gateway back into service.
    pub async fn undrain(&self, actor: &Actor, id: &str, reason: &str) -> Result<Changed<Operation>, AppError> {
        let deed = Deed { action: "gateway undrain", target: id, reason };
        let result = self.undrain_begin(actor, id, &deed).await;
        self.audited(actor, &deed, result).await
    }

    async fn drain_begin(
        &self,
        actor: &Actor,
        id: &str,
        request: &DrainRequest,
        deed: &Deed<'_>,
    ) -> Result<Changed<Operation>, AppError> {
        check_reason(&request.reason)?;
        let _writing = self.writing.lock().await;
        let view = self.gateway_view(id)?;
        let active = self.active().await?;
        let (plan, survivors) = self.plan(&view, &active, request)?;
        if view.lost {
            return Err(AppError::Conflict {
                what: format!("gateway {id} is lost: nobody can tell it to drain"),
                hint: "its clients reconnect elsewhere by themselves; start it again or leave it".to_owned(),
            });
        }
        if let Some(drain) = running(&active, OperationKind::Drain, id) {
            let why = format!("gateway {id} is draining already, by {}: nothing to do", drain.id);
            return self.unchanged(actor, deed, drain, "draining", why).await;
        }
        check_idle(id, &active)?;
        if let Some(drain) = &view.desired.drain {
            return self.drained(actor, id, &drain.operation, deed).await;
        }
        self.check_zone(&view, &active, request)?;
        if let Err(refusal) = drain_guard(&plan, survivors)
            && !overridden(&refusal, request)
        {
            return Err(match refusal {
                DrainRefusal::DeadlineTooShort(_) => AppError::invalid("deadline_ms", refusal.to_string()),
                refusal => AppError::DrainRefused { gateway: id.to_owned(), refusal },
            });
        }
        let drain = Some(ordered(&plan, request));
        self.operation_create(actor, OperationKind::Drain, drain, plan.connections as u64, deed)
            .await
            .map(Changed::done)
    }

    /// A gateway is drained: nothing to do, unless it was emptied for something else, as a restart, and will not stay so.
    async fn drained(
        &self,
        actor: &Actor,
        id: &str,
        by: &str,
        deed: &Deed<'_>,
    ) -> Result<Changed<Operation>, AppError> {
        let known = self.store.operation(by).await?;
        match known.filter(|it| it.kind == OperationKind::Drain && it.state == OperationState::Succeeded) {
            Some(drain) => {
                let why = format!("gateway {id} is drained already, by {by}: nothing to do");
                self.unchanged(actor, deed, &drain, "drained", why).await
            }
            None => Err(AppError::Conflict {
                what: format!("gateway {id} is drained already, by {by}"),
                hint: format!("put it back into service: chatctl gateway undrain {id}"),
            }),
        }
    }

    /// One gateway of a zone at once: a zone is what fails together, and two that leave it leave it short.
    fn check_zone(&self, view: &NodeView, active: &[Operation], request: &DrainRequest) -> Result<(), AppError> {
        let zone = &view.record.zone;
        let leaves = |operation: &&Operation| {
            let other = self.nodes.view(&operation.target);
            operation.kind == OperationKind::Drain && other.is_some_and(|other| other.record.zone == *zone)
        };
        match active.iter().find(leaves) {
            Some(other) if !request.force => Err(AppError::Refused {
                what: format!(
                    "{} of the same zone{} is being drained: one gateway of a zone at once",
                    other.target,
                    if zone.is_empty() { String::new() } else { format!(" {zone}") }
                ),
                hint: format!("it clears when {} has ended: chatctl operation watch {}", other.id, other.id),
                flag: "--force",
            }),
            _ => Ok(()),
        }
    }

    async fn undrain_begin(&self, actor: &Actor, id: &str, deed: &Deed<'_>) -> Result<Changed<Operation>, AppError> {
        check_reason(deed.reason)?;
        let _writing = self.writing.lock().await;
        let view = self.gateway_view(id)?;
        let active = self.active().await?;
        if let Some(undrain) = running(&active, OperationKind::Undrain, id) {
            let why = format!("gateway {id} is put back into service already, by {}: nothing to do", undrain.id);
            return self.unchanged(actor, deed, undrain, "undraining", why).await;
        }
        check_idle(id, &active)?;
        if view.desired.drain.is_none() {
            let operation =
                self.operation_new(actor, OperationKind::Undrain, id, deed.reason, serde_json::Value::Null).await?;
            let why = format!("gateway {id} is not drained: nothing to do");
            return self.operation_of_nothing(actor, operation, "active", why, deed).await;
        }
        self.operation_create(actor, OperationKind::Undrain, None, view.report.connections, deed)
            .await
            .map(Changed::done)
    }

    fn gateway_view(&self, id: &str) -> Result<NodeView, AppError> {
        let view = self.nodes.view(id).filter(|view| view.record.role == NodeRole::Gateway);
        view.ok_or_else(|| AppError::not_found("gateway", id))
    }

    async fn active(&self) -> Result<Vec<Operation>, AppError> {
        Ok(self.store.operations(OperationFilter::Active, u64::MAX, usize::MAX).await?)
    }

    /// The plan of a drain, and the gateways that would stay: live and neither drained nor about to be. What other
    /// drains still have to move lands on them, too.
    fn plan(
        &self,
        view: &NodeView,
        active: &[Operation],
        request: &DrainRequest,
    ) -> Result<(DrainPlan, Survivors), AppError> {
        let deadline_ms = request.deadline_ms.unwrap_or(DEADLINE_MS_DEFAULT);
        if deadline_ms > DEADLINE_MS_MAX {
            return Err(AppError::invalid("deadline_ms", format!("is {deadline_ms}, at most {DEADLINE_MS_MAX}")));
        }
        if request.rate_per_s == Some(0) {
            return Err(AppError::invalid("rate_per_s", "must be 1 or more"));
        }
        let connections = usize::try_from(view.report.connections).unwrap_or(usize::MAX);
        // Enough to be done in half the window: the guard wants it done in 0.6 of it.
        let needed = view.report.connections.saturating_mul(2_000) / deadline_ms.max(1) + 1;
        let by_default = needed.clamp(*RATE_DEFAULT.start(), *RATE_DEFAULT.end()) as u32;
        let plan = DrainPlan { connections, deadline_ms, rate_per_s: request.rate_per_s.unwrap_or(by_default) };
        let mut survivors = Survivors { gateways: 0, connections: 0, capacity: 0 };
        for other in self.nodes.views() {
            let is_other = other.record.role == NodeRole::Gateway && other.record.id != view.record.id;
            if !is_other || other.lost {
                continue;
            }
            let is_leaving = other.desired.drain.is_some() || active.iter().any(|it| it.target == other.record.id);
            survivors.connections += other.report.connections as usize;
            if !is_leaving {
                survivors.gateways += 1;
                survivors.capacity += other.record.capacity as usize;
            }
        }
        Ok((plan, survivors))
    }
}

/// The operation of a kind that goes on with a gateway. One that is being cancelled goes the other way.
fn running<'a>(active: &'a [Operation], kind: OperationKind, id: &str) -> Option<&'a Operation> {
    active.iter().find(|it| it.kind == kind && it.target == id && it.state == OperationState::Running)
}

/// One operation per gateway at a time.
fn check_idle(id: &str, active: &[Operation]) -> Result<(), AppError> {
    match active.iter().find(|operation| operation.target == id) {
        None => Ok(()),
        Some(running) => {
            Err(AppError::Busy { target: id.to_owned(), kind: running.kind, operation: running.id.clone() })
        }
    }
}

fn ordered(plan: &DrainPlan, request: &DrainRequest) -> DrainOrdered {
    DrainOrdered { deadline_ms: plan.deadline_ms, rate_per_s: plan.rate_per_s, forced: request.force }
}

fn overridden(refusal: &DrainRefusal, request: &DrainRequest) -> bool {
    request.force && refusal.is_overridable()
}
