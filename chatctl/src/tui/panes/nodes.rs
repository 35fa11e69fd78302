//! Nodes: gateways and workers, their partitions and their lag.

use protocol::admin::{Lag, Node};

use super::{
    Cell, Column, Fact, Pane, Row,
    gateways::{or_none, status_tone, trouble_tone},
    to_yaml,
};
use crate::{
    output::{Tone, format_span, thousands},
    tui::{event::Need, state::Store},
};

pub(super) struct Nodes;

/// Older than this, what waits is worth a look.
const LAG_BUSY_MS: u64 = 1_000;
/// Older than this, it is late.
const LAG_BAD_MS: u64 = 5_000;

const COLUMNS: &[Column] = &[
    Column::text("Name", 12).grow(1),
    Column::text("Role", 7),
    Column::text("Status", 6),
    Column::number("Partitions", 10),
    Column::number("Lag", 9),
    Column::number("lag Age", 8),
    Column::text("Trouble", 14).grow(3),
    Column::number("Heard", 8).from(100),
    Column::number("cOnns", 9).from(110),
    Column::number("Desired", 8).from(140),
    Column::number("acKed", 8).from(140),
    Column::number("Incarnation", 11).from(180),
    Column::text("Zone", 10).from(120),
    Column::text("softWare", 22).from(180),
];

fn find<'a>(store: &'a Store, key: &str) -> Option<&'a Node> {
    store.nodes.value.as_ref()?.iter().find(|it| it.id == key)
}

impl Pane for Nodes {
    fn name(&self) -> &'static str {
        "nodes"
    }

    fn short(&self) -> &'static str {
        "no"
    }

    fn about(&self) -> &'static str {
        "gateways and workers; lag is what a worker has not stored yet, and enter shows it by partition"
    }

    fn needs(&self) -> &'static [Need] {
        &[Need::Nodes, Need::Lag]
    }

    fn columns(&self) -> &'static [Column] {
        COLUMNS
    }

    fn rows(&self, store: &Store) -> Vec<Row> {
        store.nodes.value.iter().flatten().map(row).collect()
    }

    fn facts(&self, store: &Store, key: &str) -> Vec<Fact> {
        let Some(it) = find(store, key) else { return Vec::new() };
        let lag = match it.lag_records {
            0 => "none".to_owned(),
            records => format!("{} records, oldest {}", thousands(records), format_span(it.lag_ms)),
        };
        let mut facts = vec![
            Fact::new("node", &it.id),
            Fact::new("role", it.role.as_str()),
            Fact::new("status", it.status.as_str()).tone(status_tone(it.status)),
            Fact::new("heard", format!("{} ago", format_span(it.heard_ms_ago))),
            Fact::new("trouble", or_none(&it.trouble)).tone(trouble_tone(&it.trouble)),
            Fact::new("connections", thousands(it.connections)),
            Fact::new("lag", lag).tone(lag_tone(it.lag_ms)),
            Fact::new("desired state", format!("version {}, acked {}", it.desired_version, it.acked_version)),
        ];
        if let Some(nack) = &it.nack {
            facts.push(Fact::new("refused", format!("version {}: {}", nack.version, nack.reason)).tone(Tone::Bad));
        }
        facts.extend([
            Fact::new("life", format!("{} (grows at each start)", it.incarnation)),
            Fact::new("zone", or_none(&it.zone)),
            Fact::new("software", &it.software),
            Fact::new("partitions sequenced", thousands(u64::from(it.partitions))),
        ]);
        let stored: Vec<_> = store.lag.value.iter().flatten().filter(|lag| lag.node == key).collect();
        if !stored.is_empty() {
            facts.push(Fact::new("partitions stored", "committed of end, records behind"));
        }
        facts.extend(stored.into_iter().map(partition));
        facts
    }

    fn yaml(&self, store: &Store, key: &str) -> Option<String> {
        to_yaml(find(store, key))
    }

    fn empty(&self) -> &'static str {
        "no node has reported to this control plane"
    }
}

fn row(it: &Node) -> Row {
    let waits = it.lag_records > 0;
    let acked = if it.nack.is_some() { Tone::Bad } else { Tone::Plain };
    let age = if waits { format_span(it.lag_ms) } else { "-".to_owned() };
    Row::new(
        &it.id,
        vec![
            Cell::text(&it.id),
            Cell::text(it.role.as_str()),
            Cell::text(it.status.as_str()).tone(status_tone(it.status)),
            Cell::number(u64::from(it.partitions)),
            Cell::number(it.lag_records),
            Cell::sorted(age, it.lag_ms).tone(lag_tone(it.lag_ms)),
            Cell::text(&it.trouble).tone(trouble_tone(&it.trouble)),
            Cell::sorted(format_span(it.heard_ms_ago), it.heard_ms_ago),
            Cell::number(it.connections),
            Cell::number(it.desired_version),
            Cell::number(it.acked_version).tone(acked),
            Cell::number(it.incarnation),
            Cell::text(&it.zone),
            Cell::text(&it.software),
        ],
    )
}

fn partition(lag: &Lag) -> Fact {
    let behind = lag.end.saturating_sub(lag.committed);
    let window = if lag.window.is_some() { ", above it at ONE" } else { "" };
    let (committed, end) = (thousands(lag.committed), thousands(lag.end));
    Fact::new(
        format!("  {} {}", lag.lane, lag.partition),
        format!("{committed} of {end}, {} behind{window}", thousands(behind)),
    )
}

fn lag_tone(ms: u64) -> Tone {
    match ms {
        0..LAG_BUSY_MS => Tone::Plain,
        LAG_BUSY_MS..LAG_BAD_MS => Tone::Busy,
        _ => Tone::Bad,
    }
}
