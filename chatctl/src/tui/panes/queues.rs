//! Queues: what waits in each partition of the log, and how far its worker has stored it.

use protocol::admin::Lag;

use super::{Cell, Column, Fact, Pane, Row, to_yaml};
use crate::{
    output::{Tone, counted, thousands},
    tui::{event::Need, state::Store},
};

pub(super) struct Queues;

const COLUMNS: &[Column] = &[
    Column::text("Partition", 12).grow(1),
    Column::text("Worker", 14).grow(2),
    Column::number("Behind", 10),
    Column::number("Unread", 10),
    Column::number("Storing", 10),
    Column::text("Lowered by", 10).grow(1),
    Column::number("End", 12).from(120),
    Column::number("Read to", 12).from(120),
    Column::number("Committed", 12).from(120),
];

/// What tells a partition from others.
fn key(it: &Lag) -> String {
    format!("{} {}", it.lane, it.partition)
}

fn find<'a>(store: &'a Store, wanted: &str) -> Option<&'a Lag> {
    store.lag.value.as_ref()?.iter().find(|it| key(it) == wanted)
}

/// Records between the commit pointer and the end, those of them that are not read yet, and those that are.
fn waiting(it: &Lag) -> (u64, u64, u64) {
    (it.end.saturating_sub(it.committed), it.end.saturating_sub(it.read), it.read.saturating_sub(it.committed))
}

impl Pane for Queues {
    fn name(&self) -> &'static str {
        "queues"
    }

    fn short(&self) -> &'static str {
        "lag"
    }

    fn about(&self) -> &'static str {
        "what waits in each partition: not read by its worker yet, or read and not stored at quorum yet"
    }

    fn needs(&self) -> &'static [Need] {
        &[Need::Lag]
    }

    fn columns(&self) -> &'static [Column] {
        COLUMNS
    }

    fn rows(&self, store: &Store) -> Vec<Row> {
        store.lag.value.iter().flatten().map(row).collect()
    }

    fn facts(&self, store: &Store, key: &str) -> Vec<Fact> {
        let Some(it) = find(store, key) else { return Vec::new() };
        let (behind, unread, read) = waiting(it);
        let records = |count: u64| counted(count, "records");
        let mut facts = vec![
            Fact::new("partition", key),
            Fact::new("stored by", &it.node),
            Fact::new("ends at", thousands(it.end)),
            Fact::new("read to", format!("{}, not read yet: {}", thousands(it.read), records(unread))),
            Fact::new("committed to", format!("{}, read beyond: {}", thousands(it.committed), records(read))),
            Fact::new("behind", records(behind)).tone(tone(behind)),
        ];
        if let Some(window) = &it.window {
            let why = format!("rows above the commit pointer, by {window}: written again at quorum when it is over");
            facts.push(Fact::new("at ONE", why).tone(Tone::Busy));
        }
        facts
    }

    fn yaml(&self, store: &Store, key: &str) -> Option<String> {
        to_yaml(find(store, key))
    }

    fn empty(&self) -> &'static str {
        "no worker stores a partition"
    }
}

fn row(it: &Lag) -> Row {
    let (behind, unread, read) = waiting(it);
    Row::new(
        key(it),
        vec![
            Cell::text(key(it)),
            Cell::text(&it.node),
            Cell::number(behind).tone(tone(behind)),
            Cell::number(unread),
            Cell::number(read),
            Cell::text(it.window.clone().unwrap_or_default()).tone(Tone::Busy),
            Cell::number(it.end),
            Cell::number(it.read),
            Cell::number(it.committed),
        ],
    )
}

fn tone(behind: u64) -> Tone {
    if behind == 0 { Tone::Good } else { Tone::Busy }
}
