//! A control plane with fake gateways, and a way to run the program against it.

use std::{
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use backends::{
    Clock,
    node::{Node, run_node},
    stream::Switchboard,
};
use control_plane::{ControlPlane, ControlPlaneConfig, store::MemoryStore};
use parking_lot::Mutex;
use protocol::node::{ControlFrame, Desired, DrainPhase, DrainReport, NodeFrame, Register, Report, Role};
use tokio_util::sync::CancellationToken;

pub(crate) const ADMIN: &str = "the admin's secret";

/// A gateway whose clients leave, a hundred each second, unless it is stuck.
struct FakeGateway {
    id: String,
    is_stuck: bool,
    state: Mutex<(u64, DrainReport)>,
}

#[async_trait]
impl Node for FakeGateway {
    fn register(&self) -> Register {
        Register {
            node: self.id.clone(),
            role: Role::Gateway.into(),
            incarnation: 1,
            client_url: format!("ws://{}/v1/ws", self.id),
            http_url: format!("http://{}", self.id),
            software: "fake 1".into(),
            capacity: 1_000,
            zone: "here".into(),
            desired_version: 0,
            roles: Vec::new(),
        }
    }

    fn report(&self) -> Report {
        let (connections, drain) = &mut *self.state.lock();
        if drain.phase() == DrainPhase::Draining && !self.is_stuck {
            *connections = connections.saturating_sub(100);
            if *connections == 0 {
                drain.set_phase(DrainPhase::Drained);
            }
        }
        Report { connections: *connections, users: *connections, drain: Some(drain.clone()), ..Report::default() }
    }

    fn apply(&self, desired: &Desired) -> Result<(), String> {
        let (connections, drain) = &mut *self.state.lock();
        *drain = match &desired.drain {
            None => DrainReport::default(),
            Some(order) => DrainReport {
                operation: order.operation.clone(),
                phase: DrainPhase::Draining.into(),
                connections_at_start: *connections,
                ..DrainReport::default()
            },
        };
        Ok(())
    }
}

/// What a run of the program gave.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// Runs the program with a config directory of its own, and no terminal.
pub(crate) async fn chatctl_in(config: &Path, args: &[&str]) -> Ran {
    let mut command = Command::new(env!("CARGO_BIN_EXE_chatctl"));
    command.args(args).stdin(Stdio::null()).env("XDG_CONFIG_HOME", config).env("XDG_DATA_HOME", config.join("share"));
    for name in ["CHATCTL_CONTEXT", "CHATCTL_ADMIN_TOKEN", "CHATCTL_SERVICE_TOKEN", "CHATCTL_JWT_SECRET"] {
        command.env_remove(name);
    }
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let text = |bytes: &[u8]| normal(&String::from_utf8_lossy(bytes));
    Ran { code: output.status.code().unwrap(), out: text(&output.stdout), err: text(&output.stderr) }
}

/// Takes out what differs between runs: times of day, ports, the random tails of names.
fn normal(text: &str) -> String {
    let is_time = |word: &str| word.len() == 20 && word.ends_with('Z') && word.as_bytes()[10] == b'T';
    let is_operation = |word: &str| word.starts_with("op-") && word.len() == 9;
    let is_incident = |word: &str| word.starts_with("inc-") && word.len() == 10;
    let mut done = String::new();
    let mut word = String::new();
    for c in text.chars().chain(['\n']) {
        if c.is_ascii_alphanumeric() || "-:.".contains(c) {
            word.push(c);
            continue;
        }
        // The colon of a sentence is no part of a name.
        let (name, colon) = word.strip_suffix(':').map_or((word.as_str(), ""), |name| (name, ":"));
        if is_time(&word) {
            done.push_str("2026-01-01T00:00:00Z");
        } else if is_operation(name) {
            done.push_str(&format!("{}xxxx{colon}", &name[..5]));
        } else if is_incident(name) {
            done.push_str(&format!("{}xxxx{colon}", &name[..6]));
        } else if let Some(("127.0.0.1", _)) = word.split_once(':') {
            done.push_str("127.0.0.1:PORT");
        } else {
            done.push_str(&word);
        }
        word.clear();
        done.push(c);
    }
    done.pop();
    done
}

pub(crate) struct Fleet {
    pub(crate) config: tempfile::TempDir,
    plane: Option<ControlPlane>,
    board: Switchboard<NodeFrame, ControlFrame>,
    stop: CancellationToken,
}

impl Fleet {
    pub(crate) async fn start() -> Self {
        let board = Switchboard::default();
        let config = ControlPlaneConfig::new(ADMIN.into(), Clock::System, 3);
        let store = Arc::new(MemoryStore::default());
        let plane = ControlPlane::start(config, store, board.listen("control")).await.unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        plane.serve(listener).unwrap();
        let config = tempfile::tempdir().unwrap();
        let set = ["context", "set", "test", "--control-plane", &url, "--admin-token", ADMIN, "--jwt-secret", "s3cret"];
        assert_eq!(chatctl_in(config.path(), &set).await.code, 0);
        Self { config, plane: Some(plane), board, stop: CancellationToken::new() }
    }

    /// Starts a gateway and waits until the control plane has its report.
    pub(crate) async fn gateway(&self, id: &str, connections: u64, is_stuck: bool) {
        let state = Mutex::new((connections, DrainReport::default()));
        let node = Arc::new(FakeGateway { id: id.into(), is_stuck, state });
        tokio::spawn(run_node(node, Arc::new(self.board.clone()), "control".into(), None, 1, self.stop.clone()));
        let plane = self.plane.as_ref().unwrap();
        let is_there = || plane.gateways().iter().any(|gateway| gateway.id == id && gateway.connections == connections);
        let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
        while !is_there() {
            assert!(tokio::time::Instant::now() < deadline, "gateway {id} never came");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// `gw-1` with 120 connections and `gw-2` with 40.
    pub(crate) async fn pair(is_stuck: bool) -> Self {
        let fleet = Self::start().await;
        fleet.gateway("gw-1", 120, is_stuck).await;
        fleet.gateway("gw-2", 40, false).await;
        fleet
    }

    pub(crate) async fn run(&self, args: &[&str]) -> Ran {
        chatctl_in(self.config.path(), args).await
    }

    /// Runs what must succeed, and gives its output.
    pub(crate) async fn ok(&self, args: &[&str]) -> String {
        let ran = self.run(args).await;
        assert_eq!(ran.code, 0, "{args:?}: {ran:?}");
        ran.out
    }

    /// The name of an operation, as the control plane knows it.
    pub(crate) async fn operation(&self, number: u64) -> String {
        let all = self.plane.as_ref().unwrap().app().operations(&Default::default()).await.unwrap();
        all.items.into_iter().find(|operation| operation.number == number).unwrap().id
    }

    /// Cuts every gateway off, and gives the incident that the control plane opens for it.
    pub(crate) async fn crash(&self) -> String {
        self.stop.cancel();
        let app = self.plane.as_ref().unwrap().app();
        let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
        loop {
            if let Some(incident) = app.incidents(false, None, None).await.unwrap().items.into_iter().next() {
                return incident.id;
            }
            assert!(tokio::time::Instant::now() < deadline, "no incident");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub(crate) async fn stop_plane(&mut self) {
        self.plane.take().unwrap().shutdown().await;
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
