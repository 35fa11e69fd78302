//! The message store in memory. Rows of one write land one by one and in any order, as in a cluster: a reader in the
//! middle sees holes.

use std::collections::BTreeMap;

use async_trait::async_trait;
use backends::port::{Head, Messages, StoreResult, StoredMessage};
use domain::{ConversationId, KeyRow, Submission, body_hash};
use parking_lot::Mutex;
use rand::{SeedableRng as _, rngs::SmallRng, seq::SliceRandom as _};
use tokio::time::{Duration, sleep};
use uuid::Uuid;

type Rows = BTreeMap<(ConversationId, u64, Uuid), StoredMessage>;

/// See the module.
pub(super) struct SimMessages {
    rows: Mutex<Rows>,
    rng: Mutex<SmallRng>,
    /// Time between two rows of a write.
    row_ms: Mutex<u64>,
}

impl SimMessages {
    pub(super) fn new(seed: u64) -> Self {
        Self { rows: Mutex::default(), rng: Mutex::new(SmallRng::seed_from_u64(seed)), row_ms: Mutex::new(1) }
    }

    pub(super) fn set_row_ms(&self, ms: u64) {
        *self.row_ms.lock() = ms;
    }

    pub(super) fn all(&self) -> Vec<StoredMessage> {
        self.rows.lock().values().cloned().collect()
    }

    fn of(&self, id: &ConversationId, first: u64, last: u64) -> Vec<StoredMessage> {
        let rows = self.rows.lock();
        let range = (id.clone(), first, Uuid::nil())..=(id.clone(), last, Uuid::max());
        rows.range(range).map(|(_, row)| row.clone()).collect()
    }
}

#[async_trait]
impl Messages for SimMessages {
    async fn write(&self, rows: &[StoredMessage]) -> StoreResult<()> {
        let mut rows = rows.to_vec();
        rows.shuffle(&mut *self.rng.lock());
        for row in rows {
            let wait_ms = *self.row_ms.lock();
            if wait_ms > 0 {
                sleep(Duration::from_millis(wait_ms)).await;
            }
            self.rows.lock().insert((row.conversation.clone(), row.sequence_number, row.message_id), row);
        }
        Ok(())
    }

    async fn quarantine(&self, row: &StoredMessage) -> StoreResult<()> {
        self.rows.lock().remove(&(row.conversation.clone(), row.sequence_number, row.message_id));
        Ok(())
    }

    async fn read(&self, id: &ConversationId, first: u64, last: u64, limit: usize) -> StoreResult<Vec<StoredMessage>> {
        if first > last {
            return Ok(Vec::new());
        }
        Ok(self.of(id, first, last).into_iter().take(limit).collect())
    }

    async fn head(&self, id: &ConversationId) -> StoreResult<Option<Head>> {
        let last = self.of(id, 0, u64::MAX).pop();
        Ok(last.map(|row| Head { sequence_number: row.sequence_number, intake_offset: row.at.offset }))
    }

    async fn keys_since(&self, id: &ConversationId, since_ms: u64) -> StoreResult<Vec<KeyRow>> {
        let rows = self.of(id, 0, u64::MAX).into_iter().filter(|row| row.at.time_ms >= since_ms);
        let key_row = |row: StoredMessage| KeyRow {
            submission: Submission { sender: row.sender, key: row.key, body_hash: body_hash(&row.body) },
            number: row.sequence_number,
            at: row.at,
        };
        Ok(rows.map(key_row).collect())
    }
}
