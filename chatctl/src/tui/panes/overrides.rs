//! Overrides: what is forced for a while. Revert.

use protocol::admin::{Override, OverrideState, Standing};

use super::{Cell, Column, Danger, Fact, Pane, Row, to_yaml};
use crate::{
    output::{Tone, format_ms, format_span},
    tui::{
        event::{Act, Need},
        state::{Ask, Store},
    },
};

pub(super) struct Overrides;

const COLUMNS: &[Column] = &[
    Column::text("Id", 10).grow(1),
    Column::text("What", 22).grow(2),
    Column::text("Scope", 8).grow(1),
    Column::text("sTate", 7),
    Column::number("Left", 8),
    Column::number("Nodes", 5),
    Column::text("whO", 8).from(100),
    Column::text("Reason", 14).grow(3).from(100),
    Column::text("Ended by", 12).from(120),
    Column::text("Created", 20).from(150),
];

fn find<'a>(store: &'a Store, key: &str) -> Option<&'a Override> {
    store.overrides.value.as_ref()?.iter().find(|it| it.id == key)
}

impl Pane for Overrides {
    fn name(&self) -> &'static str {
        "overrides"
    }

    fn short(&self) -> &'static str {
        "ov"
    }

    fn about(&self) -> &'static str {
        "what is forced for a while; each has an end, and a node takes it back by its own clock"
    }

    fn needs(&self) -> &'static [Need] {
        &[Need::Overrides]
    }

    fn columns(&self) -> &'static [Column] {
        COLUMNS
    }

    fn rows(&self, store: &Store) -> Vec<Row> {
        let mut all: Vec<_> = store.overrides.value.iter().flatten().collect();
        all.sort_by_key(|it| !is_on(it));
        all.into_iter().map(row).collect()
    }

    fn facts(&self, store: &Store, key: &str) -> Vec<Fact> {
        let Some(it) = find(store, key) else { return Vec::new() };
        let mut facts = vec![
            Fact::new("override", &it.id),
            Fact::new("what", it.lever.to_string()),
            Fact::new("scope", &it.scope),
            Fact::new("state", it.state.as_str()).tone(override_tone(it)),
            Fact::new("time left", left(it)),
            Fact::new("reason", &it.reason),
            Fact::new("who", &it.who),
            Fact::new("created", format_ms(it.created_ms)),
            Fact::new("ends by itself", format_ms(it.until_ms)),
        ];
        if let Some(ms) = it.ended_ms {
            facts.push(Fact::new("ended", format_ms(ms)));
        }
        if let Some(by) = &it.ended_by {
            facts.push(Fact::new("ended by", by));
        }
        facts.push(Fact::new("nodes", applied(it)));
        facts.extend(it.nodes.iter().map(|on| {
            let tone = match on.standing {
                Standing::Applied => Tone::Good,
                Standing::Sent => Tone::Busy,
                Standing::Unreachable => Tone::Bad,
            };
            Fact::new(format!("  {}", on.node), on.standing.as_str()).tone(tone)
        }));
        facts
    }

    fn yaml(&self, store: &Store, key: &str) -> Option<String> {
        to_yaml(find(store, key))
    }

    fn dangers(&self) -> &'static [Danger] {
        &[Danger { letter: 'x', ctrl: true, word: "revert", ask: revert }]
    }

    fn empty(&self) -> &'static str {
        "nothing is forced, and nothing was"
    }
}

fn row(it: &Override) -> Row {
    Row::new(
        &it.id,
        vec![
            Cell::text(&it.id),
            Cell::text(it.lever.to_string()),
            Cell::text(&it.scope),
            Cell::text(it.state.as_str()).tone(override_tone(it)),
            Cell::sorted(left(it), it.left_ms),
            Cell::text(applied(it)),
            Cell::text(&it.who),
            Cell::text(&it.reason),
            Cell::text(it.ended_by.clone().unwrap_or_default()),
            Cell::sorted(format_ms(it.created_ms), it.created_ms),
        ],
    )
}

fn revert(store: &Store, key: &str) -> Result<Ask, String> {
    let it = find(store, key).ok_or("the override is gone")?;
    if !is_on(it) {
        return Err(format!("{key} is over already"));
    }
    let act = Act::Revert { id: key.to_owned(), reason: String::new() };
    Ok(Ask::new(format!("revert {key}"), act).says(format!("ends on {}: {}", it.scope, it.lever)).reason(true))
}

fn is_on(it: &Override) -> bool {
    matches!(it.state, OverrideState::Pending | OverrideState::Active)
}

fn left(it: &Override) -> String {
    if is_on(it) { format_span(it.left_ms) } else { "-".to_owned() }
}

fn applied(it: &Override) -> String {
    let applied = it.nodes.iter().filter(|on| on.standing == Standing::Applied).count();
    if it.nodes.is_empty() { "-".to_owned() } else { format!("{applied}/{}", it.nodes.len()) }
}

fn override_tone(it: &Override) -> Tone {
    match it.state {
        OverrideState::Active if it.lever.is_fault() => Tone::Bad,
        OverrideState::Pending | OverrideState::Active => Tone::Busy,
        OverrideState::Ended => Tone::Dim,
        OverrideState::Refused => Tone::Bad,
    }
}
