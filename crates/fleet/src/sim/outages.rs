//! What goes wrong with the registry, and with who reaches it. Drawn by a generator of its own and at times of its own, so
//! that the other faults of a seed are what they were.

use rand::{Rng as _, rngs::SmallRng};
use tokio::time::{Duration, Instant};

use super::{
    faults::{Faults, GATEWAYS, Later, WORKERS},
    registry::ForgetsAfter,
    world::World,
};

/// As [`super::stores::Windy`] names it.
pub(super) const REGISTRY: &str = "registry";

/// When the next one begins, and what it will be.
pub(super) struct Outages {
    rng: SmallRng,
    pub(super) next_at: Instant,
    /// When everybody reaches it again.
    pub(super) over_at: Instant,
}

impl Outages {
    pub(super) fn new(rng: SmallRng) -> Self {
        let mut outages = Self { rng, next_at: Instant::now(), over_at: Instant::now() };
        outages.next_at = outages.in_ms(3_000, 10_000);
        outages
    }

    fn ms(&mut self, least: u64, most: u64) -> Duration {
        Duration::from_millis(self.rng.random_range(least..most))
    }

    fn in_ms(&mut self, least: u64, most: u64) -> Instant {
        Instant::now() + self.ms(least, most)
    }

    fn one_of(&mut self, names: [&'static str; 2]) -> &'static str {
        names[self.rng.random_range(0..2)]
    }

    /// One of them, or both.
    fn some_of(&mut self, names: [&'static str; 2]) -> Vec<&'static str> {
        match self.rng.random() {
            true => names.to_vec(),
            false => vec![self.one_of(names)],
        }
    }
}

impl Faults {
    pub(super) fn begin_outage(&mut self, world: &mut World) {
        self.outages.next_at = self.outages.in_ms(4_000, 15_000);
        match self.outages.rng.random_range(0..7) {
            0 => {
                let gap = self.outages.ms(20, 9_000);
                self.say(format!("the registry is flushed, and again after {} ms", gap.as_millis()));
                world.registry.flush();
                self.later.push((Instant::now() + gap, Later::Flush));
            }
            1 => {
                let after = if self.outages.rng.random() { ForgetsAfter::Sessions } else { ForgetsAfter::Lease };
                self.say(format!("the registry is flushed, and again when it was told {after:?}"));
                world.registry.flush_again(after);
            }
            2 | 3 => self.birth(world),
            4 | 5 => {
                let gateway = self.outages.one_of(GATEWAYS);
                self.cut_off(world, &[gateway], 500, 20_000);
            }
            _ => {
                self.cut_off(world, &[WORKERS, GATEWAYS].concat(), 500, 15_000);
                if self.outages.rng.random_bool(0.3) {
                    self.say("and forgets everything".to_owned());
                    world.registry.flush();
                }
            }
        }
    }

    /// A gateway restarts while some worker or none reaches the registry.
    fn birth(&mut self, world: &mut World) {
        let gateway = self.outages.one_of(GATEWAYS);
        let workers = self.outages.some_of(WORKERS);
        self.cut_off(world, &workers, 3_000, 12_000);
        if world.is_running(gateway) {
            let silently = self.outages.rng.random_bool(0.3);
            let start_in = self.outages.ms(200, 7_000);
            self.crash_for(world, gateway, silently, start_in);
        }
    }

    /// These nodes alone cannot reach the registry for a while, all of them for as long.
    fn cut_off(&mut self, world: &World, names: &[&'static str], least_ms: u64, most_ms: u64) {
        let lasts = self.outages.ms(least_ms, most_ms);
        self.say(format!("{} cannot reach the registry for {} ms", names.join(", "), lasts.as_millis()));
        let until = Instant::now() + lasts;
        self.outages.over_at = self.outages.over_at.max(until);
        for weather in names.iter().filter_map(|name| world.weather(name)) {
            weather.cut_off(REGISTRY, until);
        }
    }
}
