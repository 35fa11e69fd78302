//! The fold: a sequence number is a function of the intake partition's prefix, not a counter anywhere (I2, I3, I4).
//!
//! Records of one conversation are folded in offset order. Because the fold remembers the offset of the last record it
//! numbered, folding a record a second time (after a takeover, by a zombie, after a recovery from an older point)
//! changes nothing and gives the first answer again. So correctness needs no fencing between two owners.

use std::hash::BuildHasherDefault;

use rustc_hash::FxHasher;
use uuid::Uuid;

use crate::{BodyHash, DEDUP_WINDOW_MS, UserId};

/// Keys a conversation may hold before expired ones are looked for. Below it a sweep is not worth its time.
const SWEEP_AT_LEAST: usize = 256;

type Keys = std::collections::HashMap<(UserId, Uuid), Entry, BuildHasherDefault<FxHasher>>;

/// Where a record stands in its partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogPosition {
    /// The record's offset.
    pub offset: u64,
    /// The highest log time up to and including this record, in ms. Expiry is measured by it and nothing else, so it
    /// too is a function of the log.
    pub time_ms: u64,
}

/// What a record asks to be numbered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submission {
    /// Who sends.
    pub sender: UserId,
    /// The idempotency key.
    pub key: Uuid,
    /// The hash of the body.
    pub body_hash: BodyHash,
}

/// The fold's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Folded {
    /// A new message with the next number.
    Numbered(u64),
    /// This very record was numbered before. Deliver it again (clients drop repeats); number nothing.
    Replayed(u64),
    /// The key stands for an earlier record with this body: the first number again, no second delivery.
    Repeat(u64),
    /// The key stands for an earlier record with another body: the first stands.
    Conflict(u64),
    /// This record was folded more than 24 h of log time ago; its number is no longer in memory.
    Settled,
}

/// A key as a store remembers it, and as a record of `sequenced` tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRow {
    /// What was submitted.
    pub submission: Submission,
    /// The number it got.
    pub number: u64,
    /// Where its record stands in the intake partition.
    pub at: LogPosition,
}

#[derive(Debug, Clone)]
struct Entry {
    body_hash: BodyHash,
    number: u64,
    at: LogPosition,
}

/// The state of one conversation.
#[derive(Debug, Clone, Default)]
pub struct ConversationFold {
    head: u64,
    /// Offset of the last record that got a number.
    last_offset: Option<u64>,
    keys: Keys,
    sweep_at: usize,
}

impl ConversationFold {
    /// The highest number given. 0 when there is none.
    pub fn head(&self) -> u64 {
        self.head
    }

    /// Keys in memory: what a bound on a worker's memory counts.
    pub fn keys(&self) -> usize {
        self.keys.len()
    }

    /// Learns a row that some owner numbered: from the message store, then from the tail of `sequenced`. Rows may come
    /// twice and in any order.
    pub fn learn(&mut self, row: KeyRow) {
        self.head = self.head.max(row.number);
        self.last_offset = self.last_offset.max(Some(row.at.offset));
        let entry = Entry { body_hash: row.submission.body_hash, number: row.number, at: row.at };
        let name = (row.submission.sender, row.submission.key);
        // Of two uses of one key (the second after the window) the later stands.
        if self.keys.get(&name).is_none_or(|known| known.number < entry.number) {
            self.keys.insert(name, entry);
        }
    }

    /// Learns the head alone: rows older than the window are not read back, but their numbers are taken.
    pub fn learn_head(&mut self, head: u64, last_offset: Option<u64>) {
        self.head = self.head.max(head);
        self.last_offset = self.last_offset.max(last_offset);
    }

    /// Folds the next record of this conversation.
    pub fn fold(&mut self, at: LogPosition, submission: Submission) -> Folded {
        let name = (submission.sender, submission.key);
        if let Some(known) = self.keys.get(&name) {
            if known.at.offset == at.offset {
                return Folded::Replayed(known.number);
            }
            if !expired(known.at.time_ms, at.time_ms) || self.last_offset >= Some(at.offset) {
                return if known.body_hash == submission.body_hash {
                    Folded::Repeat(known.number)
                } else {
                    Folded::Conflict(known.number)
                };
            }
        }
        // Records of one conversation are folded in offset order, so one at or below the last numbered offset has
        // been folded before, whether its key is still known or not.
        if self.last_offset >= Some(at.offset) {
            return Folded::Settled;
        }
        self.head += 1;
        self.last_offset = Some(at.offset);
        self.keys.insert(name, Entry { body_hash: submission.body_hash, number: self.head, at });
        self.sweep(at.time_ms);
        Folded::Numbered(self.head)
    }

    /// Numbers a record whatever came before: the planted bug `FoldOff`.
    pub fn fold_blindly(&mut self, at: LogPosition) -> Folded {
        self.head += 1;
        self.last_offset = Some(at.offset);
        Folded::Numbered(self.head)
    }

    /// Forgets expired keys, once the map has doubled: constant cost a record.
    fn sweep(&mut self, now_ms: u64) {
        if self.keys.len() < self.sweep_at.max(SWEEP_AT_LEAST) {
            return;
        }
        self.keys.retain(|_, entry| !expired(entry.at.time_ms, now_ms));
        self.sweep_at = self.keys.len() * 2;
    }
}

