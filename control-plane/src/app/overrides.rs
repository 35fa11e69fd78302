//! Overrides: breakers, consistency, rates, batching and injected faults, each for a while. The reconciler brings them to
//! the nodes; the nodes take them back by themselves.

use protocol::{
    admin::{
        Breaker, BreakerState, Changed, CreateOverride, Lever, NodeRole, Override, OverrideOnNode, OverrideState,
        RevertRequest, Standing,
    },
    node,
};

use super::{Actor, App, audit::Deed, check_reason, nodes::NodeView};
use crate::{
    error::AppError,
    store::{Change, Document, DocumentKind, StoreError},
};

/// What stands between a node and its stores: the names of edges.
pub(crate) const EDGES: [&str; 6] = ["log", "messages", "dedup", "registry", "presence", "directory"];
/// The scope that means every node.
pub(crate) const FLEET: &str = "fleet";
/// Bounds of how long an override may last.
const FOR_MS: std::ops::RangeInclusive<u64> = 1_000..=24 * 3_600_000;
/// Longest downgrade of consistency at a time: Kafka must still have its whole window (design, section 1).
const CONSISTENCY_MS_MAX: u64 = 30 * 60_000;
/// Overrides in force or pending at once.
pub(crate) const OVERRIDES_MAX: usize = 500;

impl App {
    /// Overrides, newest first: those in force or pending, or all of them.
    pub async fn overrides(&self, all: bool) -> Result<Vec<Override>, AppError> {
        let documents = self.store.documents(DocumentKind::Override, all, u64::MAX, OVERRIDES_MAX).await?;
        let views = self.nodes.views();
        let mut overrides = documents.iter().map(read).collect::<Result<Vec<Override>, _>>()?;
        overrides.iter_mut().for_each(|it| self.complete(it, &views));
        Ok(overrides)
    }

    /// One override.
    pub async fn override_(&self, id: &str) -> Result<Override, AppError> {
        let (mut one, _) = self.override_document(id).await?;
        self.complete(&mut one, &self.nodes.views());
        Ok(one)
    }

    pub(crate) async fn override_document(&self, id: &str) -> Result<(Override, Document), AppError> {
        let found = self.store.document(DocumentKind::Override, id).await?;
        let document = found.ok_or_else(|| AppError::not_found("override", id))?;
        Ok((read(&document)?, document))
    }

    /// Every breaker of every node that is heard.
    pub async fn breakers(&self) -> Result<Vec<Breaker>, AppError> {
        let overrides = self.overrides(false).await?;
        let views = self.nodes.views();
        let live = views.iter().filter(|view| !view.lost);
        let breakers = live.flat_map(|view| view.report.edges.iter().map(|edge| breaker(view, edge, &overrides)));
        Ok(breakers.collect())
    }

    /// Forces something for a while. With `dry_run` it only says what it would be.
    pub async fn override_create(&self, actor: &Actor, request: &CreateOverride) -> Result<Override, AppError> {
        let action = if request.lever.is_fault() { "fault inject" } else { "override create" };
        let target = format!("{} on {}", request.lever, request.scope);
        let deed = Deed { action, target: &target, reason: &request.reason };
        let result = self.override_begin(actor, request, &deed).await;
        self.audited(actor, &deed, result).await
    }

    /// Ends an override before its time. Ending one that is over changes nothing.
    pub async fn override_end(&self, actor: &Actor, id: &str, reason: &str) -> Result<Changed<Override>, AppError> {
        let deed = Deed { action: "override revert", target: id, reason };
        let result = self.override_revert(actor, id, &deed).await;
        self.audited(actor, &deed, result).await
    }

    /// Ends whatever holds something. Nothing held is nothing to do: the answer is empty then.
    pub async fn override_revert_slot(
        &self,
        actor: &Actor,
        request: &RevertRequest,
    ) -> Result<Vec<Override>, AppError> {
        let is_meant = |one: &Override| {
            let slot = one.lever.slot() == request.slot || (request.slot == "faults" && one.lever.is_fault());
            slot && request.scope.as_ref().is_none_or(|scope| *scope == one.scope)
        };
        let mut ended = Vec::new();
        for one in self.overrides(false).await?.iter().filter(|one| is_meant(one)) {
            ended.push(self.override_end(actor, &one.id, &request.reason).await?.now);
        }
        if ended.is_empty() {
            self.check_slot(request)?;
        }
        Ok(ended)
    }

