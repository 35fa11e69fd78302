//! One stream to one life of a gateway: deliveries down, acknowledgements and questions up.
//!
//! Calls are kept until acknowledged and sent again when the stream breaks and comes back, so a cut wire loses no live
//! message. When the gateway is dead they are dropped: its clients catch up elsewhere.
//!
//! Both lanes share the stream and nothing before it: each has its queue and its window of calls under way, and a direct
//! call is taken first. The window of the group lane is small, for a direct call waits behind what is on the stream (I8).

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use backends::{
    port::{GatewayLease, Lane, Registry},
    stream::{Dial, Duplex},
};
use domain::NodeId;
use protocol::link::{
    Deliver, GatewayFrame, HeadReply, HeadRequest, Owned, OwnedPartition, Relay, Supersede, WorkerFrame, WorkerHello,
    gateway_frame, worker_frame,
};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::links::{Call, Receipt};

/// Direct calls sent and not yet acknowledged. Past it no more are taken from their queue.
const UNACKED_DIRECT: usize = 192;
/// Group calls sent and not yet acknowledged: so many a direct call may find before it on the stream. With the direct
/// ones they fit [`backends::stream::STREAM_FRAMES`], so a gateway that is slow does not make the sender wait either.
pub(super) const UNACKED_GROUP: usize = 16;
/// A frame that cannot be sent for so long means that the stream is dead.
const SEND_DEADLINE: Duration = Duration::from_secs(5);
/// Between two attempts to dial.
const REDIAL: Duration = Duration::from_millis(200);
/// Failed attempts after which the gateway is taken for dead and its routes are purged at once (failure mode 1).
const DIALS_UNTIL_DEAD: u32 = 3;

/// Whether deliveries for the gateway were dropped.
#[derive(Debug, Default)]
pub(super) struct Missed {
    /// They were, and the gateway is to be told.
    dropped: AtomicBool,
    /// It is being told, and has acknowledged nothing since.
    telling: AtomicBool,
}

impl Missed {
    pub(super) fn set(&self) {
        self.dropped.store(true, Ordering::Release);
    }

    /// True from a drop until the gateway has heard of it.
    pub(super) fn is_behind(&self) -> bool {
        self.dropped.load(Ordering::Acquire) || self.telling.load(Ordering::Acquire)
    }

    fn take(&self) -> bool {
        // In this order, so that it is behind all the while.
        self.telling.store(true, Ordering::Release);
        let dropped = self.dropped.swap(false, Ordering::AcqRel);
        self.telling.store(dropped, Ordering::Release);
        dropped
    }

    fn told(&self) {
        self.telling.store(false, Ordering::Release);
    }
}

/// A question of a gateway: where conversations stand. The answer goes into `reply`.
#[derive(Debug)]
pub(crate) struct HeadQuestion {
    pub(crate) request: HeadRequest,
    pub(crate) reply: oneshot::Sender<HeadReply>,
}

/// What a gateway wants told.
#[derive(Debug)]
pub(crate) enum Telling {
    /// Tell the members something.
    Relay(Relay),
    /// A session on another gateway was replaced.
    Supersede(Supersede),
}

/// Where what gateways ask is answered. One queue for each lane's heads and one for the rest: a relay that waits for the
/// directory, or heads of groups that wait for the store, hold up nobody who catches up with a direct conversation (I8).
#[derive(Debug, Clone)]
pub(crate) struct Upcalls {
    pub(crate) direct_heads: mpsc::Sender<HeadQuestion>,
    pub(crate) group_heads: mpsc::Sender<HeadQuestion>,
    pub(crate) tellings: mpsc::Sender<Telling>,
}

impl Upcalls {
    fn heads(&self, lane: u32) -> &mpsc::Sender<HeadQuestion> {
        match Lane::from_number(lane) {
            Some(Lane::Direct) => &self.direct_heads,
            Some(Lane::Group) | None => &self.group_heads,
        }
    }
}

/// Calls that wait for the stream.
pub(super) struct Calls {
    pub(super) direct: mpsc::Receiver<Call>,
    pub(super) group: mpsc::Receiver<Call>,
}