/// A key first seen at T expires when a record with time >= T + 24 h has been read.
fn expired(first_ms: u64, now_ms: u64) -> bool {
    now_ms >= first_ms.saturating_add(DEDUP_WINDOW_MS)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn submission(sender: u8, key: u8, body: u8) -> Submission {
        Submission {
            sender: UserId::parse(&format!("u{sender}")).unwrap(),
            key: Uuid::from_u128(u128::from(key)),
            body_hash: u128::from(body),
        }
    }

    #[derive(Debug, Clone)]
    struct Record {
        at: LogPosition,
        submission: Submission,
    }

    /// A log of one conversation: few senders, keys and bodies, so that retries and conflicts abound; gaps of up to
    /// 10 h, so that keys expire; offsets with holes, as other conversations share the partition.
    fn logs() -> impl Strategy<Value = Vec<Record>> {
        let record = (0_u64..10 * 3_600_000, 1_u64..4, 0_u8..3, 0_u8..4, 0_u8..2);
        proptest::collection::vec(record, 0..80).prop_map(|steps| {
            let mut at = LogPosition { offset: 0, time_ms: 1 };
            steps
                .into_iter()
                .map(|(wait_ms, skip, sender, key, body)| {
                    at = LogPosition { offset: at.offset + skip, time_ms: at.time_ms + wait_ms };
                    Record { at, submission: submission(sender, key, body) }
                })
                .collect()
        })
    }

    /// Folds a whole log; returns the answers and the rows a store would hold.
    fn fold_all(fold: &mut ConversationFold, log: &[Record]) -> (Vec<Folded>, Vec<KeyRow>) {
        let (mut answers, mut rows) = (Vec::new(), Vec::new());
        for record in log {
            let answer = fold.fold(record.at, record.submission.clone());
            if let Folded::Numbered(number) = answer {
                rows.push(KeyRow { submission: record.submission.clone(), number, at: record.at });
            }
            answers.push(answer);
        }
        (answers, rows)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1_000))]

        #[test]
        fn numbers_are_dense_and_one_a_message(log in logs()) {
            let (_, rows) = fold_all(&mut ConversationFold::default(), &log);
            for (n, row) in rows.iter().enumerate() {
                prop_assert_eq!(row.number, n as u64 + 1);
            }
        }

        #[test]
        fn replay_from_any_recovery_point_gives_the_same_numbers(log in logs(), stored in 0_usize..81, resume in 0_usize..81) {
            let (answers, rows) = fold_all(&mut ConversationFold::default(), &log);
            // A new owner knows the rows of the first `stored` records and resumes at or before that point.
            let stored = stored.min(log.len());
            let resume = resume.min(stored);
            let mut owner = ConversationFold::default();
            let limit = log.get(stored).map_or(u64::MAX, |record| record.at.offset);
            for row in rows.iter().filter(|row| row.at.offset < limit).rev() {
                owner.learn(row.clone());
            }
            let known = rows.iter().filter(|row| row.at.offset < limit).count() as u64;
            prop_assert_eq!(owner.head(), known);
            let (again, new_rows) = fold_all(&mut owner, &log[resume..]);
            prop_assert_eq!(&new_rows[..], &rows[known as usize..]);
            for (first, second) in answers[resume..].iter().zip(again) {
                match (first, second) {
                    (Folded::Numbered(a), Folded::Replayed(b)) => prop_assert_eq!(*a, b),
                    (Folded::Numbered(_), Folded::Settled | Folded::Repeat(_) | Folded::Conflict(_)) => {}
                    (Folded::Repeat(_) | Folded::Conflict(_), Folded::Repeat(_) | Folded::Conflict(_) | Folded::Settled) => {}
                    (a, b) => prop_assert_eq!(*a, b),
                }
            }
        }

        #[test]
        fn two_owners_give_the_same_answers(log in logs()) {
            let (mut one, mut other) = (ConversationFold::default(), ConversationFold::default());
            prop_assert_eq!(fold_all(&mut one, &log), fold_all(&mut other, &log));
        }

        #[test]
        fn within_the_window_a_retry_gets_its_first_number(log in logs()) {
            let mut fold = ConversationFold::default();
            let mut first: std::collections::HashMap<(UserId, Uuid), (u64, u128, u64)> = Default::default();
            for record in log {
                let name = (record.submission.sender.clone(), record.submission.key);
                let answer = fold.fold(record.at, record.submission.clone());
                match first.get(&name) {
                    Some(&(number, body, seen_ms)) if record.at.time_ms < seen_ms + DEDUP_WINDOW_MS => {
                        let same = body == record.submission.body_hash;
                        prop_assert_eq!(answer, if same { Folded::Repeat(number) } else { Folded::Conflict(number) });
                    }
                    _ => {
                        let Folded::Numbered(number) = answer else { panic!("expired or new: {answer:?}") };
                        first.insert(name, (number, record.submission.body_hash, record.at.time_ms));
                    }
                }
            }
        }
    }

    #[test]
    fn a_key_expires_at_the_window_and_not_before() {
        let mut fold = ConversationFold::default();
        let at = |offset, time_ms| LogPosition { offset, time_ms };
        assert_eq!(fold.fold(at(0, 1_000), submission(1, 1, 1)), Folded::Numbered(1));
        assert_eq!(fold.fold(at(1, 999 + DEDUP_WINDOW_MS), submission(1, 1, 1)), Folded::Repeat(1));
        assert_eq!(fold.fold(at(2, 1_000 + DEDUP_WINDOW_MS), submission(1, 1, 1)), Folded::Numbered(2));
    }

    #[test]
    fn expired_keys_are_swept() {
        let mut fold = ConversationFold::default();
        for n in 0..1_000_u64 {
            let mut one = submission(1, 0, 1);
            one.key = Uuid::from_u128(u128::from(n));
            fold.fold(LogPosition { offset: n, time_ms: n * DEDUP_WINDOW_MS / 10 }, one);
        }
        assert!(fold.keys() <= SWEEP_AT_LEAST, "{} keys", fold.keys());
        assert_eq!(fold.head(), 1_000);
    }
}
