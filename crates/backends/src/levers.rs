//! What an operator forces on this node for a while. An override is taken back by the node's own clock, control plane
//! up or not (I9): at the moment it names, and at the latest so long after it was first seen as it may last in all.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use domain::{BreakerPosition, ConversationId};
use parking_lot::Mutex;
use protocol::node::{BreakerState, Desired, Override, r#override::Lever};
use tokio::{
    sync::{Notify, watch},
    time::{Duration, sleep},
};
use tokio_util::sync::CancellationToken;

use crate::{
    Clock,
    edge::{CallFault, Dependencies},
};

/// Longest sleep until the next end: a wall clock may be set.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// A node that shall die or restart has this long to say that it was told.
pub const FATE_GRACE: Duration = Duration::from_millis(300);

/// What this node allows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LeverRules {
    /// Faults may be injected.
    pub faults: bool,
    /// It is a process of its own, so it can be stopped as one.
    pub is_process: bool,
}

/// What shall become of the node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It ends in order, and its supervisor starts the next life of it.
    Restart,
    /// It dies at once, and does not come back before this moment, ms since the epoch.
    Kill(u64),
    /// It stands still until this moment.
    Pause(u64),
}

/// What is in force now, but for the edges, which are told themselves.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InForce {
    /// Heartbeats that may be forwarded a second.
    pub heartbeats_per_s: Option<u32>,
    /// Groups whose messages are delivered in batches, with the window, ms.
    pub batches: HashMap<ConversationId, u64>,
    /// The override by which messages are stored at consistency ONE.
    pub consistency_one: Option<String>,
    /// Acks of 100 that are not sent.
    pub drop_acks_percent: u32,
    /// Deliveries of 100 that are not sent.
    pub drop_frames_percent: u32,
    /// Deliveries are sent so much later, ms.
    pub delay_frames_ms: u64,
    /// What shall become of the node.
    pub fate: Option<Fate>,
}

/// The overrides of a node.
#[derive(Debug)]
pub struct Levers {
    clock: Clock,
    incarnation: u64,
    rules: LeverRules,
    dependencies: Dependencies,
    state: Mutex<State>,
    in_force: watch::Sender<Arc<InForce>>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    overrides: BTreeMap<String, Held>,
    restart: bool,
}

#[derive(Debug)]
struct Held {
    lever: Lever,
    ends_ms: u64,
}

impl Levers {
    /// None in force. `incarnation` is this life of the node.
    pub fn new(clock: Clock, incarnation: u64, rules: LeverRules, dependencies: Dependencies) -> Arc<Self> {
        Arc::new(Self {
            clock,
            incarnation,
            rules,
            dependencies,
            state: Mutex::default(),
            in_force: watch::Sender::default(),
            changed: Notify::new(),
        })
    }

    /// What is in force now.
    pub fn now(&self) -> Arc<InForce> {
        self.in_force.borrow().clone()
    }

    /// Wakes whoever must act when something changes.
    pub fn watch(&self) -> watch::Receiver<Arc<InForce>> {
        self.in_force.subscribe()
    }

    /// Ids of the overrides in force.
    pub fn ids(&self) -> Vec<String> {
        self.state.lock().overrides.keys().cloned().collect()
    }

    /// Takes the overrides of a desired state, all or, with the reason, none.
    pub fn apply(&self, desired: &Desired) -> Result<(), String> {
        let now_ms = self.clock.now_ms();
        let mut overrides = BTreeMap::new();
        let mut state = self.state.lock();
        for one in &desired.overrides {
            let lever = self.check(one)?.clone();
            let ends_ms = one.until_ms.min(now_ms.saturating_add(one.for_ms));
            // Seen before: it lasts no longer because it came again.
            let ends_ms = state.overrides.get(&one.id).map_or(ends_ms, |held| held.ends_ms.min(ends_ms));
            overrides.insert(one.id.clone(), Held { lever, ends_ms });
        }
        for (id, held) in overrides.iter().filter(|(id, _)| !state.overrides.contains_key(*id)) {
            tracing::warn!(id, lever = ?held.lever, for_ms = held.ends_ms.saturating_sub(now_ms), "override in force");
        }
        state.overrides = overrides;
        state.restart = desired.restart_incarnation == self.incarnation && self.incarnation > 0;
        self.refresh(&mut state, now_ms);
        self.changed.notify_one();
        Ok(())
    }

