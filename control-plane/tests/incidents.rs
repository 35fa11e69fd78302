//! Incidents from the reports of nodes to their end, without HTTP, in paused time.

#![allow(clippy::unwrap_used)]

mod support;

use std::time::Duration;

use backends::Clock;
use chat_control_plane::AppError;
use protocol::{
    admin::{DrainRequest, Incident, IncidentState, Light, LightState, Mode, NodeStatus, Severity},
    node::Figures,
};
use support::{Rig, operator};
use tokio::time::{Instant, sleep};

impl Rig {
    async fn open(&self) -> Vec<Incident> {
        self.plane.app().incidents(false, None, None).await.unwrap().items
    }

    async fn incident_where(&self, what: impl Fn(&Incident) -> bool) -> Incident {
        for _ in 0..4_000 {
            let all = self.plane.app().incidents(true, None, None).await.unwrap().items;
            if let Some(found) = all.into_iter().find(&what) {
                return found;
            }
            sleep(Duration::from_millis(100)).await;
        }
        panic!("it never happened: {:?}", self.plane.app().incidents(true, None, None).await.unwrap());
    }

    async fn light(&self, mode: Mode) -> Light {
        self.plane.app().overview().await.unwrap().lights.into_iter().find(|light| light.mode == mode).unwrap()
    }

    /// Lines of the audit under the control plane's own name, oldest first.
    async fn own_deeds(&self) -> Vec<String> {
        let audit = self.plane.app().audit(None, Some(500)).await.unwrap().items;
        let own = audit.into_iter().rev().filter(|entry| entry.who == "control-plane");
        own.map(|entry| format!("{} {}", entry.action, entry.after)).collect()
    }
}

fn is_open(incident: &Incident) -> bool {
    incident.state != IncidentState::Resolved
}

