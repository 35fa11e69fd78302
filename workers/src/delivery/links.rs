//! The streams to the gateways that are alive: one each, opened and closed as gateways come and go.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
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
/// How often the gateways are looked up.
const LOOK_UP: Duration = Duration::from_millis(500);

/// A delivery call under way to a gateway.
pub(super) struct Call {
    pub(super) deliveries: Vec<Delivery>,
    /// Sent when the gateway has it; dropped when the gateway is dead.
    pub(super) done: oneshot::Sender<()>,
}

struct Open {
    incarnation: u64,
    /// By [`Lane::number`]: a lane that is full never holds up the other (I8).
    queues: [mpsc::Sender<Call>; 2],
    missed: Arc<link::Missed>,
    /// Since when each look found the gateway forgotten.
    forgotten: Option<Instant>,
    stop: CancellationToken,
}

impl Open {
    /// False when the gateway is dead: its lease ended, another life of it has one, or it was forgotten for long. What is
    /// known of the gateways was true at `asked` or later.
    fn stays(&mut self, gateway: &NodeId, gateways: &Gateways, asked: Instant) -> bool {
        if let Some(lease) = gateways.live.iter().find(|lease| lease.gateway == *gateway) {
            self.forgotten = None;
            return lease.incarnation == self.incarnation;
        }
        let forgotten = *self.forgotten.get_or_insert_with(Instant::now);
        // An answer may be old when it comes, and the gateway be back by then.
        !gateways.ended.contains(gateway) && asked.saturating_duration_since(forgotten) < FORGOTTEN_GRACE
    }
}

/// Gateways that may live although something was delivered past them. When one gets a stream, it is told so: its clients
/// resume. Guarded with the streams, and bounded by the names of gateways.
#[derive(Default)]
struct Passed {
    /// Whatever their life: they had no stream when something was for them.
    names: BTreeSet<NodeId>,
    /// Lives whose stream was cut since they were forgotten for long.
    lives: BTreeMap<NodeId, u64>,
}

impl Passed {
    fn take(&mut self, gateway: &NodeId, incarnation: u64) -> bool {
        let is_cut = self.lives.remove(gateway).is_some_and(|life| life == incarnation);
        self.names.remove(gateway) || is_cut
    }
}

/// All streams of a worker.
pub(crate) struct LinkSet {
    node: NodeId,
    registry: Arc<dyn Registry>,
    dial: Arc<dyn Dial<WorkerFrame, GatewayFrame>>,
    stats: Arc<WorkerStats>,
    open: Mutex<BTreeMap<NodeId, Open>>,
    /// Locked while `open` is.
    passed: Mutex<Passed>,
    /// Something was delivered without the registry: past gateways that have no stream, whoever they are.
    is_blind: AtomicBool,
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
            open: Mutex::default(),
            passed: Mutex::default(),
            is_blind: AtomicBool::new(false),
            nudge: Notify::new(),
            begun: AtomicU64::new(0),
            looked: watch::Sender::new(0),
            is_known: watch::Sender::new(false),
        }
    }

    /// Something is delivered while the registry does not answer.
    pub(super) fn deliver_blindly(&self) {
        self.is_blind.store(true, Ordering::Release);
    }

    /// The gateways that have a stream and are not among these: nothing tells who is on them.
    pub(super) fn gateways_besides(&self, settled: &[(NodeId, u64)]) -> Vec<NodeId> {
        let is_settled = |gateway: &NodeId, link: &Open| {
            settled.iter().any(|(name, incarnation)| name == gateway && *incarnation == link.incarnation)
        };
        let open = self.open.lock();
        open.iter().filter(|(gateway, link)| !is_settled(gateway, link)).map(|(gateway, _)| gateway.clone()).collect()
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
    async fn queue(&self, gateway: &NodeId, lane: Lane) -> Option<(mpsc::Sender<Call>, Arc<link::Missed>)> {
        let queue = |open: &Open| (open.queues[lane.number() as usize].clone(), open.missed.clone());
        if let Some(found) = self.open.lock().get(gateway).map(queue) {
            return Some(found);
        }
        let mut looked = self.looked.subscribe();
        // One that is under way may have asked before the gateway was there.
        let begun = self.begun.load(Ordering::Acquire);
        self.nudge.notify_one();
        // In time or not: what is there then is what there is.
        let _ = timeout(FULL_PATIENCE, looked.wait_for(|look| *look > begun)).await;
        let open = self.open.lock();
        let found = open.get(gateway).map(queue);
        if found.is_none() {
            self.passed.lock().names.insert(gateway.clone());
        }
        found
    }

    /// Puts one call in the gateway's queue of a lane. A gateway without a stream is dead: its clients catch up elsewhere.
    pub(super) async fn deliver(&self, gateway: &NodeId, lane: Lane, deliveries: Vec<Delivery>) -> Ticket {
        let mut ticket = Ticket::default();
        let Some((queue, missed)) = self.queue(gateway, lane).await else { return ticket };
        WorkerStats::add(&self.stats.deliveries, 1);
        let (done, wait) = oneshot::channel();
        match timeout(FULL_PATIENCE, queue.send(Call { deliveries, done })).await {
            Ok(Ok(())) => ticket.add(wait),
            Ok(Err(_)) => {}
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
        loop {
            let look = self.begun.fetch_add(1, Ordering::AcqRel) + 1;
            let (asked, was_blind) = (Instant::now(), self.is_blind.swap(false, Ordering::AcqRel));
            match self.registry.gateways().await {
                Ok(gateways) => {
                    let looking = first_look.get_or_insert_with(Instant::now).elapsed();
                    let seen_all = looking.max(Duration::from_millis(gateways.memory_ms)) >= FORGOTTEN_GRACE;
                    self.reconcile(gateways, asked, was_blind, &upcalls, &owned, &tasks, &stop);
                    if seen_all {
                        self.is_known.send_if_modified(|known| !std::mem::replace(known, true));
                    }
                    self.looked.send_replace(look);
                }
                // The streams that are open stay open: a registry that is down tells nothing about gateways.
                Err(error) => {
                    tracing::warn!(%error, "cannot look up the gateways");
                    self.is_blind.fetch_or(was_blind, Ordering::AcqRel);
                    self.open.lock().values_mut().for_each(|link| link.forgotten = None);
                }
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                () = self.nudge.notified() => {}
                () = tokio::time::sleep(LOOK_UP) => {}
            }
        }
        self.open.lock().clear();
        tasks.close();
        tasks.wait().await;
    }

    #[allow(clippy::too_many_arguments)] // What a link is made of.
    fn reconcile(
        &self,
        gateways: Gateways,
        asked: Instant,
        was_blind: bool,
        upcalls: &Upcalls,
        owned: &tokio::sync::watch::Receiver<Vec<protocol::link::OwnedPartition>>,
        tasks: &TaskTracker,
        stop: &CancellationToken,
    ) {
        let mut open = self.open.lock();
        let mut passed = self.passed.lock();
        open.retain(|gateway, link| {
            let stays = link.stays(gateway, &gateways, asked);
            if !stays {
                link.stop.cancel();
                // One whose lease ended has told its clients itself.
                if link.forgotten.is_some() && !gateways.ended.contains(gateway) {
                    passed.lives.insert(gateway.clone(), link.incarnation);
                }
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
            if passed.take(&lease.gateway, lease.incarnation) || was_blind {
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
            let queues = [direct, group];
            open.insert(lease.gateway, Open { incarnation: lease.incarnation, queues, missed, forgotten: None, stop });
        }
    }
}
