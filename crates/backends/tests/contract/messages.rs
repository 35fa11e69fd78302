//! The contract of the message store.

use std::sync::Arc;

use chatfleet_backends::port::{Head, Messages};
use domain::{ConversationId, body_hash};

use crate::{name, row};

pub(crate) async fn suite(messages: Arc<dyn Messages>) {
    let conversation: ConversationId = name("c");
    assert_eq!(messages.read(&conversation, 0, u64::MAX, 10).await, Ok(vec![]));
    assert_eq!(messages.head(&conversation).await, Ok(None));
    assert_eq!(messages.keys_since(&conversation, 0).await, Ok(vec![]));
    messages.write(&[]).await.unwrap();

    // Numbers that are longer in text than others, so that an order of texts would show.
    let rows: Vec<_> = (1..=300).map(|n| row(&conversation, n, 1_000 + n)).collect();
    // One whose name begins with the name of the other.
    let longer: ConversationId = format!("{conversation}0").parse().unwrap();
    messages.write(&[row(&longer, 999, 5_000)]).await.unwrap();
    messages.write(&rows[100..]).await.unwrap();
    messages.write(&rows[..100]).await.unwrap();
    assert_eq!(messages.read(&conversation, 0, u64::MAX, 1_000).await.unwrap(), rows);

    // Writing again changes nothing.
    messages.write(&rows[..20]).await.unwrap();
    assert_eq!(messages.read(&conversation, 0, u64::MAX, 1_000).await.unwrap(), rows);

    // Both ends are in the range; the limit cuts the newest off.
    assert_eq!(messages.read(&conversation, 9, 11, 10).await.unwrap(), rows[8..11]);
    assert_eq!(messages.read(&conversation, 9, 200, 4).await.unwrap(), rows[8..12]);
    assert_eq!(messages.read(&conversation, 300, 300, 4).await.unwrap(), rows[299..]);
    assert_eq!(messages.read(&conversation, 301, 400, 4).await, Ok(vec![]));
    assert_eq!(messages.read(&conversation, 11, 9, 4).await, Ok(vec![]));

    assert_eq!(messages.head(&conversation).await, Ok(Some(Head { sequence_number: 300, intake_offset: 400 })));
    assert_eq!(messages.head(&longer).await, Ok(Some(Head { sequence_number: 999, intake_offset: 1_099 })));

    let mut keys = messages.keys_since(&conversation, 1_298).await.unwrap();
    keys.sort_by_key(|key| key.number);
    assert_eq!(keys.iter().map(|key| key.number).collect::<Vec<_>>(), [298, 299, 300]);
    assert_eq!((keys[0].at, keys[0].submission.key), (rows[297].at, rows[297].key));
    assert_eq!(keys[0].submission.sender, rows[297].sender);
    assert_eq!(keys[0].submission.body_hash, body_hash(&rows[297].body));
    assert_eq!(messages.keys_since(&conversation, 0).await.unwrap().len(), 300);
    assert_eq!(messages.keys_since(&conversation, 1_301).await, Ok(vec![]));

    // A number given twice is there twice, and both keys count.
    let twice = row(&conversation, 300, 1_300);
    messages.write(std::slice::from_ref(&twice)).await.unwrap();
    let both = messages.read(&conversation, 300, 300, 9).await.unwrap();
    assert_eq!(both.len(), 2);
    assert!(both.contains(&twice) && both.contains(&rows[299]));
    assert_eq!(messages.keys_since(&conversation, 1_300).await.unwrap().len(), 2);
    assert_eq!(messages.head(&conversation).await.unwrap().unwrap().sequence_number, 300);

    // A surplus row in quarantine is out of the way, and the other stays; doing it again changes nothing. What is
    // written at ONE is the same row.
    messages.quarantine(&twice).await.unwrap();
    messages.quarantine(&twice).await.unwrap();
    messages.write_one(&rows[298..]).await.unwrap();
    assert_eq!(messages.read(&conversation, 299, 300, 9).await.unwrap(), rows[298..]);
    assert!(messages.replicas().await.unwrap().iter().all(|replica| replica.is_up));
}
