//! The contract of the log.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bytes::Bytes;
use chatfleet_backends::port::{Consumer, ConsumerEvent, Entry, Lane, Log, StoreError, Topic};
use futures_util::future::{join_all, select_all};

use crate::name;

const TOPIC: Topic = Topic::Intake(Lane::Direct);
/// After this a wait has failed.
const DEADLINE: Duration = Duration::from_secs(30);

fn payload(n: u64) -> Bytes {
    format!("record {n}").into()
}

async fn append(log: &Arc<dyn Log>, partition: u32, n: u64) -> u64 {
    log.append(TOPIC, partition, vec![payload(n)]).await.unwrap()
}

/// Appends and reads, without groups.
pub(crate) async fn suite(log: Arc<dyn Log>) {
    assert!(log.partitions() >= 4, "the suites need 4 partitions");
    let base = log.end(TOPIC, 0).await.unwrap();
    let other_base = log.end(TOPIC, 1).await.unwrap();
    let sequenced_base = log.end(Topic::Sequenced(Lane::Direct), 0).await.unwrap();

    // The order is that of the calls: the polls go backwards, and the first is dropped unpolled.
    drop(log.append(TOPIC, 0, vec![payload(0)]));
    let mut appends: Vec<_> = (1..50).map(|n| log.append(TOPIC, 0, vec![payload(n)])).collect();
    appends.reverse();
    let mut offsets = join_all(appends).await;
    offsets.reverse();
    assert_eq!(offsets, (1..50).map(|n| Ok(base + n)).collect::<Vec<_>>());

    // Several at once: the offset is that of the last.
    assert_eq!(log.append(TOPIC, 0, (50..60).map(payload).collect()).await, Ok(base + 59));
    assert_eq!(log.end(TOPIC, 0).await, Ok(base + 60));

    let entries = log.read(TOPIC, 0, base, 1_000).await.unwrap();
    let read: Vec<_> = entries.iter().map(|entry| (entry.offset, entry.payload.clone())).collect();
    assert_eq!(read, (0..60).map(|n| (base + n, payload(n))).collect::<Vec<_>>());
    assert!(entries.is_sorted_by_key(|entry| entry.time_ms), "log time fell");

    assert_eq!(log.read(TOPIC, 0, base + 7, 5).await.unwrap(), entries[7..12]);
    assert_eq!(log.read(TOPIC, 0, base + 60, 5).await, Ok(vec![]));
    assert_eq!(log.read(TOPIC, 0, base + 1_000, 5).await, Ok(vec![]));

    // Neither another partition nor another topic has any of it.
    assert_eq!(log.end(TOPIC, 1).await, Ok(other_base));
    assert_eq!(log.end(Topic::Sequenced(Lane::Direct), 0).await, Ok(sequenced_base));
    for topic in Topic::ALL {
        let end = log.end(topic, 2).await.unwrap();
        assert_eq!(log.append(topic, 2, vec![topic.to_string().into()]).await, Ok(end));
        assert_eq!(log.read(topic, 2, end, 9).await.unwrap()[0].payload, topic.to_string());
    }
    assert_eq!(log.committed(name::<domain::NodeId>("group").as_str(), TOPIC, 0).await, Ok(None));
}

/// A consumer and what it was told.
struct Member {
    consumer: Box<dyn Consumer>,
    /// Partition to epoch.
    owned: BTreeMap<u32, u64>,
    /// Partitions that were revoked, in order.
    revoked: Vec<u32>,
    records: BTreeMap<u32, Vec<Entry>>,
}

impl Member {
    async fn join(log: &Arc<dyn Log>, group: &str, member: &str) -> Self {
        let consumer = log.join(group, TOPIC, member).await.unwrap();
        Self { consumer, owned: BTreeMap::new(), revoked: Vec::new(), records: BTreeMap::new() }
    }

