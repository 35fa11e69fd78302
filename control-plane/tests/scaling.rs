//! Scaling by itself: events, and nodes of the message store. In paused time.

#![allow(clippy::unwrap_used)]

mod support;

use std::{sync::Arc, time::Duration};

use chat_control_plane::{ControlPlane, ControlPlaneConfig, Provisioner, Replica, store::MemoryStore};
use domain::StoreScaling;
use protocol::{
    admin::{CreateEvent, EventState, NodeCounts, OperationKind, OperationState, PrescaleRequest, ScaleEvent},
    node::Figures,
};
use support::{ADMIN, Rig, gateway_on, operator};
use tokio::{sync::watch, time::sleep};

/// A control plane in real time, whose nodes are added and taken away by a program. Nodes find it at `scaling`.
async fn scaled_by(rig: &Rig, command: &str) -> ControlPlane {
    let config = ControlPlaneConfig {
        provisioner: Provisioner::Command(command.parse().unwrap()),
        ..ControlPlaneConfig::new(ADMIN.into(), backends::Clock::System, 7)
    };
    let store = Arc::new(MemoryStore::default());
    let plane = ControlPlane::start_replica(config, Replica::default(), store, rig.board.listen("scaling"));
    plane.await.unwrap()
}

async fn event(rig: &Rig) -> ScaleEvent {
    rig.plane.app().scale_events().await.unwrap().remove(0)
}