    async fn override_begin(
        &self,
        actor: &Actor,
        request: &CreateOverride,
        deed: &Deed<'_>,
    ) -> Result<Override, AppError> {
        check_reason(&request.reason)?;
        if request.reason.trim().is_empty() {
            return Err(AppError::invalid("reason", "an override needs one: it is what the next shift reads"));
        }
        check_duration(request)?;
        check_lever(&request.lever)?;
        let _writing = self.writing.lock().await;
        let nodes = self.scope(&request.scope, &request.lever)?;
        let active = self.overrides(false).await?;
        check_free(request, &active)?;
        if let Lever::ConsistencyOne { despite } = &request.lever {
            self.check_replicas(despite.as_deref())?;
        }
        let now_ms = self.clock.now_ms();
        let number = self.store.documents_head(DocumentKind::Override).await? + 1;
        let mut one = Override {
            id: format!("ov-{number}-{:04x}", self.random_tail()),
            revision: 1,
            lever: request.lever.clone(),
            scope: request.scope.clone(),
            state: OverrideState::Pending,
            reason: request.reason.clone(),
            who: actor.name.clone(),
            created_ms: now_ms,
            until_ms: now_ms + request.for_ms,
            left_ms: request.for_ms,
            ended_ms: None,
            ended_by: None,
            nodes: Vec::new(),
        };
        if request.dry_run {
            one.nodes = nodes.into_iter().map(|node| OverrideOnNode { node, standing: Standing::Sent }).collect();
            return Ok(one);
        }
        if active.len() >= OVERRIDES_MAX {
            return Err(AppError::TooMany("overrides"));
        }
        let until = format!("until {} ms, by {}", one.until_ms, one.id);
        let audit = self.audit_done(actor, deed, "", &until);
        self.store.commit(vec![Change::Document(write(&one, number, 1)?), audit]).await?;
        self.nudge.notify_one();
        self.complete(&mut one, &self.nodes.views());
        Ok(one)
    }

    async fn override_revert(&self, actor: &Actor, id: &str, deed: &Deed<'_>) -> Result<Changed<Override>, AppError> {
        check_reason(deed.reason)?;
        let _writing = self.writing.lock().await;
        let (mut one, document) = self.override_document(id).await?;
        let before = one.state;
        if is_over(&one) {
            self.complete(&mut one, &self.nodes.views());
            let why = format!("override {id} is over already: nothing to do");
            return self.unchanged(actor, deed, &one, before.as_str(), why).await;
        }
        let audit = self.audit_done(actor, deed, before.as_str(), "ended");
        self.end(&mut one, OverrideState::Ended, actor.name.clone());
        let ended = Change::Document(write(&one, document.number, document.revision + 1)?);
        self.store.commit(vec![ended, audit]).await?;
        self.nudge.notify_one();
        self.complete(&mut one, &self.nodes.views());
        Ok(Changed::done(one))
    }

    /// Nothing is held: is there what could be?
    fn check_slot(&self, request: &RevertRequest) -> Result<(), AppError> {
        if let Some(name) = request.slot.strip_prefix("breaker ") {
            check_edge("slot", name)?;
        }
        match &request.scope {
            Some(scope) if scope != FLEET && self.nodes.view(scope).is_none() => {
                Err(AppError::not_found("node", scope))
            }
            _ => Ok(()),
        }
    }

    /// Marks an override as over.
    pub(crate) fn end(&self, one: &mut Override, state: OverrideState, by: String) {
        one.state = state;
        one.ended_ms = Some(self.clock.now_ms());
        one.ended_by = Some(by);
    }

