//! What stands above a pane: help, a description, YAML, events, a message. Its text is made anew each time, so it
//! follows what is loaded.

use protocol::admin::OperationEvent;

use super::{State, wrap::wrap};
use crate::{
    output::{Tone, time_of_day},
    runbook,
    tui::{
        event::Need,
        panes::{ALL, Danger, NamedRunbook, clean},
    },
};

/// Wider than this no text is easy to read.
const WIDTH_MAX: u16 = 110;

/// Which.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The keys of this pane.
    Help,
    /// What an action that failed says.
    Message(String),
    /// A row of this pane, described.
    Describe(String),
    /// A row of this pane as YAML.
    Yaml(String),
    /// The events of an operation.
    Events(String),
    /// A runbook, as people read it, and how it is run.
    Runbook(NamedRunbook),
}

/// What stands above a pane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Popup {
    /// Which.
    pub(crate) kind: Kind,
    /// The first line shown. None: the end, also when it moves.
    pub(crate) scroll: Option<usize>,
}

/// A line of text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TextLine {
    /// So many of its characters are a label.
    pub(crate) label: usize,
    /// The line.
    pub(crate) text: String,
    /// What it means.
    pub(crate) tone: Tone,
}

impl TextLine {
    fn plain(text: impl Into<String>) -> Self {
        Self { label: 0, text: text.into(), tone: Tone::Plain }
    }
}

impl Popup {
    /// A popup at its beginning; events at their end.
    pub(super) fn new(kind: Kind) -> Self {
        let scroll = if matches!(kind, Kind::Events(_)) { None } else { Some(0) };
        Self { kind, scroll }
    }

    /// What it is called.
    pub(crate) fn title(&self, state: &State) -> String {
        match &self.kind {
            Kind::Help => format!("help: {}", state.pane().name()),
            Kind::Message(_) => "not done".to_owned(),
            Kind::Describe(key) => clean(key),
            Kind::Yaml(key) => format!("{} as YAML", clean(key)),
            Kind::Events(id) => format!("events of {}", clean(id)),
            Kind::Runbook(named) => format!("runbook {}", clean(&named.id)),
        }
    }

    /// Its text, cut into lines of a width.
    pub(crate) fn lines(&self, state: &State, width: usize) -> Vec<TextLine> {
        let facts = match &self.kind {
            Kind::Help => help(state),
            Kind::Message(text) => text.lines().map(|line| (String::new(), clean(line), Tone::Plain)).collect(),
            Kind::Describe(key) => describe(state, key),
            Kind::Events(_) => events(state),
            Kind::Runbook(named) => {
                let text = runbook::find(&named.id).map_or_else(|error| error.to_string(), |found| found.text);
                let key = if state.may_act() { "r, or " } else { "" };
                let run = format!("run it: {key}{}", clean(&named.command()));
                let text = [run.as_str(), ""].into_iter().chain(text.lines());
                return text.flat_map(|line| wrap(line, width)).map(TextLine::plain).collect();
            }
            Kind::Yaml(key) => {
                let text = state.pane().yaml(&state.store, key).unwrap_or_else(|| GONE.to_owned());
                return text.lines().flat_map(|line| wrap(line, width)).map(TextLine::plain).collect();
            }
        };
        lay_out(&facts, width)
    }

    /// Keys that change something from here, for the foot.
    pub(crate) fn keys(&self, state: &State) -> String {
        let dangers = state.pane().dangers().iter();
        let is_over = state.store.events.value.iter().flatten().last().is_some_and(|it| it.state.is_final());
        match &self.kind {
            _ if !state.may_act() => String::new(),
            Kind::Runbook(_) => "r run  ".to_owned(),
            Kind::Events(_) if state.pane().name() == "operations" && !is_over => {
                dangers.map(|danger| format!("{} {}  ", danger.key(), danger.word)).collect()
            }
            _ => String::new(),
        }
    }

    /// How wide its text may be.
    pub(crate) fn width(size: (u16, u16)) -> u16 {
        size.0.saturating_sub(8).min(WIDTH_MAX)
    }

    /// How many lines have room.
    pub(crate) fn height(size: (u16, u16)) -> u16 {
        size.1.saturating_sub(6).max(1)
    }

    /// The first line shown of so many.
    pub(crate) fn first(&self, lines: usize, height: usize) -> usize {
        let last = lines.saturating_sub(height);
        self.scroll.map_or(last, |scroll| scroll.min(last))
    }
}

