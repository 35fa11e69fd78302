//! The streams to the gateways that are alive: one each, opened and closed as gateways come and go.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use backends::{
    port::{FORGOTTEN_GRACE, Gateways, Lane, Registry},
    stream::Dial,
};
use domain::NodeId;
use parking_lot::Mutex;
use protocol::link::{Delivery, GatewayFrame, WorkerFrame};
use tokio::{
    sync::{Notify, mpsc, oneshot, watch},
    time::{Instant, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    Ticket,
    link::{self, Calls, Link, Upcalls},
};
use crate::worker::WorkerStats;

/// Delivery calls of a lane that may wait for one gateway.
pub(super) const QUEUE_CALLS: usize = 256;
/// How long a full gateway may slow those who feed it. After that it is cut off: its clients are told to resume.
const FULL_PATIENCE: Duration = Duration::from_secs(5);
/// Leases run out when the registry does not answer for so long, a beat before it included: the first look after it
/// tells nothing about who is alive.
pub(super) const OUTAGE: Duration = Duration::from_secs(5);
/// How often the gateways are looked up.
const LOOK_UP: Duration = Duration::from_millis(500);

/// A delivery call under way to a gateway.
pub(super) struct Call {
    pub(super) deliveries: Vec<Delivery>,
    pub(super) receipt: Receipt,
}

/// Of a call under way.
pub(super) struct Receipt {
    /// Sent when the gateway has it; dropped when the gateway is dead.
    pub(super) done: oneshot::Sender<()>,
    /// Kept until the gateway has it: the stream can tell that something is under way.
    pub(super) under_way: Arc<()>,
}

/// The way into the queue of a lane.
struct Queue {
    calls: mpsc::Sender<Call>,
    missed: Arc<link::Missed>,
    under_way: Arc<()>,
}

struct Open {
    incarnation: u64,
    /// By [`Lane::number`]: a lane that is full never holds up the other (I8).
    queues: [mpsc::Sender<Call>; 2],
    missed: Arc<link::Missed>,
    /// Shared with each call under way, from before it is in a queue.
    under_way: Arc<()>,
    /// Since when each look found the gateway forgotten.
    forgotten: Option<Instant>,
    stop: CancellationToken,
}

impl Open {
    /// False when the gateway is dead: its lease ended, another life of it has one, or it was forgotten for long.
    fn stays(&mut self, gateway: &NodeId, gateways: &Gateways, look: &Look) -> bool {
        if let Some(lease) = gateways.live.iter().find(|lease| lease.gateway == *gateway) {
            self.forgotten = None;
            return lease.incarnation == self.incarnation;
        }
        let forgotten = *self.forgotten.get_or_insert_with(Instant::now);
        let is_ended = gateways.ended.contains(gateway) && !look.is_after_outage;
        // An answer may be old when it comes, and the gateway be back by then.
        !is_ended && look.asked.saturating_duration_since(forgotten) < FORGOTTEN_GRACE
    }
}

/// Gateways that may live although something was delivered past them. When one gets a stream, it is told so: its clients
/// resume. Bounded by the names of gateways.
#[derive(Default)]
struct Passed {
    /// Whatever their life: they had no stream when something was for them, or it was cut with something under way. That
    /// may have been for clients of the next life: a route names a gateway, and a look is older than a route.
    names: BTreeSet<NodeId>,
    /// Lives whose stream was cut since they were forgotten for long. They were told on that stream, if they heard it.
    lives: BTreeMap<NodeId, u64>,
    /// Whoever has no stream: something was delivered without the registry.
    anybody: Option<Blind>,
}

/// When something was last delivered without the registry.
struct Blind {
    at: Instant,
    /// The newest look that had begun: it may have asked before.
    look: u64,
}

impl Passed {
    fn take(&mut self, gateway: &NodeId, incarnation: u64) -> bool {
        let is_cut = self.lives.remove(gateway).is_some_and(|life| life == incarnation);
        self.names.remove(gateway) || is_cut || self.anybody.is_some()
    }

    /// A look has shown who is there. It asked after what was delivered blindly, and no gateway that lived then can be
    /// forgotten still: all have a stream now.
    fn seen(&mut self, look: &Look, memory: Duration) {
        self.anybody.take_if(|blind| {
            let since = look.asked.saturating_duration_since(blind.at);
            look.number > blind.look && memory.max(since) >= FORGOTTEN_GRACE
        });
    }
}

/// A question for the gateways that are alive.
struct Look {
    number: u64,
    /// What the answer says was true then or later.
    asked: Instant,
    /// Nobody may have reached the registry until a moment ago: a lease that ended tells no more than one that was
    /// forgotten. Its gateway enters its sessions again; everything is delivered to it meanwhile.
    is_after_outage: bool,
}

/// The streams, and whom they do not reach: a gateway that gets a stream hears of everything that passed it before.
#[derive(Default)]
struct Streams {
    open: BTreeMap<NodeId, Open>,
    passed: Passed,
}

/// All streams of a worker.
pub(crate) struct LinkSet {
    node: NodeId,
    registry: Arc<dyn Registry>,
    dial: Arc<dyn Dial<WorkerFrame, GatewayFrame>>,
    stats: Arc<WorkerStats>,
    streams: Mutex<Streams>,
    nudge: Notify,
    /// Looks at the gateways that were begun.
    begun: AtomicU64,
    /// The newest that succeeded.
    looked: watch::Sender<u64>,
    /// True once looks showed all of them.
    is_known: watch::Sender<bool>,
}

impl LinkSet {
    pub(crate) fn new(
        node: NodeId,
        registry: Arc<dyn Registry>,
        dial: Arc<dyn Dial<WorkerFrame, GatewayFrame>>,
        stats: Arc<WorkerStats>,
    ) -> Self {
        Self {
            node,
            registry,
            dial,
            stats,
            streams: Mutex::default(),
            nudge: Notify::new(),
            begun: AtomicU64::new(0),
            looked: watch::Sender::new(0),
            is_known: watch::Sender::new(false),
        }
    }

    /// Something will be delivered that the registry does not say the way of: to who has a stream after this.
    pub(super) fn deliver_blindly(&self) {
        let look = self.begun.load(Ordering::Acquire);
        self.streams.lock().passed.anybody = Some(Blind { at: Instant::now(), look });
    }

    /// The gateways that have a stream and are not among these: nothing tells who is on them.
    pub(super) fn gateways_besides(&self, settled: &[(NodeId, u64)]) -> Vec<NodeId> {
        let is_settled = |gateway: &NodeId, link: &Open| {
            settled.iter().any(|(name, incarnation)| name == gateway && *incarnation == link.incarnation)
        };
        let streams = self.streams.lock();
        let open = streams.open.iter().filter(|(gateway, link)| !is_settled(gateway, link));
        open.map(|(gateway, _)| gateway.clone()).collect()
    }

    /// Waits until all gateways were seen: a worker that starts while the registry is down, or just after it forgot
    /// everything, does not know of some, and what it delivered then would not reach them. False at the stop.
    pub(super) async fn are_known(&self, stop: &CancellationToken) -> bool {
        let mut known = self.is_known.subscribe();
        tokio::select! {
            biased;
            seen = known.wait_for(|known| *known) => seen.is_ok(),
            () = stop.cancelled() => false,
        }
    }

    /// The queue of a lane to a gateway. One that is alive and has none is new: its stream is opened first, for a client that
    /// came to it may have asked another worker for the head already.
    async fn queue(&self, gateway: &NodeId, lane: Lane) -> Option<Queue> {
        let queue = |open: &Open| Queue {
            calls: open.queues[lane.number() as usize].clone(),
            missed: open.missed.clone(),
            under_way: open.under_way.clone(),
        };
        if let Some(found) = self.streams.lock().open.get(gateway).map(queue) {
            return Some(found);
        }
        let mut looked = self.looked.subscribe();
        // One that is under way may have asked before the gateway was there.
        let begun = self.begun.load(Ordering::Acquire);
        self.nudge.notify_one();
        // In time or not: what is there then is what there is.
        let _ = timeout(FULL_PATIENCE, looked.wait_for(|look| *look > begun)).await;
        let mut streams = self.streams.lock();
        let found = streams.open.get(gateway).map(queue);
        if found.is_none() {
            streams.passed.names.insert(gateway.clone());
        }
        found
    }

    /// Puts one call in the gateway's queue of a lane. A gateway without a stream is dead: its clients catch up elsewhere.
    pub(super) async fn deliver(&self, gateway: &NodeId, lane: Lane, deliveries: Vec<Delivery>) -> Ticket {
        let mut ticket = Ticket::default();
        let Some(Queue { calls, missed, under_way }) = self.queue(gateway, lane).await else { return ticket };
        WorkerStats::add(&self.stats.deliveries, 1);
        let (done, wait) = oneshot::channel();
        let call = Call { deliveries, receipt: Receipt { done, under_way } };
        // One that will have to resume anyway is not waited for again.
        let patience = if missed.is_behind() { Duration::ZERO } else { FULL_PATIENCE };
        match timeout(patience, calls.send(call)).await {
            Ok(Ok(())) => ticket.add(wait),
            // Cut meanwhile, with this under way.
            Ok(Err(_)) => {}
            Err(_) if patience.is_zero() => {
                WorkerStats::add(&self.stats.missed, 1);
                missed.set();
            }
            Err(_) => {
                tracing::warn!(%gateway, "the gateway is too far behind: its clients will be told to resume");
                WorkerStats::add(&self.stats.missed, 1);
                missed.set();
            }
        }
        ticket
    }

    /// Keeps the streams in step with the gateways that are alive, until `stop`.
    pub(super) async fn run(
        &self,
        upcalls: Upcalls,
        owned: tokio::sync::watch::Receiver<Vec<protocol::link::OwnedPartition>>,
        stop: CancellationToken,
    ) {
        let tasks = TaskTracker::new();
        let mut first_look = None;
        let (mut answered, mut outage_over) = (Instant::now(), None::<Instant>);
        loop {
            let number = self.begun.fetch_add(1, Ordering::AcqRel) + 1;
            let asked = Instant::now();
            match self.registry.gateways().await {
                Ok(gateways) => {
                    let looking = first_look.get_or_insert_with(Instant::now).elapsed();
                    let seen_all = looking.max(Duration::from_millis(gateways.memory_ms)) >= FORGOTTEN_GRACE;
                    if answered.elapsed() >= OUTAGE {
                        outage_over = Some(Instant::now());
                    }
                    answered = Instant::now();
                    let is_after_outage = outage_over.is_some_and(|over| over.elapsed() < FORGOTTEN_GRACE);
                    let look = Look { number, asked, is_after_outage };
                    self.reconcile(gateways, &look, &upcalls, &owned, &tasks, &stop);
                    if seen_all {
                        self.is_known.send_if_modified(|known| !std::mem::replace(known, true));
                    }
                    self.looked.send_replace(number);
                }
                // The streams that are open stay open: a registry that is down tells nothing about gateways.
                Err(error) => {
                    tracing::warn!(%error, "cannot look up the gateways");
                    self.streams.lock().open.values_mut().for_each(|link| link.forgotten = None);
                }
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                () = self.nudge.notified() => {}
                () = tokio::time::sleep(LOOK_UP) => {}
            }
        }
        self.streams.lock().open.clear();
        tasks.close();
        tasks.wait().await;
    }

    #[allow(clippy::too_many_arguments)] // What a link is made of.
    fn reconcile(
        &self,
        gateways: Gateways,
        look: &Look,
        upcalls: &Upcalls,
        owned: &tokio::sync::watch::Receiver<Vec<protocol::link::OwnedPartition>>,
        tasks: &TaskTracker,
        stop: &CancellationToken,
    ) {
        let mut streams = self.streams.lock();
        let Streams { open, passed } = &mut *streams;
        open.retain(|gateway, link| {
            let stays = link.stays(gateway, &gateways, look);
            if !stays {
                if Arc::strong_count(&link.under_way) > 1 {
                    passed.names.insert(gateway.clone());
                }
                // What comes now goes past it. It may live all the same and not reach the registry: it hears of it now.
                // (One that another life replaced may be that life at the other end.)
                if link.forgotten.is_some() {
                    link.missed.set();
                    // Or when it gets a stream. One whose lease ended closes its clients itself when it hears of that,
                    // or has them resume with their next heartbeat: those who came since are not to be closed again.
                    if !gateways.ended.contains(gateway) {
                        passed.lives.insert(gateway.clone(), link.incarnation);
                    }
                }
                link.stop.cancel();
            }
            stays
        });
        for lease in gateways.live {
            if open.contains_key(&lease.gateway) {
                continue;
            }
            let (direct, direct_calls) = mpsc::channel(QUEUE_CALLS);
            let (group, group_calls) = mpsc::channel(QUEUE_CALLS);
            let missed = Arc::new(link::Missed::default());
            if passed.take(&lease.gateway, lease.incarnation) {
                tracing::warn!(gateway = %lease.gateway, "deliveries went past the gateway: its clients will be told to resume");
                missed.set();
            }
            let stop = stop.child_token();
            let link = Link {
                worker: self.node.clone(),
                lease: lease.clone(),
                dial: self.dial.clone(),
                registry: self.registry.clone(),
                calls: Calls { direct: direct_calls, group: group_calls },
                missed: missed.clone(),
                owned: owned.clone(),
                upcalls: upcalls.clone(),
                stop: stop.clone(),
            };
            tasks.spawn(link.run());
            let (queues, under_way) = ([direct, group], Arc::default());
            let link = Open { incarnation: lease.incarnation, queues, missed, under_way, forgotten: None, stop };
            open.insert(lease.gateway, link);
        }
        passed.seen(look, Duration::from_millis(gateways.memory_ms));
    }
}
