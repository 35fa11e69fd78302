//! The state of one partition: its conversations, and the records that wait for one of them to be loaded.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    hash::BuildHasherDefault,
};

use backends::port::{Entry, StoredMessage};
use domain::{Bug, ConversationFold, ConversationId, Folded, KeyRow, LogPosition, Planted, UserId};
use rustc_hash::FxHasher;
use tokio::sync::watch;
use uuid::Uuid;

use super::recover::Stored;
use crate::{record::IntakeRecord, worker::WorkerStats};

/// Conversations a partition keeps in memory; above it the longest unused that are stored are let go.
const CONVERSATIONS_MAX: usize = 50_000;
/// Keys of all conversations of a partition (about 90 B each).
const KEYS_MAX: usize = 1_000_000;
/// Records that may wait for conversations that cannot be loaded. Past it the partition is paused.
pub(super) const WAITING_MAX: usize = 10_000;

/// A conversation in memory.
struct Loaded {
    fold: ConversationFold,
    /// Counts uses, for the choice of what to let go.
    used: u64,
    /// Where `sequenced` has its last numbered record (`u64::MAX`: not yet there): the conversation may only be let go
    /// once that is stored.
    last_sequenced: u64,
}

/// What a fold of some records came to.
#[derive(Default)]
pub(super) struct FoldedRecords {
    /// New: to be appended to `sequenced` and delivered.
    pub(super) numbered: Vec<StoredMessage>,
    /// Numbered before this owner: to be delivered again.
    pub(super) replayed: Vec<StoredMessage>,
    /// Senders to be told that their key stands for another body.
    pub(super) conflicts: Vec<(ConversationId, UserId, Uuid)>,
}

/// A partition that this worker owns.
pub(super) struct Partition {
    pub(super) epoch: u64,
    conversations: HashMap<ConversationId, Loaded, BuildHasherDefault<FxHasher>>,
    /// What the tail of `sequenced` says of conversations that are not loaded yet.
    tail: HashMap<ConversationId, Vec<(u64, KeyRow)>, BuildHasherDefault<FxHasher>>,
    /// The highest log time read.
    time_ms: u64,
    uses: u64,
    waiting: BTreeMap<ConversationId, VecDeque<(LogPosition, IntakeRecord)>>,
    pub(super) waiting_len: usize,
    /// Everything of the intake below this offset is folded or waits.
    folded: watch::Sender<u64>,
    planted: Planted,
}

impl Partition {
    pub(super) fn new(epoch: u64, planted: Planted) -> Self {
        Self {
            epoch,
            conversations: HashMap::default(),
            tail: HashMap::default(),
            time_ms: 0,
            uses: 0,
            waiting: BTreeMap::new(),
            waiting_len: 0,
            folded: watch::Sender::new(0),
            planted,
        }
    }

    /// Log time has got this far.
    pub(super) fn reach(&mut self, time_ms: u64) {
        self.time_ms = self.time_ms.max(time_ms);
    }

    /// Learns a record of the tail of `sequenced` and its offset there, during a takeover.
    pub(super) fn learn(&mut self, conversation: ConversationId, sequenced: u64, row: KeyRow) {
        self.time_ms = self.time_ms.max(row.at.time_ms);
        self.tail.entry(conversation).or_default().push((sequenced, row));
    }

    /// Everything below an offset of the intake is folded or waits.
    pub(super) fn folded_to(&self, offset: u64) {
        self.folded.send_if_modified(|folded| std::mem::replace(folded, offset.max(*folded)) < offset);
    }

    /// How far the intake is folded.
    pub(super) fn folded(&self) -> watch::Receiver<u64> {
        self.folded.subscribe()
    }

    /// True while records of a conversation wait for it to be loaded: then nobody knows where it stands.
    pub(super) fn is_waiting(&self, conversation: &ConversationId) -> bool {
        self.waiting.contains_key(conversation)
    }

    /// The head of a conversation, if it is in memory.
    pub(super) fn head(&self, conversation: &ConversationId) -> Option<u64> {
        Some(self.conversations.get(conversation)?.fold.head())
    }

