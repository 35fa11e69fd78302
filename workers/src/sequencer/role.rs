//! The loop of one lane's sequencer.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use backends::port::{Consumer, ConsumerEvent, Entry, Lane, StoreResult, Topic};
use futures_util::{FutureExt as _, StreamExt as _, future::BoxFuture, stream::FuturesUnordered};
use parking_lot::Mutex;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

use super::{GROUP, heads::SharedPartition, partition::WAITING_MAX, progress::Progress, recover};
use crate::{delivery::Ticket, persister, record::encode_sequenced, worker::Shared};

/// How often finished offsets are committed and waiting conversations are tried again.
const TICK: Duration = Duration::from_millis(100);
/// Batches of a partition that may wait for gateways to acknowledge. Past it the partition is paused.
const UNACKED_BATCHES: usize = 64;
/// Between attempts while a store does not answer.
const RETRY: Duration = Duration::from_millis(200);

/// Attempts to take a partition over between two complaints: 10 s.
const COMPLAIN_EACH: u32 = 50;

/// A partition as the loop sees it.
struct Owned {
    state: SharedPartition,
    /// True while a future folds its records: then it is not read.
    busy: bool,
    /// Where to go on reading.
    next: u64,
    progress: Progress,
    last_retry: Instant,
}

/// What a future of the loop came to.
enum Finished {
    TakenOver { partition: u32, epoch: u64, attempt: u32, recovered: StoreResult<(super::partition::Partition, u64)> },
    Folded { partition: u32, epoch: u64, ticket: Ticket },
}

type Work = FuturesUnordered<BoxFuture<'static, Finished>>;

struct Sequencer {
    shared: Shared,
    lane: Lane,
    owned: BTreeMap<u32, Owned>,
    /// Partitions that were assigned and are being recovered, with their epochs.
    recovering: BTreeMap<u32, u64>,
    work: Work,
}

/// Sequences a lane until the worker stops.
pub(crate) async fn run(shared: Shared, lane: Lane) {
    let stop = shared.stop.clone();
    while !stop.is_cancelled() {
        let sequencer = Sequencer {
            shared: shared.clone(),
            lane,
            owned: BTreeMap::new(),
            recovering: BTreeMap::new(),
            work: Work::new(),
        };
        if let Err(error) = sequencer.run().await {
            tracing::warn!(%error, lane = lane.as_str(), "the sequencer lost its log; it will join again");
            tokio::select! {
                biased;
                () = stop.cancelled() => {}
                () = sleep(RETRY) => {}
            }
        }
    }
}

