//! Several control planes over one store: one leads, another takes over.

#![allow(clippy::unwrap_used)]

mod support;

use std::{sync::Arc, time::Duration};

use backends::{Clock, stream::Switchboard};
use chat_control_plane::{
    AppError, ControlPlane, Replica,
    store::{MemoryStore, SqliteStore, Store, StoreError},
};
use protocol::{
    admin::{DrainRequest, NOT_LEADER, OperationPhase, OperationState, ProblemBody, ProblemCode, Role},
    node::{ControlFrame, DrainPhase, NodeFrame},
};
use support::{ADMIN, RunningNode, gateway_on, operator, start_replica};
use tokio::time::{Instant, sleep};

type Board = Switchboard<NodeFrame, ControlFrame>;

const BOTH: &str = "control-1, control-2";

struct Pair {
    store: Arc<dyn Store>,
    board: Board,
    clock: Clock,
}

impl Pair {
    fn over(store: Arc<dyn Store>, clock: Clock) -> Self {
        Self { store, board: Switchboard::default(), clock }
    }

    async fn replica(&self, n: u32) -> ControlPlane {
        let replica = Replica { id: format!("control-{n}"), url: format!("http://control-{n}") };
        start_replica(replica, &self.store, &self.board, &format!("control-{n}"), self.clock).await
    }

    fn gateway(&self, id: &str, connections: u64) -> RunningNode {
        gateway_on(&self.board, BOTH, id, 1, connections)
    }
}

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    for _ in 0..2_000 {
        if holds().await {
            return;
        }
        sleep(Duration::from_millis(50)).await;
    }
    panic!("it never happened: {what}");
}

async fn hears(plane: &ControlPlane, id: &str, connections: u64) {
    until("the gateway is heard", async || {
        plane.gateways().iter().any(|gateway| gateway.id == id && gateway.connections == connections)
    })
    .await;
}

fn drain() -> DrainRequest {
    DrainRequest { reason: "kernel update".into(), ..DrainRequest::default() }
}

