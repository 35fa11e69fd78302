//! Capacity: what the fleet bears, what an event needs, and beginning to scale for it. [`crate::scale`] drives it.

use domain::{Load, NodeCapacity, StoreAdvice, counted, detect::store_is_tired, needed};
use protocol::admin::{
    CapacityInput, Changed, CreateEvent, EventState, NodeCounts, NodeRole, Operation, OperationKind, PlanRow,
    PrescaleDetail, PrescalePlan, PrescaleRequest, Role, ScaleEvent,
};

use super::{Actor, App, audit::Deed, check_reason};
use crate::{
    error::AppError,
    provision::Provisioner,
    scale::Rates,
    store::{Change, Document, DocumentKind, OperationFilter, StoreError},
};

/// Seconds of one rate: peaks of a single second say little.
const PEAK_S: usize = 5;
/// Added to the longest lead time when an event names none.
const LEAD_SPARE_MS: u64 = 5 * 60_000;
const FACTOR_MAX: f64 = 100.0;
const LASTS_MS: std::ops::RangeInclusive<u64> = 60_000..=7 * 24 * 3_600_000;
/// A plan that was applied, by the name of its document.
const APPLIED: &str = "prescale";
/// When a node of the message store was asked for last, by the name of its document.
const ASKED: &str = "autoscale";

impl App {
    /// What a factor of today's load needs.
    pub async fn prescale_plan(&self, factor: f64) -> Result<PrescalePlan, AppError> {
        check_factor(factor)?;
        let (load, now, replicas) = self.load().await?;
        let rates = self.rates;
        let node = self.node_capacity();
        let wanted = needed(load.times(factor), node, replicas);
        let row = |what: &str, now: u64, needed: u64, lead_ms: u64, price: f64| PlanRow {
            what: what.to_owned(),
            now,
            needed,
            add: needed.saturating_sub(now),
            lead_ms,
            cost_per_h: needed.saturating_sub(now) as f64 * price,
        };
        Ok(PrescalePlan {
            factor,
            rows: vec![
                row("gateways", now.gateways, wanted.gateways, rates.gateway_lead_ms, rates.gateway_price_per_h),
                row("workers", now.workers, wanted.workers, rates.worker_lead_ms, rates.worker_price_per_h),
                row("store nodes", now.store_nodes, wanted.store_nodes, rates.store_lead_ms, rates.store_price_per_h),
            ],
            inputs: self.inputs(load, node, replicas),
            assumptions: vec![
                "every figure grows by the same factor; groups keep their size".to_owned(),
                "a node is used to 80%; one gateway more than needed, so that one may be lost".to_owned(),
                "store nodes are asked of the provisioner; their data moves by the store's own means".to_owned(),
            ],
            provisioner: self.provisioner.name().to_owned(),
        })
    }

    /// Events, newest first.
    pub async fn scale_events(&self) -> Result<Vec<ScaleEvent>, AppError> {
        let documents = self.store.documents(DocumentKind::Event, true, u64::MAX, 200).await?;
        documents.iter().map(read_event).collect()
    }

    /// Plans an event: the fleet is scaled ahead of it, and back after it.
    pub async fn event_add(&self, actor: &Actor, request: &CreateEvent) -> Result<ScaleEvent, AppError> {
        let deed = Deed { action: "event add", target: &request.name, reason: &request.reason };
        let result = self.event_make(actor, request, &deed).await;
        self.audited(actor, &deed, result).await
    }

    /// Forgets an event. A fleet that is scaled for it stays so until `prescale revert`.
    pub async fn event_remove(&self, actor: &Actor, name: &str, reason: &str) -> Result<Changed<ScaleEvent>, AppError> {
        let deed = Deed { action: "event remove", target: name, reason };
        let result = self.event_end(actor, name, &deed).await;
        self.audited(actor, &deed, result).await
    }

