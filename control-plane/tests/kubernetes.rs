//! Scaling by Kubernetes, over a fake API server that keeps a scale and a K8ssandraCluster as a cluster would: bearer
//! token, versions, tests of a JSON patch.

#![cfg(feature = "production")]
#![allow(clippy::unwrap_used)]

mod support;

use std::{sync::Arc, time::Duration};

use axum::{
    Json, Router,
    extract::{Path, Request, State},
    http::{HeaderMap, StatusCode},
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
    routing::get,
};
use backends::{Clock, stream::Switchboard};
use chat_control_plane::{
    Access, ControlPlane, ControlPlaneConfig, Kubernetes, Provisioner, Rates, Replica, store::MemoryStore,
};
use parking_lot::Mutex;
use protocol::{
    admin::{Operation, OperationState, PrescaleRequest},
    node::{ControlFrame, NodeFrame},
};
use serde_json::{Value, json};
use support::{ADMIN, RunningNode, gateway_on, operator};
use tokio::time::{Instant, sleep};

const TOKEN: &str = "token-of-a-service-account";

/// What the cluster has.
struct Cluster {
    gateways: i64,
    workers: i64,
    version: u64,
    /// Names and sizes of the datacenters of the K8ssandraCluster `store`.
    datacenters: Vec<(&'static str, u64)>,
    /// Refuses to have anything changed.
    is_read_only: bool,
    /// Somebody else scales between each read and write.
    is_contended: bool,
    /// Each change, as `PATH: BODY`.
    changes: Vec<String>,
}

type Shared = Arc<Mutex<Cluster>>;

fn refuse(code: StatusCode, reason: &str, message: &str) -> Response {
    let status = json!({ "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "reason": reason, "code": code.as_u16() });
    (code, Json(status)).into_response()
}

/// Answers only who shows the token, as every part of the API does.
async fn check_token(request: Request, next: Next) -> Response {
    let token = request.headers().get("authorization").and_then(|value| value.to_str().ok());
    if token == Some(&format!("Bearer {TOKEN}")) {
        return next.run(request).await;
    }
    refuse(StatusCode::UNAUTHORIZED, "Unauthorized", "Unauthorized")
}

impl Cluster {
    fn scale(&self, name: &str) -> Response {
        let replicas = match name {
            "chat-gateway" => self.gateways,
            "chat-worker" => self.workers,
            _ => {
                let message = format!("statefulsets.apps {name:?} not found");
                return refuse(StatusCode::NOT_FOUND, "NotFound", &message);
            }
        };
        let version = self.version.to_string();
        let scale = json!({ "kind": "Scale", "apiVersion": "autoscaling/v1",
            "metadata": { "name": name, "namespace": "chat", "resourceVersion": version },
            "spec": { "replicas": replicas }, "status": { "replicas": replicas } });
        Json(scale).into_response()
    }

    fn store(&self) -> Response {
        let datacenters = self.datacenters.iter();
        let datacenters: Vec<Value> =
            datacenters.map(|(name, size)| json!({ "metadata": { "name": name }, "size": size })).collect();
        Json(json!({ "kind": "K8ssandraCluster", "apiVersion": "k8ssandra.io/v1alpha1",
            "metadata": { "name": "store", "namespace": "chat" },
            "spec": { "cassandra": { "datacenters": datacenters } } }))
        .into_response()
    }
}

async fn read_scale(State(shared): State<Shared>, Path(name): Path<String>) -> Response {
    let mut cluster = shared.lock();
    let answer = cluster.scale(&name);
    cluster.version += u64::from(cluster.is_contended);
    answer
}

async fn patch_scale(
    State(shared): State<Shared>,
    Path(name): Path<String>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Response {
    assert_eq!(headers["content-type"], "application/merge-patch+json");
    let mut cluster = shared.lock();
    if cluster.is_read_only {
        let message = format!("statefulsets.apps {name:?} is forbidden: cannot patch resource");
        return refuse(StatusCode::FORBIDDEN, "Forbidden", &message);
    }
    if body["metadata"]["resourceVersion"] != json!(cluster.version.to_string()) {
        return refuse(StatusCode::CONFLICT, "Conflict", "the object has been modified");
    }
    let replicas = body["spec"]["replicas"].as_i64().unwrap();
    cluster.changes.push(format!("{name}: {replicas}"));
    cluster.version += 1;
    match name.as_str() {
        "chat-gateway" => cluster.gateways = replicas,
        _ => cluster.workers = replicas,
    }
    cluster.scale(&name)
}

async fn read_store(State(shared): State<Shared>) -> Response {
    shared.lock().store()
}

async fn patch_store(State(shared): State<Shared>, headers: HeaderMap, Json(body): Json<Value>) -> Response {
    assert_eq!(headers["content-type"], "application/json-patch+json");
    let mut cluster = shared.lock();
    for step in body.as_array().unwrap() {
        let path = step["path"].as_str().unwrap().strip_prefix("/spec/cassandra/datacenters/").unwrap();
        let (at, field) = path.split_once('/').unwrap();
        let (name, size) = cluster.datacenters[at.parse::<usize>().unwrap()];
        let value = if field == "size" { json!(size) } else { json!(name) };
        match step["op"].as_str().unwrap() {
            "test" if step["value"] == value => {}
            "test" => return refuse(StatusCode::UNPROCESSABLE_ENTITY, "Invalid", "testing value failed"),
            _ => {
                cluster.changes.push(format!("store/{name}: {}", step["value"]));
                cluster.datacenters[at.parse::<usize>().unwrap()].1 = step["value"].as_u64().unwrap();
            }
        }
    }
    cluster.store()
}

async fn serve(shared: Shared) -> String {
    let sets = "/apis/apps/v1/namespaces/chat/statefulsets/{name}/scale";
    let stores = "/apis/k8ssandra.io/v1alpha1/namespaces/chat/k8ssandraclusters/store";
    let routes = Router::new()
        .route(sets, get(read_scale).patch(patch_scale))
        .route(stores, get(read_store).patch(patch_store))
        .layer(middleware::from_fn(check_token))
        .with_state(shared);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, routes).await });
    url
}

struct Rig {
    cluster: Shared,
    board: Switchboard<NodeFrame, ControlFrame>,
    plane: ControlPlane,
    nodes: Vec<RunningNode>,
}

impl Rig {
    /// A control plane in a cluster, with two gateways of 1,000 connections each, one of which has so many.
    async fn start(connections: u64, gateways: &str) -> Self {
        Self::with(connections, gateways, Rates::default()).await
    }

