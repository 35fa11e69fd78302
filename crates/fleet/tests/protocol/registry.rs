//! A registry that forgets: clients notice nothing at once, and resume with their next heartbeat, or at once where somebody
//! may have delivered past them.

use std::sync::Arc;

use backends::{
    Clock, Stores,
    embedded::MemoryRegistry,
    port::{Registry as _, Session},
};
use domain::{DeviceId, NodeId, UserId};
use gateway::Limits;
use protocol::frames::Kind;
use serde_json::json;
use tokio::{
    io::DuplexStream,
    time::{Duration, sleep, timeout},
};
use workers::{Role, Worker};

use crate::support::{Client, DEADLINE, Single};

const FAR: u64 = 1 << 40;
/// Later than any session of now.
const LATER_MS: u64 = 1 << 45;
const PAIR: &str = "pair";

struct Fleet {
    single: Single,
    registry: Arc<MemoryRegistry>,
    _worker: Worker,
}

impl Fleet {
    async fn start() -> Self {
        let registry = Arc::new(MemoryRegistry::default());
        let own = registry.clone();
        let single =
            Single::start_on(Clock::System, None, Limits::default(), |ports| Stores { registry: own, ..ports }).await;
        let worker = single.worker(Role::ALL.to_vec());
        single.make(PAIR, Kind::Direct, &["a", "b"]).await;
        Self { single, registry, _worker: worker }
    }

    async fn connect(&self, user: &str) -> Client<DuplexStream> {
        self.single.connect(user, FAR, 1 << 20).await
    }

    /// Waits until the gateway has its lease again.
    async fn is_back(&self) {
        let back = async {
            while self.registry.gateways().await.unwrap().live.is_empty() {
                sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(DEADLINE, back).await.expect("a lease");
    }
}

/// `b` gets what `a` sends.
async fn talk(a: &mut Client<DuplexStream>, b: &mut Client<DuplexStream>, number: u64) {
    a.send(PAIR, "hello").await;
    assert_eq!(b.until("message").await["sequence_number"], number);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_registry_that_forgot_everything_is_told_of_its_sessions_again() {
    let fleet = Fleet::start().await;
    let (mut a, mut b) = (fleet.connect("a").await, fleet.connect("b").await);
    talk(&mut a, &mut b, 1).await;

    fleet.registry.flush();
    talk(&mut a, &mut b, 2).await;
    fleet.is_back().await;
    talk(&mut a, &mut b, 3).await;
    let hits = fleet.registry.routes(&["a", "b"].map(|name| UserId::parse(name).unwrap())).await.unwrap().hits;
    assert_eq!(hits.len(), 2);

    // What the registry lost before all the rest, nobody knows.
    b.say(json!({"type": "heartbeat"})).await;
    assert_eq!(b.closed().await, 1001);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_that_was_taken_for_dead_sends_its_clients_back_at_once() {
    let fleet = Fleet::start().await;
    let (mut a, mut b) = (fleet.connect("a").await, fleet.connect("b").await);
    talk(&mut a, &mut b, 1).await;
    fleet.registry.flush();
    fleet.registry.retire(&NodeId::parse("single").unwrap(), 1).await.unwrap();
    assert_eq!(b.closed().await, 1001);
    fleet.is_back().await;
    let mut b = fleet.connect("b").await;
    let mut a = fleet.connect("a").await;
    talk(&mut a, &mut b, 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_alone_was_forgotten_resumes_with_its_next_heartbeat() {
    let fleet = Fleet::start().await;
    let (mut a, mut b) = (fleet.connect("a").await, fleet.connect("b").await);
    talk(&mut a, &mut b, 1).await;
    fleet.registry.evict_sessions();
    b.say(json!({"type": "heartbeat"})).await;
    assert_eq!(b.closed().await, 1001);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_moved_while_the_registry_had_forgotten_is_not_entered_again() {
    let fleet = Fleet::start().await;
    let mut b = fleet.connect("b").await;
    let user = UserId::parse("b").unwrap();
    let (device, _) = fleet.registry.devices(&user).await.unwrap().pop().unwrap();
    fleet.registry.flush();
    let other = NodeId::parse("other").unwrap();
    let moved = fleet.registry.register(&user, &device, &other, 1, LATER_MS).await.unwrap();
    assert_eq!(b.closed().await, 4001);
    let still = Session { user, device: DeviceId::clone(&device), session_version: moved.session_version };
    assert_eq!(fleet.registry.refresh(&other, 1, &[still]).await, Ok(vec![Some(moved.session_version)]));
}
