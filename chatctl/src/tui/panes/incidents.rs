//! Incidents: what a detector saw, with the numbers. Take them, say that they are over.

use protocol::admin::{Incident, IncidentState, Severity};

use super::{Cell, Column, Danger, Fact, NamedRunbook, Pane, Row, overview::words, to_yaml};
use crate::{
    commands::incident::runbook_command,
    output::{Tone, format_ms, format_span},
    tui::{
        event::{Act, Need},
        state::{Ask, Store, figure},
    },
};

pub(super) struct Incidents;

const COLUMNS: &[Column] = &[
    Column::text("Id", 11).grow(1),
    Column::text("sEverity", 8),
    Column::text("State", 12),
    Column::text("Mode", 14),
    Column::text("sUmmary", 16).grow(6),
    Column::number("Age", 8),
    Column::text("Taken by", 10).from(110),
    Column::text("Runbook", 14).from(130),
    Column::text("Opened", 20).from(150),
];

fn find<'a>(store: &'a Store, key: &str) -> Option<&'a Incident> {
    store.incidents.value.as_ref()?.iter().find(|it| it.id == key)
}

impl Pane for Incidents {
    fn name(&self) -> &'static str {
        "incidents"
    }

    fn short(&self) -> &'static str {
        "inc"
    }

    fn about(&self) -> &'static str {
        "what the detectors of the six failure modes saw; enter shows the numbers, o the runbook"
    }

    fn needs(&self) -> &'static [Need] {
        &[Need::Incidents]
    }

    fn columns(&self) -> &'static [Column] {
        COLUMNS
    }

    fn rows(&self, store: &Store) -> Vec<Row> {
        let mut all: Vec<_> = store.incidents.value.iter().flatten().collect();
        all.sort_by_key(|it| (it.state == IncidentState::Resolved, it.severity != Severity::Critical));
        all.into_iter().map(|it| row(it, store.now_ms)).collect()
    }

    fn facts(&self, store: &Store, key: &str) -> Vec<Fact> {
        let Some(it) = find(store, key) else { return Vec::new() };
        let mut facts = vec![
            Fact::new("incident", &it.id),
            Fact::new("what", &it.summary),
            Fact::new("failure mode", words(it.mode)),
            Fact::new("severity", it.severity.as_str()).tone(severity_tone(it)),
            Fact::new("state", it.state.as_str()).tone(state_tone(it.state)),
            Fact::new("opened", format_ms(it.opened_ms)),
            Fact::new("seen last", format_ms(it.seen_ms)),
        ];
        if let Some(who) = &it.acknowledged_by {
            facts.push(Fact::new("taken by", who));
        }
        if let Some(ms) = it.resolved_ms {
            let by = it.resolved_by.as_deref().unwrap_or("nobody");
            facts.push(Fact::new("resolved", format!("{} by {by}", format_ms(ms))));
        }
        facts.push(Fact::new("evidence", if it.evidence.is_empty() { "none" } else { "" }));
        facts.extend(it.evidence.iter().map(|seen| {
            let of = seen.of.as_ref().map(|of| format!(" of {of}")).unwrap_or_default();
            let (value, at) = (figure(seen.value, &seen.unit), figure(seen.threshold, &seen.unit));
            Fact::new(format!("  {}", seen.figure), format!("{value}{of}, fires at {at}"))
        }));
        facts.push(Fact::new("runbook", &it.runbook));
        facts.extend(it.params.iter().map(|(name, value)| Fact::new(format!("  {name}"), value)));
        facts.push(Fact::new("what to do", format!("o opens the runbook; {}", runbook_command(it))));
        facts
    }

    fn yaml(&self, store: &Store, key: &str) -> Option<String> {
        to_yaml(find(store, key))
    }

    fn runbook(&self, store: &Store, key: &str) -> Option<NamedRunbook> {
        find(store, key).map(|it| NamedRunbook { id: it.runbook.clone(), params: it.params.clone() })
    }

    fn dangers(&self) -> &'static [Danger] {
        &[
            Danger { letter: 'a', ctrl: false, word: "take", ask: ack },
            Danger { letter: 'r', ctrl: false, word: "resolve", ask: resolve },
        ]
    }

    fn empty(&self) -> &'static str {
        "no incident, and none before"
    }
}

fn row(it: &Incident, now_ms: u64) -> Row {
    let age = it.resolved_ms.unwrap_or(now_ms).saturating_sub(it.opened_ms);
    Row::new(
        &it.id,
        vec![
            Cell::text(&it.id),
            Cell::text(it.severity.as_str()).tone(severity_tone(it)),
            Cell::text(it.state.as_str()).tone(state_tone(it.state)),
            Cell::text(words(it.mode)),
            Cell::text(&it.summary),
            Cell::sorted(format_span(age), age),
            Cell::text(it.acknowledged_by.clone().unwrap_or_default()),
            Cell::text(&it.runbook),
            Cell::sorted(format_ms(it.opened_ms), it.opened_ms),
        ],
    )
}

fn severity_tone(it: &Incident) -> Tone {
    match (it.state, it.severity) {
        (IncidentState::Resolved, _) => Tone::Dim,
        (_, Severity::Warning) => Tone::Busy,
        (_, Severity::Critical) => Tone::Bad,
    }
}

fn state_tone(state: IncidentState) -> Tone {
    match state {
        IncidentState::Open => Tone::Bad,
        IncidentState::Acknowledged => Tone::Busy,
        IncidentState::Resolved => Tone::Dim,
    }
}

fn ack(store: &Store, key: &str) -> Result<Ask, String> {
    let it = find(store, key).ok_or("the incident is gone")?;
    if it.state != IncidentState::Open {
        return Err(format!("{key} is {} already", it.state));
    }
    let act = Act::Ack { incident: key.to_owned(), reason: String::new() };
    Ok(Ask::new(format!("take {key}"), act).says(&it.summary).says("others see that you have it").reason(false))
}

fn resolve(store: &Store, key: &str) -> Result<Ask, String> {
    let it = find(store, key).ok_or("the incident is gone")?;
    if it.state == IncidentState::Resolved {
        return Err(format!("{key} is resolved already"));
    }
    let act = Act::Resolve { incident: key.to_owned(), reason: String::new() };
    Ok(Ask::new(format!("resolve {key}"), act)
        .says(&it.summary)
        .says("it opens again when its rule still holds")
        .reason(true))
}
