//! Presence: heartbeats to the stores at a bounded rate (failure mode 3), changes to those who watch.

use std::{
    collections::BTreeMap,
    sync::{Arc, Weak, atomic::Ordering},
};

use backends::port::{PresenceState, Session};
use domain::{Standing, TokenBucket, UserId, standing};
use parking_lot::Mutex;
use protocol::frames::{CloseCode, ServerFrame};
use tokio::{
    sync::broadcast::error::RecvError,
    time::{Duration, MissedTickBehavior, interval, timeout},
};

use crate::{figures, gateway::Shared, hub::Conn, lease, socket::text_frame};

/// How often heartbeats are forwarded.
const FORWARD_EVERY: Duration = Duration::from_millis(50);
/// Sessions refreshed in one call.
const REFRESH_AT_ONCE: usize = 1_000;
/// How long a store may take for one call.
const STORE_DEADLINE: Duration = Duration::from_secs(2);
/// How often watched users are looked up, for what a lagging feed or an expired entry hides.
const LOOK_UP_EVERY: Duration = Duration::from_secs(10);

/// Connections whose heartbeat waits to be forwarded, in the order they came: each at most once, and none that ended, so it
/// is bounded by the connections, however slow the stores are.
#[derive(Default)]
pub(crate) struct Heartbeats {
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    /// By [`Conn::heartbeat`].
    conns: BTreeMap<u64, Arc<Conn>>,
    last: u64,
}

impl Heartbeats {
    pub(crate) fn push(&self, conn: &Arc<Conn>) {
        let mut waiting = self.waiting.lock();
        if conn.heartbeat.load(Ordering::Relaxed) == 0 {
            waiting.last += 1;
            conn.heartbeat.store(waiting.last, Ordering::Relaxed);
            let place = waiting.last;
            waiting.conns.insert(place, conn.clone());
        }
    }

    /// A connection that ended.
    pub(crate) fn remove(&self, conn: &Conn) {
        let mut waiting = self.waiting.lock();
        waiting.conns.remove(&conn.heartbeat.swap(0, Ordering::Relaxed));
    }

    fn take(&self, n: usize) -> Vec<Arc<Conn>> {
        let mut waiting = self.waiting.lock();
        let taken: Vec<Arc<Conn>> =
            std::iter::from_fn(|| waiting.conns.pop_first()).take(n).map(|(_, conn)| conn).collect();
        taken.iter().for_each(|conn| conn.heartbeat.store(0, Ordering::Relaxed));
        taken
    }
}

/// Forwards heartbeats: one refresh keeps a session registered and its user online.
pub(crate) async fn run_heartbeats(shared: Arc<Shared>) {
    let rate = shared.config.limits.heartbeats_per_s;
    let bucket_of = |per_s: u32, now_ms| TokenBucket::new(per_s, (per_s / 10).max(1), now_ms);
    let mut bucket = bucket_of(rate, shared.now_ms());
    let mut in_force = None;
    let mut ticks = interval(FORWARD_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            () = shared.stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        let forced = shared.levers.now().heartbeats_per_s;
        if forced != in_force {
            in_force = forced;
            bucket = bucket_of(forced.unwrap_or(rate), shared.now_ms());
        }
        let mut due = bucket.take_up_to(shared.hub.connections().max(1), shared.now_ms());
        while due > 0 {
            let conns = shared.heartbeats.take(due.min(REFRESH_AT_ONCE));
            if conns.is_empty() {
                break;
            }
            due -= conns.len();
            forward(&shared, &conns).await;
        }
    }
}

