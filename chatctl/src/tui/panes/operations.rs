//! Operations: what goes on for longer than a call, and what went on. Cancel; events; the words that runs wait for.

use protocol::admin::{Operation, OperationKind, OperationPhase, OperationState, StepRun, StepState};

use super::{Cell, Column, Danger, Fact, Pane, Row, gateways::or_none, to_yaml};
use crate::{
    output::{Tone, counted, format_ms, format_span, thousands},
    runbook,
    tui::{
        event::{Act, Need},
        state::{Ask, Store},
    },
};

pub(super) struct Operations;

const COLUMNS: &[Column] = &[
    Column::text("Id", 10).grow(1),
    Column::text("Kind", 9),
    Column::text("Target", 12).grow(1),
    Column::text("State", 10),
    Column::text("pHase", 9),
    Column::text("Progress", 18),
    Column::number("Age", 8).from(100),
    Column::text("Who", 8).from(100),
    Column::text("Reason", 12).grow(2).from(114),
    Column::text("Error", 12).grow(2).from(140),
    Column::text("Created", 20).from(150),
];

fn find<'a>(store: &'a Store, key: &str) -> Option<&'a Operation> {
    store.operations.value.as_ref()?.iter().find(|it| it.id == key)
}

impl Pane for Operations {
    fn name(&self) -> &'static str {
        "operations"
    }

    fn short(&self) -> &'static str {
        "ops"
    }

    fn about(&self) -> &'static str {
        "what goes on for longer than a call, newest first; l shows an operation's events"
    }

    fn needs(&self) -> &'static [Need] {
        &[Need::Operations]
    }

    fn columns(&self) -> &'static [Column] {
        COLUMNS
    }

    fn rows(&self, store: &Store) -> Vec<Row> {
        store.operations.value.iter().flatten().map(|it| row(it, store.now_ms)).collect()
    }

    fn facts(&self, store: &Store, key: &str) -> Vec<Fact> {
        let Some(it) = find(store, key) else { return Vec::new() };
        let mut facts = vec![
            Fact::new("operation", &it.id),
            Fact::new("kind", it.kind.as_str()),
            Fact::new("target", &it.target),
            Fact::new("state", it.state.as_str()).tone(tone(it.state)),
            Fact::new("phase", it.phase.as_str()),
            Fact::new("progress", progress(it)),
            Fact::new("who", &it.who),
            Fact::new("reason", or_none(&it.reason)),
            Fact::new("created", format_ms(it.created_ms)),
            Fact::new("changed", format_ms(it.updated_ms)),
        ];
        if let Some(ms) = it.ended_ms {
            facts.push(Fact::new("ended", format_ms(ms)));
        }
        if let Some(error) = &it.error {
            facts.push(Fact::new("error", error).tone(Tone::Bad));
        }
        if let Some(drain) = &it.drain {
            let forced = if drain.forced { ", guards overridden" } else { "" };
            let within = format_span(drain.deadline_ms);
            facts.push(Fact::new("drain", format!("within {within}, at most {}/s{forced}", drain.rate_per_s)));
            facts.push(Fact::new("  told to move", thousands(it.progress.told_to_migrate)));
            facts.push(Fact::new("  closed", thousands(it.progress.evicted)));
        }
        facts.extend(runbook::run_detail(it).iter().flat_map(|run| &run.steps).map(step));
        facts.push(Fact::new("driven by", format!("{} so far", counted(it.epoch, "control planes"))));
        facts
    }

    fn yaml(&self, store: &Store, key: &str) -> Option<String> {
        to_yaml(find(store, key))
    }

    fn operation(&self, _store: &Store, key: &str) -> Option<String> {
        Some(key.to_owned())
    }

    fn dangers(&self) -> &'static [Danger] {
        &[
            Danger { letter: 'c', ctrl: false, word: "confirm", ask: confirm },
            Danger { letter: 'x', ctrl: true, word: "cancel and undo", ask: cancel },
        ]
    }

    fn empty(&self) -> &'static str {
        "no operation, and none before"
    }
}

