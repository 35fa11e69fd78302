use protocol::{
    admin::{OperationKind, Progress},
    node::{DrainReport, Report},
};

use super::*;
use crate::store::NodeRecord;

/// A fleet that does as it is told, some time later.
struct Fleet {
    views: Vec<NodeView>,
    operation: Operation,
    detail: RolloutDetail,
    now_ms: u64,
    log: Vec<String>,
}

fn view(id: &str, role: NodeRole, zone: &str) -> NodeView {
    let record = NodeRecord {
        id: id.into(),
        role,
        roles: Vec::new(),
        incarnation: 1,
        client_url: String::new(),
        http_url: String::new(),
        software: String::new(),
        capacity: 100,
        zone: zone.into(),
    };
    NodeView {
        record,
        lost: false,
        given_up: false,
        heard_ms_ago: 0,
        report: Report { connections: 20, ..Report::default() },
        desired: DesiredRecord { node: id.into(), ..DesiredRecord::default() },
        acked: 0,
        nack: None,
    }
}

impl Fleet {
    fn new(role: NodeRole, nodes: &[(&str, &str)], max_unavailable: u32) -> Self {
        let views: Vec<NodeView> = nodes.iter().map(|(id, zone)| view(id, role, zone)).collect();
        let nodes = views.iter().map(|view| RolloutNode {
            node: view.record.id.clone(),
            step: RolloutStep::Waiting,
            incarnation: 1,
            since_ms: 0,
        });
        let detail = RolloutDetail {
            role,
            max_unavailable,
            deadline_ms: 30_000,
            is_paused: false,
            blocked: None,
            nodes: nodes.collect(),
        };
        let operation = Operation {
            id: "op-1".into(),
            number: 1,
            epoch: 1,
            revision: 1,
            kind: OperationKind::Rollout,
            target: "fleet".into(),
            state: OperationState::Running,
            phase: OperationPhase::Ordered,
            progress: Progress { total: views.len() as u64, ..Progress::default() },
            drain: None,
            detail: serde_json::Value::Null,
            reason: String::new(),
            who: "otto".into(),
            created_ms: 0,
            updated_ms: 0,
            ended_ms: None,
            error: None,
        };
        Self { views, operation, detail, now_ms: 0, log: Vec::new() }
    }

    fn node(&mut self, id: &str) -> &mut NodeView {
        self.views.iter_mut().find(|view| view.record.id == id).unwrap()
    }

    fn pass(&mut self) {
        self.now_ms += 1_000;
        if let Some(rolled) = step(&self.operation, &self.detail, &self.views, self.now_ms) {
            self.log.push(rolled.message);
            (self.operation, self.detail) = (rolled.operation, rolled.detail);
            for desired in rolled.desired {
                let node = desired.node.clone();
                self.node(&node).desired = desired;
            }
        }
    }

    /// Nodes do what they are told, one pass later.
    fn obey(&mut self) {
        for view in &mut self.views {
            view.acked = view.desired.version;
            if view.desired.restart_incarnation == view.record.incarnation {
                view.record.incarnation += 1;
                view.report = Report { connections: 20, ..Report::default() };
            } else if let Some(drain) = &view.desired.drain {
                view.report.connections = 0;
                let report = DrainReport { operation: drain.operation.clone(), ..DrainReport::default() };
                view.report.drain = Some(DrainReport { phase: DrainPhase::Drained.into(), ..report });
            } else {
                view.report.drain = None;
            }
        }
    }

    fn under_way(&self) -> Vec<&str> {
        let busy = |node: &&RolloutNode| matches!(node.step, RolloutStep::Draining | RolloutStep::Restarting);
        self.detail.nodes.iter().filter(busy).map(|node| node.node.as_str()).collect()
    }

    fn run(&mut self) {
        for _ in 0..200 {
            self.pass();
            assert!(self.under_way().len() <= self.detail.max_unavailable as usize);
            if self.operation.state.is_final() {
                return;
            }
            self.obey();
        }
        panic!("it does not end: {:?}", self.log);
    }
}

#[test]
fn gateways_drain_restart_and_come_back_one_after_another() {
    let mut fleet = Fleet::new(NodeRole::Gateway, &[("gw-1", "a"), ("gw-2", "a"), ("gw-3", "b")], 1);
    fleet.run();
    assert_eq!(fleet.operation.state, OperationState::Succeeded);
    assert!(fleet.views.iter().all(|view| view.record.incarnation == 2 && view.desired.drain.is_none()));
    assert_eq!(fleet.operation.progress.done, 3);
}