    /// The nodes an override reaches now. Nobody can be told to force something on a node that is not known.
    fn scope(&self, scope: &str, lever: &Lever) -> Result<Vec<String>, AppError> {
        if scope == FLEET {
            if matches!(lever, Lever::Kill | Lever::Pause) {
                return Err(AppError::invalid("scope", "killing or pausing takes one node, not the fleet"));
            }
            let views = self.nodes.views();
            return Ok(views.iter().filter(|view| concerns(lever, view)).map(|view| view.record.id.clone()).collect());
        }
        let view = self.nodes.view(scope).ok_or_else(|| AppError::not_found("node", scope))?;
        if !concerns(lever, &view) {
            return Err(AppError::invalid(
                "scope",
                format!("{scope} is a {}: this does not concern it", view.record.role),
            ));
        }
        Ok(vec![scope.to_owned()])
    }

    /// A downgrade while a replica is down leaves rows on one node alone: it must be named.
    fn check_replicas(&self, despite: Option<&str>) -> Result<(), AppError> {
        let mut down: Vec<String> = Vec::new();
        for view in self.nodes.views().iter().filter(|view| !view.lost) {
            down.extend(view.report.store_nodes.iter().filter(|node| !node.up).map(|node| node.name.clone()));
        }
        down.sort();
        down.dedup();
        match down.iter().find(|node| despite != Some("any") && despite != Some(node.as_str())) {
            None => Ok(()),
            Some(node) => Err(AppError::Refused {
                what: format!(
                    "the message store's node {node} is down: rows written at ONE now may be on one disk only"
                ),
                hint: format!("bring it back first, or accept that: --despite {node}"),
                flag: "--despite",
            }),
        }
    }

    fn complete(&self, one: &mut Override, views: &[NodeView]) {
        let now_ms = self.clock.now_ms();
        one.left_ms = if is_over(one) { 0 } else { one.until_ms.saturating_sub(now_ms) };
        one.nodes.clear();
        if is_over(one) {
            return;
        }
        let reached = views.iter().filter(|view| view.desired.overrides.iter().any(|it| it.id == one.id));
        one.nodes = reached
            .map(|view| OverrideOnNode { node: view.record.id.clone(), standing: standing(one, view) })
            .collect();
    }
}

/// Reads an override back.
pub(crate) fn read(document: &Document) -> Result<Override, AppError> {
    let one: Override = serde_json::from_str(&document.body).map_err(|error| StoreError::Corrupt(error.to_string()))?;
    Ok(Override { revision: document.revision, ..one })
}

/// The document of an override.
pub(crate) fn write(one: &Override, number: u64, revision: u64) -> Result<Document, AppError> {
    let kept = Override { revision, left_ms: 0, nodes: Vec::new(), ..one.clone() };
    let body = serde_json::to_string(&kept).map_err(|error| StoreError::Corrupt(error.to_string()))?;
    Ok(Document { kind: DocumentKind::Override, id: one.id.clone(), number, is_ended: is_over(one), revision, body })
}

/// True when nothing of it is in force or shall be.
pub(crate) fn is_over(one: &Override) -> bool {
    matches!(one.state, OverrideState::Ended | OverrideState::Refused)
}

/// Does this lever do anything on that node?
pub(crate) fn concerns(lever: &Lever, view: &NodeView) -> bool {
    let is_gateway = view.record.role == NodeRole::Gateway;
    match lever {
        Lever::HeartbeatRate { .. } | Lever::DropAcks { .. } | Lever::DropFrames { .. } | Lever::DelayFrames { .. } => {
            is_gateway
        }
        Lever::ConsistencyOne { .. } | Lever::Batch { .. } => !is_gateway,
        _ => true,
    }
}

fn standing(one: &Override, view: &NodeView) -> Standing {
    if view.lost {
        Standing::Unreachable
    } else if view.report.overrides.contains(&one.id) {
        Standing::Applied
    } else {
        Standing::Sent
    }
}

