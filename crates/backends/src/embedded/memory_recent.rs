//! Dedup cache, tails and membership versions in memory.

use std::{collections::VecDeque, hash::BuildHasherDefault};

use async_trait::async_trait;
use domain::{BodyHash, ConversationId, DEDUP_WINDOW_MS, UserId};
use parking_lot::Mutex;
use rustc_hash::FxHasher;
use uuid::Uuid;

use super::generations::Generations;
use crate::{
    Clock,
    port::{Recent, Remembered, StoreResult, StoredMessage},
};

/// Rows a tail keeps: what most reconnecting clients missed. Older ones come from the message store.
const TAIL_ROWS: usize = 256;
/// Rows of all tails: twice this at most (about 400 B each).
const TAILS_HALF: usize = 200_000;
/// Keys of the dedup cache: twice this at most (about 120 B each). The fold knows the rest.
const DEDUP_HALF: usize = 1_000_000;

type DedupKey = (ConversationId, UserId, Uuid);

/// The caches in memory.
#[derive(Debug)]
pub struct MemoryRecent {
    clock: Clock,
    dedup: Mutex<Generations<DedupKey, (BodyHash, u64)>>,
    tails: Mutex<Generations<ConversationId, VecDeque<StoredMessage>>>,
    versions: Mutex<std::collections::HashMap<ConversationId, u64, BuildHasherDefault<FxHasher>>>,
}

impl MemoryRecent {
    /// Empty caches.
    pub fn new(clock: Clock) -> Self {
        Self {
            clock,
            dedup: Mutex::new(Generations::new(DEDUP_HALF)),
            tails: Mutex::new(Generations::new(TAILS_HALF)),
            versions: Mutex::default(),
        }
    }

    /// Forgets keys and tails, as a cache server that restarts does.
    pub fn flush(&self) {
        *self.dedup.lock() = Generations::new(DEDUP_HALF);
        *self.tails.lock() = Generations::new(TAILS_HALF);
    }
}

#[async_trait]
impl Recent for MemoryRecent {
    async fn recall(&self, conversation: &ConversationId, sender: &UserId, key: Uuid) -> StoreResult<Option<BodyHash>> {
        let now_ms = self.clock.now_ms();
        let dedup = self.dedup.lock();
        let (young, old) = dedup.get(&(conversation.clone(), sender.clone(), key));
        let fresh = young.or(old).filter(|(_, until_ms)| now_ms < *until_ms);
        Ok(fresh.map(|(body_hash, _)| *body_hash))
    }

    async fn remember(&self, keys: Vec<Remembered>) -> StoreResult<()> {
        let now_ms = self.clock.now_ms();
        let mut dedup = self.dedup.lock();
        for key in keys {
            let name = (key.conversation, key.sender, key.key);
            let (young, old) = dedup.get(&name);
            if young.or(old).is_some_and(|(_, until_ms)| now_ms < *until_ms) {
                continue;
            }
            dedup.young(name).insert_entry((key.body_hash, now_ms + DEDUP_WINDOW_MS));
        }
        Ok(())
    }

    async fn tail_append(&self, rows: &[StoredMessage]) -> StoreResult<()> {
        let mut tails = self.tails.lock();
        for row in rows {
            let tail = tails.young(row.conversation.clone()).or_default();
            if tail.back().is_some_and(|last| last.sequence_number >= row.sequence_number) {
                continue;
            }
            if tail.len() >= TAIL_ROWS {
                tail.pop_front();
            }
            tail.push_back(row.clone());
        }
        Ok(())
    }

    async fn tail_read(&self, conversation: &ConversationId, first: u64, last: u64) -> StoreResult<Vec<StoredMessage>> {
        let tails = self.tails.lock();
        let (young, old) = tails.get(conversation);
        let mut rows: Vec<StoredMessage> = Vec::new();
        for row in old.into_iter().chain(young).flatten() {
            let newer = rows.last().is_none_or(|last| last.sequence_number < row.sequence_number);
            if newer && (first..=last).contains(&row.sequence_number) {
                rows.push(row.clone());
            }
        }
        Ok(rows)
    }

    async fn members_version(&self, conversation: &ConversationId) -> StoreResult<u64> {
        Ok(self.versions.lock().get(conversation).copied().unwrap_or(0))
    }

    async fn members_changed(&self, conversation: &ConversationId) -> StoreResult<()> {
        // The clock keeps a version from coming again after a loss of the cache.
        let now_ms = self.clock.now_ms();
        let mut versions = self.versions.lock();
        let version = versions.entry(conversation.clone()).or_default();
        *version = now_ms.max(*version + 1);
        Ok(())
    }
}