    /// Adds the nodes that a factor needs, or takes away what the last prescale added.
    pub async fn prescale(&self, actor: &Actor, request: &PrescaleRequest) -> Result<Changed<Operation>, AppError> {
        let action = if request.factor.is_some() { "prescale apply" } else { "prescale revert" };
        let deed = Deed { action, target: "fleet", reason: &request.reason };
        let result = self.prescale_begin(actor, request, &deed).await;
        self.audited(actor, &deed, result).await
    }

    /// Asks for a node of the message store when that has been slow for minutes, if the rule allows one.
    pub(crate) async fn autoscale(&self) -> Result<(), AppError> {
        if !store_is_tired(self.samples.lock().all()) {
            return Ok(());
        }
        let (_, now, _) = self.load().await?;
        let asked = self.store.document(DocumentKind::Schedule, ASKED).await?;
        let corrupt = |error: serde_json::Error| StoreError::Corrupt(error.to_string());
        let asked_ms = asked.as_ref().map(|asked| serde_json::from_str(&asked.body)).transpose().map_err(corrupt)?;
        let now_ms = self.clock.now_ms();
        if self.autoscale.advise(true, now.store_nodes, asked_ms, now_ms) != StoreAdvice::Add {
            return Ok(());
        }
        let actor = Actor::new("control-plane", Role::Admin);
        let reason = "writes were slow for 5 min";
        let deed = Deed { action: "autoscale", target: "store nodes", reason };
        let asked = Document {
            kind: DocumentKind::Schedule,
            id: ASKED.to_owned(),
            number: 3,
            is_ended: false,
            revision: asked.map_or(0, |asked| asked.revision) + 1,
            body: now_ms.to_string(),
        };
        let target = NodeCounts { store_nodes: now.store_nodes + 1, ..now };
        let _writing = self.writing.lock().await;
        let result = match self.prescale_is_free().await {
            Ok(()) => self.prescale_to(&actor, &deed, now, target, false, Some(Change::Document(asked))).await,
            // It is wanted as much after the one that is running.
            Err(AppError::Busy { .. }) => return Ok(()),
            Err(error) => Err(error),
        };
        self.audited(&actor, &deed, result).await.map(drop)
    }

    async fn event_make(&self, actor: &Actor, request: &CreateEvent, deed: &Deed<'_>) -> Result<ScaleEvent, AppError> {
        check_reason(&request.reason)?;
        domain::UserId::parse(&request.name).map_err(|error| AppError::invalid("name", error.to_string()))?;
        let now_ms = self.clock.now_ms();
        if !LASTS_MS.contains(&request.lasts_ms) {
            return Err(AppError::invalid("lasts_ms", "must be 1 min to 7 d"));
        }
        let ends_ms = request.starts_ms.saturating_add(request.lasts_ms);
        if ends_ms <= now_ms {
            return Err(AppError::invalid("starts_ms", "the event would be over already"));
        }
        let plan = self.prescale_plan(request.factor).await?;
        let lead_ms = plan.rows.iter().filter(|row| row.add > 0).map(|row| row.lead_ms).max().unwrap_or(0);
        let lead_ms = request.lead_ms.unwrap_or(lead_ms + LEAD_SPARE_MS);
        let _writing = self.writing.lock().await;
        if self.store.document(DocumentKind::Event, &request.name).await?.is_some() {
            return Err(AppError::Conflict {
                what: format!("there is an event {} already", request.name),
                hint: format!("chatctl event remove {} first, or take another name", request.name),
            });
        }
        let event = ScaleEvent {
            name: request.name.clone(),
            revision: 1,
            factor: request.factor,
            scales_ms: request.starts_ms.saturating_sub(lead_ms).max(now_ms),
            starts_ms: request.starts_ms,
            ends_ms,
            state: EventState::Planned,
            operation: None,
            trouble: None,
            who: actor.name.clone(),
            reason: request.reason.clone(),
        };
        let number = self.store.documents_head(DocumentKind::Event).await? + 1;
        let audit = self.audit_done(actor, deed, "", &format!("x{} at {} ms", event.factor, event.starts_ms));
        self.store.commit(vec![write_event(&event, number, 1)?, audit]).await?;
        self.scaling.notify_one();
        Ok(event)
    }