async fn forward(shared: &Shared, conns: &[Arc<Conn>]) {
    // A session that left must not be entered again.
    let conns: Vec<&Arc<Conn>> = conns.iter().filter(|conn| !conn.gone.load(Ordering::Relaxed)).collect();
    let sessions: Vec<Session> = conns.iter().map(|conn| conn.session()).collect();
    let config = &shared.config;
    let holding = *shared.holding.lock();
    let refreshed = shared.ports.registry.refresh(&config.node, config.incarnation, &sessions);
    match timeout(STORE_DEADLINE, refreshed).await {
        Ok(Ok(versions)) => {
            let mut forgotten = Vec::new();
            for (conn, version) in conns.iter().zip(versions) {
                match standing(version, conn.session_version) {
                    // The registry may have lost it earlier than all the rest: then something passed it by.
                    Standing::Current if conn.restored.load(Ordering::Relaxed) => conn.close(CloseCode::GoingAway),
                    Standing::Current => {}
                    Standing::Superseded => shared.supersede(conn),
                    Standing::Forgotten => {
                        if version.is_some() {
                            figures::add(&shared.figures.stale_overwrites, 1);
                        }
                        forgotten.push(conn);
                    }
                }
            }
            // While the registry had no route what was sent passed them by: they must come back and resume. When the
            // lease is gone, too, whoever keeps it sees to them.
            if !forgotten.is_empty() && lease::is_held(shared, holding).await {
                forgotten.iter().for_each(|conn| conn.close(CloseCode::GoingAway));
            }
        }
        Ok(Err(error)) => tracing::warn!(%error, "cannot refresh sessions"),
        Err(_) => tracing::warn!("cannot refresh sessions: the registry does not answer"),
    }
    figures::add(&shared.figures.heartbeats, sessions.len());
    let why = match timeout(STORE_DEADLINE, shared.ports.presence.refresh(&sessions)).await {
        Ok(Ok(())) => return,
        Ok(Err(error)) => error.to_string(),
        Err(_) => "it does not answer".to_owned(),
    };
    figures::add(&shared.figures.heartbeat_errors, sessions.len());
    tracing::debug!(why, "presence was not refreshed: the next heartbeats make up for it");
}

#[derive(Default)]
struct Watched {
    /// What all who watch were told last; `None`: not all were told, or not the same.
    online: Option<bool>,
    by: Vec<Weak<Conn>>,
}

/// Who watches whom.
#[derive(Default)]
pub(crate) struct Watchers {
    users: Mutex<BTreeMap<UserId, Watched>>,
}

impl Watchers {
    /// Replaces what a connection watches. Without states, the next look-up tells them.
    fn set(&self, conn: &Arc<Conn>, users: &[UserId], states: Option<&[PresenceState]>) {
        self.remove(conn);
        let mut watched = self.users.lock();
        for (n, user) in users.iter().enumerate() {
            let entry = watched.entry(user.clone()).or_default();
            let told = states.and_then(|states| states.get(n)).map(|state| state.online);
            // Known only while all who watch were told the same: whoever was told nothing, or something else, is told
            // with the next look-up, and those who knew hear it twice.
            entry.online = told.filter(|_| entry.by.is_empty() || entry.online == told);
            if !entry.by.iter().any(|other| other.as_ptr() == Arc::as_ptr(conn)) {
                entry.by.push(Arc::downgrade(conn));
            }
        }
    }

    /// A connection that ended, or watches others now.
    pub(crate) fn remove(&self, conn: &Arc<Conn>) {
        self.users.lock().retain(|_, watched| {
            watched.by.retain(|other| other.as_ptr() != Arc::as_ptr(conn));
            !watched.by.is_empty()
        });
    }

    fn is_watched(&self, user: &UserId) -> bool {
        self.users.lock().contains_key(user)
    }

    fn all(&self) -> Vec<UserId> {
        self.users.lock().keys().cloned().collect()
    }

    /// Takes a state; returns who must be told.
    fn changed(&self, user: &UserId, online: bool) -> Vec<Arc<Conn>> {
        let mut watched = self.users.lock();
        let Some(entry) = watched.get_mut(user) else { return Vec::new() };
        if entry.online.replace(online) == Some(online) {
            return Vec::new();
        }
        entry.by.iter().filter_map(Weak::upgrade).collect()
    }
}

impl Shared {
    /// `watch`: one `presence` each, then changes.
    pub(crate) async fn watch(&self, conn: &Arc<Conn>, users: Vec<UserId>) {
        let states = timeout(STORE_DEADLINE, self.ports.presence.get(&users)).await;
        let Ok(Ok(states)) = states else {
            // Nobody is shown offline by our fault: the states follow with the next look-up.
            self.watchers.set(conn, &users, None);
            return;
        };
        self.watchers.set(conn, &users, Some(&states));
        for (user, state) in users.iter().zip(states) {
            conn.send(presence_frame(user, state), self.now_ms());
        }
    }
}

fn presence_frame(user: &UserId, state: PresenceState) -> bytes::Bytes {
    let frame = ServerFrame::Presence {
        user: user.as_str().to_owned(),
        online: state.online,
        last_seen_ms: state.last_seen_ms,
    };
    text_frame(&frame.encode())
}