#[tokio::test(start_paused = true)]
async fn a_vanished_gateway_opens_an_incident_that_ends_when_it_is_back() {
    let rig = Rig::start().await;
    let (one, _two) = (rig.gateway("gw-1", 1, 1_000), rig.gateway("gw-2", 1, 400));
    rig.gateway_where("gw-1", |gateway| gateway.connections == 1_000).await;
    sleep(Duration::from_secs(20)).await;
    assert_eq!((rig.open().await, rig.light(Mode::GatewayCrash).await.state), (Vec::new(), LightState::Good));

    one.kill().await;
    let killed = Instant::now();
    let incident = rig.incident_where(is_open).await;
    assert!((2..=5).contains(&killed.elapsed().as_secs()), "opened after {:?}", killed.elapsed());
    assert_eq!((incident.mode, incident.severity, incident.number), (Mode::GatewayCrash, Severity::Critical, 1));
    assert_eq!(incident.summary, "gw-1 is not heard and had 1,000 connections");
    assert_eq!((incident.runbook.as_str(), incident.params["gateway"].as_str()), ("gateway-crash", "gw-1"));
    let dropped = &incident.evidence[0];
    assert_eq!((dropped.value, dropped.unit.as_str(), dropped.of.as_deref()), (1_000.0, "connections", Some("gw-1")));
    let light = rig.light(Mode::GatewayCrash).await;
    assert_eq!((light.state, light.value, light.incident), (LightState::Firing, 1.0, Some(incident.id.clone())));

    let taken = rig.plane.app().incident_ack(&operator(), &incident.id, "mine").await.unwrap();
    let twice = rig.plane.app().incident_ack(&operator(), &incident.id, "mine").await.unwrap();
    assert_eq!(twice.already, Some(format!("incident {} is otto's already: nothing to do", incident.id)));
    assert_eq!((taken.state, taken.acknowledged_by.as_deref()), (IncidentState::Acknowledged, Some("otto")));

    // Nobody comes back for an hour: it stays, it is one, and its evidence goes on.
    sleep(Duration::from_secs(3_600)).await;
    let open = rig.open().await;
    assert_eq!((open.len(), &open[0].id, open[0].state), (1, &incident.id, IncidentState::Acknowledged));
    assert!(open[0].evidence[1].value > 3_500_000.0, "{:?}", open[0].evidence);
    assert!((300..=400).contains(&open[0].revision), "one change in 10 s, not {}", open[0].revision);

    let _again = rig.gateway("gw-1", 2, 0);
    rig.gateway_where("gw-1", |gateway| gateway.status == NodeStatus::Live).await;
    let back = Instant::now();
    let ended = rig.incident_where(|it| !is_open(it)).await;
    assert!((29..=32).contains(&back.elapsed().as_secs()), "resolved after {:?}", back.elapsed());
    assert_eq!((ended.id, ended.resolved_by.as_deref()), (incident.id, Some("rule")));
    assert!(ended.resolved_ms.unwrap() - ended.seen_ms >= 30_000);
    assert_eq!(rig.own_deeds().await, ["incident open open", "incident resolve resolved"]);
    assert!(rig.plane.app().audit_verify().await.unwrap().intact);
    rig.plane.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn it_ends_when_the_users_are_back_elsewhere_and_stays_ended() {
    let rig = Rig::start().await;
    // One of many: what it drops is less than 5% of the fleet.
    let others: Vec<_> = (2..=30).map(|n| rig.gateway(&format!("gw-{n}"), 1, 1_000)).collect();
    let one = rig.gateway("gw-1", 1, 1_000);
    for n in 1..=30 {
        rig.gateway_where(&format!("gw-{n}"), |gateway| gateway.connections == 1_000).await;
    }
    sleep(Duration::from_secs(10)).await;
    one.kill().await;
    rig.incident_where(is_open).await;
    sleep(Duration::from_secs(300)).await;
    assert_eq!(rig.open().await.len(), 1, "nobody is back");
    others[0].gateway.state.lock().connections = 1_950;
    let back = Instant::now();
    rig.incident_where(|it| !is_open(it)).await;
    assert!((29..=33).contains(&back.elapsed().as_secs()), "resolved after {:?}", back.elapsed());
    // The fleet empties for the night: the gateway is still lost, and that is no news.
    others.iter().for_each(|other| other.gateway.state.lock().connections = 10);
    sleep(Duration::from_secs(1_200)).await;
    assert_eq!(rig.plane.app().incidents(true, None, None).await.unwrap().items.len(), 1);
    rig.plane.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn a_crash_is_told_when_its_users_are_elsewhere_at_once() {
    let rig = Rig::start().await;
    let (one, two) = (rig.gateway("gw-1", 1, 20), rig.gateway("gw-2", 1, 20));
    rig.gateway_where("gw-1", |gateway| gateway.connections == 20).await;
    rig.gateway_where("gw-2", |gateway| gateway.connections == 20).await;
    sleep(Duration::from_secs(5)).await;
    one.kill().await;
    two.gateway.state.lock().connections = 40;
    let killed = Instant::now();
    let told = rig.incident_where(is_open).await;
    assert!((2..=5).contains(&killed.elapsed().as_secs()), "opened after {:?}", killed.elapsed());
    let ended = rig.incident_where(|it| !is_open(it)).await;
    assert!((30..=45).contains(&killed.elapsed().as_secs()), "resolved after {:?}", killed.elapsed());
    assert_eq!(ended.id, told.id);
    sleep(Duration::from_secs(1_200)).await;
    assert_eq!(rig.plane.app().incidents(true, None, None).await.unwrap().items.len(), 1);
    rig.plane.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_was_told_to_leave_is_no_crash() {
    let rig = Rig::start().await;
    let (one, _two) = (rig.gateway("gw-1", 1, 100), rig.gateway("gw-2", 1, 0));
    rig.gateway_where("gw-1", |gateway| gateway.connections == 100).await;
    rig.gateway_where("gw-2", |_| true).await;
    let request = DrainRequest { reason: "kernel update".into(), ..DrainRequest::default() };
    rig.plane.drain(&operator(), "gw-1", &request).await.unwrap();
    sleep(Duration::from_secs(2)).await;
    one.kill().await;
    sleep(Duration::from_secs(4)).await;
    rig.gateway_where("gw-1", |gateway| gateway.status == NodeStatus::Lost).await;
    assert_eq!(rig.open().await, []);
    rig.plane.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn an_open_incident_survives_the_control_plane() {
    let clock = Clock::simulated(1_700_000_000_000);
    let rig = Rig::with(std::sync::Arc::new(chat_control_plane::store::MemoryStore::default()), clock).await;
    let (one, two) = (rig.gateway("gw-1", 1, 1_000), rig.gateway("gw-2", 1, 400));
    rig.gateway_where("gw-1", |gateway| gateway.connections == 1_000).await;
    rig.gateway_where("gw-2", |gateway| gateway.connections == 400).await;
    sleep(Duration::from_secs(10)).await;
    one.kill().await;
    let incident = rig.incident_where(is_open).await;
    rig.plane.app().incident_ack(&operator(), &incident.id, "").await.unwrap();

    let rig = rig.restart().await;
    // The new control plane never heard gw-1; it knows of its users from the incident alone.
    sleep(Duration::from_secs(600)).await;
    let open = rig.open().await;
    assert_eq!((open.len(), &open[0].id, open[0].state), (1, &incident.id, IncidentState::Acknowledged));
    assert_eq!(open[0].evidence[0].value, 1_000.0);
    two.gateway.state.lock().connections = 1_350;
    let ended = rig.incident_where(|it| !is_open(it)).await;
    assert_eq!(ended.resolved_by.as_deref(), Some("rule"));
    rig.plane.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn what_a_node_counted_before_is_not_news_to_a_new_control_plane() {
    let rig = Rig::start().await;
    let one = rig.gateway("gw-1", 1, 100);
    // A split brain of last week.
    let old = Figures { stale_overwrites_total: 7, flip_flops_total: 90, ..Figures::default() };
    one.gateway.state.lock().figures = Some(old);
    rig.gateway_where("gw-1", |gateway| gateway.connections == 100).await;
    let rig = rig.restart().await;
    sleep(Duration::from_secs(90)).await;
    assert_eq!(rig.plane.app().incidents(true, None, None).await.unwrap().items, []);
    assert_eq!(rig.light(Mode::SplitBrain).await.state, LightState::Good);
    assert_eq!(rig.light(Mode::WriteTimeouts).await.state, LightState::Unknown, "no worker tells");

    one.gateway.state.lock().figures = Some(Figures { stale_overwrites_total: 8, ..old });
    let opened = rig.incident_where(is_open).await;
    assert_eq!((opened.mode, opened.severity), (Mode::SplitBrain, Severity::Critical));
    let began = Instant::now();
    let ended = rig.incident_where(|it| !is_open(it)).await;
    // A minute until the window is past it, and a minute of quiet.
    assert!((115..=125).contains(&began.elapsed().as_secs()), "resolved after {:?}", began.elapsed());
    assert_eq!(ended.id, opened.id);
    rig.plane.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn resolved_by_hand_it_opens_again_only_after_its_rule_was_false() {
    let rig = Rig::start().await;
    let (one, _two) = (rig.gateway("gw-1", 1, 1_000), rig.gateway("gw-2", 1, 0));
    rig.gateway_where("gw-1", |gateway| gateway.connections == 1_000).await;
    sleep(Duration::from_secs(5)).await;
    one.kill().await;
    let first = rig.incident_where(is_open).await;
    let resolved = rig.plane.app().incident_resolve(&operator(), &first.id, "known").await.unwrap();
    assert_eq!((resolved.state, resolved.resolved_by.as_deref()), (IncidentState::Resolved, Some("otto")));
    let twice = rig.plane.app().incident_resolve(&operator(), &first.id, "known").await.unwrap();
    assert_eq!(twice.already, Some(format!("incident {} is resolved already, by otto: nothing to do", first.id)));
    let late = rig.plane.app().incident_ack(&operator(), &first.id, "").await.unwrap_err();
    assert!(matches!(late, AppError::Conflict { .. }), "nobody can take what is over: {late:?}");
    sleep(Duration::from_secs(120)).await;
    assert_eq!(rig.open().await, []);
    assert_eq!(rig.light(Mode::GatewayCrash).await.state, LightState::Firing, "the rule still holds");

    let again = rig.gateway("gw-1", 2, 1_000);
    rig.gateway_where("gw-1", |gateway| gateway.status == NodeStatus::Live && gateway.connections == 1_000).await;
    sleep(Duration::from_secs(5)).await;
    again.kill().await;
    let second = rig.incident_where(is_open).await;
    assert_eq!(second.number, 2);
    rig.plane.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn a_page_of_one_mode_goes_on_where_the_last_ended() {
    let rig = Rig::start().await;
    let gateways: Vec<_> = (1..=3).map(|n| rig.gateway(&format!("gw-{n}"), 1, 10)).collect();
    let figures = |stale_overwrites_total| Some(Figures { stale_overwrites_total, ..Figures::default() });
    gateways[0].gateway.state.lock().figures = figures(0);
    rig.gateway_where("gw-3", |gateway| gateway.connections == 10).await;
    sleep(Duration::from_secs(5)).await;
    gateways[0].gateway.state.lock().figures = figures(1);
    rig.incident_where(|it| it.mode == Mode::SplitBrain).await;
    for gateway in gateways {
        gateway.kill().await;
    }
    rig.incident_where(|it| it.number == 4).await;
    let app = rig.plane.app();
    let first = app.incidents_of(Mode::GatewayCrash, false, None, Some(2)).await.unwrap();
    assert_eq!(first.items.iter().map(|it| it.number).collect::<Vec<_>>(), [4, 3]);
    let rest = app.incidents_of(Mode::GatewayCrash, false, first.next, Some(2)).await.unwrap();
    assert_eq!((rest.items.iter().map(|it| it.number).collect::<Vec<_>>(), rest.next), (vec![2], None));
    let other = app.incidents_of(Mode::SplitBrain, true, None, None).await.unwrap();
    assert_eq!((other.items.len(), other.items[0].number, other.next), (1, 1, None));
    assert_eq!(app.incidents_of(Mode::LostAck, true, None, None).await.unwrap().items, []);
    rig.plane.shutdown().await;
}