    fn check<'a>(&self, one: &'a Override) -> Result<&'a Lever, String> {
        let lever = one.lever.as_ref().ok_or_else(|| format!("override {}: a kind of a later version", one.id))?;
        let edge = |name: &str| {
            let names: Vec<_> = self.dependencies.0.iter().map(|edge| edge.name()).collect();
            let known = self.dependencies.named(name).map(drop);
            known.ok_or_else(|| format!("no edge is named {name:?}; there are {}", names.join(", ")))
        };
        let (is_fault, named) = match lever {
            Lever::Breaker(breaker) => (false, Some(&breaker.name)),
            Lever::ConsistencyOne(_) | Lever::HeartbeatRate(_) => (false, None),
            Lever::Batch(batch) => {
                ConversationId::parse(&batch.conversation).map_err(|error| format!("conversation {error}"))?;
                (false, None)
            }
            Lever::StoreLatency(fault) => (true, Some(&fault.store)),
            Lever::StoreErrors(fault) => (true, Some(&fault.store)),
            Lever::DropAcks(_) | Lever::DropFrames(_) | Lever::DelayFrames(_) | Lever::Kill(_) => (true, None),
            Lever::Pause(_) if self.rules.faults && !self.rules.is_process => {
                return Err("it shares its process with other nodes, so it cannot be paused alone".to_owned());
            }
            Lever::Pause(_) => (true, None),
        };
        if is_fault && !self.rules.faults {
            return Err("faults are off: the node was started without --allow-faults".to_owned());
        }
        named.map_or(Ok(()), |name| edge(name))?;
        Ok(lever)
    }

    /// Drops what has ended and puts the rest in force.
    fn refresh(&self, state: &mut State, now_ms: u64) {
        state.overrides.retain(|id, held| {
            let stays = held.ends_ms > now_ms;
            if !stays {
                tracing::warn!(id, "override over");
            }
            stays
        });
        let mut in_force = InForce { fate: state.restart.then_some(Fate::Restart), ..InForce::default() };
        let mut faults: HashMap<&str, CallFault> = HashMap::new();
        let mut breakers: HashMap<&str, (BreakerPosition, &str)> = HashMap::new();
        for (id, held) in &state.overrides {
            match &held.lever {
                Lever::Breaker(forced) => {
                    let position = match forced.state() {
                        BreakerState::Open => BreakerPosition::Open,
                        BreakerState::Closed | BreakerState::HalfOpen => BreakerPosition::Closed,
                    };
                    breakers.insert(&forced.name, (position, id));
                }
                Lever::ConsistencyOne(_) => in_force.consistency_one = Some(id.clone()),
                Lever::HeartbeatRate(rate) => in_force.heartbeats_per_s = Some(rate.per_s),
                Lever::Batch(batch) => {
                    if let Ok(conversation) = ConversationId::parse(&batch.conversation) {
                        in_force.batches.insert(conversation, batch.window_ms);
                    }
                }
                Lever::StoreLatency(fault) => faults.entry(&fault.store).or_default().latency_ms = fault.latency_ms,
                Lever::StoreErrors(fault) => faults.entry(&fault.store).or_default().error_percent = fault.percent,
                Lever::DropAcks(share) => in_force.drop_acks_percent = share.percent,
                Lever::DropFrames(share) => in_force.drop_frames_percent = share.percent,
                Lever::DelayFrames(delay) => in_force.delay_frames_ms = delay.delay_ms,
                Lever::Kill(_) => in_force.fate = Some(Fate::Kill(held.ends_ms)),
                Lever::Pause(_) => in_force.fate = Some(Fate::Pause(held.ends_ms)),
            }
        }
        for edge in &self.dependencies.0 {
            edge.inject(faults.get(edge.name()).copied().unwrap_or_default());
            edge.force(breakers.get(edge.name()).copied());
        }
        self.in_force.send_if_modified(|known| {
            let differs = **known != in_force;
            if differs {
                *known = Arc::new(in_force);
            }
            differs
        });
    }

    /// Takes overrides back when their time has come, until `stop`.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        loop {
            let next_ms = self.state.lock().overrides.values().map(|held| held.ends_ms).min();
            let wait = next_ms
                .map(|next_ms| Duration::from_millis(next_ms.saturating_sub(self.clock.now_ms())).min(LOOK_AGAIN));
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = self.changed.notified() => continue,
                () = async { sleep(wait.unwrap_or_default()).await }, if wait.is_some() => {}
            }
            let now_ms = self.clock.now_ms();
            self.refresh(&mut self.state.lock(), now_ms);
        }
    }
}

