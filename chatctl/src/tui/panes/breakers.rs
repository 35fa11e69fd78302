//! Breakers: one for each store and node. Open, close, let go.

use protocol::admin::{Breaker, BreakerState};

use super::{
    Cell, Column, Danger, Fact, Pane, Row,
    gateways::{or_none, trouble_tone},
    to_yaml,
};
use crate::{
    output::{Tone, format_span, thousands},
    tui::{
        event::{Act, Need},
        state::{Ask, Store},
    },
};

pub(super) struct Breakers;

const COLUMNS: &[Column] = &[
    Column::text("Breaker", 10),
    Column::text("Node", 12).grow(1),
    Column::text("State", 9),
    Column::number("For", 8),
    Column::text("set bY", 8).from(100),
    Column::number("Calls", 8),
    Column::number("Errors", 6),
    Column::number("P99", 9).from(100),
    Column::text("Trouble", 12).grow(3),
    Column::text("Override", 12).from(116),
];

fn key_of(it: &Breaker) -> String {
    format!("{} of {}", it.name, it.node)
}

fn find<'a>(store: &'a Store, key: &str) -> Option<&'a Breaker> {
    store.breakers.value.as_ref()?.iter().find(|it| key_of(it) == key)
}

impl Pane for Breakers {
    fn name(&self) -> &'static str {
        "breakers"
    }

    fn short(&self) -> &'static str {
        "br"
    }

    fn about(&self) -> &'static str {
        "a breaker stands between a node and a store: closed lets calls through, open answers them with an error at once"
    }

    fn needs(&self) -> &'static [Need] {
        &[Need::Breakers]
    }

    fn columns(&self) -> &'static [Column] {
        COLUMNS
    }

    fn rows(&self, store: &Store) -> Vec<Row> {
        let mut all: Vec<_> = store.breakers.value.iter().flatten().collect();
        // What is odd comes first.
        all.sort_by_key(|it| it.state == BreakerState::Closed && it.forced_by.is_none());
        all.into_iter().map(row).collect()
    }

    fn facts(&self, store: &Store, key: &str) -> Vec<Fact> {
        let Some(it) = find(store, key) else { return Vec::new() };
        vec![
            Fact::new("breaker", &it.name),
            Fact::new("node", &it.node),
            Fact::new("state", it.state.as_str()).tone(tone(it.state)),
            Fact::new("for", format_span(it.for_ms)),
            Fact::new("set by", &it.set_by),
            Fact::new("held by override", it.forced_by.as_deref().unwrap_or("none")),
            Fact::new("last 10 s", ""),
            Fact::new("  calls", thousands(it.calls)),
            Fact::new("  errors", format!("{} ({}%)", thousands(it.errors), percent(it))),
            Fact::new("  p99", format!("{} ms", thousands(it.p99_ms))),
            Fact::new("last error", or_none(&it.trouble)).tone(trouble_tone(&it.trouble)),
        ]
    }

    fn yaml(&self, store: &Store, key: &str) -> Option<String> {
        to_yaml(find(store, key))
    }

    fn dangers(&self) -> &'static [Danger] {
        &[
            Danger { letter: 'o', ctrl: false, word: "hold open", ask: open },
            Danger { letter: 'c', ctrl: false, word: "hold closed", ask: close },
            Danger { letter: 'a', ctrl: false, word: "auto", ask: auto },
        ]
    }

    fn empty(&self) -> &'static str {
        "no node reports a breaker"
    }
}

fn row(it: &Breaker) -> Row {
    let errors = if it.errors > 0 { Tone::Bad } else { Tone::Plain };
    Row::new(
        key_of(it),
        vec![
            Cell::text(&it.name),
            Cell::text(&it.node),
            Cell::text(it.state.as_str()).tone(tone(it.state)),
            Cell::sorted(format_span(it.for_ms), it.for_ms),
            Cell::text(&it.set_by),
            Cell::number(it.calls),
            Cell::sorted(format!("{}%", percent(it)), percent(it)).tone(errors),
            Cell::sorted(format!("{} ms", thousands(it.p99_ms)), it.p99_ms),
            Cell::text(&it.trouble).tone(trouble_tone(&it.trouble)),
            Cell::text(it.forced_by.clone().unwrap_or_default()),
        ],
    )
}

fn percent(it: &Breaker) -> u64 {
    (it.errors * 100).checked_div(it.calls).unwrap_or(0)
}

pub(super) fn tone(state: BreakerState) -> Tone {
    match state {
        BreakerState::Closed => Tone::Good,
        BreakerState::HalfOpen => Tone::Busy,
        BreakerState::Open => Tone::Bad,
    }
}

fn open(store: &Store, key: &str) -> Result<Ask, String> {
    hold(store, key, BreakerState::Open, "calls of this store are answered with an error at once")
}

fn close(store: &Store, key: &str) -> Result<Ask, String> {
    hold(store, key, BreakerState::Closed, "calls of this store are made however many fail")
}

fn hold(store: &Store, key: &str, state: BreakerState, says: &str) -> Result<Ask, String> {
    let it = find(store, key).ok_or("the breaker is gone")?;
    let (name, scope) = (it.name.clone(), it.node.clone());
    let act = Act::Breaker { name: name.clone(), state, scope: scope.clone(), for_ms: 0, reason: String::new() };
    Ok(Ask::new(format!("hold breaker {name} {state}"), act)
        .says(says)
        .says("the node lets it go by its own clock when the time is over")
        .typed(&name)
        .scope(&scope)
        .lasts()
        .reason(true))
}

fn auto(store: &Store, key: &str) -> Result<Ask, String> {
    let it = find(store, key).ok_or("the breaker is gone")?;
    let Some(id) = &it.forced_by else { return Err(format!("{key} is not held: it moves by itself")) };
    let act = Act::Revert { id: id.clone(), reason: String::new() };
    Ok(Ask::new(format!("let breaker {} go", it.name), act)
        .says(format!("override {id} ends wherever it is in force"))
        .reason(true))
}
