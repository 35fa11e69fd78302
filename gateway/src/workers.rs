//! The workers' streams: deliveries come down, acknowledgements, questions for heads and relays go up.

use std::{collections::BTreeMap, sync::Arc};

use backends::{port::Lane, stream::Duplex};
use domain::{ConversationId, partition_of};
use parking_lot::Mutex;
use protocol::{
    frames::CloseCode,
    link::{
        Ack, CloseSession, GatewayFrame, GatewayHello, Head, HeadRequest, Owned, Relay, Supersede, WorkerFrame,
        gateway_frame, worker_frame,
    },
};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{Duration, sleep, timeout},
};
use tokio_util::task::TaskTracker;

use crate::{gateway::Shared, hub::Touched, relay::deliver};

/// Frames of a worker taken together: their messages are queued for all sockets before any socket is written, so a
/// socket gets what waits for it in one write.
const FRAMES_AT_ONCE: usize = 64;
/// How long an owner may take to say where a conversation stands.
const HEADS_DEADLINE: Duration = Duration::from_secs(2);
/// An acknowledgement that cannot be sent for so long means that the stream is dead.
const SEND_DEADLINE: Duration = Duration::from_secs(5);

#[derive(Clone)]
struct Stream {
    tx: mpsc::Sender<GatewayFrame>,
    owned: BTreeMap<(u32, u32), u64>,
}

#[derive(Default)]
struct State {
    streams: BTreeMap<u64, Stream>,
    last_id: u64,
    asked: BTreeMap<u64, oneshot::Sender<Vec<Head>>>,
    last_question: u64,
    lost: u64,
}

/// The streams of the workers.
pub(crate) struct Workers {
    partitions: u32,
    state: Mutex<State>,
    /// Changes when an owner comes or goes: who waits for a head tries again.
    changed: watch::Sender<u64>,
}

/// A question under way. Forgotten with whoever asked: a connection that is closed in the middle does not ask on.
struct Asked<'a> {
    workers: &'a Workers,
    id: u64,
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        self.workers.state.lock().asked.remove(&self.id);
    }
}

impl Workers {
    pub(crate) fn new(partitions: u32) -> Self {
        Self { partitions, state: Mutex::default(), changed: watch::Sender::new(0) }
    }

    /// True when at least one worker has a stream here.
    pub(crate) fn is_connected(&self) -> bool {
        !self.state.lock().streams.is_empty()
    }

    /// How many streams ended so far.
    pub(crate) fn lost(&self) -> u64 {
        self.state.lock().lost
    }

    /// The stream of the owner of a partition: of two that claim it the one with the higher epoch.
    fn owner(&self, lane: Lane, partition: u32) -> Option<mpsc::Sender<GatewayFrame>> {
        let state = self.state.lock();
        let key = (lane.number(), partition);
        let claims = state.streams.values().filter_map(|stream| Some((stream.owned.get(&key)?, stream)));
        claims.max_by_key(|(epoch, _)| **epoch).map(|(_, stream)| stream.tx.clone())
    }

    /// Where conversations of a lane stand, in the order asked; `None` where nobody can tell now.
    pub(crate) async fn heads(&self, lane: Lane, ids: &[ConversationId]) -> Vec<Option<u64>> {
        let mut by_partition: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
        for (n, id) in ids.iter().enumerate() {
            by_partition.entry(partition_of(id.as_str(), self.partitions)).or_default().push(n);
        }
        let mut heads = vec![None; ids.len()];
        let questions = by_partition.into_iter().map(|(partition, positions)| async move {
            let conversations = positions.iter().map(|n| ids[*n].as_str().to_owned()).collect();
            (positions, self.ask(lane, partition, conversations).await)
        });
        for (positions, answer) in futures_util::future::join_all(questions).await {
            for (position, head) in positions.into_iter().zip(answer.unwrap_or_default()) {
                heads[position] = head.known.then_some(head.head);
            }
        }
        heads
    }

    async fn ask(&self, lane: Lane, partition: u32, conversations: Vec<String>) -> Option<Vec<Head>> {
        let owner = self.owner(lane, partition)?;
        let (tell, answer) = oneshot::channel();
        let id = {
            let mut state = self.state.lock();
            state.last_question += 1;
            let id = state.last_question;
            state.asked.insert(id, tell);
            id
        };
        let _asked = Asked { workers: self, id };
        let question = gateway_frame::Kind::Heads(HeadRequest { id, lane: lane.number(), conversations });
        let asked = async {
            owner.send(GatewayFrame { kind: Some(question) }).await.ok()?;
            answer.await.ok()
        };
        timeout(HEADS_DEADLINE, asked).await.ok().flatten()
    }

    /// Resolves when something changed that may let a question be answered, or after a while.
    pub(crate) async fn changed(&self) {
        let mut changed = self.changed.subscribe();
        let _ = timeout(HEADS_DEADLINE, changed.changed()).await;
    }

    /// Tells the members of a conversation something, through any worker. Not stored: it may be lost.
    pub(crate) fn relay(&self, relay: Relay) {
        self.up(gateway_frame::Kind::Relay(relay));
    }

