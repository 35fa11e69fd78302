//! A fleet on a bad day, the same in every run.

use std::collections::BTreeMap;

use protocol::{admin::*, http::ConversationDetail};
use serde_json::Value;

use crate::tui::{
    event::{Data, Event},
    state::{Setting, State},
};

/// The time of the fixture: 2026-11-25T12:00:00Z.
pub(super) const NOW: u64 = 1_795_608_000_000;

/// A state with everything loaded.
pub(super) fn loaded(role: Role, pane: usize, size: (u16, u16)) -> State {
    let mut state = empty(pane, size);
    state.store.looked_up.user = "mia".into();
    state.store.looked_up.conversation = "team".into();
    // What comes was asked for.
    let _ = state.on(Event::Tick(NOW));
    for data in everything(role) {
        let _ = state.on(Event::Loaded(data));
    }
    state
}

/// A state with nothing loaded.
pub(super) fn empty(pane: usize, size: (u16, u16)) -> State {
    let setting = Setting {
        context: "dev".into(),
        url: "http://127.0.0.1:18400".into(),
        is_production: false,
        is_read_only: false,
    };
    State::new(setting, pane, size, NOW)
}

/// All there is to load.
pub(super) fn everything(role: Role) -> Vec<Data> {
    vec![
        Data::WhoAmI(WhoAmI { name: "ann".into(), role, expires_ms: None }),
        Data::Overview(Box::new(overview())),
        Data::Gateways((1..=4).map(gateway).collect()),
        Data::Nodes(nodes()),
        Data::Lag(lag()),
        Data::Breakers(breakers()),
        Data::Overrides(overrides()),
        Data::Incidents(incidents()),
        Data::Operations(operations()),
        Data::Audit(audit()),
        Data::Capacity(Box::new(capacity())),
        Data::ScaleEvents(scale_events()),
        Data::Sessions("mia".into(), sessions()),
        Data::Conversation(Box::new(conversation())),
    ]
}

fn overview() -> Overview {
    let light = |mode, state, figure: &str, value, unit: &str, threshold, incident: Option<&str>| Light {
        mode,
        state,
        figure: figure.into(),
        value,
        unit: unit.into(),
        threshold,
        incident: incident.map(Into::into),
    };
    let point = |index: u64| Point {
        at_ms: NOW - (180 - index) * 5_000,
        connections: 11_000 + index * 7,
        messages_per_s: 900.0 + (index * 37 % 400) as f64,
        deliveries_per_s: 4_000.0,
        delivery_p99_ms: if (100..130).contains(&index) { 340 } else { 12 + index % 9 },
        lag_records: if index > 140 { (index - 140) * 310 } else { 0 },
        lag_ms: 0,
        write_p99_ms: 8,
    };
    use LightState::*;
    Overview {
        at_ms: NOW,
        gateways_live: 3,
        gateways_lost: 1,
        workers_live: 2,
        workers_lost: 0,
        users: 12_345,
        capacity: 40_000,
        now: Point { lag_records: 12_400, lag_ms: 9_200, ..point(180) },
        history: (0..180).map(point).collect(),
        lights: vec![
            light(
                Mode::GatewayCrash,
                Firing,
                "connections dropped at once",
                2_950.0,
                "connections",
                100.0,
                Some("inc-7"),
            ),
            light(Mode::LostAck, Good, "sends repeated by clients", 0.4, "%", 5.0, None),
            light(Mode::PresenceStorm, Near, "heartbeats of what presence takes", 78.0, "%", 80.0, None),
            light(
                Mode::WriteTimeouts,
                Firing,
                "p99 of writes to the message store",
                1_840.0,
                "ms",
                500.0,
                Some("inc-8"),
            ),
            light(Mode::SplitBrain, Good, "users on two gateways", 0.0, "users", 1.0, None),
            light(Mode::FanoutDelay, Unknown, "p99 of group deliveries", 0.0, "ms", 1_000.0, None),
        ],
        incidents_open: 2,
        operations_running: 1,
        overrides: overrides().into_iter().filter(|it| it.state == OverrideState::Active).collect(),
        consistency: ConsistencyNow { level: "ONE".into(), override_id: Some("ov-12".into()), left_ms: 552_000 },
        troubles: vec!["gw-3: no report for 14 s".into(), "worker-2: messages: write timed out".into()],
    }
}

