//! What is wrong with the stored rows of a conversation. A pure rule.

use std::collections::BTreeMap;

use backends::port::StoredMessage;
use protocol::admin::DamageKind;

/// Damage, and the row that is concerned: the missing one of the log, or the surplus one of the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) kind: DamageKind,
    pub(super) row: StoredMessage,
}

/// Compares the log's rows, by number, with what is stored between the first and the last of them.
pub(super) fn compare(wanted: &BTreeMap<u64, StoredMessage>, stored: &[StoredMessage]) -> Vec<Found> {
    let mut found = Vec::new();
    for row in wanted.values() {
        let same =
            stored.iter().find(|it| it.sequence_number == row.sequence_number && it.message_id == row.message_id);
        match same {
            None => found.push(Found { kind: DamageKind::Hole, row: row.clone() }),
            Some(stored) if !says_the_same(stored, row) => {
                found.push(Found { kind: DamageKind::Differs, row: stored.clone() });
            }
            Some(_) => {}
        }
    }
    for row in stored {
        let Some(right) = wanted.get(&row.sequence_number) else { continue };
        if right.message_id == row.message_id {
            continue;
        }
        // The same message has its place under another number, or it is one that the log does not know there.
        let elsewhere = wanted.values().any(|it| it.message_id == row.message_id);
        let kind = if elsewhere { DamageKind::KeyTwice } else { DamageKind::DuplicateNumber };
        found.push(Found { kind, row: row.clone() });
    }
    found
}

fn says_the_same(stored: &StoredMessage, right: &StoredMessage) -> bool {
    stored.sender == right.sender && stored.key == right.key && stored.body == right.body
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use domain::{ConversationId, LogPosition, UserId, message_id};
    use uuid::Uuid;

    use super::*;

    fn row(number: u64, key: u128, body: &str) -> StoredMessage {
        let (conversation, sender) = (ConversationId::parse("c").unwrap(), UserId::parse("ann").unwrap());
        let key = Uuid::from_u128(key);
        StoredMessage {
            message_id: message_id(&conversation, &sender, key),
            conversation,
            sequence_number: number,
            sender,
            key,
            body: Arc::from(body),
            sent_at_ms: 0,
            at: LogPosition { offset: number, time_ms: 0 },
        }
    }

    fn kinds(stored: &[StoredMessage]) -> Vec<(DamageKind, u64)> {
        let wanted = (1..=3).map(|n| (n, row(n, n.into(), "hi"))).collect();
        compare(&wanted, stored).into_iter().map(|found| (found.kind, found.row.sequence_number)).collect()
    }

    #[test]
    fn each_kind_of_damage_is_found_and_nothing_else() {
        let (one, two, three) = (row(1, 1, "hi"), row(2, 2, "hi"), row(3, 3, "hi"));
        assert_eq!(kinds(&[one.clone(), two.clone(), three.clone()]), []);
        assert_eq!(kinds(&[one.clone(), three.clone()]), [(DamageKind::Hole, 2)]);
        assert_eq!(kinds(&[one.clone(), row(2, 2, "ho"), three.clone()]), [(DamageKind::Differs, 2)]);
        let surplus = row(2, 9, "who?");
        assert_eq!(kinds(&[one.clone(), two.clone(), surplus, three.clone()]), [(DamageKind::DuplicateNumber, 2)]);
        let again = row(3, 1, "hi");
        assert_eq!(kinds(&[one, two, three, again]), [(DamageKind::KeyTwice, 3)]);
    }
}