fn check_duration(request: &CreateOverride) -> Result<(), AppError> {
    if !FOR_MS.contains(&request.for_ms) {
        return Err(AppError::invalid("for_ms", format!("is {}, must be 1,000 ms to 24 h", request.for_ms)));
    }
    if matches!(request.lever, Lever::ConsistencyOne { .. }) && request.for_ms > CONSISTENCY_MS_MAX {
        return Err(AppError::invalid("for_ms", "consistency ONE lasts at most 30 min at a time"));
    }
    Ok(())
}

fn check_edge(field: &'static str, name: &str) -> Result<(), AppError> {
    match EDGES.contains(&name) {
        true => Ok(()),
        false => Err(AppError::invalid(field, format!("no edge is named {name:?}; there are {}", EDGES.join(", ")))),
    }
}

fn check_lever(lever: &Lever) -> Result<(), AppError> {
    let percent = |percent: u8| match percent {
        1..=100 => Ok(()),
        _ => Err(AppError::invalid("percent", format!("is {percent}, must be 1-100"))),
    };
    let delay = |field, ms: u64| match ms {
        1..=60_000 => Ok(()),
        _ => Err(AppError::invalid(field, format!("is {ms}, must be 1-60,000"))),
    };
    match lever {
        Lever::Breaker { state: BreakerState::HalfOpen, .. } => {
            Err(AppError::invalid("state", "a breaker is forced open or closed; half_open is its own affair"))
        }
        Lever::Breaker { name, .. } => check_edge("name", name),
        Lever::HeartbeatRate { per_s: 1..=100_000 } => Ok(()),
        Lever::HeartbeatRate { per_s } => Err(AppError::invalid("per_s", format!("is {per_s}, must be 1-100,000"))),
        Lever::Batch { conversation, window_ms } => {
            domain::ConversationId::parse(conversation)
                .map_err(|error| AppError::invalid("conversation", error.to_string()))?;
            match window_ms {
                100..=60_000 => Ok(()),
                _ => Err(AppError::invalid("window_ms", format!("is {window_ms}, must be 100-60,000"))),
            }
        }
        Lever::StoreLatency { store, latency_ms } => check_edge("store", store).and(delay("latency_ms", *latency_ms)),
        Lever::StoreErrors { store, percent: share } => check_edge("store", store).and(percent(*share)),
        Lever::DropAcks { percent: share } | Lever::DropFrames { percent: share } => percent(*share),
        Lever::DelayFrames { delay_ms } => delay("delay_ms", *delay_ms),
        Lever::ConsistencyOne { .. } | Lever::Kill | Lever::Pause => Ok(()),
    }
}

/// Two overrides of the same thing on the same node would leave nobody knowing which is in force.
fn check_free(request: &CreateOverride, active: &[Override]) -> Result<(), AppError> {
    let overlaps = |one: &&Override| {
        let same_place = one.scope == request.scope || one.scope == FLEET || request.scope == FLEET;
        one.lever.slot() == request.lever.slot() && same_place
    };
    match active.iter().find(overlaps) {
        None => Ok(()),
        Some(other) => Err(AppError::Conflict {
            what: format!("{} is in force on {} already, by {}", other.lever, other.scope, other.id),
            hint: format!("end it first: chatctl override revert {}", other.id),
        }),
    }
}

fn breaker(view: &NodeView, edge: &node::Edge, overrides: &[Override]) -> Breaker {
    let state = match edge.state() {
        node::BreakerState::Closed => BreakerState::Closed,
        node::BreakerState::Open => BreakerState::Open,
        node::BreakerState::HalfOpen => BreakerState::HalfOpen,
    };
    let forced_by = Some(edge.forced_by.clone()).filter(|id| !id.is_empty());
    let by = forced_by.as_ref().map(|id| overrides.iter().find(|one| one.id == *id).map_or("?", |one| &one.who));
    Breaker {
        name: edge.name.clone(),
        node: view.record.id.clone(),
        state,
        set_by: by.unwrap_or("auto").to_owned(),
        forced_by,
        for_ms: edge.state_ms,
        calls: edge.calls,
        errors: edge.errors,
        p99_ms: edge.p99_ms,
        trouble: edge.trouble.clone(),
    }
}