    async fn event_end(&self, actor: &Actor, name: &str, deed: &Deed<'_>) -> Result<Changed<ScaleEvent>, AppError> {
        check_reason(deed.reason)?;
        let _writing = self.writing.lock().await;
        let found = self.store.document(DocumentKind::Event, name).await?;
        let document = found.ok_or_else(|| AppError::not_found("event", name))?;
        let mut event = read_event(&document)?;
        if event.state == EventState::Over {
            let why = format!("event {name} is over already: nothing to do");
            return self.unchanged(actor, deed, &event, event.state.as_str(), why).await;
        }
        let audit = self.audit_done(actor, deed, event.state.as_str(), "over");
        event.state = EventState::Over;
        let changes = vec![write_event(&event, document.number, document.revision + 1)?, audit];
        self.store.commit(changes).await?;
        Ok(Changed::done(event))
    }

    async fn prescale_begin(
        &self,
        actor: &Actor,
        request: &PrescaleRequest,
        deed: &Deed<'_>,
    ) -> Result<Changed<Operation>, AppError> {
        check_reason(&request.reason)?;
        if matches!(self.provisioner, Provisioner::None) {
            return Err(AppError::Conflict {
                what: "no provisioner is configured: nobody can add nodes".to_owned(),
                hint: "set provision.command or provision.kubernetes.*, or start the nodes by hand; the plan says how many".to_owned(),
            });
        }
        let (load, now, replicas) = self.load().await?;
        let _writing = self.writing.lock().await;
        self.prescale_is_free().await?;
        let applied = self.store.document(DocumentKind::Schedule, APPLIED).await?;
        let revision = applied.as_ref().map_or(0, |document| document.revision) + 1;
        let in_force = applied.filter(|document| !document.is_ended);
        let (target, with) = match request.factor {
            Some(factor) => {
                check_factor(factor)?;
                let wanted = needed(load.times(factor), self.node_capacity(), replicas);
                let target = NodeCounts {
                    gateways: wanted.gateways.max(now.gateways),
                    workers: wanted.workers.max(now.workers),
                    store_nodes: wanted.store_nodes.max(now.store_nodes),
                };
                // What was scaled up twice goes back to what was there before the first time.
                let with = match in_force {
                    Some(_) => None,
                    None => Some(applied_document(&self.known(now), revision)?),
                };
                (target, with)
            }
            None => {
                let Some(before) = in_force else { return self.prescale_of_nothing(actor, now, deed).await };
                let before: NodeCounts =
                    serde_json::from_str(&before.body).map_err(|error| StoreError::Corrupt(error.to_string()))?;
                // A node of the message store holds data: taking one away is not for an event that is over.
                // What it goes back to is kept until that is done: one that fails is tried again.
                (NodeCounts { store_nodes: before.store_nodes.max(now.store_nodes), ..before }, None)
            }
        };
        self.prescale_to(actor, deed, now, target, request.factor.is_none(), with).await.map(Changed::done)
    }

    /// There is nothing to go back to. The caller holds `writing`.
    async fn prescale_of_nothing(
        &self,
        actor: &Actor,
        now: NodeCounts,
        deed: &Deed<'_>,
    ) -> Result<Changed<Operation>, AppError> {
        let detail = PrescaleDetail { before: now, target: now, is_down: true, is_told: false, leaving: Vec::new() };
        let value = serde_json::to_value(&detail).map_err(|error| StoreError::Corrupt(error.to_string()))?;
        let operation = self.operation_new(actor, OperationKind::Prescale, deed.target, deed.reason, value).await?;
        let why = "nothing was scaled up: nothing to do".to_owned();
        self.operation_of_nothing(actor, operation, &counts(now), why, deed).await
    }

