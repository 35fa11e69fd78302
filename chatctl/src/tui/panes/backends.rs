//! Backends: each store that nodes stand on, as all of them together meet it. Enter leads to its breakers, by node.

use std::collections::BTreeMap;

use protocol::admin::{Breaker, BreakerState};

use super::{Cell, Column, Fact, Pane, Row, breakers, to_yaml};
use crate::{
    output::{Tone, thousands},
    tui::{event::Need, state::Store},
};

pub(super) struct Backends;

const COLUMNS: &[Column] = &[
    Column::text("Store", 12).grow(1),
    Column::text("sTate", 15),
    Column::number("Nodes", 5),
    Column::number("dOwn on", 7),
    Column::number("Calls/s", 7),
    Column::number("Errors", 7),
    Column::number("P99", 9),
    Column::text("tRouble", 14).grow(4).from(100),
];

/// Figures of breakers are of the last ten seconds.
const WINDOW_S: u64 = 10;

/// Breakers of each store.
fn stores(store: &Store) -> BTreeMap<&str, Vec<&Breaker>> {
    let mut stores: BTreeMap<&str, Vec<&Breaker>> = BTreeMap::new();
    for it in store.breakers.value.iter().flatten() {
        stores.entry(&it.name).or_default().push(it);
    }
    stores
}

impl Pane for Backends {
    fn name(&self) -> &'static str {
        "backends"
    }

    fn short(&self) -> &'static str {
        "stores"
    }

    fn about(&self) -> &'static str {
        "the stores that nodes stand on, as all nodes together meet them; enter shows one by node"
    }

    fn needs(&self) -> &'static [Need] {
        &[Need::Breakers]
    }

    fn columns(&self) -> &'static [Column] {
        COLUMNS
    }

    fn rows(&self, store: &Store) -> Vec<Row> {
        stores(store).into_iter().map(|(name, nodes)| row(name, &nodes)).collect()
    }

    fn facts(&self, store: &Store, key: &str) -> Vec<Fact> {
        let Some(nodes) = stores(store).remove(key) else { return Vec::new() };
        let node = |it: &&Breaker| {
            let trouble = if it.trouble.is_empty() { String::new() } else { format!(": {}", it.trouble) };
            Fact::new(&it.node, format!("{}, p99 {} ms{trouble}", it.state, it.p99_ms)).tone(breakers::tone(it.state))
        };
        nodes.iter().map(node).collect()
    }

    fn yaml(&self, store: &Store, key: &str) -> Option<String> {
        to_yaml(stores(store).remove(key).as_ref())
    }

    fn leads_to(&self, key: &str) -> Option<(&'static str, String)> {
        Some(("breakers", key.to_owned()))
    }

    fn enters(&self) -> (&'static str, &'static str) {
        ("breakers", "its breakers, node by node")
    }

    fn empty(&self) -> &'static str {
        "no node reports a store"
    }
}

fn row(name: &str, nodes: &[&Breaker]) -> Row {
    let sum = |of: fn(&Breaker) -> u64| nodes.iter().map(|it| of(it)).sum::<u64>();
    let (calls, errors) = (sum(|it| it.calls), sum(|it| it.errors));
    let down = nodes.iter().filter(|it| !it.trouble.is_empty() || it.state != BreakerState::Closed).count() as u64;
    let (state, tone) = match down {
        0 => ("well", Tone::Good),
        n if n < nodes.len() as u64 => ("some nodes", Tone::Busy),
        _ => ("every node", Tone::Bad),
    };
    let state = if down > 0 { format!("ill: {state}") } else { state.to_owned() };
    let p99_ms = nodes.iter().map(|it| it.p99_ms).max().unwrap_or(0);
    let percent = (errors * 100).checked_div(calls).unwrap_or(0);
    let trouble = nodes.iter().find(|it| !it.trouble.is_empty()).map(|it| format!("{}: {}", it.node, it.trouble));
    Row::new(
        name,
        vec![
            Cell::text(name),
            Cell::text(state).tone(tone),
            Cell::number(nodes.len() as u64),
            Cell::number(down).tone(if down > 0 { Tone::Bad } else { Tone::Plain }),
            Cell::number(calls / WINDOW_S),
            Cell::sorted(format!("{percent}%"), percent).tone(if errors > 0 { Tone::Bad } else { Tone::Plain }),
            Cell::sorted(format!("{} ms", thousands(p99_ms)), p99_ms),
            Cell::text(trouble.unwrap_or_default()).tone(Tone::Bad),
        ],
    )
}