    async fn with(connections: u64, gateways: &str, rates: Rates) -> Self {
        support::use_ring();
        let cluster = Arc::new(Mutex::new(Cluster {
            gateways: 2,
            workers: 1,
            version: 7,
            datacenters: vec![("dc-other", 3), ("dc1", 1)],
            is_read_only: false,
            is_contended: false,
            changes: Vec::new(),
        }));
        let url = serve(cluster.clone()).await;
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("kubeconfig");
        let config = json!({ "apiVersion": "v1", "kind": "Config", "current-context": "here",
            "clusters": [{ "name": "here", "cluster": { "server": url } }],
            "users": [{ "name": "me", "user": { "token": TOKEN } }],
            "contexts": [{ "name": "here", "context": { "cluster": "here", "user": "me" } }] });
        std::fs::write(&file, config.to_string()).unwrap();
        let names = ("chat".to_owned(), gateways.to_owned(), "chat-worker".to_owned());
        let store = Some("store/dc1".parse().unwrap());
        let kubernetes = Kubernetes::new(&Access::File(file), names.0, names.1, names.2, store).await.unwrap();

        let board = Switchboard::default();
        let config = ControlPlaneConfig {
            provisioner: Provisioner::Kubernetes(Box::new(kubernetes)),
            rates,
            ..ControlPlaneConfig::new(ADMIN.into(), Clock::System, 7)
        };
        let streams = board.listen("control");
        let store = Arc::new(MemoryStore::default());
        let plane = ControlPlane::start_replica(config, Replica::default(), store, streams).await.unwrap();
        let mut rig = Self { cluster, board, plane, nodes: Vec::new() };
        rig.nodes.push(gateway_on(&rig.board, "control", "worker-0", 1, 0));
        rig.add(connections);
        rig.add(0);
        // Its figures are of the last seconds.
        until("the gateways report", || {
            rig.plane.gateways().iter().map(|it| it.connections).sum::<u64>() == connections
        })
        .await;
        sleep(Duration::from_millis(2_500)).await;
        rig
    }

    fn add(&mut self, connections: u64) {
        let id = format!("chat-gateway-{}", self.nodes.len() - 1);
        self.nodes.push(gateway_on(&self.board, "control", &id, 1, connections));
    }

    async fn prescale(&self, factor: Option<f64>) -> Operation {
        let request = PrescaleRequest { factor, reason: "cup".into() };
        self.plane.app().prescale(&operator(), &request).await.unwrap().now
    }

    async fn ended(&self, operation: &Operation) -> Operation {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let now = self.plane.operation(&operation.id).await.unwrap();
            if now.state != OperationState::Running {
                return now;
            }
            assert!(Instant::now() < deadline, "{now:?}");
            sleep(Duration::from_millis(50)).await;
        }
    }