    /// The change that goes with the end of a scale-down: there is nothing to go back to any more.
    pub(crate) async fn prescale_is_back(&self) -> Result<Option<Change>, AppError> {
        let kept = self.store.document(DocumentKind::Schedule, APPLIED).await?.filter(|document| !document.is_ended);
        Ok(kept.map(|kept| Change::Document(Document { is_ended: true, revision: kept.revision + 1, ..kept })))
    }

    /// The nodes of the fleet, also those that are away just now: they come back.
    fn known(&self, now: NodeCounts) -> NodeCounts {
        let views = self.nodes.views();
        let of = |role| views.iter().filter(|view| view.record.role == role).count() as u64;
        NodeCounts { gateways: of(NodeRole::Gateway), workers: of(NodeRole::Worker), ..now }
    }

    async fn prescale_is_free(&self) -> Result<(), AppError> {
        let active = self.store.operations(OperationFilter::Active, u64::MAX, usize::MAX).await?;
        match active.iter().find(|it| it.kind == OperationKind::Prescale) {
            None => Ok(()),
            Some(running) => {
                let (kind, operation) = (running.kind, running.id.clone());
                Err(AppError::Busy { target: "fleet".to_owned(), kind, operation })
            }
        }
    }

    /// Begins to scale. The caller holds `writing`.
    async fn prescale_to(
        &self,
        actor: &Actor,
        deed: &Deed<'_>,
        now: NodeCounts,
        target: NodeCounts,
        is_down: bool,
        with: Option<Change>,
    ) -> Result<Operation, AppError> {
        let mut leaving = Vec::new();
        if is_down {
            leaving.extend(self.leaving(NodeRole::Gateway, target.gateways));
            leaving.extend(self.leaving(NodeRole::Worker, target.workers));
        }
        let detail = PrescaleDetail { before: now, target, is_down, is_told: false, leaving };
        let value = serde_json::to_value(&detail).map_err(|error| StoreError::Corrupt(error.to_string()))?;
        let mut operation = self.operation_new(actor, OperationKind::Prescale, "fleet", deed.reason, value).await?;
        operation.progress.total = target.gateways + target.workers;
        let audit = self.audit_done(actor, deed, &counts(now), &counts(target));
        let message = format!("from {} to {}", counts(now), counts(target));
        self.operation_save(&mut operation, message, [audit].into_iter().chain(with).collect()).await?;
        self.scaling.notify_one();
        Ok(operation)
    }

    /// The nodes that leave when there shall be fewer: the highest names, for those came last.
    fn leaving(&self, role: NodeRole, target: u64) -> Vec<String> {
        let views = self.nodes.views();
        let mut live: Vec<String> = views
            .iter()
            .filter(|view| view.record.role == role && !view.lost)
            .map(|view| view.record.id.clone())
            .collect();
        // By length first: gw-10 came after gw-9.
        live.sort_by_key(|id| (id.len(), id.clone()));
        live.split_off(live.len().min(target as usize))
    }

    /// The load of the last 15 minutes at its peak, the nodes there are, and the replicas of a row.
    async fn load(&self) -> Result<(Load, NodeCounts, u64), AppError> {
        let consistency = self.consistency().await?;
        let store_nodes = consistency.store_nodes.len() as u64;
        let views = self.nodes.views();
        let live = |role| views.iter().filter(|view| view.record.role == role && !view.lost).count() as u64;
        let now = NodeCounts {
            gateways: live(NodeRole::Gateway),
            workers: live(NodeRole::Worker),
            store_nodes: store_nodes.max(1),
        };
        let mut samples = self.samples.lock();
        let all = samples.all();
        let connections =
            all.iter().map(|it| it.gateways.iter().filter(|it| it.is_live).map(|it| it.connections).sum());
        let peak = |of: fn(&domain::detect::FleetSample) -> u64| {
            let rates = all.chunks(PEAK_S).map(|it| it.iter().map(of).sum::<u64>() as f64 / it.len() as f64);
            rates.fold(0.0, f64::max)
        };
        let load = Load {
            connections: connections.max().unwrap_or(0),
            messages_per_s: peak(|it| it.accepted),
            deliveries_per_s: peak(|it| it.delivered),
        };
        Ok((load, now, store_nodes.clamp(1, 3)))
    }

