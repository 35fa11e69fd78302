//! I8 on the way to a gateway: its stream may be full of group calls, and a direct call goes before what waits.

use std::{sync::Arc, time::Duration};

use backends::{
    embedded::MemoryRegistry,
    port::{Claim, GatewayLease, Lane, Registry as _},
    stream::{Duplex, Switchboard},
};
use domain::NodeId;
use protocol::link::{Ack, Delivery, GatewayFrame, WorkerFrame, gateway_frame, worker_frame};
use tokio::{
    sync::{mpsc, watch},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use super::{
    LinkSet, Ticket,
    link::{UNACKED_GROUP, Upcalls},
    links::QUEUE_CALLS,
};

/// Less than a full queue makes anybody wait. Simulated time.
const AT_ONCE: Duration = Duration::from_secs(1);

/// A gateway that takes what the test takes for it, and the streams of a worker to it.
struct Slow {
    name: NodeId,
    links: Arc<LinkSet>,
    stream: Duplex<GatewayFrame, WorkerFrame>,
}

impl Slow {
    async fn start() -> Self {
        let name = NodeId::parse("gw").unwrap();
        let registry = Arc::new(MemoryRegistry::default());
        let lease = GatewayLease { gateway: name.clone(), incarnation: 1, link: "gw".into() };
        registry.beat(&lease, 1 << 40, Claim::Take).await.unwrap();
        let board = Switchboard::<WorkerFrame, GatewayFrame>::default();
        let mut listener = board.listen("gw");
        let links = LinkSet::new(NodeId::parse("w").unwrap(), registry, Arc::new(board), Arc::default());
        let links = Arc::new(links);
        let (direct_heads, group_heads) = (mpsc::channel(1).0, mpsc::channel(1).0);
        let upcalls = Upcalls { direct_heads, group_heads, tellings: mpsc::channel(1).0 };
        let running = links.clone();
        tokio::spawn(async move {
            // The sender of what is owned must live as long as the streams.
            let owned = watch::Sender::new(Vec::new());
            running.run(upcalls, owned.subscribe(), CancellationToken::new()).await;
        });
        let stream = listener.recv().await.unwrap();
        Self { name, links, stream }
    }

    /// Puts a call that names its lane in the lane's queue; fails if it must wait.
    async fn deliver(&self, lane: Lane) -> Ticket {
        let delivery = Delivery { users: vec![lane.as_str().to_owned()], subscribers: false, kind: None };
        let delivered = timeout(AT_ONCE, self.links.deliver(&self.name, lane, vec![delivery])).await;
        delivered.unwrap_or_else(|_| panic!("a {} call waits", lane.as_str()))
    }

    /// The next call on the stream: its number and its lane.
    async fn take(&mut self) -> (u64, String) {
        loop {
            let frame = timeout(AT_ONCE, self.stream.rx.recv()).await.expect("a frame").unwrap();
            if let Some(worker_frame::Kind::Deliver(mut call)) = frame.kind {
                return (call.sequence, call.deliveries.pop().unwrap().users.pop().unwrap());
            }
        }
    }

    /// Takes calls up to a direct one; gives its number and how many were before it.
    async fn until_direct(&mut self) -> (u64, usize) {
        let mut before = 0;
        loop {
            let (sequence, lane) = self.take().await;
            if lane == Lane::Direct.as_str() {
                return (sequence, before);
            }
            before += 1;
        }
    }

    async fn acknowledge(&self, sequence: u64) {
        let kind = Some(gateway_frame::Kind::Ack(Ack { sequence }));
        self.stream.tx.send(GatewayFrame { kind }).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_direct_call_goes_before_the_group_calls_that_wait() {
    let mut gateway = Slow::start().await;
    // The gateway takes nothing: the window and the queue of the group lane are full.
    for _ in 0..UNACKED_GROUP + QUEUE_CALLS {
        gateway.deliver(Lane::Group).await;
    }
    let mut direct = gateway.deliver(Lane::Direct).await;
    let (sequence, before) = gateway.until_direct().await;
    assert!(before <= UNACKED_GROUP, "{before} group calls were delivered before it");
    assert!(!direct.is_done());

    // In the middle of the flood, with a gateway that does take calls, it is the same.
    gateway.acknowledge(sequence).await;
    for _ in 0..QUEUE_CALLS / 2 {
        let (sequence, _) = gateway.take().await;
        gateway.acknowledge(sequence).await;
    }
    assert!(direct.is_done());
    gateway.deliver(Lane::Direct).await;
    let (_, before) = gateway.until_direct().await;
    assert!(before <= UNACKED_GROUP, "{before} group calls were delivered before it");
}

#[tokio::test(start_paused = true)]
async fn many_direct_calls_pass_a_group_lane_that_stands_still() {
    let mut gateway = Slow::start().await;
    for _ in 0..UNACKED_GROUP + QUEUE_CALLS {
        gateway.deliver(Lane::Group).await;
    }
    // Nothing of the group lane is ever acknowledged, so nothing at all is: still a whole queue of direct calls goes out.
    for _ in 0..QUEUE_CALLS {
        gateway.deliver(Lane::Direct).await;
    }
    for _ in 0..100 {
        gateway.until_direct().await;
    }
}
