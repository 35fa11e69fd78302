//! What goes wrong, by a seeded plan.

use std::sync::Arc;

use rand::{Rng as _, SeedableRng as _, rngs::SmallRng};
use tokio::time::{Duration, Instant, sleep};

use super::{
    outages::Outages,
    stage::Player,
    weather::{Power, Weather},
    world::World,
};

pub(super) const GATEWAYS: [&str; 2] = ["gw-1", "gw-2"];
pub(super) const WORKERS: [&str; 2] = ["worker-1", "worker-2"];
/// A consumer that is not heard of for so long loses its partitions.
const SESSION_TIMEOUT: Duration = Duration::from_secs(3);

/// What is to happen later.
pub(super) enum Later {
    Start(&'static str),
    Expel(&'static str),
    Wake(Weather),
    Calm(Weather),
    Undrain(&'static str),
    StartControl,
    Sync,
    Store,
    Flush,
}

/// The plan as it unfolds.
pub(super) struct Faults {
    rng: SmallRng,
    players: Vec<Arc<Player>>,
    pub(super) outages: Outages,
    pub(super) later: Vec<(Instant, Later)>,
    next_at: Instant,
    began: Instant,
    /// What went wrong, for people.
    pub(super) said: Vec<String>,
}

impl Faults {
    pub(super) fn new(seed: u64, rng: SmallRng, players: Vec<Arc<Player>>) -> Self {
        let began = Instant::now();
        let outages = Outages::new(SmallRng::seed_from_u64(!seed));
        let next_at = began + Duration::from_secs(2);
        Self { rng, players, outages, later: Vec::new(), next_at, began, said: Vec::new() }
    }

    pub(super) fn say(&mut self, what: String) {
        self.said.push(format!("{} ms: {what}", self.began.elapsed().as_millis()));
    }

    fn in_ms(&mut self, least: u64, most: u64, later: Later) {
        let at = Instant::now() + Duration::from_millis(self.rng.random_range(least..most));
        self.later.push((at, later));
    }

    /// Waits for the next thing to happen, and does it. Safe to drop while it waits.
    pub(super) async fn next(&mut self, world: &mut World) {
        let next_at = self.next_at.min(self.outages.next_at);
        let due = self.later.iter().map(|(at, _)| *at).min().unwrap_or(next_at).min(next_at);
        tokio::time::sleep_until(due).await;
        if let Some(position) = self.later.iter().position(|(at, _)| *at <= due) {
            let (_, later) = self.later.swap_remove(position);
            self.follow_up(later, world).await;
            return;
        }
        if self.outages.next_at <= due {
            return self.begin_outage(world);
        }
        self.next_at = Instant::now() + Duration::from_millis(self.rng.random_range(200..3_000));
        self.begin(world).await;
    }

    async fn begin(&mut self, world: &mut World) {
        let gateway = GATEWAYS[self.rng.random_range(0..2)];
        let worker = WORKERS[self.rng.random_range(0..2)];
        let node = if self.rng.random() { gateway } else { worker };
        match self.rng.random_range(0..13) {
            0 => self.crash(world, gateway),
            1 | 2 => self.crash(world, worker),
            3 => self.pause(world, worker),
            4 => {
                self.say(format!("cut {node}"));
                world.net.cut(node);
            }
            5 => {
                let player = self.rng.random_range(0..self.players.len());
                let name = self.players[player].name.clone();
                self.say(format!("cut {name}"));
                world.net.cut(&name);
            }
            6 | 7 => self.storm(world, node),
            8 => {
                self.say("the log crashes and loses what is not synced".into());
                world.log.crash();
            }
            9 => {
                self.say("the log syncs slowly".into());
                world.log.set_sync_ms_max(1_500);
                self.in_ms(1_000, 6_000, Later::Sync);
            }
            10 => {
                self.say("the message store is slow".into());
                world.messages.set_row_ms(80);
                self.in_ms(2_000, 10_000, Later::Store);
            }
            11 => {
                self.say(format!("drain {gateway}"));
                world.drain(gateway).await;
                self.in_ms(3_000, 15_000, Later::Undrain(gateway));
            }
            _ => self.forget(world).await,
        }
    }

    fn crash(&mut self, world: &mut World, name: &'static str) {
        if !world.is_running(name) {
            return;
        }
        let silently = self.rng.random_bool(0.3);
        // Not before the session of a worker ran out: a name is one member.
        let start_in = Duration::from_millis(self.rng.random_range(3_500..10_000));
        self.crash_for(world, name, silently, start_in);
    }

    pub(super) fn crash_for(&mut self, world: &mut World, name: &'static str, silently: bool, start_in: Duration) {
        self.say(format!("crash {name}{}", if silently { " silently" } else { "" }));
        world.crash(name, silently);
        if name.starts_with("worker") {
            self.later.push((Instant::now() + SESSION_TIMEOUT, Later::Expel(name)));
        }
        self.later.push((Instant::now() + start_in, Later::Start(name)));
    }

    /// Longer than its session: it wakes as a zombie.
    fn pause(&mut self, world: &mut World, name: &'static str) {
        let Some(weather) = world.weather(name) else { return };
        self.say(format!("pause {name}"));
        weather.set_power(Power::Paused);
        self.later.push((Instant::now() + SESSION_TIMEOUT, Later::Expel(name)));
        self.in_ms(3_100, 9_000, Later::Wake(weather));
    }

    fn storm(&mut self, world: &mut World, name: &str) {
        let Some(weather) = world.weather(name) else { return };
        let (failing, delay_ms) = (self.rng.random_range(0.0..0.4), self.rng.random_range(5..600));
        self.say(format!("storm over {name}: {:.0}% of calls fail, up to {delay_ms} ms", failing * 100.0));
        weather.storm(failing, delay_ms);
        self.in_ms(500, 8_000, Later::Calm(weather));
    }

    async fn forget(&mut self, world: &mut World) {
        match self.rng.random_range(0..4) {
            3 => {
                self.say("the registry evicts every session".into());
                world.registry.evict_sessions();
            }
            0 => {
                self.say("the caches are flushed".into());
                world.recent.flush();
            }
            1 => {
                self.say("the registry is flushed".into());
                world.registry.flush();
            }
            _ => {
                self.say("the control plane stops".into());
                world.stop_control().await;
                self.in_ms(1_000, 8_000, Later::StartControl);
            }
        }
    }

    async fn follow_up(&mut self, later: Later, world: &mut World) {
        match later {
            Later::Start(name) if name.starts_with("gw") => world.start_gateway(name),
            Later::Start(name) => world.start_worker(name),
            Later::Expel(name) => world.expel(name),
            Later::Wake(weather) if weather.is_off() => {}
            Later::Wake(weather) => weather.set_power(Power::On),
            Later::Calm(weather) => weather.storm(0.0, 3),
            Later::Undrain(name) => world.undrain(name).await,
            Later::StartControl => world.start_control().await,
            Later::Sync => world.log.set_sync_ms_max(5),
            Later::Store => world.messages.set_row_ms(1),
            Later::Flush => world.registry.flush(),
        }
    }

    /// Everything comes back, and nothing more goes wrong.
    pub(super) async fn heal(&mut self, world: &mut World) {
        self.say("the weather clears".into());
        let mut later = std::mem::take(&mut self.later);
        later.sort_by_key(|(at, _)| *at);
        for (at, later) in later {
            tokio::time::sleep_until(at).await;
            self.follow_up(later, world).await;
        }
        tokio::time::sleep_until(self.outages.over_at).await;
        // Nodes report to the control plane again before it is asked to put them back.
        sleep(Duration::from_secs(15)).await;
        for gateway in GATEWAYS {
            world.undrain(gateway).await;
        }
    }
}