    fn node_capacity(&self) -> NodeCapacity {
        let views = self.nodes.views();
        let gateways = views.iter().filter(|view| view.record.role == NodeRole::Gateway);
        let connections = gateways.map(|view| view.record.capacity).min().unwrap_or(50_000).max(1);
        let Rates { messages_per_s, deliveries_per_s, rows_per_s, .. } = self.rates;
        NodeCapacity { connections, messages_per_s, deliveries_per_s, rows_per_s }
    }

    fn inputs(&self, load: Load, node: NodeCapacity, replicas: u64) -> Vec<CapacityInput> {
        let input = |name: &str, value: f64, unit: &str, source: &str| CapacityInput {
            name: name.to_owned(),
            value,
            unit: unit.to_owned(),
            source: source.to_owned(),
        };
        let peak = "measured: peak of the last 15 min";
        let fan_out = if load.messages_per_s > 0.0 { load.deliveries_per_s / load.messages_per_s } else { 0.0 };
        vec![
            input("connections", load.connections as f64, "connections", peak),
            input("messages", load.messages_per_s, "1/s", peak),
            input("deliveries", load.deliveries_per_s, "1/s", peak),
            input("fan-out", fan_out, "deliveries a message", "measured: deliveries by messages"),
            input("connections of a gateway", node.connections as f64, "connections", "reported by the gateways"),
            input("messages of a worker", node.messages_per_s, "1/s", self.rates.source),
            input("deliveries of a worker", node.deliveries_per_s, "1/s", self.rates.source),
            input("rows of a store node", node.rows_per_s, "1/s", self.rates.source),
            input("replicas of a row", replicas as f64, "replicas", "reported by the workers, at most 3"),
        ]
    }
}

/// What a fleet that is scaled up goes back to.
fn applied_document(before: &NodeCounts, revision: u64) -> Result<Change, AppError> {
    let body = serde_json::to_string(before).map_err(|error| StoreError::Corrupt(error.to_string()))?;
    let (kind, id) = (DocumentKind::Schedule, APPLIED.to_owned());
    Ok(Change::Document(Document { kind, id, number: 2, is_ended: false, revision, body }))
}

fn check_factor(factor: f64) -> Result<(), AppError> {
    if factor.is_finite() && (1.0..=FACTOR_MAX).contains(&factor) {
        return Ok(());
    }
    Err(AppError::invalid("factor", format!("is {factor}, must be 1 to 100")))
}

fn counts(counts: NodeCounts) -> String {
    let (gateways, workers) = (counted(counts.gateways, "gateways"), counted(counts.workers, "workers"));
    format!("{gateways}, {workers}, {}", counted(counts.store_nodes, "store nodes"))
}

/// Reads an event back.
pub(crate) fn read_event(document: &Document) -> Result<ScaleEvent, AppError> {
    let event: ScaleEvent =
        serde_json::from_str(&document.body).map_err(|error| StoreError::Corrupt(error.to_string()))?;
    Ok(ScaleEvent { revision: document.revision, ..event })
}

/// The change that keeps an event.
pub(crate) fn write_event(event: &ScaleEvent, number: u64, revision: u64) -> Result<Change, AppError> {
    let body = serde_json::to_string(event).map_err(|error| StoreError::Corrupt(error.to_string()))?;
    let is_ended = event.state == EventState::Over;
    let kind = DocumentKind::Event;
    Ok(Change::Document(Document { kind, id: event.name.clone(), number, is_ended, revision, body }))
}