impl Sequencer {
    async fn run(mut self) -> StoreResult<()> {
        let topic = Topic::Intake(self.lane);
        let mut consumer = self.shared.ports.log.join(GROUP, topic, self.shared.config.node.as_str()).await?;
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let stop = self.shared.stop.clone();
        let outcome = loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => break Ok(()),
                Some(finished) = self.work.next(), if !self.work.is_empty() => self.on_finished(finished, consumer.as_mut()),
                _ = tick.tick() => self.on_tick(consumer.as_mut()).await,
                event = consumer.next() => match event {
                    Ok(event) => self.on_event(event, consumer.as_mut()),
                    Err(error) => break Err(error),
                },
            }
        };
        for partition in self.owned.keys() {
            self.shared.heads.remove(self.lane, *partition);
        }
        outcome
    }

    fn on_event(&mut self, event: ConsumerEvent, consumer: &mut dyn Consumer) {
        match event {
            ConsumerEvent::Assigned { partition, epoch } => self.recover(partition, epoch, 0),
            ConsumerEvent::Revoked { partition } => {
                self.recovering.remove(&partition);
                if self.owned.remove(&partition).is_some() {
                    self.shared.heads.remove(self.lane, partition);
                }
            }
            ConsumerEvent::Records { partition, entries } => {
                let Some(owned) = self.owned.get_mut(&partition) else { return };
                let Some(last) = entries.last() else { return };
                owned.next = last.offset + 1;
                self.fold(partition, entries);
                consumer.pause(partition);
            }
        }
    }

    fn recover(&mut self, partition: u32, epoch: u64, attempt: u32) {
        self.recovering.insert(partition, epoch);
        let (log, lane, planted) = (self.shared.ports.log.clone(), self.lane, self.shared.config.planted);
        let take_over = async move {
            let recovered = recover::take_over(log.as_ref(), lane, partition, epoch, planted).await;
            if recovered.is_err() {
                sleep(RETRY).await;
            }
            Finished::TakenOver { partition, epoch, attempt, recovered }
        };
        self.work.push(take_over.boxed());
    }

    /// Starts the future that folds, appends and delivers these records (and those of the partition that wait).
    fn fold(&mut self, partition: u32, entries: Vec<Entry>) {
        let Some(owned) = self.owned.get_mut(&partition) else { return };
        owned.busy = true;
        owned.progress.begin(owned.state.lock().first_waiting());
        let (shared, lane, state) = (self.shared.clone(), self.lane, owned.state.clone());
        let epoch = state.lock().epoch;
        let fold = async move {
            let ticket = fold_batch(&shared, lane, partition, &state, entries).await;
            Finished::Folded { partition, epoch, ticket }
        };
        self.work.push(fold.boxed());
    }

    fn on_finished(&mut self, finished: Finished, consumer: &mut dyn Consumer) {
        match finished {
            Finished::TakenOver { partition, epoch, attempt, recovered } => {
                if self.recovering.get(&partition) != Some(&epoch) {
                    return;
                }
                let (state, resume) = match recovered {
                    Ok(recovered) => recovered,
                    Err(error) => {
                        if attempt.is_multiple_of(COMPLAIN_EACH) {
                            tracing::warn!(%error, partition, attempt, "cannot take the partition over yet; will retry");
                        }
                        return self.recover(partition, epoch, attempt.saturating_add(1));
                    }
                };
                self.recovering.remove(&partition);
                state.folded_to(resume);
                let state = Arc::new(Mutex::new(state));
                self.shared.heads.insert(self.lane, partition, state.clone());
                let owned = Owned {
                    state,
                    busy: false,
                    next: resume,
                    progress: Progress::new(resume),
                    last_retry: Instant::now(),
                };
                self.owned.insert(partition, owned);
                consumer.start(partition, resume);
            }
            Finished::Folded { partition, epoch, ticket } => {
                // A partition that was lost in the meantime may be owned anew, under another epoch.
                let Some(owned) = self.owned.get_mut(&partition).filter(|owned| owned.state.lock().epoch == epoch)
                else {
                    return;
                };
                owned.busy = false;
                owned.progress.finish(owned.next, ticket);
                read_on(partition, owned, consumer);
            }
        }
    }

    /// Commits what is done and what no gateway and no waiting conversation still needs.
    async fn commit(&mut self, consumer: &mut dyn Consumer) {
        let mut offsets = Vec::new();
        for (partition, owned) in &mut self.owned {
            let waiting = owned.state.lock().first_waiting();
            if let Some(offset) = owned.progress.committable(waiting) {
                offsets.push((*partition, offset));
            }
        }
        if offsets.is_empty() {
            return;
        }
        match consumer.commit(&offsets).await {
            Ok(()) => {
                for (partition, offset) in offsets {
                    if let Some(owned) = self.owned.get_mut(&partition) {
                        owned.progress.committed(offset);
                    }
                }
            }
            Err(error) => tracing::debug!(%error, lane = self.lane.as_str(), "a commit was refused"),
        }
    }

    async fn on_tick(&mut self, consumer: &mut dyn Consumer) {
        self.commit(consumer).await;
        let mut retry = Vec::new();
        let mut waiting = 0;
        for (partition, owned) in &mut self.owned {
            let waits = owned.state.lock().waiting_len;
            waiting += waits;
            if !owned.busy && waits > 0 && owned.last_retry.elapsed() >= RETRY {
                owned.last_retry = Instant::now();
                consumer.pause(*partition);
                retry.push(*partition);
            } else if !owned.busy {
                read_on(*partition, owned, consumer);
            }
            self.shared.let_go(self.lane, *partition, owned).await;
        }
        self.shared.stats.waits(self.lane, waiting);
        for partition in retry {
            self.fold(partition, Vec::new());
        }
    }
}

