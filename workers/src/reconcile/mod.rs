//! Reconciliation (failure mode 2): stored rows against the log, a step of one partition at a time. The control plane
//! asks for the steps; whatever worker is asked does them, for both the log and the store are everybody's.

mod compare;

use std::collections::BTreeMap;

use backends::port::{Lane, Log, Messages, StoreError, StoreResult, StoredMessage, Topic};
use domain::{ConversationId, partition_of};
use protocol::{
    admin::{CheckedRows, Damage, DamageKind},
    node::CheckRows,
};

use self::compare::{Found, compare};
use crate::record::{decode_sequenced, runs};

/// Conversations are sampled by their hash, of so many.
const PPM: u32 = 1_000_000;
/// Rows read for a run of numbers: twice what is wanted, so that surplus ones are seen, and some.
const SURPLUS: usize = 16;

/// Checks a step.
pub(crate) async fn check(log: &dyn Log, messages: &dyn Messages, ask: &CheckRows) -> StoreResult<CheckedRows> {
    let lane = match ask.lane.as_str() {
        "direct" => Lane::Direct,
        "group" => Lane::Group,
        other => return Err(StoreError::unavailable("reconciliation", format_args!("no lane is named {other:?}"))),
    };
    let topic = Topic::Sequenced(lane);
    let limit = ask.limit.clamp(1, 5_000) as usize;
    let entries = log.read(topic, ask.partition, ask.from_offset, limit).await?;
    let mut checked = CheckedRows { next: ask.from_offset, ..CheckedRows::default() };
    let mut conversations: BTreeMap<ConversationId, BTreeMap<u64, StoredMessage>> = BTreeMap::new();
    for entry in &entries {
        checked.next = entry.offset + 1;
        checked.records += 1;
        let Ok(row) = decode_sequenced(entry) else { continue };
        if is_sampled(&row.conversation, ask) {
            // Two owners of a partition append the same record twice: the first counts.
            conversations.entry(row.conversation.clone()).or_default().entry(row.sequence_number).or_insert(row);
        }
    }
    for (conversation, wanted) in conversations {
        let mut stored = Vec::with_capacity(wanted.len());
        for run in runs(wanted.keys().copied()) {
            let limit = wanted.range(run.clone()).count() * 2 + SURPLUS;
            stored.extend(messages.read(&conversation, *run.start(), *run.end(), limit).await?);
        }
        checked.rows += wanted.len() as u64;
        for found in compare(&wanted, &stored) {
            checked.damage.push(mend(messages, found, ask.repair).await?);
        }
    }
    Ok(checked)
}

fn is_sampled(conversation: &ConversationId, ask: &CheckRows) -> bool {
    if !ask.conversation.is_empty() {
        return conversation.as_str() == ask.conversation;
    }
    ask.sample_ppm >= PPM || partition_of(conversation.as_str(), PPM) < ask.sample_ppm
}