/// Pushes changes to those who watch.
pub(crate) async fn run_changes(shared: Arc<Shared>) {
    let mut changes = shared.ports.presence.changes();
    let mut ticks = interval(LOOK_UP_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let users = tokio::select! {
            biased;
            () = shared.stop.cancelled() => return,
            change = changes.recv() => match change {
                Ok(user) if shared.watchers.is_watched(&user) => vec![user],
                Ok(_) => continue,
                Err(RecvError::Lagged(_)) => shared.watchers.all(),
                Err(RecvError::Closed) => return,
            },
            _ = ticks.tick() => shared.watchers.all(),
        };
        for users in users.chunks(REFRESH_AT_ONCE) {
            let Ok(Ok(states)) = timeout(STORE_DEADLINE, shared.ports.presence.get(users)).await else { continue };
            for (user, state) in users.iter().zip(states) {
                if !state.online && shared.hub.is_connected(user) {
                    figures::add(&shared.figures.false_offline, 1);
                }
                for conn in shared.watchers.changed(user, state.online) {
                    conn.send(presence_frame(user, state), shared.now_ms());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use domain::DeviceId;

    use super::*;
    use crate::{
        auth::{Identity, Role},
        socket::Io,
    };

    fn conn(user: &str) -> Arc<Conn> {
        let identity = Identity { user: UserId::parse(user).unwrap(), role: Role::User, expires_ms: u64::MAX };
        let io = Io::new(Box::new(tokio::io::duplex(64).0), Vec::new(), 64);
        Arc::new(Conn::new(identity, DeviceId::parse("d").unwrap(), 1, 0, io))
    }

    #[test]
    fn a_heartbeat_waits_once_in_its_turn_and_not_for_who_ended() {
        let heartbeats = Heartbeats::default();
        let (a, b, c) = (conn("a"), conn("b"), conn("c"));
        for conn in [&a, &b, &a, &c] {
            heartbeats.push(conn);
        }
        heartbeats.remove(&b);
        assert_eq!(Arc::strong_count(&b), 1, "nothing holds it");
        let users = |n| heartbeats.take(n).iter().map(|conn| conn.user.to_string()).collect::<Vec<_>>();
        assert_eq!(users(1), ["a"]);
        heartbeats.push(&a);
        assert_eq!(users(9), ["c", "a"]);
        assert!(users(9).is_empty());
        heartbeats.remove(&a);
    }

    fn state(online: bool) -> PresenceState {
        PresenceState { online, last_seen_ms: Some(1) }
    }

    #[test]
    fn who_watches_while_presence_is_away_is_told_with_the_next_look_up() {
        let (watchers, a, user) = (Watchers::default(), conn("a"), UserId::parse("u").unwrap());
        watchers.set(&a, std::slice::from_ref(&user), None);
        assert!(watchers.is_watched(&user));
        assert_eq!(watchers.changed(&user, false).len(), 1);
        assert!(watchers.changed(&user, false).is_empty());

        // Another one, whose question fails: the state that the first one knows is told again.
        let b = conn("b");
        watchers.set(&b, std::slice::from_ref(&user), None);
        assert_eq!(watchers.changed(&user, false).len(), 2);

        // One whose question is answered does not stand for the one who still waits.
        let (c, d) = (conn("c"), conn("d"));
        watchers.set(&c, std::slice::from_ref(&user), None);
        watchers.set(&d, std::slice::from_ref(&user), Some(&[state(true)]));
        assert!(watchers.changed(&user, true).iter().any(|conn| Arc::ptr_eq(conn, &c)));
    }

    #[test]
    fn who_watches_later_does_not_hide_a_change_from_who_watched_before() {
        let (watchers, a, b, user) = (Watchers::default(), conn("a"), conn("b"), UserId::parse("u").unwrap());
        watchers.set(&a, std::slice::from_ref(&user), Some(&[state(false)]));
        watchers.set(&b, std::slice::from_ref(&user), Some(&[state(true)]));
        let told = watchers.changed(&user, true);
        assert!(told.iter().any(|conn| Arc::ptr_eq(conn, &a)));

        // Or it was over before anybody looked: then it is the later one who must hear of it.
        let c = conn("c");
        watchers.set(&c, std::slice::from_ref(&user), Some(&[state(false)]));
        let told = watchers.changed(&user, true);
        assert!(told.iter().any(|conn| Arc::ptr_eq(conn, &c)));
    }
}
