//! Taking a partition over, and loading conversations.
//!
//! What an owner must know is in two places: the message store has everything below the persister's commit, the tail
//! of `sequenced` has the rest. The intake is then read again from this group's own commit, below which everything was
//! numbered *and* delivered; the fold knows the records it has seen and numbers none twice, and those are delivered
//! again, for the last owner may have died between numbering and delivering.

use backends::port::{Head, Lane, Log, Messages, StoreResult, Topic};
use domain::{Bug, ConversationId, DEDUP_WINDOW_MS, KeyRow, Planted};
use futures_util::{StreamExt as _, stream};

use super::{GROUP, partition::Partition};
use crate::{
    persister,
    record::{decode_sequenced, key_row},
};

/// Records of the tail read at once.
const TAIL_PAGE: usize = 1_024;
/// Conversations loaded at once.
const LOADS: usize = 32;

/// Reads what is needed to go on with a partition. Returns its state and where to resume the intake.
pub(super) async fn take_over(
    log: &dyn Log,
    lane: Lane,
    number: u32,
    epoch: u64,
    planted: Planted,
) -> StoreResult<(Partition, u64)> {
    let mut partition = Partition::new(epoch, planted);
    let resume = log.committed(GROUP, Topic::Intake(lane), number).await?.unwrap_or(0);
    if planted.has(Bug::ZombieWrites) {
        return Ok((partition, resume));
    }
    let topic = Topic::Sequenced(lane);
    // Asked for in this order: what is committed later is in the store by the time conversations are loaded.
    let stored = log.committed(persister::GROUP, topic, number).await?.unwrap_or(0);
    let end = log.end(topic, number).await?;
    // One record before the commit tells the log time reached.
    let mut from = stored.saturating_sub(1);
    while from < end {
        let entries = log.read(topic, number, from, TAIL_PAGE).await?;
        let Some(last) = entries.last() else { break };
        from = last.offset + 1;
        for entry in &entries {
            match decode_sequenced(entry) {
                Ok(message) if entry.offset < stored => partition.reach(message.at.time_ms),
                Ok(message) => partition.learn(message.conversation.clone(), entry.offset, key_row(&message)),
                Err(error) => tracing::error!(%error, "a record of the tail was skipped"),
            }
        }
    }
    tracing::info!(
        lane = lane.as_str(),
        partition = number,
        epoch,
        resume,
        tail = end - stored,
        "partition taken over"
    );
    Ok((partition, resume))
}

/// What the store has of a conversation.
#[derive(Debug, Default)]
pub(super) struct Stored {
    pub(super) head: Option<Head>,
    /// Keys of the last 24 h of log time.
    pub(super) keys: Vec<KeyRow>,
}

/// Loads conversations from the store: their heads, and their keys of the 24 h of log time before `oldest_ms`, the time
/// of the oldest record that is to be folded. Those that cannot be loaded are left out; their records wait.
pub(super) async fn load(
    messages: &dyn Messages,
    ids: Vec<ConversationId>,
    oldest_ms: u64,
) -> Vec<(ConversationId, Stored)> {
    let load_one = |id: ConversationId| async move {
        match load_one_stored(messages, &id, oldest_ms).await {
            Ok(stored) => Some((id, stored)),
            Err(error) => {
                tracing::debug!(%error, conversation = %id, "cannot load the conversation: its records wait");
                None
            }
        }
    };
    stream::iter(ids).map(load_one).buffered(LOADS).filter_map(std::future::ready).collect().await
}

async fn load_one_stored(messages: &dyn Messages, id: &ConversationId, oldest_ms: u64) -> StoreResult<Stored> {
    // Most conversations that are met for the first time are new.
    let Some(head) = messages.head(id).await? else { return Ok(Stored::default()) };
    let keys = messages.keys_since(id, oldest_ms.saturating_sub(DEDUP_WINDOW_MS)).await?;
    Ok(Stored { head: Some(head), keys })
}