    /// What the tail knows of the head of a conversation that is not in memory.
    pub(super) fn tail_head(&self, conversation: &ConversationId) -> u64 {
        self.tail.get(conversation).into_iter().flatten().map(|(_, row)| row.number).max().unwrap_or(0)
    }

    /// Conversations of these records that must be loaded before the records can be folded.
    pub(super) fn unknown(&self, records: &[(LogPosition, IntakeRecord)]) -> Vec<ConversationId> {
        let mut unknown: Vec<ConversationId> = records
            .iter()
            .map(|(_, record)| &record.conversation)
            .filter(|id| !self.conversations.contains_key(*id))
            .cloned()
            .collect();
        unknown.extend(self.waiting.keys().cloned());
        unknown.sort();
        unknown.dedup();
        unknown
    }

    /// The lowest log time of what is to be folded, records that wait included: a conversation needs its keys of the 24 h
    /// before that.
    pub(super) fn oldest_ms(&self, records: &[(LogPosition, IntakeRecord)]) -> u64 {
        let waiting = self.waiting.values().filter_map(|records| Some(records.front()?.0.time_ms));
        waiting.chain(records.first().map(|(at, _)| at.time_ms)).min().unwrap_or(self.time_ms)
    }

    /// Takes a conversation that was read from the store, and lays what the tail knows over it.
    ///
    /// The store may be in the middle of a write: it can have a number and not yet one below it. A fold without that
    /// row's key would number a retry of it anew (I4), so with such a hole the conversation is not taken: its records
    /// wait and it is loaded again.
    pub(super) fn load(&mut self, id: ConversationId, stored: Stored) {
        let tail = self.tail.get(&id).map_or(&[][..], Vec::as_slice);
        let mut numbers: Vec<u64> =
            stored.keys.iter().chain(tail.iter().map(|(_, row)| row)).map(|row| row.number).collect();
        numbers.extend(stored.head.map(|head| head.sequence_number));
        numbers.sort_unstable();
        numbers.dedup();
        if numbers.windows(2).any(|pair| pair[1] != pair[0] + 1) {
            tracing::debug!(conversation = %id, "the store is in the middle of a write: loading again");
            return;
        }
        let mut fold = ConversationFold::default();
        stored.keys.into_iter().for_each(|row| fold.learn(row));
        if let Some(head) = stored.head {
            fold.learn_head(head.sequence_number, Some(head.intake_offset));
        }
        let mut last_sequenced = 0;
        for (sequenced, row) in self.tail.remove(&id).into_iter().flatten() {
            last_sequenced = sequenced;
            fold.learn(row);
        }
        self.uses += 1;
        self.conversations.insert(id, Loaded { fold, used: self.uses, last_sequenced });
    }

    /// Reads records and gives each its position: expiry is measured by the highest log time so far.
    pub(super) fn read(&mut self, entries: &[Entry], stats: &WorkerStats) -> Vec<(LogPosition, IntakeRecord)> {
        let mut records = Vec::with_capacity(entries.len());
        for entry in entries {
            self.time_ms = self.time_ms.max(entry.time_ms);
            match IntakeRecord::decode(entry) {
                Ok(record) => records.push((LogPosition { offset: entry.offset, time_ms: self.time_ms }, record)),
                Err(error) => {
                    WorkerStats::add(&stats.unreadable, 1);
                    tracing::error!(%error, "an intake record was skipped");
                }
            }
        }
        records
    }

    /// Folds records in their order. Those of a conversation that is not loaded wait; others flow.
    pub(super) fn fold(&mut self, records: Vec<(LogPosition, IntakeRecord)>, stats: &WorkerStats) -> FoldedRecords {
        let mut out = FoldedRecords::default();
        // First those that waited: they are older.
        let loaded: Vec<_> = self.waiting.keys().filter(|id| self.conversations.contains_key(*id)).cloned().collect();
        for id in loaded {
            let waiting = self.waiting.remove(&id).unwrap_or_default();
            self.waiting_len -= waiting.len();
            for (at, record) in waiting {
                self.fold_one(at, record, stats, &mut out);
            }
        }
        for (at, record) in records {
            if self.conversations.contains_key(&record.conversation) {
                self.fold_one(at, record, stats, &mut out);
            } else {
                self.waiting_len += 1;
                self.waiting.entry(record.conversation.clone()).or_default().push_back((at, record));
            }
        }
        out
    }