#[test]
fn one_gateway_of_a_zone_at_once_and_workers_need_no_drain() {
    let mut fleet = Fleet::new(NodeRole::Gateway, &[("gw-1", "a"), ("gw-2", "a"), ("gw-3", "b"), ("gw-4", "c")], 2);
    fleet.pass();
    assert_eq!(fleet.under_way(), ["gw-1"]);
    assert!(fleet.detail.blocked.as_ref().unwrap().contains("same zone"));
    fleet.run();
    let mut fleet = Fleet::new(NodeRole::Worker, &[("w-1", ""), ("w-2", ""), ("w-3", "")], 2);
    fleet.pass();
    assert_eq!(fleet.under_way(), ["w-1", "w-2"]);
    fleet.run();
    assert_eq!(fleet.operation.state, OperationState::Succeeded);
}

#[test]
fn a_node_that_is_not_well_stops_it_and_the_rest_stays_in_service() {
    let mut fleet = Fleet::new(NodeRole::Gateway, &[("gw-1", "a"), ("gw-2", "b"), ("gw-3", "c")], 1);
    for _ in 0..3 {
        fleet.pass();
        fleet.obey();
        fleet.node("gw-1").report.trouble = "no worker is connected".into();
    }
    for _ in 0..120 {
        fleet.pass();
    }
    assert_eq!(fleet.operation.state, OperationState::Failed);
    assert!(fleet.operation.error.as_ref().unwrap().contains("no worker is connected"));
    assert!(fleet.views[1..].iter().all(|view| view.record.incarnation == 1 && view.desired.drain.is_none()));
}

#[test]
fn it_waits_while_another_is_not_well_and_says_which_rule_blocks() {
    let mut fleet = Fleet::new(NodeRole::Worker, &[("w-1", ""), ("w-2", "")], 1);
    fleet.node("w-2").report.trouble = "messages is down".into();
    fleet.pass();
    assert_eq!(fleet.detail.blocked.as_deref(), Some("w-2 is not well (messages is down): it is waited for"));
    assert!(fleet.under_way().is_empty());
    fleet.node("w-2").report.trouble.clear();
    fleet.run();
    let mut full = Fleet::new(NodeRole::Gateway, &[("gw-1", "a"), ("gw-2", "b")], 1);
    full.views.iter_mut().for_each(|view| view.report.connections = 45);
    full.pass();
    assert!(full.detail.blocked.as_ref().unwrap().contains("over 80%"), "{:?}", full.detail.blocked);
}

#[test]
fn paused_it_finishes_what_is_begun_and_cancelled_it_gives_the_gateway_back() {
    let mut fleet = Fleet::new(NodeRole::Gateway, &[("gw-1", "a"), ("gw-2", "b"), ("gw-3", "c")], 1);
    fleet.pass();
    fleet.detail.is_paused = true;
    for _ in 0..10 {
        fleet.obey();
        fleet.pass();
    }
    assert_eq!(fleet.operation.progress.done, 1);
    assert!(fleet.under_way().is_empty());
    fleet.detail.is_paused = false;
    fleet.pass();
    assert_eq!(fleet.under_way(), ["gw-2"]);
    fleet.operation.state = OperationState::Cancelling;
    fleet.pass();
    assert_eq!(fleet.operation.state, OperationState::Cancelled);
    assert!(fleet.node("gw-2").desired.drain.is_none());
}

#[test]
fn a_node_that_was_forgotten_before_its_turn_is_skipped() {
    let mut fleet = Fleet::new(NodeRole::Gateway, &[("gw-1", "a"), ("gw-2", "b"), ("gw-3", "c")], 1);
    fleet.pass();
    fleet.detail.is_paused = true;
    fleet.views.retain(|view| view.record.id != "gw-3");
    fleet.pass();
    assert!(fleet.log.contains(&"gw-3 is not known any more: it is skipped".to_owned()), "{:?}", fleet.log);
    fleet.detail.is_paused = false;
    fleet.run();
    assert_eq!((fleet.operation.state, fleet.operation.progress.done), (OperationState::Succeeded, 3));
    assert!(fleet.views.iter().all(|view| view.record.incarnation == 2));
}

#[test]
fn a_node_that_was_forgotten_while_it_was_under_way_fails_it() {
    for passes in [1, 2] {
        let mut fleet = Fleet::new(NodeRole::Gateway, &[("gw-1", "a"), ("gw-2", "b"), ("gw-3", "c")], 1);
        for _ in 0..passes {
            fleet.obey();
            fleet.pass();
        }
        assert_eq!(fleet.under_way(), ["gw-1"]);
        fleet.views.retain(|view| view.record.id != "gw-1");
        fleet.pass();
        assert_eq!((fleet.operation.state, fleet.detail.nodes[0].step), (OperationState::Failed, RolloutStep::Failed));
        let why = fleet.operation.error.as_deref().unwrap();
        assert!(why.starts_with("gw-1 is not known any more"), "{why}");
    }
}
