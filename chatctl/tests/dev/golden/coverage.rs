//! That no command is without a golden output: each verb is in a scene, or among those that by nature have none.

use std::collections::BTreeSet;

use chatctl::Cli;
use clap::{ArgMatches, CommandFactory as _};

use super::play::{Line, SCENES};

/// Commands without a golden output, and why.
const WITHOUT: &[(&str, &str)] = &[
    ("ui", "has the whole screen; tested on a terminal in terminal.rs"),
    ("dev", "is the fleet that the others are played on; tested in lifecycle.rs"),
    ("fleet up", "is the fleet that the others are played on, on the real stack; tested by the examples soak and day"),
    ("fleet down", "stops that fleet; talks to a supervisor, not to a control plane"),
    ("fleet scale", "talks to a supervisor, which dev has not; tested in the example day"),
    ("fleet status", "shows processes of this machine, which dev has not; tested in tests/cli/fleet.rs"),
    ("chat", "is a conversation of people; tested in chat.rs"),
    ("swarm replay", "its output is measurements; tested in replay.rs"),
    ("swarm run", "its output is measurements; tested in operations.rs and runbooks.rs"),
    ("completions", "prints what clap generates, for a shell; tested in tests/cli/refusals.rs"),
    ("man", "writes what clap generates, into files"),
];

/// The verbs at the ends of the tree of commands.
fn leaves(command: &clap::Command, path: &str, found: &mut BTreeSet<String>) {
    let under: Vec<_> = command.get_subcommands().filter(|one| one.get_name() != "help").collect();
    if under.is_empty() {
        found.insert(path.to_owned());
    }
    for one in under {
        leaves(one, format!("{path} {}", one.get_name()).trim_start(), found);
    }
}

fn verb(matches: &ArgMatches) -> String {
    match matches.subcommand() {
        None => String::new(),
        Some((name, under)) => format!("{name} {}", verb(under)).trim_end().to_owned(),
    }
}

#[test]
fn golden_output_is_there_for_every_verb() {
    let mut all = BTreeSet::new();
    leaves(&Cli::command(), "", &mut all);
    let said = SCENES.iter().flat_map(|scene| scene.lines).filter_map(|line| match line {
        Line::Say(text) => Some(shlex::split(text).unwrap()),
        Line::Until(_) | Line::Behind(_) => None,
    });
    // A line that clap refuses shows no verb at work: it is there for the refusal.
    let parsed = said
        .filter_map(|args| Cli::command().try_get_matches_from(["chatctl".to_owned()].into_iter().chain(args)).ok());
    let played: BTreeSet<String> = parsed.map(|matches| verb(&matches)).collect();
    let without: BTreeSet<String> = WITHOUT.iter().map(|(verb, _)| (*verb).to_owned()).collect();

    let missing: Vec<_> = all.difference(&played).filter(|verb| !without.contains(*verb)).collect();
    assert!(missing.is_empty(), "no golden output, so add them to a scene: {missing:?}");
    let stale: Vec<_> = without.iter().filter(|verb| !all.contains(*verb) || played.contains(*verb)).collect();
    assert!(stale.is_empty(), "said to be without a golden output, and are gone or have one: {stale:?}");
}
