//! Gateways: how full they are, what they do; drain and undrain.

use protocol::admin::{Gateway, GatewayPhase, NodeStatus};

use super::{Cell, Column, Danger, Fact, Pane, Row, node, to_yaml};
use crate::{
    output::{Tone, counted, thousands},
    tui::{
        event::{Act, Need},
        state::{Ask, Store, load_percent, load_tone},
    },
};

pub(super) struct Gateways;

const COLUMNS: &[Column] = &[
    Column::text("Name", 16).grow(1),
    Column::text("Status", 7),
    Column::text("Phase", 8),
    Column::number("cOnns", 9),
    Column::number("Capacity", 9).from(100),
    Column::number("Load", 5),
    Column::number("Users", 9).from(100),
    Column::text("Trouble", 16).grow(3),
    Column::number("Accepted", 13).from(140),
    Column::number("Delivered", 13).from(140),
    Column::number("Refused", 9).from(160),
    Column::text("Zone", 10).from(120),
];

fn find<'a>(store: &'a Store, key: &str) -> Option<&'a Gateway> {
    store.gateways.value.as_ref()?.iter().find(|it| it.id == key)
}

impl Pane for Gateways {
    fn name(&self) -> &'static str {
        "gateways"
    }

    fn short(&self) -> &'static str {
        "gw"
    }

    fn about(&self) -> &'static str {
        "gateways hold the clients' connections"
    }

    fn needs(&self) -> &'static [Need] {
        &[Need::Gateways, Need::Nodes]
    }

    fn columns(&self) -> &'static [Column] {
        COLUMNS
    }

    fn rows(&self, store: &Store) -> Vec<Row> {
        store.gateways.value.iter().flatten().map(row).collect()
    }

    fn facts(&self, store: &Store, key: &str) -> Vec<Fact> {
        let Some(it) = find(store, key) else { return Vec::new() };
        let mut facts = vec![
            Fact::new("gateway", &it.id),
            Fact::new("status", it.status.as_str()).tone(status_tone(it.status)),
            Fact::new("phase", it.phase.as_str()).tone(phase_tone(it.phase)),
            Fact::new(
                "connections",
                format!("{} of {} ({}%)", thousands(it.connections), thousands(it.capacity), load_percent(it)),
            ),
            Fact::new("users", thousands(it.users)),
            Fact::new("trouble", or_none(&it.trouble)).tone(trouble_tone(&it.trouble)),
            Fact::new("operation", or_none(it.operation.as_deref().unwrap_or_default())),
            Fact::new("zone", or_none(&it.zone)),
            Fact::new("clients connect to", &it.client_url),
            Fact::new("its HTTP", &it.http_url),
        ];
        facts.extend(node::find(store, key).iter().flat_map(|it| node::facts(it)));
        facts.extend([
            Fact::new("since it started", ""),
            Fact::new("  accepted", counted(it.accepted_total, "messages")),
            Fact::new("  delivered", counted(it.delivered_total, "messages")),
            Fact::new("  refused", counted(it.refused_total, "messages")),
            Fact::new("  slow clients closed", thousands(it.slow_consumers_total)),
        ]);
        facts
    }

    fn yaml(&self, store: &Store, key: &str) -> Option<String> {
        to_yaml(find(store, key))
    }

    fn operation(&self, store: &Store, key: &str) -> Option<String> {
        find(store, key)?.operation.clone()
    }

    fn dangers(&self) -> &'static [Danger] {
        &[
            Danger { letter: 'd', ctrl: true, word: "drain", ask: drain },
            Danger { letter: 'u', ctrl: false, word: "undrain", ask: undrain },
        ]
    }

    fn empty(&self) -> &'static str {
        "no gateway has reported to this control plane"
    }
}

fn row(it: &Gateway) -> Row {
    Row::new(
        &it.id,
        vec![
            Cell::text(&it.id),
            Cell::text(it.status.as_str()).tone(status_tone(it.status)),
            Cell::text(it.phase.as_str()).tone(phase_tone(it.phase)),
            Cell::number(it.connections),
            Cell::number(it.capacity),
            Cell::sorted(format!("{}%", load_percent(it)), load_percent(it)).tone(load_tone(it)),
            Cell::number(it.users),
            Cell::text(&it.trouble).tone(trouble_tone(&it.trouble)),
            Cell::number(it.accepted_total),
            Cell::number(it.delivered_total),
            Cell::number(it.refused_total),
            Cell::text(&it.zone),
        ],
    )
}

fn drain(store: &Store, key: &str) -> Result<Ask, String> {
    let it = find(store, key).ok_or("the gateway is gone")?;
    if it.phase != GatewayPhase::Active {
        return Err(format!("{key} is {} already", it.phase));
    }
    let act = Act::Drain { gateway: key.to_owned(), reason: String::new() };
    Ok(Ask::new(format!("drain {key}"), act)
        .says("every connection moves to other gateways; at the deadline the rest is closed")
        .typed(key)
        .reason(false)
        .preview(key))
}

fn undrain(store: &Store, key: &str) -> Result<Ask, String> {
    let it = find(store, key).ok_or("the gateway is gone")?;
    if it.phase == GatewayPhase::Active {
        return Err(format!("{key} is in service: there is nothing to undo"));
    }
    let act = Act::Undrain { gateway: key.to_owned(), reason: String::new() };
    Ok(Ask::new(format!("undrain {key}"), act).says("the gateway accepts connections again").reason(false))
}

pub(super) fn or_none(text: &str) -> &str {
    if text.is_empty() { "none" } else { text }
}

pub(super) fn status_tone(status: NodeStatus) -> Tone {
    match status {
        NodeStatus::Live => Tone::Good,
        NodeStatus::Lost => Tone::Bad,
    }
}

fn phase_tone(phase: GatewayPhase) -> Tone {
    match phase {
        GatewayPhase::Active => Tone::Good,
        GatewayPhase::Draining | GatewayPhase::Evicting => Tone::Busy,
        GatewayPhase::Drained | GatewayPhase::Forced => Tone::Dim,
    }
}

pub(super) fn trouble_tone(trouble: &str) -> Tone {
    if trouble.is_empty() { Tone::Plain } else { Tone::Bad }
}
