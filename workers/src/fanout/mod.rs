//! Group fan-out: `sequenced.group` to the gateways of members, fair between conversations (failure mode 6).

mod batches;

use std::{collections::BTreeMap, time::Duration};

use backends::port::{Consumer, ConsumerEvent, Entry, Lane, StoreResult, StoredMessage, Topic};
use domain::{ConversationId, FairQueue};
use tokio::time::{MissedTickBehavior, interval, sleep};

use self::batches::Batches;
use crate::{
    delivery::{Ticket, Unacked, reap},
    record::decode_sequenced,
    worker::{Shared, WorkerStats},
};

const GROUP: &str = "fanout";
/// Between attempts while the log does not answer.
const RETRY: Duration = Duration::from_millis(200);
/// How often finished offsets are committed.
const TICK: Duration = Duration::from_millis(100);
/// Messages delivered in one go: small enough that conversations take turns, large enough to share calls.
const TURN: usize = 64;
/// Batches that may wait for gateways to acknowledge. Past it the topic is not read. What is held back on purpose does
/// not count, or one group that is batched would stop all others, and neither does what is done: while a commit is
/// refused because of a partition that was lost, reading is what tells which.
const UNACKED_BATCHES: usize = 64;

/// Batches of each partition under way.
type Partitions = BTreeMap<u32, Unacked>;

/// Fans out until the worker stops.
pub(crate) async fn run(shared: Shared) {
    let stop = shared.stop.clone();
    while !stop.is_cancelled() {
        tokio::select! {
            biased;
            () = stop.cancelled() => {}
            Err(error) = fan_out(&shared) => {
                tracing::warn!(%error, "the group fan-out lost its log; it will join again");
                // What was held is read again.
                shared.stats.fanning_out(0);
                sleep(RETRY).await;
            }
        }
    }
}

async fn fan_out(shared: &Shared) -> StoreResult<()> {
    let topic = Topic::Sequenced(Lane::Group);
    let log = &shared.ports.log;
    let mut consumer = log.join(GROUP, topic, shared.config.node.as_str()).await?;
    let (mut unacked, mut batched) = (Partitions::new(), Batches::default());
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let batches = with_gateways(&mut unacked) + batched.under_way();
        let event = tokio::select! {
            biased;
            _ = tick.tick() => {
                for due in batched.due(&shared.levers.now()) {
                    let ticket = shared.deliverer.messages(Lane::Group, &due.messages, &shared.stop).await;
                    batched.sent(ticket, due.waits);
                }
                shared.stats.fanning_out(batched.len());
                batched.reap();
                commit(consumer.as_mut(), &mut unacked).await;
                continue;
            }
            event = consumer.next(), if batches < UNACKED_BATCHES => event?,
        };
        match event {
            ConsumerEvent::Assigned { partition, .. } => {
                let from = log.committed(GROUP, topic, partition).await?.unwrap_or(0);
                consumer.start(partition, from);
            }
            ConsumerEvent::Revoked { partition } => {
                unacked.remove(&partition);
            }
            ConsumerEvent::Records { partition, entries } => {
                let next = entries.last().map_or(0, |entry| entry.offset + 1);
                shared.stats.fanning_out(entries.len() + batched.len());
                let ticket = deliver(shared, &entries, &mut batched).await;
                shared.stats.fanning_out(batched.len());
                let batches = unacked.entry(partition).or_default();
                batches.push_back((next, ticket));
                reap(batches);
            }
        }
    }
}

/// Batches that gateways have not acknowledged.
fn with_gateways(unacked: &mut Partitions) -> usize {
    unacked.values_mut().flatten().map(|(_, ticket)| usize::from(ticket.is_with_gateways())).sum()
}

/// Delivers a batch, conversations taking turns.
async fn deliver(shared: &Shared, entries: &[Entry], batched: &mut Batches) -> Ticket {
    let in_force = shared.levers.now();
    let mut ticket = Ticket::default();
    let mut queue: FairQueue<ConversationId, StoredMessage> = FairQueue::default();
    for entry in entries {
        match decode_sequenced(entry) {
            Ok(message) if batched.takes(&in_force, &message.conversation) => ticket.add_held(batched.hold(message)),
            Ok(message) => queue.push(message.conversation.clone(), message),
            Err(error) => {
                WorkerStats::add(&shared.deliverer.stats().unreadable, 1);
                tracing::error!(%error, "a sequenced record was skipped");
            }
        }
    }
    while !queue.is_empty() {
        let turn: Vec<StoredMessage> =
            std::iter::from_fn(|| queue.pop()).take(TURN).map(|(_, message)| message).collect();
        ticket.join(shared.deliverer.messages(Lane::Group, &turn, &shared.stop).await);
        let now_ms = shared.config.clock.now_ms();
        for message in &turn {
            shared.stats.delivered(Lane::Group, now_ms.saturating_sub(message.sent_at_ms));
        }
    }
    ticket
}

/// Commits what every gateway has, so that the next owner delivers the rest again.
async fn commit(consumer: &mut dyn Consumer, unacked: &mut Partitions) {
    let done = unacked.iter_mut().filter_map(|(partition, batches)| Some((*partition, reap(batches)?)));
    let done: Vec<_> = done.collect();
    if done.is_empty() {
        return;
    }
    match consumer.commit(&done).await {
        // The first of each stands for what is committed now; nothing of it is under way.
        Ok(()) => {
            for (partition, _) in done {
                unacked.get_mut(&partition).map(Unacked::pop_front);
            }
        }
        Err(error) => tracing::debug!(%error, "a commit was refused"),
    }
}