/// When the kept state of a node says that it was killed and may not be back yet, waits for that moment or `stop`.
pub async fn wait_out_kill(kept: &Desired, clock: Clock, stop: &CancellationToken) {
    let killed = kept.overrides.iter().filter(|one| matches!(one.lever, Some(Lever::Kill(_))));
    let Some(until_ms) = killed.map(|one| one.until_ms).max() else { return };
    while clock.now_ms() < until_ms && !stop.is_cancelled() {
        let left = Duration::from_millis(until_ms.saturating_sub(clock.now_ms())).min(LOOK_AGAIN);
        tracing::warn!(left_ms = until_ms.saturating_sub(clock.now_ms()), "killed by a fault: not back yet");
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = sleep(left) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use domain::STORE_RULE;
    use protocol::node::{ForcedBreaker, HeartbeatRate, Kill, Pause, StoreErrors};

    use super::*;
    use crate::edge::Dependency;

    fn levers(faults: bool) -> (Arc<Levers>, Dependency) {
        let edge = Dependency::new("presence", "redis", STORE_RULE);
        let rules = LeverRules { faults, is_process: false };
        (Levers::new(Clock::simulated(0), 7, rules, Dependencies(vec![edge.clone()])), edge)
    }

    fn one(id: &str, until_ms: u64, for_ms: u64, lever: Lever) -> Override {
        Override { id: id.into(), until_ms, for_ms, lever: Some(lever) }
    }

    fn desired(overrides: Vec<Override>) -> Desired {
        Desired { version: 1, overrides, ..Desired::default() }
    }

    fn open() -> Lever {
        Lever::Breaker(ForcedBreaker { name: "presence".into(), state: BreakerState::Open.into() })
    }

    #[tokio::test(start_paused = true)]
    async fn each_override_ends_by_the_nodes_own_clock() {
        let (levers, edge) = levers(false);
        let stop = CancellationToken::new();
        let running = tokio::spawn(levers.clone().run(stop.clone()));
        let wanted = desired(vec![
            one("ov-1", 5_000, 60_000, open()),
            // The control plane's clock is far ahead: the node goes by how long it may last.
            one("ov-2", 9_000_000, 8_000, Lever::HeartbeatRate(HeartbeatRate { per_s: 10 })),
        ]);
        levers.apply(&wanted).unwrap();
        assert_eq!(levers.ids(), ["ov-1", "ov-2"]);
        assert_eq!(edge.status().forced_by, "ov-1");
        sleep(Duration::from_millis(5_001)).await;
        assert_eq!((edge.status().forced_by.as_str(), levers.ids()), ("", vec!["ov-2".to_owned()]));
        // It came again, and lasts no longer for that.
        levers.apply(&desired(wanted.overrides[1..].to_vec())).unwrap();
        assert_eq!(levers.now().heartbeats_per_s, Some(10));
        sleep(Duration::from_millis(3_001)).await;
        assert_eq!((levers.now().heartbeats_per_s, levers.ids().len()), (None, 0));
        stop.cancel();
        running.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn what_may_not_be_forced_is_refused_and_changes_nothing() {
        let (strict, edge) = levers(false);
        strict.apply(&desired(vec![one("ov-1", 9_000, 9_000, open())])).unwrap();
        let fault = Lever::StoreErrors(StoreErrors { store: "presence".into(), percent: 5 });
        let why = strict.apply(&desired(vec![one("ov-2", 9_000, 9_000, fault.clone())])).unwrap_err();
        assert!(why.contains("--allow-faults"), "{why}");
        assert_eq!((strict.ids(), edge.status().forced_by.as_str()), (vec!["ov-1".to_owned()], "ov-1"));

        let (lenient, _) = levers(true);
        lenient.apply(&desired(vec![one("ov-2", 9_000, 9_000, fault)])).unwrap();
        let why = lenient.apply(&desired(vec![one("ov-3", 9_000, 9_000, Lever::Pause(Pause {}))])).unwrap_err();
        assert!(why.contains("shares its process"), "{why}");
        let unknown = Lever::StoreErrors(StoreErrors { store: "cellar".into(), percent: 5 });
        let why = lenient.apply(&desired(vec![one("ov-4", 9_000, 9_000, unknown)])).unwrap_err();
        assert_eq!(why, "no edge is named \"cellar\"; there are presence");
        lenient.apply(&desired(vec![one("ov-5", 9_000, 9_000, Lever::Kill(Kill {}))])).unwrap();
        assert_eq!(lenient.now().fate, Some(Fate::Kill(9_000)));
    }

    #[tokio::test(start_paused = true)]
    async fn only_the_life_that_is_meant_restarts() {
        let (levers, _) = levers(false);
        levers.apply(&Desired { version: 1, restart_incarnation: 6, ..Desired::default() }).unwrap();
        assert_eq!(levers.now().fate, None);
        levers.apply(&Desired { version: 2, restart_incarnation: 7, ..Desired::default() }).unwrap();
        assert_eq!(levers.now().fate, Some(Fate::Restart));
    }
}