/// The first is killed in the middle of a drain; the second ends it.
async fn a_drain_outlives_its_leader(pair: Pair) {
    let first = pair.replica(1).await;
    assert!(first.leads());
    let second = pair.replica(2).await;
    assert!(!second.leads());
    let (one, _two) = (pair.gateway("gw-1", 100), pair.gateway("gw-2", 0));
    hears(&first, "gw-1", 100).await;
    hears(&first, "gw-2", 0).await;

    let refused = second.drain(&operator(), "gw-1", &drain()).await.unwrap_err();
    assert_eq!(refused, AppError::Follows { leader: Some("http://control-1".into()) });
    // Past the first check, too, nothing is written.
    let refused = second.app().drain(&operator(), "gw-1", &drain()).await.unwrap_err();
    let refused_by_store = matches!(refused, AppError::Store(StoreError::Deposed) | AppError::NotFound { .. });
    assert!(refused_by_store, "{refused:?}");
    assert!(second.nodes().is_empty(), "no node is served by it");

    let begun = first.drain(&operator(), "gw-1", &drain()).await.unwrap();
    until("it drains", async || first.operation(&begun.id).await.unwrap().phase == OperationPhase::Draining).await;
    let ordered = pair.store.desired().await.unwrap();
    drop(first);
    let killed = Instant::now();
    one.gateway.set(60, DrainPhase::Draining);
    until("the second leads", async || second.leads()).await;
    assert!(killed.elapsed() < Duration::from_secs(10), "it took {:?}", killed.elapsed());

    until("it goes on", async || second.operation(&begun.id).await.unwrap().progress.connections == 60).await;
    one.gateway.set(0, DrainPhase::Drained);
    until("it ends", async || second.operation(&begun.id).await.unwrap().state.is_final()).await;
    let ended = second.operation(&begun.id).await.unwrap();
    assert_eq!((ended.state, ended.phase), (OperationState::Succeeded, OperationPhase::Drained));
    assert_eq!(ended.epoch, begun.epoch + 1);
    assert_eq!(ended.progress.connections_at_start, 100, "the gateway was not told to drain again");
    assert_eq!(pair.store.desired().await.unwrap(), ordered, "nor was anything else ordered");
    let events = pair.store.events(&begun.id, 0, 100).await.unwrap();
    let told = |words: &str| events.iter().filter(|event| event.message.contains(words)).count();
    assert_eq!((told("is told to drain"), told("taken over"), told("is empty")), (1, 1, 1));
    assert!(second.app().audit_verify().await.unwrap().intact);
    second.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn a_drain_outlives_its_leader_in_memory() {
    let clock = Clock::simulated(1_700_000_000_000);
    a_drain_outlives_its_leader(Pair::over(Arc::new(MemoryStore::default()), clock)).await;
}

#[tokio::test]
async fn a_drain_outlives_its_leader_in_sqlite() {
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&dir.path().join("control.db")).await.unwrap();
    a_drain_outlives_its_leader(Pair::over(Arc::new(store), Clock::System)).await;
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_stops_leaves_at_once_and_one_that_comes_back_follows() {
    let pair = Pair::over(Arc::new(MemoryStore::default()), Clock::simulated(1_700_000_000_000));
    let (first, second) = (pair.replica(1).await, pair.replica(2).await);
    let _one = pair.gateway("gw-1", 5);
    hears(&first, "gw-1", 5).await;
    let stopped = Instant::now();
    first.shutdown().await;
    until("the second leads", async || second.leads()).await;
    assert!(stopped.elapsed() < Duration::from_secs(3), "it took {:?}", stopped.elapsed());
    hears(&second, "gw-1", 5).await;
    let first = pair.replica(1).await;
    sleep(Duration::from_secs(60)).await;
    assert!(second.leads() && !first.leads());
    // A name that leads, started anew without a word, leads at once.
    drop(second);
    let second = pair.replica(2).await;
    assert!(second.leads() && !first.leads());
    second.shutdown().await;
    first.shutdown().await;
}

/// The store is taken by another behind the back of a leader that does not know it yet.
#[tokio::test(start_paused = true)]
async fn a_deposed_leader_writes_nothing() {
    let clock = Clock::simulated(1_700_000_000_000);
    let pair = Pair::over(Arc::new(MemoryStore::default()), clock);
    let first = pair.replica(1).await;
    let taken = pair.store.lead("other http://other", clock.now_ms() + 60_000, 60_000).await.unwrap();
    assert!(taken.is_leader && first.leads(), "it does not know yet");
    let request = serde_json::from_value(serde_json::json!({ "name": "eve", "role": Role::Viewer })).unwrap();
    let refused = first.app().token_create(&operator(), &request).await.unwrap_err();
    assert_eq!(refused, AppError::Store(StoreError::Deposed));
    until("it knows", async || !first.leads()).await;
    let refused = first.undrain(&operator(), "gw-1", "").await.unwrap_err();
    assert_eq!(refused, AppError::Follows { leader: Some("http://other".into()) });
    first.shutdown().await;
}

#[tokio::test]
async fn a_follower_sends_callers_to_the_leader() {
    let pair = Pair::over(Arc::new(MemoryStore::default()), Clock::System);
    let (first, second) = (pair.replica(1).await, pair.replica(2).await);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    second.serve(listener).unwrap();
    let client = support::http_client();
    let before = pair.store.audit(u64::MAX, 10).await.unwrap();
    for (method, path, status) in [
        ("POST", "/v1/gateways/gw-1/drain", 503),
        ("GET", "/v1/operations", 503),
        ("GET", "/readyz", 503),
        ("GET", "/healthz", 200),
        ("GET", "/metrics", 200),
        ("GET", "/v1/openapi.json", 200),
    ] {
        let request = client.request(method.parse().unwrap(), format!("{url}{path}")).bearer_auth(ADMIN);
        let response = request.body("{}").send().await.unwrap();
        assert_eq!(response.status().as_u16(), status, "{path}");
        if status == 503 {
            let ProblemBody { error } = response.json().await.unwrap();
            assert_eq!((error.code, error.message.as_str()), (ProblemCode::Unavailable, NOT_LEADER));
            assert_eq!(error.hint.as_deref(), Some("the one that leads is at http://control-1"));
        }
    }
    assert_eq!(pair.store.audit(u64::MAX, 10).await.unwrap(), before, "it writes nothing, not even that it refused");
    second.shutdown().await;
    first.shutdown().await;
}