    fn take(&mut self, event: ConsumerEvent, epochs: &mut BTreeMap<u32, u64>) {
        match event {
            ConsumerEvent::Assigned { partition, epoch } => {
                let last = epochs.insert(partition, epoch);
                assert!(last.is_none_or(|last| last < epoch), "epoch {epoch} of {partition} after {last:?}");
                assert_eq!(self.owned.insert(partition, epoch), None, "{partition} was assigned twice");
            }
            ConsumerEvent::Revoked { partition } => {
                assert!(self.owned.remove(&partition).is_some(), "{partition} was revoked and never assigned");
                self.revoked.push(partition);
            }
            ConsumerEvent::Records { partition, entries } => {
                assert!(self.owned.contains_key(&partition), "records of {partition}, which it does not own");
                assert!(!entries.is_empty());
                self.records.entry(partition).or_default().extend(entries);
            }
        }
    }

    fn offsets(&self, partition: u32) -> Vec<u64> {
        self.records.get(&partition).into_iter().flatten().map(|entry| entry.offset).collect()
    }
}

/// Lets the members run until something is so.
async fn until<const N: usize>(
    mut members: [&mut Member; N],
    epochs: &mut BTreeMap<u32, u64>,
    so: impl Fn(&[&mut Member; N]) -> bool,
) {
    let waiting = async {
        while !so(&members) {
            let (event, who, _) = select_all(members.iter_mut().map(|member| member.consumer.next())).await;
            members[who].take(event.unwrap(), epochs);
        }
    };
    tokio::time::timeout(DEADLINE, waiting).await.expect("it never came to be");
}

/// Groups of consumers.
pub(crate) async fn groups(log: Arc<dyn Log>) {
    let group = name::<domain::NodeId>("group").to_string();
    let all = log.partitions() as usize;
    let epochs = &mut BTreeMap::new();
    let (base, other) = (log.end(TOPIC, 0).await.unwrap(), log.end(TOPIC, 1).await.unwrap());
    append(&log, 0, 0).await;
    append(&log, 0, 1).await;

    // Alone it owns all. Nothing is read before `start`, and then from where it said.
    let mut a = Member::join(&log, &group, "a").await;
    until([&mut a], epochs, |[a]| a.owned.len() == all).await;
    a.consumer.start(1, other);
    append(&log, 1, 0).await;
    until([&mut a], epochs, |[a]| a.offsets(1).len() == 1).await;
    assert!(a.offsets(0).is_empty());
    a.consumer.start(0, base + 1);
    until([&mut a], epochs, |[a]| a.offsets(0).len() == 1).await;
    append(&log, 0, 2).await;
    until([&mut a], epochs, |[a]| a.offsets(0).len() == 2).await;
    assert_eq!(a.offsets(0), [base + 1, base + 2]);

    // A paused partition keeps its owner and is read again from where `start` says. The other one's records show that
    // the paused one had its turn.
    a.consumer.pause(0);
    append(&log, 0, 3).await;
    for n in 1..4 {
        append(&log, 1, n).await;
        until([&mut a], epochs, |[a]| a.offsets(1).len() as u64 == n + 1).await;
    }
    assert_eq!(a.offsets(0), [base + 1, base + 2]);
    assert_eq!(a.owned.len(), all);
    a.consumer.start(0, base);
    until([&mut a], epochs, |[a]| a.offsets(0).len() == 6).await;
    assert_eq!(a.offsets(0)[2..], [base, base + 1, base + 2, base + 3]);

    // Commits belong to group and partition.
    a.consumer.commit(&[(0, base + 2)]).await.unwrap();
    assert_eq!(log.committed(&group, TOPIC, 0).await, Ok(Some(base + 2)));
    assert_eq!(log.committed(&group, TOPIC, 1).await, Ok(None));
    assert_eq!(log.committed(&format!("{group}x"), TOPIC, 0).await, Ok(None));

    // A second member takes some; what stays keeps its epoch. Another group is not concerned.
    let mut apart = Member::join(&log, &format!("{group}x"), "a").await;
    until([&mut apart], &mut BTreeMap::new(), |[apart]| apart.owned.len() == all).await;
    let before = a.owned.clone();
    let mut b = Member::join(&log, &group, "b").await;
    until([&mut a, &mut b], epochs, |[a, b]| !b.owned.is_empty() && a.owned.len() + b.owned.len() == all).await;
    assert!(!a.owned.is_empty());
    for (partition, epoch) in &a.owned {
        assert_eq!(before.get(partition), Some(epoch), "{partition} stayed and has another epoch");
        assert!(!b.owned.contains_key(partition));
    }
    // Who lost a partition cannot commit it, who has it can.
    let lost = *b.owned.keys().next().unwrap();
    assert!(matches!(a.consumer.commit(&[(lost, 9)]).await, Err(StoreError::Unavailable { .. })));
    b.consumer.commit(&[(lost, 5)]).await.unwrap();
    assert_eq!(log.committed(&group, TOPIC, lost).await, Ok(Some(5)));

    // A third member gets a share too, though nobody has more than their part rounded up.
    let mut c = Member::join(&log, &group, "c").await;
    let total = |members: &[&mut Member]| members.iter().map(|member| member.owned.len()).sum::<usize>();
    let fair = |member: &&mut Member| (1..=all.div_ceil(3)).contains(&member.owned.len());
    until([&mut a, &mut b, &mut c], epochs, |m| total(m) == all && m.iter().all(fair)).await;

    // One that goes leaves its partitions to the others, who keep theirs.
    let before = (a.owned.clone(), b.owned.clone());
    drop(c);
    until([&mut a, &mut b], epochs, |m| total(m) == all).await;
    assert!(before.0.iter().all(|(partition, epoch)| a.owned.get(partition) == Some(epoch)));
    assert!(before.1.iter().all(|(partition, epoch)| b.owned.get(partition) == Some(epoch)));
    drop(a);
    until([&mut b], epochs, |m| total(m) == all).await;
    assert_eq!(apart.owned.len(), all);
    assert!(apart.revoked.is_empty());
}