/// The gateway with this number.
pub(super) fn gateway(number: u64) -> Gateway {
    let (status, phase, connections) = match number {
        3 => (NodeStatus::Lost, GatewayPhase::Active, 0),
        4 => (NodeStatus::Live, GatewayPhase::Draining, 3_120),
        _ => (NodeStatus::Live, GatewayPhase::Active, 2_000 + number * 2_500 % 8_000),
    };
    Gateway {
        id: format!("gw-{number}"),
        status,
        phase,
        operation: (number == 4).then(|| "op-31".into()),
        connections,
        capacity: 10_000,
        users: connections * 9 / 10,
        zone: format!("zone-{}", number % 2 + 1),
        client_url: format!("ws://127.0.0.1:{}", 9_000 + number),
        http_url: format!("http://127.0.0.1:{}", 9_100 + number),
        trouble: if number == 3 { "no report for 14 s".into() } else { String::new() },
        accepted_total: 1_234_567 * number,
        delivered_total: 9_876_543 * number,
        refused_total: 12,
        slow_consumers_total: 3,
    }
}

fn nodes() -> Vec<Node> {
    let node = |id: &str, role, status, trouble: &str, lag_records, lag_ms, heard_ms_ago| Node {
        id: id.into(),
        role,
        status,
        incarnation: 3,
        software: "chat-worker 0.1.0".into(),
        zone: "zone-1".into(),
        desired_version: 41,
        acked_version: 41,
        nack: (id == "worker-2").then(|| NackDetail { version: 40, reason: "no such group".into() }),
        heard_ms_ago,
        connections: if role == NodeRole::Gateway { 4_500 } else { 0 },
        partitions: if role == NodeRole::Worker { 32 } else { 0 },
        lag_records,
        lag_ms,
        trouble: trouble.into(),
    };
    use {NodeRole::*, NodeStatus::*};
    vec![
        node("gw-1", Gateway, Live, "", 0, 0, 310),
        node("gw-3", Gateway, Lost, "no report for 14 s", 0, 0, 14_000),
        node("worker-1", Worker, Live, "", 120, 340, 220),
        node("worker-2", Worker, Live, "messages: write timed out", 12_280, 9_200, 410),
    ]
}

fn lag() -> Vec<Lag> {
    let lag = |lane: &str, partition, node: &str, read, committed, window: Option<&str>| Lag {
        lane: lane.into(),
        partition,
        node: node.into(),
        read,
        committed,
        end: 50_120,
        window: window.map(Into::into),
    };
    vec![
        lag("direct", 0, "worker-1", 50_100, 50_000, None),
        lag("direct", 1, "worker-1", 50_120, 50_120, None),
        lag("group", 3, "worker-2", 50_100, 37_840, Some("ov-12")),
        lag("group", 4, "worker-2", 50_120, 50_120, None),
    ]
}

fn breakers() -> Vec<Breaker> {
    let breaker = |name: &str, node: &str, state, forced_by: Option<&str>, errors, trouble: &str| Breaker {
        name: name.into(),
        node: node.into(),
        state,
        forced_by: forced_by.map(Into::into),
        set_by: if forced_by.is_some() { "ann" } else { "auto" }.into(),
        for_ms: 185_000,
        calls: 1_200,
        errors,
        p99_ms: 1_840,
        trouble: trouble.into(),
    };
    use BreakerState::*;
    vec![
        breaker("messages", "worker-1", Closed, None, 0, ""),
        breaker("messages", "worker-2", HalfOpen, None, 310, "write timed out after 2 s"),
        breaker("presence", "gw-1", Open, Some("ov-11"), 1_200, "held open by an operator"),
        breaker("registry", "gw-1", Closed, None, 0, ""),
    ]
}

