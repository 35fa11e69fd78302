//! The panes: one file each. A new pane is a file and a line in [`ALL`].

mod audit;
mod backends;
mod breakers;
mod capacity;
mod conversations;
mod gateways;
mod incidents;
mod node;
mod operations;
mod overrides;
mod overview;
mod queues;
mod row;
mod runbooks;
mod sessions;
mod workers;

use serde::Serialize;

pub(crate) use self::{
    row::{Cell, Column, Fact, Row, clean},
    runbooks::{NamedRunbook, ask_run},
};
use super::{
    event::Need,
    state::{Ask, Lookup, Store},
};

/// All panes, in the order of their digits, as far as there are digits.
pub(crate) const ALL: &[&dyn Pane] = &[
    &overview::Overview,
    &gateways::Gateways,
    &workers::Workers,
    &breakers::Breakers,
    &overrides::Overrides,
    &incidents::Incidents,
    &operations::Operations,
    &audit::Audit,
    &runbooks::Runbooks,
    &capacity::Capacity,
    &sessions::Sessions,
    &conversations::Conversations,
    &queues::Queues,
    &backends::Backends,
];

/// One pane.
pub(crate) trait Pane: Sync {
    /// Its name: what `:` takes.
    fn name(&self) -> &'static str;

    /// Its name where there is little room, and as another word for `:`.
    fn short(&self) -> &'static str {
        self.name()
    }

    /// What it shows, in a line.
    fn about(&self) -> &'static str;

    /// What it shows must be loaded: the first is what its rows are made of.
    fn needs(&self) -> &'static [Need];

    /// Its columns; none for a pane that is drawn in its own way.
    fn columns(&self) -> &'static [Column];

    /// Its rows, in the order in which they matter.
    fn rows(&self, store: &Store) -> Vec<Row>;

    /// What is to say of one row.
    fn facts(&self, store: &Store, key: &str) -> Vec<Fact>;

    /// One row as YAML, whole.
    fn yaml(&self, store: &Store, key: &str) -> Option<String>;

    /// Another pane and a filter that enter leads to; else enter describes.
    fn leads_to(&self, _key: &str) -> Option<(&'static str, String)> {
        None
    }

    /// What enter does: a word for the foot, a line for the help.
    fn enters(&self) -> (&'static str, &'static str) {
        ("describe", "describe this row")
    }

    /// The operation whose events `l` shows.
    fn operation(&self, _store: &Store, _key: &str) -> Option<String> {
        None
    }

    /// The runbook that a row names: `o` opens it.
    fn runbook(&self, _store: &Store, _key: &str) -> Option<NamedRunbook> {
        None
    }

    /// True when enter opens it, too.
    fn enter_opens_runbook(&self) -> bool {
        false
    }

    /// What this pane looks up: the word after its name in a command is no filter then.
    fn looks_up(&self) -> Option<Lookup> {
        None
    }

    /// Keys that change the fleet.
    fn dangers(&self) -> &'static [Danger] {
        &[]
    }

    /// What the empty pane says.
    fn empty(&self) -> &'static str;
}

/// A key that changes the fleet: it asks first.
#[derive(Clone, Copy)]
pub(crate) struct Danger {
    /// The letter.
    pub(crate) letter: char,
    /// With ctrl.
    pub(crate) ctrl: bool,
    /// What it does, in a word.
    pub(crate) word: &'static str,
    /// The question, or why there is none.
    pub(crate) ask: fn(&Store, &str) -> Result<Ask, String>,
}

impl Danger {
    /// The key as people read it.
    pub(crate) fn key(&self) -> String {
        if self.ctrl { format!("ctrl-{}", self.letter) } else { self.letter.to_string() }
    }
}

/// The place of the pane with this name.
pub(crate) fn find(name: &str) -> Option<usize> {
    ALL.iter().position(|pane| pane.name() == name || pane.short() == name)
}

fn to_yaml(item: Option<&impl Serialize>) -> Option<String> {
    item.and_then(|item| serde_saphyr::to_string(item).ok())
}
