//! The audit: who did what, and why. Nobody changes it, so it has no dangerous key.

use protocol::admin::AuditEntry;

use super::{Cell, Column, Fact, Pane, Row, gateways::or_none, to_yaml};
use crate::{
    output::{Tone, format_ms, time_of_day},
    tui::{event::Need, state::Store},
};

pub(super) struct Audit;

const COLUMNS: &[Column] = &[
    Column::number("Seq", 5),
    Column::text("tIme", 8),
    Column::text("Who", 9).grow(1),
    Column::text("Action", 14).grow(1),
    Column::text("Target", 13).grow(1),
    Column::text("Result", 7).grow(1),
    Column::text("reasoN", 10).grow(3),
    Column::text("roLe", 8).from(110),
    Column::text("Before", 12).grow(2).from(140),
    Column::text("aFter", 12).grow(2).from(140),
];

fn find<'a>(store: &'a Store, key: &str) -> Option<&'a AuditEntry> {
    store.audit.value.as_ref()?.iter().find(|it| it.seq.to_string() == key)
}

impl Pane for Audit {
    fn name(&self) -> &'static str {
        "audit"
    }

    fn short(&self) -> &'static str {
        "au"
    }

    fn about(&self) -> &'static str {
        "who did what, and why, newest first; times are UTC"
    }

    fn needs(&self) -> &'static [Need] {
        &[Need::Audit]
    }

    fn columns(&self) -> &'static [Column] {
        COLUMNS
    }

    fn rows(&self, store: &Store) -> Vec<Row> {
        store.audit.value.iter().flatten().map(row).collect()
    }

    fn facts(&self, store: &Store, key: &str) -> Vec<Fact> {
        let Some(it) = find(store, key) else { return Vec::new() };
        vec![
            Fact::new("entry", it.seq.to_string()),
            Fact::new("time", format_ms(it.at_ms)),
            Fact::new("who", format!("{} ({})", it.who, it.role)),
            Fact::new("action", &it.action),
            Fact::new("target", or_none(&it.target)),
            Fact::new("reason", or_none(&it.reason)),
            Fact::new("before", or_none(&it.before)),
            Fact::new("after", or_none(&it.after)),
            Fact::new("result", &it.result).tone(tone(it)),
            Fact::new("hash", &it.hash),
            Fact::new("hash before", &it.previous_hash),
        ]
    }

    fn yaml(&self, store: &Store, key: &str) -> Option<String> {
        to_yaml(find(store, key))
    }

    fn empty(&self) -> &'static str {
        "nobody has done anything yet"
    }
}

fn row(it: &AuditEntry) -> Row {
    Row::new(
        it.seq.to_string(),
        vec![
            Cell::number(it.seq),
            Cell::sorted(time_of_day(it.at_ms), it.at_ms),
            Cell::text(&it.who),
            Cell::text(&it.action),
            Cell::text(&it.target),
            Cell::text(&it.result).tone(tone(it)),
            Cell::text(&it.reason),
            Cell::text(it.role.as_str()),
            Cell::text(&it.before),
            Cell::text(&it.after),
        ],
    )
}

fn tone(it: &AuditEntry) -> Tone {
    if it.result == "done" { Tone::Good } else { Tone::Bad }
}