    fn fold_one(&mut self, at: LogPosition, record: IntakeRecord, stats: &WorkerStats, out: &mut FoldedRecords) {
        let Some(loaded) = self.conversations.get_mut(&record.conversation) else { return };
        self.uses += 1;
        loaded.used = self.uses;
        let folded = if self.planted.has(Bug::FoldOff) {
            loaded.fold.fold_blindly(at)
        } else {
            loaded.fold.fold(at, record.submission())
        };
        match folded {
            Folded::Numbered(number) => {
                loaded.last_sequenced = u64::MAX;
                WorkerStats::add(&stats.numbered, 1);
                out.numbered.push(record.numbered(number, at));
            }
            Folded::Replayed(number) => out.replayed.push(record.numbered(number, at)),
            Folded::Repeat(_) => WorkerStats::add(&stats.repeats, 1),
            Folded::Conflict(_) => {
                WorkerStats::add(&stats.conflicts, 1);
                out.conflicts.push((record.conversation, record.sender, record.key));
            }
            Folded::Settled => {}
        }
    }

    /// The lowest offset that waits: the commit may not pass it.
    pub(super) fn first_waiting(&self) -> Option<u64> {
        self.waiting.values().filter_map(|records| Some(records.front()?.0.offset)).min()
    }

    /// True when something should be let go.
    pub(super) fn is_large(&self) -> bool {
        self.conversations.len() > CONVERSATIONS_MAX
            || self.conversations.values().map(|loaded| loaded.fold.keys()).sum::<usize>() > KEYS_MAX
    }

    /// `sequenced` has these messages, the last of them at offset `last`; another owner's may stand between them.
    pub(super) fn appended(&mut self, messages: &[StoredMessage], last: u64) {
        for message in messages {
            if let Some(loaded) = self.conversations.get_mut(&message.conversation) {
                loaded.last_sequenced = last;
            }
        }
    }

    /// Lets the longest unused half go, of those that are stored: everything of `sequenced` below `stored` is.
    pub(super) fn let_go(&mut self, stored: u64) {
        let mut used: Vec<u64> = self.conversations.values().map(|loaded| loaded.used).collect();
        used.sort_unstable();
        let Some(median) = used.get(used.len() / 2).copied() else { return };
        self.conversations.retain(|_, loaded| loaded.used > median || loaded.last_sequenced >= stored);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(offset: u64, time_ms: u64) -> Entry {
        let intake = protocol::log::Intake {
            conversation: "c".to_owned(),
            sender: "alice".to_owned(),
            key: Uuid::from_u128(u128::from(offset)).as_bytes().to_vec(),
            body: "hello".to_owned(),
            sent_at_ms: time_ms,
        };
        Entry { offset, time_ms, payload: prost::Message::encode_to_vec(&intake).into() }
    }

    #[test]
    fn a_record_that_waits_asks_for_the_keys_before_it() {
        let (mut partition, stats) = (Partition::new(1, Planted::default()), WorkerStats::default());
        let records = partition.read(&[record(7, 5_000)], &stats);
        assert_eq!(partition.oldest_ms(&records), 5_000);
        partition.fold(records, &stats);
        assert_eq!(partition.waiting_len, 1);
        // It is tried again, alone and beside a later one. (With nothing to read it once asked for keys of the end of
        // time, got none, and numbered retries anew: seed 77.)
        assert_eq!(partition.oldest_ms(&[]), 5_000);
        let later = partition.read(&[record(8, 9_000)], &stats);
        assert_eq!(partition.oldest_ms(&later), 5_000);
    }
}