#[tokio::test(start_paused = true)]
async fn an_event_that_nobody_can_scale_for_stays_planned_and_says_why() {
    let rig = Rig::start().await;
    let _one = rig.gateway("gw-1", 1, 100);
    rig.gateway_where("gw-1", |gateway| gateway.connections == 100).await;
    let now_ms = rig.now_ms();
    let wanted = CreateEvent {
        name: "cup".into(),
        factor: 5.0,
        starts_ms: now_ms + 60_000,
        lasts_ms: 600_000,
        lead_ms: Some(30_000),
        reason: "final".into(),
    };
    rig.plane.app().event_add(&operator(), &wanted).await.unwrap();
    sleep(Duration::from_secs(300)).await;
    let seen = event(&rig).await;
    assert_eq!((seen.state, seen.operation.as_deref()), (EventState::Planned, None));
    assert!(seen.trouble.unwrap().contains("no provisioner"));
    let tries = rig.plane.app().audit(None, Some(500)).await.unwrap().items;
    let tries = tries.iter().filter(|entry| entry.action == "prescale apply").count();
    assert!((3..=6).contains(&tries), "{tries} tries in 270 s: one a minute");
    sleep(Duration::from_secs(600)).await;
    assert_eq!(event(&rig).await.state, EventState::Over);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_slow_for_minutes_gets_a_node_once_in_a_cool_down() {
    let (counts, told) = watch::channel(None);
    let (rig, clock) = (Rig::start().await, backends::Clock::simulated(1_700_000_000_000));
    // Another control plane, with a provisioner.
    let config = ControlPlaneConfig {
        provisioner: Provisioner::Embedded(counts),
        autoscale: StoreScaling { nodes_max: 3, cool_down_ms: 1_800_000 },
        ..ControlPlaneConfig::new(ADMIN.into(), clock, 7)
    };
    let store = Arc::new(MemoryStore::default());
    let plane = ControlPlane::start_replica(config, Replica::default(), store, rig.board.listen("scaling"));
    let plane = plane.await.unwrap();
    let node = gateway_on(&rig.board, "scaling", "gw-1", 1, 10);
    let slow = |writes_total| Some(Figures { writes_total, write_p99_ms: 80, ..Figures::default() });
    let store_nodes = || told.borrow().map(|counts: NodeCounts| counts.store_nodes);
    for second in 0..290 {
        node.gateway.state.lock().figures = slow(second * 10);
        sleep(Duration::from_secs(1)).await;
    }
    assert_eq!(store_nodes(), None, "not slow for 5 min yet");
    for second in 290..1_500 {
        node.gateway.state.lock().figures = slow(second * 10);
        sleep(Duration::from_secs(1)).await;
    }
    // The fleet says it has one node, for the fakes have none: one more, and no second one within the cool-down.
    assert_eq!(store_nodes(), Some(2));
    let operations = plane.app().operations(&Default::default()).await.unwrap().items;
    let scaled: Vec<_> = operations.iter().filter(|it| it.kind == OperationKind::Prescale).collect();
    assert_eq!(scaled.len(), 1, "{scaled:?}");
    assert_eq!((scaled[0].state, scaled[0].who.as_str()), (OperationState::Succeeded, "control-plane"));
    let audit = plane.app().audit(None, Some(500)).await.unwrap().items;
    assert!(audit.iter().any(|entry| entry.action == "autoscale" && entry.target == "store nodes"));
    node.kill().await;
    plane.shutdown().await;
}

/// In real time, for the program that adds and takes away is one.
#[tokio::test]
async fn a_provisioner_that_fails_is_told_again() {
    let home = tempfile::tempdir().unwrap();
    let works = home.path().join("works");
    let rig = Rig::start().await;
    let plane = scaled_by(&rig, &format!("sh -c 'test -e {}'", works.display())).await;
    let node = gateway_on(&rig.board, "scaling", "gw-1", 1, 10);
    let prescale = async |factor| {
        let request = PrescaleRequest { factor, reason: "cup".into() };
        let begun = plane.app().prescale(&operator(), &request).await?;
        loop {
            let seen = plane.app().operation(&begun.id).await?;
            if seen.state != OperationState::Running {
                return Ok::<_, chat_control_plane::AppError>(seen.state);
            }
            sleep(Duration::from_millis(50)).await;
        }
    };
    let ended = tokio::time::timeout(Duration::from_secs(60), async {
        while plane.app().nodes().is_empty() {
            sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(prescale(Some(1.0)).await.unwrap(), OperationState::Failed, "a worker is wanted, and none comes");
        assert_eq!(prescale(None).await.unwrap(), OperationState::Failed);
        std::fs::write(&works, "").unwrap();
        assert_eq!(prescale(None).await.unwrap(), OperationState::Succeeded, "what failed can be tried again");
        let request = PrescaleRequest { factor: None, reason: "cup".into() };
        let again = plane.app().prescale(&operator(), &request).await.unwrap();
        assert_eq!(again.already.as_deref(), Some("nothing was scaled up: nothing to do"));
        assert_eq!(again.state, OperationState::Succeeded);
    });
    ended.await.unwrap();
    node.kill().await;
    plane.shutdown().await;
}

#[tokio::test]
async fn an_event_whose_nodes_are_refused_is_tried_again_and_says_why() {
    let rig = Rig::start().await;
    let plane = scaled_by(&rig, "sh -c 'echo no quota >&2; exit 1'").await;
    let wanted = CreateEvent {
        name: "cup".into(),
        factor: 5.0,
        starts_ms: backends::Clock::System.now_ms() + 60_000,
        lasts_ms: 600_000,
        lead_ms: Some(60_000),
        reason: "final".into(),
    };
    plane.app().event_add(&operator(), &wanted).await.unwrap();
    let said = tokio::time::timeout(Duration::from_secs(60), async {
        loop {
            let seen = plane.app().scale_events().await.unwrap().remove(0);
            if let Some(trouble) = seen.trouble {
                return (seen.state, seen.operation.is_some(), trouble);
            }
            sleep(Duration::from_millis(50)).await;
        }
    });
    let (state, has_begun, trouble) = said.await.unwrap();
    assert_eq!((state, has_begun), (EventState::Planned, true));
    assert!(trouble.contains("no quota"), "{trouble}");
    plane.shutdown().await;
}

/// In real time, for the program that adds and takes away is one.
#[tokio::test]
async fn an_event_is_over_once_the_fleet_is_back() {
    for works_at_the_end in [true, false] {
        let home = tempfile::tempdir().unwrap();
        let works = home.path().join("works");
        std::fs::write(&works, "").unwrap();
        let rig = Rig::start().await;
        let plane = scaled_by(&rig, &format!("sh -c 'test -e {}'", works.display())).await;
        // As many as are needed at least: nobody adds more.
        let nodes = ["gw-1", "gw-2", "worker-1"].map(|id| gateway_on(&rig.board, "scaling", id, 1, 10));
        let seen = tokio::time::timeout(Duration::from_secs(60), async {
            while plane.app().nodes().len() < nodes.len() {
                sleep(Duration::from_millis(20)).await;
            }
            // It has been going on for long, and ends in 5 s.
            let wanted = CreateEvent {
                name: "cup".into(),
                factor: 1.0,
                starts_ms: backends::Clock::System.now_ms() - 55_000,
                lasts_ms: 60_000,
                lead_ms: None,
                reason: "final".into(),
            };
            plane.app().event_add(&operator(), &wanted).await.unwrap();
            let mut up = None;
            loop {
                sleep(Duration::from_millis(50)).await;
                let seen = plane.app().scale_events().await.unwrap().remove(0);
                let Some(id) = seen.operation.clone() else { continue };
                let operation = plane.app().operation(&id).await.unwrap();
                let is_back = seen.trouble.is_some() || seen.state == EventState::Over;
                if up.is_none() && operation.state == OperationState::Succeeded {
                    up = Some(id);
                    if !works_at_the_end {
                        std::fs::remove_file(&works).unwrap();
                    }
                } else if up.as_ref().is_some_and(|up| *up != id) && is_back {
                    return (seen, operation.state);
                }
            }
        });
        let (seen, ended) = seen.await.unwrap();
        let wanted = match works_at_the_end {
            true => (EventState::Over, OperationState::Succeeded, false),
            false => (EventState::Scaled, OperationState::Failed, true),
        };
        assert_eq!((seen.state, ended, seen.trouble.is_some()), wanted, "{:?}", seen.trouble);
        plane.shutdown().await;
        for node in nodes {
            node.kill().await;
        }
    }
}