fn overrides() -> Vec<Override> {
    let one = |id: &str, lever, scope: &str, state, reason: &str, left_ms| Override {
        id: id.into(),
        revision: 3,
        lever,
        scope: scope.into(),
        state,
        reason: reason.into(),
        who: "ann".into(),
        created_ms: NOW - 60_000,
        until_ms: NOW + left_ms,
        left_ms,
        ended_ms: (left_ms == 0).then_some(NOW - 5_000),
        ended_by: (left_ms == 0).then(|| "time".into()),
        nodes: vec![
            OverrideOnNode { node: "worker-1".into(), standing: Standing::Applied },
            OverrideOnNode { node: "worker-2".into(), standing: Standing::Sent },
        ],
    };
    let open = Lever::Breaker { name: "presence".into(), state: BreakerState::Open };
    vec![
        one("ov-10", Lever::HeartbeatRate { per_s: 500 }, "fleet", OverrideState::Ended, "storm after the match", 0),
        one("ov-11", open, "gw-1", OverrideState::Active, "presence is drowning", 95_000),
        one(
            "ov-12",
            Lever::ConsistencyOne { despite: None },
            "fleet",
            OverrideState::Active,
            "a rack is down",
            552_000,
        ),
        one("ov-13", Lever::Kill, "gw-3", OverrideState::Active, "drill of the crash runbook", 30_000),
    ]
}

fn incidents() -> Vec<Incident> {
    let incident = |number, mode: Mode, severity, state, summary: &str, ago_ms| Incident {
        id: format!("inc-{number}"),
        number,
        revision: 2,
        mode,
        severity,
        state,
        summary: summary.into(),
        evidence: vec![Evidence {
            figure: "p99 of writes".into(),
            value: 1_840.0,
            unit: "ms".into(),
            threshold: 500.0,
            of: Some("worker-2".into()),
        }],
        runbook: mode.runbook().into(),
        params: BTreeMap::from([("node".to_owned(), "worker-2".to_owned())]),
        opened_ms: NOW - ago_ms,
        seen_ms: NOW - 1_000,
        acknowledged_by: (state == IncidentState::Acknowledged).then(|| "bob".into()),
        resolved_ms: (state == IncidentState::Resolved).then_some(NOW - ago_ms + 61_000),
        resolved_by: (state == IncidentState::Resolved).then(|| "rule".into()),
    };
    use {IncidentState::*, Severity::*};
    vec![
        incident(8, Mode::WriteTimeouts, Warning, Acknowledged, "worker-2 writes slowly: p99 1,840 ms", 95_000),
        incident(7, Mode::GatewayCrash, Critical, Open, "gw-3 is gone and dropped 2,950 connections", 14_000),
        incident(6, Mode::LostAck, Warning, Resolved, "6% of sends were repeated", 3_600_000),
    ]
}

fn operations() -> Vec<Operation> {
    let operation = |number: u64, kind, target: &str, state, phase, progress, error: Option<&str>| Operation {
        id: format!("op-{number}"),
        number,
        epoch: 1,
        revision: 9,
        kind,
        target: target.into(),
        state,
        phase,
        progress,
        drain: (kind == OperationKind::Drain).then_some(DrainOrdered {
            deadline_ms: 30_000,
            rate_per_s: 250,
            forced: false,
        }),
        detail: Value::Null,
        reason: "new kernel".into(),
        who: "ann".into(),
        created_ms: NOW - (32 - number) * 40_000,
        updated_ms: NOW - 1_000,
        ended_ms: state.is_final().then_some(NOW - 1_000),
        error: error.map(Into::into),
    };
    let drain =
        Progress { connections_at_start: 6_000, connections: 3_120, told_to_migrate: 2_900, ..Progress::default() };
    let rows = Progress { done: 9_100, total: 12_400, ..Progress::default() };
    use {OperationKind::*, OperationState::*};
    vec![
        operation(31, Drain, "gw-4", Running, OperationPhase::Draining, drain, None),
        operation(30, Reconcile, "fleet", Succeeded, OperationPhase::Done, rows, None),
        operation(29, Undrain, "gw-2", Failed, OperationPhase::Failed, Progress::default(), Some("gw-2 is lost")),
    ]
}