const GONE: &str = "it is gone";

type Said = (String, String, Tone);

fn describe(state: &State, key: &str) -> Vec<Said> {
    let facts = state.pane().facts(&state.store, key);
    if facts.is_empty() {
        return vec![(String::new(), GONE.to_owned(), Tone::Dim)];
    }
    facts.into_iter().map(|fact| (fact.name, fact.value.text, fact.value.tone)).collect()
}

fn events(state: &State) -> Vec<Said> {
    let meta = state.store.meta(Need::Events);
    let mut said: Vec<Said> = state.store.events.value.iter().flatten().map(event).collect();
    if let Some(why) = &meta.error {
        said.push((String::new(), clean(why), Tone::Bad));
    } else if meta.is_unserved {
        said.push((String::new(), "this control plane does not serve this yet".to_owned(), Tone::Dim));
    } else if said.is_empty() {
        let words = if meta.at_ms.is_some() { "no events" } else { "loading" };
        said.push((String::new(), words.to_owned(), Tone::Dim));
    }
    said
}

fn event(it: &OperationEvent) -> Said {
    (time_of_day(it.at_ms), format!("{:<10} {}", it.phase.as_str(), clean(&it.message)), Tone::Plain)
}

fn help(state: &State) -> Vec<Said> {
    let pane = state.pane();
    let mut said: Vec<Said> = vec![(String::new(), pane.about().to_owned(), Tone::Plain), blank()];
    if state.may_act() {
        for danger in pane.dangers() {
            said.push((Danger::key(danger), format!("{} (asks first)", danger.word), Tone::Busy));
        }
    } else if !pane.dangers().is_empty() {
        said.push((String::new(), format!("you may look, not change: {}", state.why_not()), Tone::Dim));
    }
    let mut say = |key: &str, what: &str| said.push((key.to_owned(), what.to_owned(), Tone::Plain));
    say(&format!("1-{}", ALL.len().min(9)), "go to a pane; tab to the next");
    match pane.looks_up() {
        Some(what) => say(":", &format!("command: {} {} looks at it; tab completes", pane.name(), what.word())),
        None => say(":", "command: the name of a pane, with a filter after it; tab completes"),
    }
    say("/", "filter: rows that hold a text; !text: rows that do not");
    let there = if state.may_act() { "; r there asks for its plan" } else { "" };
    let enter = pane.enters().1;
    say("enter", &if pane.enter_opens_runbook() { format!("{enter}{there}") } else { enter.to_owned() });
    say("esc", "out: closes, then clears the filter, then goes back");
    say("[ ]", "back and forth in the panes you were in");
    say("j k g G", "down, up, top, bottom (also arrows, pgup, pgdn, wheel, click)");
    say("d", "describe this row");
    say("y", "this row as YAML");
    if state.has_events() {
        say("l", "events of the operation");
    }
    if pane.name() == "incidents" {
        say("o", &format!("open the incident's runbook{there}"));
    }
    say("q ctrl-c", "quit");
    let letters: Vec<String> = pane
        .columns()
        .iter()
        .filter_map(|column| Some(format!("{} {}", column.letter()?, column.head.to_lowercase())))
        .collect();
    if !letters.is_empty() {
        say("shift-", &format!("sort by: {}; again turns it around", letters.join(", ")));
    }
    said
}

fn blank() -> Said {
    (String::new(), String::new(), Tone::Plain)
}

/// Labels in one column, values in the next; long values go on below.
fn lay_out(said: &[Said], width: usize) -> Vec<TextLine> {
    let widest = said.iter().filter(|it| !it.1.is_empty()).map(|it| it.0.chars().count()).max().unwrap_or(0);
    let label = widest.min(width / 2);
    let indent = if label == 0 { 0 } else { label + 2 };
    let mut lines = Vec::new();
    for (name, value, tone) in said {
        if name.is_empty() {
            lines.extend(wrap(value, width).into_iter().map(|text| TextLine { label: 0, text, tone: *tone }));
            continue;
        }
        for (index, part) in wrap(value, width.saturating_sub(indent).max(1)).into_iter().enumerate() {
            let name = if index == 0 { name.as_str() } else { "" };
            let name: String = name.chars().take(indent.max(1)).collect();
            lines.push(TextLine { label: name.chars().count(), text: format!("{name:<indent$}{part}"), tone: *tone });
        }
    }
    lines
}
