//! Presence in memory.

use std::{collections::HashMap, hash::BuildHasherDefault, time::Duration};

use async_trait::async_trait;
use domain::{DeviceId, UserId};
use parking_lot::Mutex;
use rustc_hash::FxHasher;
use tokio::{sync::broadcast, time::Instant};

use crate::{
    Clock,
    port::{Presence, PresenceState, Session, StoreResult},
};

/// How long a user stays online without a sign of life.
const PRESENCE_TTL: Duration = Duration::from_secs(60);
/// Changes a slow reader may fall behind before it has to ask again.
const CHANGES: usize = 4_096;

#[derive(Debug)]
struct Device {
    device: DeviceId,
    session_version: u64,
    expires: Instant,
}

#[derive(Debug, Default)]
struct User {
    devices: Vec<Device>,
    last_seen_ms: u64,
}

/// Presence in memory. Users that left are remembered with the time they were last seen.
#[derive(Debug)]
pub struct MemoryPresence {
    clock: Clock,
    users: Mutex<HashMap<UserId, User, BuildHasherDefault<FxHasher>>>,
    changes: broadcast::Sender<UserId>,
}

impl MemoryPresence {
    /// Nobody was ever here.
    pub fn new(clock: Clock) -> Self {
        Self { clock, users: Mutex::default(), changes: broadcast::Sender::new(CHANGES) }
    }

    fn changed(&self, user: &UserId) {
        // No reader is no fault.
        let _ = self.changes.send(user.clone());
    }
}

#[async_trait]
impl Presence for MemoryPresence {
    async fn refresh(&self, sessions: &[Session]) -> StoreResult<()> {
        let (now, now_ms) = (Instant::now(), self.clock.now_ms());
        let mut users = self.users.lock();
        for session in sessions {
            let user = users.entry(session.user.clone()).or_default();
            let was_online = user.devices.iter().any(|device| device.expires > now);
            user.last_seen_ms = now_ms;
            match user.devices.iter_mut().find(|device| device.device == session.device) {
                // A newer session that fell silent does not hide an older one that is heard of.
                Some(device) if device.session_version <= session.session_version || device.expires <= now => {
                    device.session_version = session.session_version;
                    device.expires = now + PRESENCE_TTL;
                }
                Some(_) => {}
                None => {
                    user.devices.reserve_exact(1);
                    user.devices.push(Device {
                        device: session.device.clone(),
                        session_version: session.session_version,
                        expires: now + PRESENCE_TTL,
                    });
                }
            }
            if !was_online {
                self.changed(&session.user);
            }
        }
        Ok(())
    }

    async fn leave(&self, session: &Session) -> StoreResult<()> {
        let now = Instant::now();
        let mut users = self.users.lock();
        let Some(user) = users.get_mut(&session.user) else { return Ok(()) };
        let before = user.devices.len();
        user.devices.retain(|device| {
            let same = device.device == session.device && device.session_version <= session.session_version;
            !same && device.expires > now
        });
        if before > 0 && user.devices.is_empty() {
            user.last_seen_ms = self.clock.now_ms();
            user.devices.shrink_to_fit();
            self.changed(&session.user);
        }
        Ok(())
    }

    async fn get(&self, users: &[UserId]) -> StoreResult<Vec<PresenceState>> {
        let now = Instant::now();
        let known = self.users.lock();
        Ok(users
            .iter()
            .map(|name| {
                known.get(name).map_or_else(PresenceState::default, |user| PresenceState {
                    online: user.devices.iter().any(|device| device.expires > now),
                    last_seen_ms: Some(user.last_seen_ms),
                })
            })
            .collect())
    }

    fn changes(&self) -> broadcast::Receiver<UserId> {
        self.changes.subscribe()
    }
}