fn capacity() -> PrescalePlan {
    let row = |what: &str, now, needed: u64, lead_ms| PlanRow {
        what: what.into(),
        now,
        needed,
        add: needed.saturating_sub(now),
        lead_ms,
        cost_per_h: 1.5,
    };
    let input = |name: &str, value, unit: &str, source: &str| CapacityInput {
        name: name.into(),
        value,
        unit: unit.into(),
        source: source.into(),
    };
    PrescalePlan {
        factor: 1.0,
        rows: vec![row("gateways", 4, 4, 30_000), row("workers", 2, 2, 30_000), row("store nodes", 3, 4, 1_800_000)],
        inputs: vec![
            input("messages", 1_270.5, "1/s", "measured: peak of the last 15 min"),
            input("rows of a store node", 20_000.0, "1/s", "assumed: set capacity.* to your own"),
        ],
        assumptions: vec!["every figure grows by the same factor".into()],
        provisioner: "command".into(),
    }
}

fn scale_events() -> Vec<ScaleEvent> {
    let event = |name: &str, state, trouble: Option<&str>| ScaleEvent {
        name: name.into(),
        revision: 1,
        factor: 5.0,
        scales_ms: NOW + 3_600_000,
        starts_ms: NOW + 5_400_000,
        ends_ms: NOW + 9_000_000,
        state,
        operation: None,
        trouble: trouble.map(Into::into),
        who: "ann".into(),
        reason: "final".into(),
    };
    vec![
        event("cup", EventState::Planned, None),
        event("quarter", EventState::Planned, Some("no provisioner is configured: nobody can add nodes")),
    ]
}

fn sessions() -> Vec<UserSession> {
    let session = |gateway: &str, version, registered, heard| UserSession {
        user: "mia".into(),
        device: "phone".into(),
        session_version: version,
        gateway: gateway.into(),
        registered,
        connected: true,
        heard_ms_ago: Some(heard),
    };
    vec![session("gw-2", 1_795_607_990_000, true, 2_100), session("gw-1", 1_795_607_900_000, false, 28_400)]
}

fn conversation() -> ConversationDetail {
    let members = vec!["ann".into(), "bob".into(), "mia".into()];
    ConversationDetail { id: "team".into(), kind: protocol::frames::Kind::Group, members, head: 4_711 }
}

/// A run of a runbook that waits for a word.
pub(super) fn waiting_run() -> Operation {
    let call = Call {
        command: "chatctl consistency set one --for 10m".into(),
        method: "POST".into(),
        path: "/v1/overrides".into(),
        body: Value::Null,
        until: None,
    };
    let step = Step {
        id: "lower".into(),
        title: "Lower consistency".into(),
        kind: StepKind::Action,
        calls: vec![call],
        undo: Vec::new(),
        timeout_ms: 60_000,
        confirm: Some("ONE".into()),
    };
    let run = StepRun { step, state: StepState::Unconfirmed, began_ms: None, ended_ms: None, result: String::new() };
    let detail = RunbookDetail {
        runbook: "write-timeouts".into(),
        params: BTreeMap::new(),
        plan_hash: "ab".repeat(32),
        role: Role::Operator,
        steps: vec![run],
    };
    Operation {
        id: "op-40".into(),
        number: 40,
        kind: OperationKind::Runbook,
        target: "write-timeouts".into(),
        phase: OperationPhase::Waiting,
        detail: serde_json::to_value(detail).unwrap(),
        drain: None,
        ..operations().remove(0)
    }
}

fn audit() -> Vec<AuditEntry> {
    let entry = |seq: u64, action: &str, target: &str, reason: &str, result: &str| AuditEntry {
        seq,
        at_ms: NOW - (110 - seq) * 7_000,
        who: "ann".into(),
        role: Role::Operator,
        action: action.into(),
        target: target.into(),
        reason: reason.into(),
        before: "active".into(),
        after: "draining".into(),
        result: result.into(),
        previous_hash: "0".repeat(64),
        hash: "9f".repeat(32),
    };
    vec![
        entry(109, "gateway.drain", "gw-4", "new kernel", "done"),
        entry(108, "override.create", "fleet", "a rack is down", "done"),
        // Whoever writes this into a reason does not move the cursor.
        entry(107, "gateway.drain", "gw-1", "evil\u{1b}[2Jreason", "refused"),
    ]
}
