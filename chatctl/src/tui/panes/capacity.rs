//! Capacity and events: what the load of now, or a multiple of it, needs; what the fleet is scaled for.

use protocol::admin::{CapacityInput, EventState, PlanRow, ScaleEvent};

use super::{Cell, Column, Danger, Fact, Pane, Row, to_yaml};
use crate::{
    output::{Tone, format_ms, format_span},
    tui::{
        event::{Act, Need},
        state::{Ask, Lookup, Store, figure},
    },
};

pub(super) struct Capacity;

/// Before the name of an event in a row's key: an event may be called as a kind of node.
const EVENT: &str = "event ";

const COLUMNS: &[Column] = &[
    Column::text("What", 20).grow(1),
    Column::text("State", 8),
    Column::number("Now", 9),
    Column::number("nEeded", 9),
    Column::text("Details", 22).grow(3),
];

fn event<'a>(store: &'a Store, key: &str) -> Option<&'a ScaleEvent> {
    let name = key.strip_prefix(EVENT)?;
    store.scale_events.value.as_ref()?.iter().find(|it| it.name == name)
}

impl Pane for Capacity {
    fn name(&self) -> &'static str {
        "capacity"
    }

    fn short(&self) -> &'static str {
        "cap"
    }

    fn about(&self) -> &'static str {
        "what the load needs and where each number comes from; `:capacity 5` for five times the load; events below"
    }

    fn needs(&self) -> &'static [Need] {
        &[Need::Capacity, Need::ScaleEvents]
    }

    fn columns(&self) -> &'static [Column] {
        COLUMNS
    }

    fn rows(&self, store: &Store) -> Vec<Row> {
        let plan = store.capacity.value.as_ref();
        let nodes = plan.iter().flat_map(|plan| plan.rows.iter().map(|it| nodes_row(it, plan.factor)));
        let events = store.scale_events.value.iter().flatten().map(event_row);
        let inputs = plan.iter().flat_map(|plan| plan.inputs.iter().map(input_row));
        nodes.chain(events).chain(inputs).collect()
    }

    fn facts(&self, store: &Store, key: &str) -> Vec<Fact> {
        if let Some(it) = event(store, key) {
            return event_facts(it);
        }
        let Some(plan) = &store.capacity.value else { return Vec::new() };
        if let Some(it) = plan.inputs.iter().find(|it| it.name == key) {
            return vec![
                Fact::new("what", &it.name),
                Fact::new("value", figure(it.value, &it.unit)),
                Fact::new("comes from", &it.source),
            ];
        }
        let Some(it) = plan.rows.iter().find(|it| it.what == key) else { return Vec::new() };
        let mut facts = vec![
            Fact::new("what", &it.what),
            Fact::new("load", format!("x{} of now", plan.factor)),
            Fact::new("now", it.now.to_string()),
            Fact::new("needed", it.needed.to_string()),
            Fact::new("to add", it.add.to_string()).tone(add_tone(it)),
            Fact::new("lead time", format_span(it.lead_ms)),
            Fact::new(
                "cost",
                if it.cost_per_h > 0.0 {
                    format!("{:.2} an hour", it.cost_per_h)
                } else {
                    "no price is configured".to_owned()
                },
            ),
            Fact::new("added by", &plan.provisioner),
        ];
        facts.extend(plan.assumptions.iter().map(|it| Fact::new("taken for granted", it)));
        facts
    }

    fn yaml(&self, store: &Store, key: &str) -> Option<String> {
        match event(store, key) {
            Some(it) => to_yaml(Some(it)),
            None => to_yaml(store.capacity.value.as_ref()),
        }
    }

    fn looks_up(&self) -> Option<Lookup> {
        Some(Lookup::Factor)
    }

    fn operation(&self, store: &Store, key: &str) -> Option<String> {
        event(store, key)?.operation.clone()
    }

    fn dangers(&self) -> &'static [Danger] {
        &[
            Danger { letter: 's', ctrl: false, word: "scale", ask: scale },
            Danger { letter: 'b', ctrl: false, word: "scale back", ask: unscale },
            Danger { letter: 'x', ctrl: true, word: "forget the event", ask: forget },
        ]
    }

    fn empty(&self) -> &'static str {
        "nothing is known of the load yet"
    }
}

