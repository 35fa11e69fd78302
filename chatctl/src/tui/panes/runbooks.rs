//! Runbooks: read them, run them. A run is an operation; its steps and the words they wait for are there.

use std::{collections::BTreeMap, sync::LazyLock};

use protocol::admin::{Incident, IncidentState, Operation, OperationKind};

use super::{Cell, Column, Danger, Fact, Pane, Row, operations::tone};
use crate::{
    output::{Tone, format_span},
    runbook::{self, Runbook},
    tui::{
        event::Need,
        state::{Ask, Store},
    },
};

pub(super) struct Runbooks;

/// They come with the program, and reading them is for once.
static ALL: LazyLock<Vec<Runbook>> = LazyLock::new(runbook::all);

const COLUMNS: &[Column] = &[
    Column::text("Id", 18),
    Column::text("Title", 24).grow(3),
    Column::text("Now", 10).grow(1),
    Column::text("Last run", 9),
    Column::number("Age", 8),
    Column::text("rOle", 8).from(110),
    Column::text("Parameters", 16).grow(2).from(110),
];

/// A runbook, with what is known of its parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NamedRunbook {
    /// Its id.
    pub(crate) id: String,
    /// Parameters.
    pub(crate) params: BTreeMap<String, String>,
}

impl NamedRunbook {
    /// The command that runs it.
    pub(crate) fn command(&self) -> String {
        runbook::run_command(&self.id, &self.params)
    }
}

/// The question before a plan: every parameter, and the reason, which is part of it.
pub(crate) fn ask_run(named: &NamedRunbook) -> Result<Ask, String> {
    let book = find(&named.id).ok_or_else(|| format!("there is no runbook {}", named.id))?;
    let mut ask = Ask::before_plan(format!("run {}", book.id), &book.id)
        .says(&book.title)
        .says("its plan is shown before anything is done");
    for (name, param) in &book.params {
        let known = named.params.get(name).or(param.default.as_ref());
        ask = ask.param(name, &param.about, known.map_or("", String::as_str));
    }
    Ok(ask.reason(false))
}

fn find(id: &str) -> Option<&'static Runbook> {
    ALL.iter().find(|book| book.id == id)
}

/// The incident that names it now.
fn incident<'a>(store: &'a Store, id: &str) -> Option<&'a Incident> {
    let incidents = store.incidents.value.as_ref()?;
    incidents.iter().find(|it| it.runbook == id && it.state != IncidentState::Resolved)
}

/// Its newest run.
fn last_run<'a>(store: &'a Store, id: &str) -> Option<&'a Operation> {
    let operations = store.operations.value.as_ref()?;
    operations.iter().find(|it| it.kind == OperationKind::Runbook && it.target == id)
}

impl Pane for Runbooks {
    fn name(&self) -> &'static str {
        "runbooks"
    }

    fn short(&self) -> &'static str {
        "books"
    }

    fn about(&self) -> &'static str {
        "written procedures; enter reads one, and its runs are among the operations"
    }

    fn needs(&self) -> &'static [Need] {
        &[Need::Operations, Need::Incidents]
    }

    fn columns(&self) -> &'static [Column] {
        COLUMNS
    }

    fn rows(&self, store: &Store) -> Vec<Row> {
        // Those that something asks for come first.
        let (wanted, others): (Vec<_>, Vec<_>) = ALL.iter().partition(|book| incident(store, &book.id).is_some());
        wanted.into_iter().chain(others).map(|book| row(store, book)).collect()
    }

    fn facts(&self, store: &Store, key: &str) -> Vec<Fact> {
        let Some(book) = find(key) else { return Vec::new() };
        let mut facts = vec![
            Fact::new("runbook", &book.id),
            Fact::new("title", &book.title),
            Fact::new("fires on", book.fires_on.as_deref().unwrap_or("no failure mode")),
            Fact::new("role", book.role.as_str()),
        ];
        for (name, param) in &book.params {
            let default = param.default.as_ref().map(|value| format!(" ({value} if not given)")).unwrap_or_default();
            facts.push(Fact::new(format!("  {name}"), format!("{}{default}", param.about)));
        }
        if let Some(it) = incident(store, key) {
            facts.push(Fact::new("asked for by", format!("{}: {}", it.id, it.summary)).tone(Tone::Bad));
        }
        if let Some(run) = last_run(store, key) {
            facts.push(Fact::new("last run", format!("{} {}", run.id, run.state)).tone(tone(run.state)));
        }
        facts
    }

    fn yaml(&self, _store: &Store, key: &str) -> Option<String> {
        find(key).map(|book| book.text.clone())
    }

    fn runbook(&self, store: &Store, key: &str) -> Option<NamedRunbook> {
        let params = incident(store, key).map(|it| it.params.clone()).unwrap_or_default();
        find(key).map(|book| NamedRunbook { id: book.id.clone(), params })
    }

    fn enter_opens_runbook(&self) -> bool {
        true
    }

    fn enters(&self) -> (&'static str, &'static str) {
        ("read", "read the runbook")
    }

    fn operation(&self, store: &Store, key: &str) -> Option<String> {
        last_run(store, key).map(|run| run.id.clone())
    }

    fn dangers(&self) -> &'static [Danger] {
        &[Danger { letter: 'r', ctrl: false, word: "run", ask: run }]
    }

    fn empty(&self) -> &'static str {
        "no runbook came with this program"
    }
}

fn row(store: &Store, book: &Runbook) -> Row {
    let now = match incident(store, &book.id) {
        Some(it) => Cell::text(&it.id).tone(Tone::Bad),
        None => Cell::text(""),
    };
    let run = last_run(store, &book.id);
    let age = run.map(|run| store.now_ms.saturating_sub(run.created_ms));
    Row::new(
        &book.id,
        vec![
            Cell::text(&book.id),
            Cell::text(&book.title),
            now,
            run.map_or_else(|| Cell::text(""), |run| Cell::text(run.state.as_str()).tone(tone(run.state))),
            age.map_or_else(|| Cell::text(""), |age| Cell::sorted(format_span(age), age)),
            Cell::text(book.role.as_str()),
            Cell::text(book.params.keys().cloned().collect::<Vec<_>>().join(", ")),
        ],
    )
}

fn run(store: &Store, key: &str) -> Result<Ask, String> {
    let named = Runbooks.runbook(store, key).ok_or("the runbook is gone")?;
    ask_run(&named)
}
