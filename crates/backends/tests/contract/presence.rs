//! The contract of presence.

use std::{sync::Arc, time::Duration};

use chatfleet_backends::port::{Presence, PresenceState, Session};
use domain::{DeviceId, UserId};
use tokio::sync::broadcast::Receiver;

use crate::{Pass, name};

async fn state(presence: &Arc<dyn Presence>, user: &UserId) -> PresenceState {
    presence.get(std::slice::from_ref(user)).await.unwrap()[0]
}

async fn online(presence: &Arc<dyn Presence>, user: &UserId) -> bool {
    state(presence, user).await.online
}

/// The next change is of this user. Changes of others would be of other suites.
async fn changed(changes: &mut Receiver<UserId>, user: &UserId) {
    while changes.recv().await.unwrap() != *user {}
}

pub(crate) async fn suite(presence: Arc<dyn Presence>, pass: Pass<'_>) {
    let (user, stranger): (UserId, UserId) = (name("u"), name("u"));
    let (d1, d2): (DeviceId, DeviceId) = (name("d1"), name("d2"));
    let on =
        |device: &DeviceId, session_version| Session { user: user.clone(), device: device.clone(), session_version };
    let mut changes = presence.changes();

    assert_eq!(state(&presence, &user).await, PresenceState::default());
    presence.refresh(&[on(&d1, 5)]).await.unwrap();
    changed(&mut changes, &user).await;
    let first = state(&presence, &user).await;
    assert!(first.online && first.last_seen_ms.is_some());
    // In the order of the question, also of one that is unknown or asked twice.
    let asked = [stranger.clone(), user.clone(), stranger.clone(), user.clone()];
    let unknown = PresenceState::default();
    assert_eq!(presence.get(&asked).await, Ok(vec![unknown, first, unknown, first]));

    // A sign of life is no change, and moves the time.
    pass(Duration::from_secs(50)).await;
    presence.refresh(&[on(&d1, 5)]).await.unwrap();
    pass(Duration::from_secs(59)).await;
    let second = state(&presence, &user).await;
    assert!(second.online && second.last_seen_ms >= first.last_seen_ms.map(|ms| ms + 50_000));
    assert!(changes.is_empty());
    // 60 s without one.
    pass(Duration::from_secs(2)).await;
    assert_eq!(state(&presence, &user).await, PresenceState { online: false, ..second });

    // Back: a change. A second device is none, and the user is online until the last has left.
    presence.refresh(&[on(&d1, 6)]).await.unwrap();
    changed(&mut changes, &user).await;
    presence.refresh(&[on(&d2, 3), on(&d1, 6)]).await.unwrap();
    presence.leave(&on(&d1, 6)).await.unwrap();
    assert!(online(&presence, &user).await);
    assert!(changes.is_empty());
    presence.leave(&on(&d2, 3)).await.unwrap();
    assert!(!online(&presence, &user).await);
    assert!(state(&presence, &user).await.last_seen_ms.is_some());
    changed(&mut changes, &user).await;
    presence.leave(&on(&d2, 3)).await.unwrap();
    presence.leave(&Session { user: stranger.clone(), device: d1.clone(), session_version: 1 }).await.unwrap();
    assert_eq!(state(&presence, &stranger).await, PresenceState::default());
    assert!(changes.is_empty());

    // The end of an older session is not the end of the one that took its place, whichever is heard of first.
    presence.refresh(&[on(&d1, 8)]).await.unwrap();
    presence.refresh(&[on(&d1, 7)]).await.unwrap();
    presence.leave(&on(&d1, 7)).await.unwrap();
    assert!(online(&presence, &user).await);
    presence.leave(&on(&d1, 8)).await.unwrap();
    assert!(!online(&presence, &user).await);

    // Any session that is heard of is a sign of life, also when a newer one of the device has fallen silent.
    presence.refresh(&[on(&d1, 10)]).await.unwrap();
    pass(Duration::from_secs(61)).await;
    presence.refresh(&[on(&d1, 9)]).await.unwrap();
    assert!(online(&presence, &user).await);
    presence.leave(&on(&d1, 9)).await.unwrap();
    assert!(!online(&presence, &user).await);

    // Back under the same version: a change, too. Another device that fell silent does not keep a user online.
    presence.refresh(&[on(&d1, 11), on(&d2, 11)]).await.unwrap();
    pass(Duration::from_secs(61)).await;
    assert!(!online(&presence, &user).await);
    let mut changes = presence.changes();
    presence.refresh(&[on(&d1, 11)]).await.unwrap();
    changed(&mut changes, &user).await;
    presence.refresh(&[on(&d1, 11)]).await.unwrap();
    assert!(changes.is_empty());
    presence.leave(&on(&d1, 11)).await.unwrap();
    changed(&mut changes, &user).await;
    assert!(!online(&presence, &user).await);
}