impl Calls {
    /// The next call that may be sent, a direct one first. `None` at the end. Safe to drop before it is ready.
    async fn next(&mut self, unacked: &Unacked) -> Option<(Lane, Call)> {
        tokio::select! {
            biased;
            call = self.direct.recv(), if unacked.of(Lane::Direct) < UNACKED_DIRECT => Some((Lane::Direct, call?)),
            call = self.group.recv(), if unacked.of(Lane::Group) < UNACKED_GROUP => Some((Lane::Group, call?)),
            else => std::future::pending().await,
        }
    }
}

/// The task of one stream.
pub(super) struct Link {
    pub(super) worker: NodeId,
    pub(super) lease: GatewayLease,
    pub(super) dial: Arc<dyn Dial<WorkerFrame, GatewayFrame>>,
    pub(super) registry: Arc<dyn Registry>,
    pub(super) calls: Calls,
    pub(super) missed: Arc<Missed>,
    pub(super) owned: watch::Receiver<Vec<OwnedPartition>>,
    pub(super) upcalls: Upcalls,
    pub(super) stop: CancellationToken,
}

/// Calls under way and their numbers on the stream.
#[derive(Default)]
struct Unacked {
    calls: VecDeque<(Lane, Deliver, Receipt)>,
    /// By [`Lane::number`].
    of_lane: [usize; 2],
    last_sequence: u64,
}

impl Unacked {
    fn of(&self, lane: Lane) -> usize {
        self.of_lane[lane.number() as usize]
    }

    /// Gives a call its number.
    fn push(&mut self, lane: Lane, call: Call) -> Deliver {
        self.last_sequence += 1;
        let deliver = Deliver { sequence: self.last_sequence, deliveries: call.deliveries };
        self.of_lane[lane.number() as usize] += 1;
        self.calls.push_back((lane, deliver.clone(), call.receipt));
        deliver
    }

    /// The gateway has everything up to this number.
    fn acknowledged(&mut self, sequence: u64) {
        while self.calls.front().is_some_and(|(_, deliver, _)| deliver.sequence <= sequence) {
            if let Some((lane, _, receipt)) = self.calls.pop_front() {
                self.of_lane[lane.number() as usize] -= 1;
                drop(receipt.under_way);
                // Whoever asked may be gone.
                let _ = receipt.done.send(());
            }
        }
    }
}

type Stream = Duplex<WorkerFrame, GatewayFrame>;
/// Answers to head questions on their way from the sequencer.
type Replies = futures_util::stream::FuturesUnordered<oneshot::Receiver<HeadReply>>;

