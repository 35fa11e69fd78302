//! Tests of the terminal UI: pictures against golden files, the grammar, who may do what, and the way to the control
//! plane.

mod calls;
mod fixture;
mod grammar;
mod link;
mod pictures;
mod questions;
mod runs;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use protocol::admin::Role;

use super::{
    event::{Act, Action, Event},
    panes,
    state::State,
};

/// Presses a key.
fn press(state: &mut State, code: KeyCode) -> Vec<Action> {
    state.on(Event::Key(KeyEvent::new(code, KeyModifiers::NONE)))
}

/// Presses a key with ctrl.
fn ctrl(state: &mut State, letter: char) -> Vec<Action> {
    state.on(Event::Key(KeyEvent::new(KeyCode::Char(letter), KeyModifiers::CONTROL)))
}

/// Types text, a key each; `\n` is enter.
fn keys(state: &mut State, text: &str) -> Vec<Action> {
    let code = |c| if c == '\n' { KeyCode::Enter } else { KeyCode::Char(c) };
    text.chars().flat_map(|c| press(state, code(c))).collect()
}

/// A pane with everything loaded.
fn at(pane: &str, role: Role) -> State {
    fixture::loaded(role, panes::find(pane).unwrap(), (80, 24))
}

/// The changes among actions.
fn acts(actions: Vec<Action>) -> Vec<Act> {
    actions.into_iter().filter_map(|it| if let Action::Act(act) = it { Some(act) } else { None }).collect()
}

/// The keys of the rows that are shown.
fn shown(state: &State) -> Vec<String> {
    state.rows().into_iter().map(|row| row.key).collect()
}