    async fn stop(self) {
        for node in self.nodes {
            node.kill().await;
        }
        self.plane.shutdown().await;
    }
}

async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !is_so() {
        assert!(Instant::now() < deadline, "never: {what}");
        sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_prescale_raises_the_replicas_and_its_revert_drains_before_it_lowers_them() {
    let mut rig = Rig::start(900, "chat-gateway").await;
    let up = rig.prescale(Some(2.0)).await;
    // 1,800 connections at 80% of 1,000 each, and one to spare.
    until("the set is scaled", || rig.cluster.lock().gateways == 4).await;
    rig.add(0);
    rig.add(0);
    assert_eq!(rig.ended(&up).await.state, OperationState::Succeeded);

    let leaving = rig.nodes.last().unwrap().gateway.clone();
    leaving.state.lock().connections = 30;
    until("the gateway is seen full", || rig.plane.gateways().iter().any(|it| it.connections == 30)).await;
    let down = rig.prescale(None).await;
    until("the gateway is told to drain", || !leaving.state.lock().drain.operation.is_empty()).await;
    assert_eq!(rig.cluster.lock().gateways, 4, "taken away while clients are on it");
    for node in &rig.nodes[3..] {
        node.gateway.set(0, protocol::node::DrainPhase::Drained);
    }
    until("the set is scaled back", || rig.cluster.lock().gateways == 2).await;
    for node in rig.nodes.split_off(3) {
        node.kill().await;
    }
    assert_eq!(rig.ended(&down).await.state, OperationState::Succeeded);
    assert_eq!(rig.cluster.lock().changes, ["chat-gateway: 4", "chat-gateway: 2"], "and no store node was taken");
    rig.stop().await;
}

#[tokio::test]
async fn scaling_up_takes_nothing_away_that_is_not_live_just_then() {
    let mut rig = Rig::start(900, "chat-gateway").await;
    rig.cluster.lock().gateways = 9;
    let up = rig.prescale(Some(2.0)).await;
    rig.add(0);
    rig.add(0);
    assert_eq!(rig.ended(&up).await.state, OperationState::Succeeded);
    assert_eq!(rig.cluster.lock().changes, Vec::<String>::new());
    rig.stop().await;
}

#[tokio::test]
async fn what_the_cluster_refuses_is_told_with_what_to_do() {
    let rig = Rig::start(900, "chat-gateway").await;
    rig.cluster.lock().is_read_only = true;
    let refused = rig.prescale(Some(2.0)).await;
    let why = rig.ended(&refused).await.error.unwrap();
    assert!(why.contains("statefulset chat/chat-gateway") && why.contains("is forbidden"), "{why}");
    assert!(why.contains("docs/operations.md"), "{why}");

    {
        let mut cluster = rig.cluster.lock();
        (cluster.is_read_only, cluster.is_contended) = (false, true);
    }
    let raced = rig.prescale(Some(2.0)).await;
    let why = rig.ended(&raced).await.error.unwrap();
    assert!(why.contains("has been modified") && why.contains("try again"), "{why}");
    assert_eq!(rig.cluster.lock().gateways, 2);
    rig.stop().await;

    let rig = Rig::start(900, "chat-gatway").await;
    let missing = rig.prescale(Some(2.0)).await;
    let why = rig.ended(&missing).await.error.unwrap();
    assert!(why.contains("not found") && why.contains("provision.kubernetes"), "{why}");
    rig.stop().await;
}

#[tokio::test]
async fn a_message_store_that_bears_too_little_gets_nodes_in_its_own_datacenter() {
    let rig = Rig::with(1, "chat-gateway", Rates { rows_per_s: 10.0, ..Rates::default() }).await;
    rig.nodes[1].gateway.state.lock().accepts = 10;
    let plans = || async { rig.plane.app().prescale_plan(2.0).await.unwrap().rows.remove(2) };
    let deadline = Instant::now() + Duration::from_secs(20);
    while plans().await.needed < 2 {
        assert!(Instant::now() < deadline, "no messages were seen");
        sleep(Duration::from_millis(100)).await;
    }
    let up = rig.prescale(Some(2.0)).await;
    assert_eq!(rig.ended(&up).await.state, OperationState::Succeeded);
    let sizes = rig.cluster.lock().datacenters.clone();
    assert!(sizes[0] == ("dc-other", 3) && sizes[1].1 > 1, "{sizes:?}");
    let changes = rig.cluster.lock().changes.clone();
    assert_eq!(changes, [format!("store/dc1: {}", sizes[1].1)]);
    rig.stop().await;
}