impl Link {
    pub(super) async fn run(mut self) {
        let mut unacked = Unacked::default();
        let mut failed_dials = 0;
        loop {
            let stop = self.stop.clone();
            let ended = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                dialled = self.dial.dial(&self.lease.link) => match dialled {
                    Ok(mut stream) => {
                        failed_dials = 0;
                        self.serve(&mut stream, &mut unacked).await
                    }
                    Err(error) => {
                        failed_dials += 1;
                        tracing::debug!(%error, failed_dials, "cannot dial the gateway");
                        Some(())
                    }
                },
            };
            if ended.is_none() {
                return;
            }
            if failed_dials >= DIALS_UNTIL_DEAD {
                self.purge().await;
                failed_dials = 0;
            }
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return,
                () = sleep(REDIAL) => {}
            }
        }
    }

    /// A gateway that cannot be called is dead: its 50,000 entries go now, not after their TTL.
    async fn purge(&self) {
        tracing::warn!(gateway = %self.lease.gateway, "the gateway cannot be called: purging its routes");
        if let Err(error) = self.registry.retire(&self.lease.gateway, self.lease.incarnation).await {
            tracing::warn!(%error, "cannot purge the routes of a dead gateway");
        }
    }

    /// Serves one stream. `Some` when it broke and may be dialled again, `None` when the link is to end.
    async fn serve(&mut self, stream: &mut Stream, unacked: &mut Unacked) -> Option<()> {
        let mut is_told = !self.missed.take();
        let ended = self.converse(stream, unacked, &mut is_told).await;
        if !is_told {
            // The gateway may not have read it.
            self.missed.set();
        }
        ended
    }

    /// `is_told` becomes true once the gateway has read the hello.
    async fn converse(&mut self, stream: &mut Stream, unacked: &mut Unacked, is_told: &mut bool) -> Option<()> {
        let mut replies = Replies::new();
        let hello = WorkerHello { worker: self.worker.as_str().to_owned(), missed: !*is_told };
        if send(stream, worker_frame::Kind::Hello(hello)).await.is_err() {
            return Some(());
        }
        if self.announce(stream).await.is_err() {
            return Some(());
        }
        for (_, deliver, _) in &unacked.calls {
            if send(stream, worker_frame::Kind::Deliver(deliver.clone())).await.is_err() {
                return Some(());
            }
        }
        loop {
            // One that has not heard of the last drop is not told of another one yet.
            if *is_told && self.missed.dropped.load(Ordering::Acquire) {
                // Begin anew: the hello of the next stream says so.
                return Some(());
            }
            let outcome = tokio::select! {
                biased;
                () = self.stop.cancelled() => {
                    self.last_word(stream).await;
                    return None;
                }
                frame = stream.rx.recv() => match frame.and_then(|frame| frame.kind) {
                    None => return Some(()),
                    Some(kind) => {
                        // Frames are read in order: what it acknowledges came after the hello.
                        if matches!(kind, gateway_frame::Kind::Ack(_)) {
                            *is_told = true;
                            self.missed.told();
                        }
                        self.on_frame(kind, unacked, &replies);
                        Ok(())
                    }
                },
                Some(reply) = futures_util::StreamExt::next(&mut replies), if !replies.is_empty() => match reply {
                    Ok(reply) => send(stream, worker_frame::Kind::Heads(reply)).await,
                    Err(_) => Ok(()),
                },
                changed = self.owned.changed() => match changed {
                    Ok(()) => self.announce(stream).await,
                    Err(_) => return None,
                },
                call = self.calls.next(unacked) => match call {
                    None => return None,
                    Some((lane, call)) => {
                        let deliver = unacked.push(lane, call);
                        send(stream, worker_frame::Kind::Deliver(deliver)).await
                    }
                },
            };
            if outcome.is_err() {
                return Some(());
            }
        }
    }

    /// A gateway that is cut off though it may live hears that deliveries go past it from now on.
    async fn last_word(&self, stream: &mut Stream) {
        if self.missed.dropped.load(Ordering::Acquire) {
            let hello = WorkerHello { worker: self.worker.as_str().to_owned(), missed: true };
            // One that is dead does not hear it.
            let _ = send(stream, worker_frame::Kind::Hello(hello)).await;
        }
    }

    async fn announce(&mut self, stream: &mut Stream) -> Result<(), ()> {
        let partitions = self.owned.borrow_and_update().clone();
        send(stream, worker_frame::Kind::Owned(Owned { partitions })).await
    }

    fn on_frame(&self, kind: gateway_frame::Kind, unacked: &mut Unacked, replies: &Replies) {
        let tell = |telling| self.upcalls.tellings.try_send(telling).is_ok();
        let taken = match kind {
            gateway_frame::Kind::Ack(ack) => return unacked.acknowledged(ack.sequence),
            gateway_frame::Kind::Hello(_) => return,
            gateway_frame::Kind::Heads(request) => {
                let (reply, answer) = oneshot::channel();
                replies.push(answer);
                self.upcalls.heads(request.lane).try_send(HeadQuestion { request, reply }).is_ok()
            }
            gateway_frame::Kind::Relay(relay) => tell(Telling::Relay(relay)),
            gateway_frame::Kind::Supersede(supersede) => tell(Telling::Supersede(supersede)),
        };
        // A full queue drops: heads are asked again, relays are not stored, a session that was replaced is also found
        // by its next refresh.
        if !taken {
            tracing::warn!(gateway = %self.lease.gateway, "too many questions of gateways: one was dropped");
        }
    }
}

async fn send(stream: &mut Stream, kind: worker_frame::Kind) -> Result<(), ()> {
    let frame = WorkerFrame { kind: Some(kind) };
    // Two ways to fail, one consequence: dial again.
    timeout(SEND_DEADLINE, stream.tx.send(frame)).await.map_err(|_| ())?.map_err(|_| ())
}