    /// Has an older session of a device on another gateway closed.
    pub(crate) fn supersede(&self, gateway: &str, close: CloseSession) {
        self.up(gateway_frame::Kind::Supersede(Supersede { gateway: gateway.to_owned(), close: Some(close) }));
    }

    fn up(&self, kind: gateway_frame::Kind) {
        let stream = self.state.lock().streams.values().next().map(|stream| stream.tx.clone());
        // A full stream drops: see `relay`; a superseded session is also found by its next heartbeat.
        let sent = stream.is_some_and(|tx| tx.try_send(GatewayFrame { kind: Some(kind) }).is_ok());
        if !sent {
            tracing::debug!("no worker takes a relay now");
        }
    }

    fn open(&self, tx: mpsc::Sender<GatewayFrame>) -> u64 {
        let mut state = self.state.lock();
        state.last_id += 1;
        let id = state.last_id;
        state.streams.insert(id, Stream { tx, owned: BTreeMap::new() });
        id
    }

    fn close(&self, id: u64) {
        let mut state = self.state.lock();
        state.streams.remove(&id);
        state.lost += 1;
        drop(state);
        self.changed.send_modify(|n| *n += 1);
    }

    fn owned(&self, id: u64, owned: Owned) {
        if let Some(stream) = self.state.lock().streams.get_mut(&id) {
            stream.owned = owned.partitions.iter().map(|one| ((one.lane, one.partition), one.epoch)).collect();
        }
        self.changed.send_modify(|n| *n += 1);
    }

    fn answered(&self, id: u64, heads: Vec<Head>) {
        if let Some(tell) = self.state.lock().asked.remove(&id) {
            // Who asked may have given up.
            let _ = tell.send(heads);
        }
    }
}

/// Serves workers that dial, until the shutdown.
pub(crate) async fn run(shared: Arc<Shared>, mut links: mpsc::Receiver<Duplex<GatewayFrame, WorkerFrame>>) {
    let tasks = TaskTracker::new();
    loop {
        let stream = tokio::select! {
            biased;
            () = shared.stop.cancelled() => break,
            stream = links.recv() => stream,
        };
        let Some(stream) = stream else { break };
        tasks.spawn(serve(shared.clone(), stream));
    }
    tasks.close();
    tasks.wait().await;
}

async fn serve(shared: Arc<Shared>, mut stream: Duplex<GatewayFrame, WorkerFrame>) {
    let hello =
        GatewayHello { gateway: shared.config.node.as_str().to_owned(), incarnation: shared.config.incarnation };
    if send(&stream, gateway_frame::Kind::Hello(hello)).await.is_err() {
        return;
    }
    let id = shared.workers.open(stream.tx.clone());
    let mut frames = Vec::with_capacity(FRAMES_AT_ONCE);
    loop {
        let received = tokio::select! {
            biased;
            () = shared.stop.cancelled() => break,
            received = stream.rx.recv_many(&mut frames, FRAMES_AT_ONCE) => received,
        };
        if received == 0 {
            break;
        }
        let delay_ms = shared.levers.now().delay_frames_ms;
        if delay_ms > 0 {
            tokio::select! {
                biased;
                () = shared.stop.cancelled() => break,
                () = sleep(Duration::from_millis(delay_ms)) => {}
            }
        }
        if let Some(sequence) = take(&shared, id, &mut frames)
            && send(&stream, gateway_frame::Kind::Ack(Ack { sequence })).await.is_err()
        {
            break;
        }
    }
    shared.workers.close(id);
}

/// Takes some frames; returns the last delivery to acknowledge: all of them are in the sockets' queues.
fn take(shared: &Shared, id: u64, frames: &mut Vec<WorkerFrame>) -> Option<u64> {
    let mut touched = Touched::default();
    let mut last = None;
    for frame in frames.drain(..) {
        match frame.kind {
            Some(worker_frame::Kind::Deliver(call)) => {
                for delivery in call.deliveries {
                    deliver(shared, delivery, &mut touched);
                }
                last = Some(call.sequence);
            }
            Some(worker_frame::Kind::Owned(owned)) => shared.workers.owned(id, owned),
            Some(worker_frame::Kind::Heads(reply)) => shared.workers.answered(reply.id, reply.heads),
            Some(worker_frame::Kind::Hello(hello)) if hello.missed => {
                tracing::error!(worker = hello.worker, "deliveries were dropped: clients are told to come back");
                shared.close_all(CloseCode::GoingAway);
            }
            Some(worker_frame::Kind::Hello(_)) | None => {}
        }
    }
    touched.flush(shared.now_ms());
    last
}

async fn send(stream: &Duplex<GatewayFrame, WorkerFrame>, kind: gateway_frame::Kind) -> Result<(), ()> {
    // Two ways to fail, one consequence: the stream ends and the worker dials again.
    timeout(SEND_DEADLINE, stream.tx.send(GatewayFrame { kind: Some(kind) })).await.map_err(|_| ())?.map_err(|_| ())
}