fn row(it: &Operation, now_ms: u64) -> Row {
    let age = now_ms.saturating_sub(it.created_ms);
    let done = if it.progress.total > 0 { it.progress.done } else { it.progress.connections };
    Row::new(
        &it.id,
        vec![
            Cell::text(&it.id),
            Cell::text(it.kind.as_str()),
            Cell::text(&it.target),
            Cell::text(it.state.as_str()).tone(tone(it.state)),
            Cell::text(it.phase.as_str()).tone(if is_waiting(it) { Tone::Bad } else { Tone::Plain }),
            Cell::sorted(progress(it), done),
            Cell::sorted(format_span(age), age),
            Cell::text(&it.who),
            Cell::text(&it.reason),
            Cell::text(it.error.clone().unwrap_or_default()).tone(Tone::Bad),
            Cell::sorted(format_ms(it.created_ms), it.created_ms),
        ],
    )
}

/// How far it is: connections left for drains, steps done for the others.
fn progress(it: &Operation) -> String {
    let progress = &it.progress;
    match it.kind {
        OperationKind::Drain => {
            format!("{}/{} left", thousands(progress.connections), thousands(progress.connections_at_start))
        }
        _ if progress.total > 0 => format!("{}/{} done", thousands(progress.done), thousands(progress.total)),
        _ => "-".to_owned(),
    }
}

pub(super) fn tone(state: OperationState) -> Tone {
    match state {
        OperationState::Running | OperationState::Cancelling => Tone::Busy,
        OperationState::Succeeded => Tone::Good,
        OperationState::Failed => Tone::Bad,
        OperationState::Cancelled => Tone::Dim,
    }
}

/// It waits for somebody to type a word.
fn is_waiting(it: &Operation) -> bool {
    it.state == OperationState::Running && it.phase == OperationPhase::Waiting
}

/// A step of a run.
fn step(it: &StepRun) -> Fact {
    let tone = match it.state {
        StepState::Waiting | StepState::Undone => Tone::Dim,
        StepState::Unconfirmed | StepState::Running => Tone::Busy,
        StepState::Done => Tone::Good,
        StepState::Failed => Tone::Bad,
    };
    let said = if it.result.is_empty() { &it.step.title } else { &it.result };
    Fact::new(format!("  {}", it.step.id), format!("{}: {said}", it.state)).tone(tone)
}

fn confirm(store: &Store, key: &str) -> Result<Ask, String> {
    let it = find(store, key).filter(|it| is_waiting(it)).ok_or_else(|| format!("{key} waits for no word"))?;
    let run = runbook::run_detail(it).ok_or_else(|| format!("{key} is no run of a runbook"))?;
    let step = run.steps.iter().find(|step| step.state == StepState::Unconfirmed);
    let step = &step.ok_or_else(|| format!("{key} waits for no word"))?.step;
    let word = step.confirm.clone().unwrap_or_default();
    let act = Act::Confirm {
        run: key.to_owned(),
        step: step.id.clone(),
        word: word.clone(),
        plan_hash: run.plan_hash.clone(),
    };
    let mut ask = Ask::new(format!("step {} of {}", step.id, run.runbook), act).says(&step.title);
    for call in &step.calls {
        ask = ask.says(&call.command);
    }
    Ok(ask
        .says(format!("this approves plan {} and no other", run.plan_hash.get(..12).unwrap_or_default()))
        .typed(&word))
}

fn cancel(store: &Store, key: &str) -> Result<Ask, String> {
    let it = find(store, key).ok_or("the operation is gone")?;
    if it.state != OperationState::Running {
        return Err(format!("{key} is {} already", it.state));
    }
    let act = Act::Cancel { operation: key.to_owned(), reason: String::new() };
    Ok(Ask::new(format!("cancel {key}"), act)
        .says(format!("{} of {}: it undoes what it did", it.kind, it.target))
        .reason(true))
}