/// Mends what can be mended, when that is asked for. Nothing is deleted: a surplus row is in quarantine afterwards.
async fn mend(messages: &dyn Messages, found: Found, repair: bool) -> StoreResult<Damage> {
    let repaired = match found.kind {
        _ if !repair => "",
        DamageKind::Hole => {
            messages.write(std::slice::from_ref(&found.row)).await?;
            "written again"
        }
        DamageKind::DuplicateNumber | DamageKind::KeyTwice => {
            messages.quarantine(&found.row).await?;
            "in quarantine"
        }
        // The log's row has the same key and the same timestamp: which of the two wins is for a person to decide.
        DamageKind::Differs => "left for a person",
    };
    if repair {
        tracing::warn!(kind = %found.kind, conversation = %found.row.conversation, number = found.row.sequence_number,
            repaired, "damage in the message store");
    }
    Ok(Damage {
        kind: found.kind,
        conversation: found.row.conversation.to_string(),
        sequence_number: found.row.sequence_number,
        message_id: found.row.message_id.to_string(),
        repaired: repaired.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use backends::embedded::{Disk, DiskOptions, GroupLog};
    use domain::{LogPosition, UserId, message_id};
    use uuid::Uuid;

    use super::*;
    use crate::record::encode_sequenced;

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
            sent_at_ms: 7,
            at: LogPosition { offset: number, time_ms: 9 },
        }
    }

    /// Each kind of damage is put into a real store and found; what can be mended is, and what was surplus is kept.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn damage_is_found_and_mended_without_a_loss() {
        let dir = tempfile::tempdir().unwrap();
        let disk = Disk::open(dir.path(), DiskOptions { partitions: 1, was_clean: true }).unwrap();
        let log = GroupLog::new(disk.clone());
        let topic = Topic::Sequenced(Lane::Group);
        let rows: Vec<_> = (1..=6).map(|n| row(n, n.into(), "hi")).collect();
        // The second record twice, as two owners of a partition append it.
        let records = rows.iter().chain([&rows[1]]).map(encode_sequenced).collect();
        log.append(topic, 0, records).await.unwrap();
        let damaged = [rows[0].clone(), row(2, 2, "other words"), rows[3].clone(), rows[4].clone(), rows[5].clone()];
        disk.write(&damaged).await.unwrap();
        disk.write(&[row(4, 99, "who said that?"), row(6, 1, "hi")]).await.unwrap();

        let ask = CheckRows { lane: "group".into(), limit: 100, sample_ppm: PPM, ..CheckRows::default() };
        let found = check(&log, &*disk, &ask).await.unwrap();
        assert_eq!((found.next, found.records, found.rows), (7, 7, 6));
        let kinds =
            |checked: &CheckedRows| checked.damage.iter().map(|it| (it.kind, it.sequence_number)).collect::<Vec<_>>();
        let all = [
            (DamageKind::Differs, 2),
            (DamageKind::Hole, 3),
            (DamageKind::DuplicateNumber, 4),
            (DamageKind::KeyTwice, 6),
        ];
        assert_eq!(kinds(&found), all);
        // Only looking changed nothing.
        let repair = CheckRows { repair: true, ..ask.clone() };
        let mended = check(&log, &*disk, &repair).await.unwrap();
        assert_eq!(kinds(&mended), all);
        assert!(mended.damage.iter().all(|it| !it.repaired.is_empty()));
        assert_eq!(kinds(&check(&log, &*disk, &ask).await.unwrap()), [(DamageKind::Differs, 2)]);
        // In steps, and for another conversation only.
        let step = check(&log, &*disk, &CheckRows { from_offset: 2, limit: 2, ..ask.clone() }).await.unwrap();
        assert_eq!((step.next, step.records), (4, 2));
        let other = CheckRows { conversation: "d".into(), ..ask };
        assert_eq!(check(&log, &*disk, &other).await.unwrap().rows, 0);
        disk.close();
    }

    /// An owner that did not know that it was replaced appends low numbers again, beside those of its successor.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn numbers_that_lie_far_apart_are_no_holes() {
        let dir = tempfile::tempdir().unwrap();
        let disk = Disk::open(dir.path(), DiskOptions { partitions: 1, was_clean: true }).unwrap();
        let log = GroupLog::new(disk.clone());
        let rows: Vec<_> = (1..=200).map(|n| row(n, n.into(), "hi")).collect();
        disk.write(&rows).await.unwrap();
        let records = rows[2..5].iter().chain(&rows[197..]).map(encode_sequenced).collect();
        log.append(Topic::Sequenced(Lane::Group), 0, records).await.unwrap();
        let ask = CheckRows { lane: "group".into(), limit: 100, sample_ppm: PPM, ..CheckRows::default() };
        let found = check(&log, &*disk, &ask).await.unwrap();
        assert_eq!((found.rows, found.damage.len()), (6, 0));
        disk.close();
    }
}