/// Reads a partition on, unless too much of it waits: then it is paused, and the log keeps the rest.
fn read_on(partition: u32, owned: &mut Owned, consumer: &mut dyn Consumer) {
    if owned.progress.under_way() < UNACKED_BATCHES && owned.state.lock().waiting_len < WAITING_MAX {
        consumer.start(partition, owned.next);
    }
}

impl Shared {
    /// Keeps a partition's memory bounded: conversations that are stored may be let go.
    async fn let_go(&self, lane: Lane, partition: u32, owned: &Owned) {
        if owned.busy || !owned.state.lock().is_large() {
            return;
        }
        let topic = Topic::Sequenced(lane);
        if let Ok(Some(stored)) = self.ports.log.committed(persister::GROUP, topic, partition).await {
            owned.state.lock().let_go(stored);
        }
    }
}

/// Folds one batch: loads what it needs, numbers, appends to `sequenced`, delivers. Returns when `sequenced` has it.
async fn fold_batch(shared: &Shared, lane: Lane, number: u32, state: &SharedPartition, entries: Vec<Entry>) -> Ticket {
    let (records, unknown, oldest_ms) = {
        let mut state = state.lock();
        let records = state.read(&entries, &shared.stats);
        let unknown = state.unknown(&records);
        let oldest_ms = state.oldest_ms(&records);
        (records, unknown, oldest_ms)
    };
    if !unknown.is_empty() {
        let loaded = recover::load(shared.ports.messages.as_ref(), unknown, oldest_ms).await;
        let mut state = state.lock();
        for (id, fold) in loaded {
            state.load(id, fold);
        }
    }
    let folded = {
        let mut state = state.lock();
        let folded = state.fold(records, &shared.stats);
        if let Some(last) = entries.last() {
            state.folded_to(last.offset + 1);
        }
        folded
    };
    // A cache that does not answer costs catch-up a look into the store, nothing more.
    let cached = shared.ports.recent.tail_append(&folded.numbered);
    let delivered = async {
        let mut ticket = Ticket::default();
        if lane == Lane::Direct {
            ticket.join(shared.deliverer.messages(lane, &folded.replayed, &shared.stop).await);
            ticket.join(shared.deliverer.messages(lane, &folded.numbered, &shared.stop).await);
            let now_ms = shared.config.clock.now_ms();
            for message in &folded.numbered {
                shared.stats.delivered(lane, now_ms.saturating_sub(message.sent_at_ms));
            }
        }
        for (conversation, sender, key) in &folded.conflicts {
            ticket.join(shared.deliverer.conflict(lane, conversation, sender, *key).await);
        }
        ticket
    };
    let appended = async {
        let payloads: Vec<_> = folded.numbered.iter().map(encode_sequenced).collect();
        if let Some(last) = append(shared, Topic::Sequenced(lane), number, payloads).await {
            state.lock().appended(&folded.numbered, last);
        }
    };
    // The number is a function of the intake, which is durable: delivery need not wait for `sequenced`. Whoever catches
    // up before the tail has it finds it in the store, or waits for that.
    let (ticket, (), _) = tokio::join!(delivered, appended, cached);
    ticket
}

/// Appends until the log has it: a later record may never stand before an earlier one of its conversation. Returns the
/// offset of the last; `None` when there is nothing to append or the worker stops.
async fn append(shared: &Shared, topic: Topic, partition: u32, payloads: Vec<bytes::Bytes>) -> Option<u64> {
    if payloads.is_empty() {
        return None;
    }
    loop {
        match shared.ports.log.append(topic, partition, payloads.clone()).await {
            Ok(last) => return Some(last),
            Err(error) => tracing::warn!(%error, %topic, partition, "cannot append; will retry"),
        }
        tokio::select! {
            biased;
            () = shared.stop.cancelled() => return None,
            () = sleep(RETRY) => {}
        }
    }
}
