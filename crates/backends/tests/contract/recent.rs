//! The contract of the caches. A cache may forget early; the suites ask for what was just said.

use std::{sync::Arc, time::Duration};

use chatfleet_backends::port::{Recent, Remembered};
use domain::{BodyHash, ConversationId, UserId};
use uuid::Uuid;

use crate::{Hook, Pass, name, row};

/// More rows than any adapter's tail keeps.
const MANY: u64 = 2_000;

fn remembered(conversation: &ConversationId, sender: &UserId, key: Uuid, body_hash: BodyHash) -> Vec<Remembered> {
    vec![Remembered { conversation: conversation.clone(), sender: sender.clone(), key, body_hash }]
}

pub(crate) async fn suite(recent: Arc<dyn Recent>, pass: Pass<'_>) {
    keys(&recent, pass).await;
    tails(&recent).await;
    versions(&recent, pass).await;
}

async fn keys(recent: &Arc<dyn Recent>, pass: Pass<'_>) {
    let (c, other): (ConversationId, ConversationId) = (name("c"), name("c"));
    let (alice, bob): (UserId, UserId) = (name("u"), name("u"));
    let key = Uuid::new_v4();
    assert_eq!(recent.recall(&c, &alice, key).await, Ok(None));
    recent.remember(remembered(&c, &alice, key, BodyHash::MAX)).await.unwrap();
    recent.remember(remembered(&c, &alice, key, 2)).await.unwrap();
    assert_eq!(recent.recall(&c, &alice, key).await, Ok(Some(BodyHash::MAX)), "the first body stays");
    for (c, sender, key) in [(&other, &alice, key), (&c, &bob, key), (&c, &alice, Uuid::new_v4())] {
        assert_eq!(recent.recall(c, sender, key).await, Ok(None));
    }
    // The first body within one call, too; and an empty call.
    let twice = Uuid::new_v4();
    let both = [remembered(&c, &bob, twice, 1), remembered(&c, &bob, twice, 2)].concat();
    recent.remember(both).await.unwrap();
    recent.remember(vec![]).await.unwrap();
    assert_eq!(recent.recall(&c, &bob, twice).await, Ok(Some(1)));

    // 24 h from the first time; a second one does not make it longer.
    pass(Duration::from_secs(24 * 3_600 - 1)).await;
    recent.remember(remembered(&c, &alice, key, 3)).await.unwrap();
    assert_eq!(recent.recall(&c, &alice, key).await, Ok(Some(BodyHash::MAX)));
    pass(Duration::from_secs(2)).await;
    assert_eq!(recent.recall(&c, &alice, key).await, Ok(None));
    recent.remember(remembered(&c, &alice, key, 4)).await.unwrap();
    assert_eq!(recent.recall(&c, &alice, key).await, Ok(Some(4)));
}

async fn tails(recent: &Arc<dyn Recent>) {
    let (c, other): (ConversationId, ConversationId) = (name("c"), name("c"));
    assert_eq!(recent.tail_read(&c, 0, u64::MAX).await, Ok(vec![]));
    recent.tail_append(&[]).await.unwrap();
    // 4 is missing: a hole, and no fault.
    let rows: Vec<_> = [1, 2, 3, 5, 6].map(|n| row(&c, n, n)).into();
    let strange = row(&other, 4, 4);
    recent.tail_append(&[rows.clone(), vec![strange.clone()]].concat()).await.unwrap();
    assert_eq!(recent.tail_read(&c, 0, u64::MAX).await.unwrap(), rows);
    assert_eq!(recent.tail_read(&c, 2, 5).await.unwrap(), rows[1..4]);
    assert_eq!(recent.tail_read(&c, 4, 4).await, Ok(vec![]));
    assert_eq!(recent.tail_read(&c, 5, 2).await, Ok(vec![]));
    assert_eq!(recent.tail_read(&other, 0, 9).await.unwrap(), [strange]);
    // Once more, as a worker that begins again does.
    recent.tail_append(&rows[2..]).await.unwrap();
    assert_eq!(recent.tail_read(&c, 0, u64::MAX).await.unwrap(), rows);

    // A tail is bounded and keeps the newest.
    let many: Vec<_> = (7..=MANY).map(|n| row(&c, n, n)).collect();
    for rows in many.chunks(100) {
        recent.tail_append(rows).await.unwrap();
    }
    let kept = recent.tail_read(&c, 0, u64::MAX).await.unwrap();
    assert!(kept.len() >= 100 && kept.len() < many.len(), "{} rows", kept.len());
    assert_eq!(kept, many[many.len() - kept.len()..]);
}

async fn versions(recent: &Arc<dyn Recent>, pass: Pass<'_>) {
    let (c, other): (ConversationId, ConversationId) = (name("c"), name("c"));
    let unaffected = recent.members_version(&other).await.unwrap();
    let mut last = recent.members_version(&c).await.unwrap();
    assert_eq!(recent.members_version(&c).await, Ok(last), "asking changes nothing");
    for n in 0..5 {
        recent.members_changed(&c).await.unwrap();
        let version = recent.members_version(&c).await.unwrap();
        assert!(version > last, "{version} after {last}");
        last = version;
        pass(Duration::from_millis(n / 2)).await;
    }
    assert_eq!(recent.members_version(&other).await, Ok(unaffected));
}

/// Caches that lost what they had. `flush` makes them do so.
pub(crate) async fn flushed(recent: Arc<dyn Recent>, flush: Hook<'_>, pass: Pass<'_>) {
    let (c, alice, key): (ConversationId, UserId, Uuid) = (name("c"), name("u"), Uuid::new_v4());
    recent.remember(remembered(&c, &alice, key, 1)).await.unwrap();
    recent.tail_append(&[row(&c, 1, 1), row(&c, 2, 2)]).await.unwrap();
    recent.members_changed(&c).await.unwrap();
    let version = recent.members_version(&c).await.unwrap();
    flush().await;
    assert_eq!(recent.recall(&c, &alice, key).await, Ok(None));
    assert_eq!(recent.tail_read(&c, 0, 9).await, Ok(vec![]));
    let next = row(&c, 3, 3);
    recent.tail_append(std::slice::from_ref(&next)).await.unwrap();
    assert_eq!(recent.tail_read(&c, 0, 9).await.unwrap(), [next]);
    // No version that was seen comes again for another membership.
    pass(Duration::from_millis(2)).await;
    recent.members_changed(&c).await.unwrap();
    assert!(recent.members_version(&c).await.unwrap() > version);
}