/// A member that missed its session timeout. `expel` makes the log think so.
pub(crate) async fn expelled(log: Arc<dyn Log>, expel: impl AsyncFn(&str, &str)) {
    let group = name::<domain::NodeId>("group").to_string();
    let (late, other) = (format!("late-{group}"), format!("other-{group}"));
    let all = log.partitions() as usize;
    let epochs = &mut BTreeMap::new();
    let mut a = Member::join(&log, &group, &late).await;
    until([&mut a], epochs, |[a]| a.owned.len() == all).await;
    a.consumer.commit(&[(0, 3)]).await.unwrap();

    // It does not know yet, and the log refuses what it claims all the same.
    expel(&group, &late).await;
    assert!(matches!(a.consumer.commit(&[(0, 4)]).await, Err(StoreError::Unavailable { .. })));
    let mut b = Member::join(&log, &group, &other).await;
    until([&mut b], epochs, |[b]| b.owned.len() == all).await;
    assert!(matches!(a.consumer.commit(&[(0, 4)]).await, Err(StoreError::Unavailable { .. })));
    assert_eq!(log.committed(&group, TOPIC, 0).await, Ok(Some(3)));

    // It hears that everything is gone, then only an error.
    until([&mut a], epochs, |[a]| a.owned.is_empty()).await;
    assert_eq!(a.revoked.len(), all);
    for _ in 0..2 {
        let next = tokio::time::timeout(DEADLINE, a.consumer.next()).await.expect("an expelled consumer waits");
        assert!(next.unwrap_err().is_retryable());
    }
    let mut again = Member::join(&log, &group, &late).await;
    until([&mut again, &mut b], epochs, |[again, b]| {
        !again.owned.is_empty() && again.owned.len() + b.owned.len() == all
    })
    .await;

    // The end of the old consumer is not the end of the new one.
    drop(a);
    drop(b);
    until([&mut again], epochs, |[again]| again.owned.len() == all).await;
}
