//! Whom deliveries reach while the registry is slow, forgets or cannot be reached: who was passed by is told so.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use backends::{
    port::{
        Beat, Claim, FORGOTTEN_GRACE, GatewayLease, Gateways, Lane, Registered, Registry, Route, Routes, Session,
        StoreError, StoreResult,
    },
    stream::{Duplex, Switchboard},
};
use domain::{DeviceId, NodeId, UserId};
use parking_lot::Mutex;
use protocol::link::{Ack, Delivery, GatewayFrame, WorkerFrame, gateway_frame, worker_frame};
use tokio::{
    sync::{mpsc, watch},
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{LinkSet, Ticket, link::Upcalls};

mod cut;

/// Nothing that does not wait for something takes so long. Simulated time.
const AT_ONCE: Duration = Duration::from_secs(2);

/// What looks show: what the test says, as late as the test says.
struct Shown {
    gateways: Mutex<StoreResult<Gateways>>,
    asked: watch::Sender<u64>,
    held: watch::Sender<bool>,
}

#[async_trait]
impl Registry for Shown {
    async fn gateways(&self) -> StoreResult<Gateways> {
        let answer = self.gateways.lock().clone();
        self.asked.send_modify(|n| *n += 1);
        self.held.subscribe().wait_for(|held| !held).await.unwrap();
        sleep(Duration::from_millis(1)).await;
        answer
    }

    async fn register(&self, _: &UserId, _: &DeviceId, _: &NodeId, _: u64, _: u64) -> StoreResult<Registered> {
        unreachable!("streams ask only for the gateways")
    }

    async fn refresh(&self, _: &NodeId, _: u64, _: &[Session]) -> StoreResult<Vec<Option<u64>>> {
        unreachable!("streams ask only for the gateways")
    }

    async fn unregister(&self, _: &Session) -> StoreResult<()> {
        unreachable!("streams ask only for the gateways")
    }

    async fn restore(&self, _: &NodeId, _: u64, _: &[Session]) -> StoreResult<Vec<u64>> {
        unreachable!("streams ask only for the gateways")
    }

    async fn routes(&self, _: &[UserId]) -> StoreResult<Routes> {
        unreachable!("streams ask only for the gateways")
    }

    async fn devices(&self, _: &UserId) -> StoreResult<Vec<(DeviceId, Route)>> {
        unreachable!("streams ask only for the gateways")
    }

    async fn beat(&self, _: &GatewayLease, _: u64, _: Claim) -> StoreResult<Beat> {
        unreachable!("streams ask only for the gateways")
    }

    async fn retire(&self, _: &NodeId, _: u64) -> StoreResult<()> {
        Ok(())
    }
}

/// What the registry remembers of always.
const ALWAYS_MS: u64 = u64::MAX;

fn live(incarnations: &[(&str, u64)]) -> Gateways {
    let lease = |(name, incarnation): &(&str, u64)| GatewayLease {
        gateway: node(name),
        incarnation: *incarnation,
        link: (*name).to_owned(),
    };
    Gateways { live: incarnations.iter().map(lease).collect(), ended: Vec::new(), memory_ms: ALWAYS_MS }
}

fn ended(name: &str) -> Gateways {
    Gateways { ended: vec![node(name)], ..live(&[]) }
}

fn node(name: &str) -> NodeId {
    NodeId::parse(name).unwrap()
}

/// The streams of a worker, and the gateway `gw` at their other end.
struct Fleet {
    registry: Arc<Shown>,
    links: Arc<LinkSet>,
    listener: mpsc::Receiver<Duplex<GatewayFrame, WorkerFrame>>,
}

impl Fleet {
    async fn start(shown: Gateways) -> Self {
        let gateways = Mutex::new(Ok(shown));
        let registry = Arc::new(Shown { gateways, asked: watch::Sender::new(0), held: watch::Sender::new(false) });
        let board = Switchboard::<WorkerFrame, GatewayFrame>::default();
        let listener = board.listen("gw");
        let links = LinkSet::new(node("w"), registry.clone(), Arc::new(board), Arc::default());
        let links = Arc::new(links);
        let (direct_heads, group_heads) = (mpsc::channel(1).0, mpsc::channel(1).0);
        let upcalls = Upcalls { direct_heads, group_heads, tellings: mpsc::channel(1).0 };
        let running = links.clone();
        tokio::spawn(async move {
            // The sender of what is owned must live as long as the streams.
            let owned = watch::Sender::new(Vec::new());
            running.run(upcalls, owned.subscribe(), CancellationToken::new()).await;
        });
        let fleet = Self { registry, links, listener };
        fleet.looks(1).await;
        fleet
    }

    fn show(&self, shown: Gateways) {
        *self.registry.gateways.lock() = Ok(shown);
    }

    /// So many looks from now on have begun, and all before them have ended.
    async fn looks(&self, n: u64) {
        let mut asked = self.registry.asked.subscribe();
        let last = *asked.borrow() + n;
        timeout(Duration::from_secs(60), asked.wait_for(|asked| *asked >= last)).await.expect("looks").unwrap();
    }

    /// The registry shows this from now on, and the worker has seen it.
    async fn see(&self, shown: Gateways) {
        self.show(shown);
        self.looks(2).await;
    }

    fn lose(&self) {
        *self.registry.gateways.lock() = Err(StoreError::unavailable("registry", "down"));
    }

    async fn deliver(&self) -> Ticket {
        let delivery = Delivery { users: vec!["u".to_owned()], subscribers: false, kind: None };
        self.links.deliver(&node("gw"), Lane::Direct, vec![delivery]).await
    }

    /// The next stream to the gateway, and whether it is told that something went past it.
    async fn stream(&mut self) -> (Stream, bool) {
        let stream = timeout(AT_ONCE, self.listener.recv()).await.expect("a stream").unwrap();
        let mut stream = Stream(stream);
        let missed = stream.hello().await;
        (stream, missed)
    }

    async fn is_told(&mut self) -> bool {
        self.stream().await.1
    }
}

struct Stream(Duplex<GatewayFrame, WorkerFrame>);

impl Stream {
    async fn next(&mut self) -> Option<worker_frame::Kind> {
        let frame = timeout(AT_ONCE, self.0.rx.recv()).await.expect("a frame or the end")?;
        frame.kind
    }

    async fn hello(&mut self) -> bool {
        match self.next().await {
            Some(worker_frame::Kind::Hello(hello)) => hello.missed,
            other => panic!("not a hello: {other:?}"),
        }
    }

    /// Reads what the worker owns; false when nothing comes at once.
    async fn owned(&mut self) -> bool {
        let frame = timeout(Duration::from_millis(1), self.0.rx.recv()).await;
        matches!(frame, Ok(Some(WorkerFrame { kind: Some(worker_frame::Kind::Owned(_)) })))
    }

    /// Takes a delivery.
    async fn take(&mut self) -> u64 {
        loop {
            if let worker_frame::Kind::Deliver(call) = self.next().await.expect("a delivery") {
                return call.sequence;
            }
        }
    }

    async fn acknowledge(&mut self) {
        let kind = Some(gateway_frame::Kind::Ack(Ack { sequence: self.take().await }));
        self.0.tx.send(GatewayFrame { kind }).await.unwrap();
    }
}

/// Waits until the gateway has all of it.
async fn done(ticket: &mut Ticket) {
    let wait = async {
        while !ticket.is_done() {
            sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(AT_ONCE, wait).await.expect("an acknowledgement");
}

#[tokio::test(start_paused = true)]
async fn who_is_seen_first_after_a_blind_delivery_is_told() {
    let mut fleet = Fleet::start(live(&[])).await;
    fleet.links.deliver_blindly();
    fleet.show(live(&[("gw", 1)]));
    assert!(fleet.is_told().await);
}

#[tokio::test(start_paused = true)]
async fn a_blind_delivery_in_the_middle_of_a_look_counts_for_whom_that_look_shows() {
    let mut fleet = Fleet::start(live(&[])).await;
    fleet.registry.held.send_replace(true);
    fleet.show(live(&[("gw", 1)]));
    fleet.looks(1).await;
    fleet.links.deliver_blindly();
    fleet.registry.held.send_replace(false);
    assert!(fleet.is_told().await);
}

#[tokio::test(start_paused = true)]
async fn a_look_that_asked_before_a_blind_delivery_does_not_settle_it() {
    let mut fleet = Fleet::start(live(&[])).await;
    fleet.registry.held.send_replace(true);
    fleet.looks(1).await;
    fleet.links.deliver_blindly();
    fleet.registry.held.send_replace(false);
    fleet.show(live(&[("gw", 1)]));
    assert!(fleet.is_told().await);
}

#[tokio::test(start_paused = true)]
async fn a_look_that_failed_does_not_settle_a_blind_delivery() {
    let mut fleet = Fleet::start(live(&[])).await;
    fleet.links.deliver_blindly();
    fleet.lose();
    fleet.looks(3).await;
    fleet.show(live(&[("gw", 1)]));
    assert!(fleet.is_told().await);
}

#[tokio::test(start_paused = true)]
async fn who_comes_after_a_look_settled_a_blind_delivery_is_not_told() {
    let mut fleet = Fleet::start(live(&[])).await;
    fleet.links.deliver_blindly();
    fleet.see(live(&[])).await;
    fleet.show(live(&[("gw", 1)]));
    assert!(!fleet.is_told().await);
}

#[tokio::test(start_paused = true)]
async fn a_registry_that_forgot_since_does_not_settle_a_blind_delivery() {
    let mut fleet = Fleet::start(live(&[])).await;
    fleet.links.deliver_blindly();
    // The gateway lives and is not shown: it was forgotten, and is entering its sessions again.
    fleet.see(Gateways { memory_ms: 1_000, ..live(&[]) }).await;
    fleet.show(Gateways { memory_ms: 3_000, ..live(&[("gw", 1)]) });
    assert!(fleet.is_told().await);
}

#[tokio::test(start_paused = true)]
async fn a_registry_of_which_nothing_shows_how_long_it_remembers_settles_it_in_the_end() {
    let mut fleet = Fleet::start(live(&[])).await;
    fleet.links.deliver_blindly();
    fleet.show(Gateways { memory_ms: 0, ..live(&[]) });
    sleep(FORGOTTEN_GRACE).await;
    fleet.looks(2).await;
    fleet.show(Gateways { memory_ms: 0, ..live(&[("gw", 1)]) });
    assert!(!fleet.is_told().await);
}

#[tokio::test(start_paused = true)]
async fn who_had_no_stream_when_something_was_for_it_is_told_whatever_its_life() {
    let mut fleet = Fleet::start(live(&[])).await;
    fleet.deliver().await;
    fleet.show(live(&[("gw", 7)]));
    assert!(fleet.is_told().await);
}

#[tokio::test(start_paused = true)]
async fn who_is_new_gets_its_stream_before_the_delivery_that_found_it_out() {
    let mut fleet = Fleet::start(live(&[])).await;
    // A look is under way that asked before the gateway was there.
    fleet.registry.held.send_replace(true);
    fleet.looks(1).await;
    fleet.show(live(&[("gw", 1)]));
    let links = fleet.links.clone();
    let delivered = tokio::spawn(async move { links.deliver(&node("gw"), Lane::Group, Vec::new()).await });
    sleep(Duration::from_millis(10)).await;
    fleet.registry.held.send_replace(false);
    let (mut stream, missed) = fleet.stream().await;
    assert!(!missed, "nothing went past it");
    stream.take().await;
    assert!(!delivered.await.unwrap().is_done());
}