fn add_tone(it: &PlanRow) -> Tone {
    if it.add > 0 { Tone::Busy } else { Tone::Good }
}

fn nodes_row(it: &PlanRow, factor: f64) -> Row {
    let state = if it.add > 0 { format!("add {}", it.add) } else { "enough".to_owned() };
    let load = if factor == 1.0 { "the load of now".to_owned() } else { format!("{factor} times the load of now") };
    Row::new(
        &it.what,
        vec![
            Cell::text(&it.what),
            Cell::text(state).tone(add_tone(it)),
            Cell::number(it.now),
            Cell::number(it.needed),
            Cell::text(format!("for {load}, ready in {}", format_span(it.lead_ms))),
        ],
    )
}

fn input_row(it: &CapacityInput) -> Row {
    let value = Cell::sorted(figure(it.value, ""), it.value as u64);
    Row::new(
        &it.name,
        vec![
            Cell::text(&it.name).tone(Tone::Dim),
            Cell::text("input").tone(Tone::Dim),
            value,
            Cell::text(&it.unit).tone(Tone::Dim),
            Cell::text(&it.source).tone(Tone::Dim),
        ],
    )
}

fn event_row(it: &ScaleEvent) -> Row {
    let tone = match it.state {
        EventState::Planned => Tone::Plain,
        EventState::Scaled => Tone::Busy,
        EventState::Over => Tone::Dim,
    };
    let details = match &it.trouble {
        Some(why) => Cell::text(why).tone(Tone::Bad),
        None => Cell::text(format!("scales {}, ends {}", format_ms(it.scales_ms), format_ms(it.ends_ms))),
    };
    Row::new(
        format!("{EVENT}{}", it.name),
        vec![
            Cell::text(format!("event {}", it.name)),
            Cell::text(it.state.as_str()).tone(tone),
            Cell::text(""),
            Cell::text(format!("x{}", it.factor)),
            details,
        ],
    )
}

fn event_facts(it: &ScaleEvent) -> Vec<Fact> {
    let mut facts = vec![
        Fact::new("event", &it.name),
        Fact::new("state", it.state.as_str()),
        Fact::new("load", format!("x{} of when it scales", it.factor)),
        Fact::new("scales", format_ms(it.scales_ms)),
        Fact::new("begins", format_ms(it.starts_ms)),
        Fact::new("ends", format_ms(it.ends_ms)),
        Fact::new("planned by", &it.who),
        Fact::new("reason", &it.reason),
    ];
    facts.extend(it.trouble.as_ref().map(|why| Fact::new("trouble", why).tone(Tone::Bad)));
    facts
}

fn scale(store: &Store, _key: &str) -> Result<Ask, String> {
    let factor = store.looked_up.factor.clone();
    let act = Act::Prescale { factor: factor.clone(), reason: String::new() };
    Ok(Ask::new("scale the fleet", act)
        .says("the provisioner is told how many nodes there shall be; none is taken away")
        .factor(&factor)
        .typed("scale")
        .reason(true))
}

fn unscale(_store: &Store, _key: &str) -> Result<Ask, String> {
    Ok(Ask::new("scale back", Act::Unscale { reason: String::new() })
        .says("what the last scaling added goes: gateways are drained first, store nodes stay")
        .typed("back")
        .reason(true))
}

fn forget(store: &Store, key: &str) -> Result<Ask, String> {
    let it = event(store, key).ok_or("choose an event")?;
    if it.state == EventState::Over {
        return Err(format!("{} is over", it.name));
    }
    let act = Act::ForgetEvent { name: it.name.clone(), reason: String::new() };
    Ok(Ask::new(format!("forget event {}", it.name), act)
        .says("a fleet that is scaled for it stays so until it is scaled back")
        .reason(true))
}
