//! The whole fleet from seeds: 200 of them hold, one of them replays exactly, and each planted bug is found.

#![allow(clippy::unwrap_used)] // Helpers of tests, outside `#[test]` functions.

use chatfleet_fleet::sim::{Plan, run};
use domain::{Bug, Planted};

/// Seeds of the ordinary test run; `examples/seeds.rs` runs as many as asked.
const SEEDS: u64 = 200;
/// A planted bug must be found within so many seeds.
const SEEDS_TO_FIND: u64 = 100;

/// Runs seeds on both cores; returns the outcomes that fail.
fn failing(seeds: std::ops::RangeInclusive<u64>) -> Vec<String> {
    let (first, last) = (*seeds.start(), *seeds.end());
    let half = |offset: u64| {
        move || -> Vec<String> {
            let mine = (first..=last).filter(|seed| seed % 2 == offset);
            mine.map(|seed| run(&Plan::new(seed))).filter(|it| !it.holds()).map(|it| it.to_string()).collect()
        }
    };
    std::thread::scope(|scope| {
        let halves = [scope.spawn(half(0)), scope.spawn(half(1))];
        halves.into_iter().flat_map(|half| half.join().expect("a seed panicked")).collect()
    })
}

#[test]
fn two_hundred_seeds_hold() {
    let failing = failing(1..=SEEDS);
    assert!(failing.is_empty(), "{} of {SEEDS} seeds fail:\n{}", failing.len(), failing.join("\n"));
}

#[test]
fn a_seed_replays_exactly() {
    let (one, other) = (run(&Plan::new(7)), run(&Plan::new(7)));
    assert_eq!(one.trace, other.trace);
    assert_eq!(one.simulated_ms, other.simulated_ms);
    assert_ne!(one.trace, run(&Plan::new(8)).trace);
}

fn finds(bug: Bug) {
    let found = (1..=SEEDS_TO_FIND).find(|seed| !run(&Plan { planted: Planted::one(bug), ..Plan::new(*seed) }).holds());
    let found = found.unwrap_or_else(|| panic!("{bug:?} was not found within {SEEDS_TO_FIND} seeds"));
    println!("{bug:?}: found by seed {found}");
}

#[test]
fn seeds_find_the_fold_switched_off() {
    finds(Bug::FoldOff);
}

#[test]
fn seeds_find_accepting_before_durable() {
    finds(Bug::AcceptBeforeDurable);
}

#[test]
fn seeds_find_a_missing_density_check() {
    finds(Bug::NoDensityCheck);
}

#[test]
fn seeds_find_cached_absence() {
    finds(Bug::AbsenceCached);
}

#[test]
fn seeds_find_missing_session_versions() {
    finds(Bug::NoSessionVersion);
}

#[test]
fn seeds_find_writes_of_zombies() {
    finds(Bug::ZombieWrites);
}
