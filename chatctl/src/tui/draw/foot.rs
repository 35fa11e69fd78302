//! The bottom: what is typed, a word about what was done, or the keys of this pane.

use ratatui::{
    buffer::Buffer,
    layout::{Position, Rect},
};

use super::put;
use crate::tui::{
    state::{Mode, State},
    theme::Theme,
};

/// Draws it. Gives where the cursor stands, when something is typed.
pub(super) fn draw(buffer: &mut Buffer, area: Rect, state: &State, theme: Theme) -> Option<Position> {
    let width = area.width.saturating_sub(1);
    match &state.mode {
        Mode::Command(line) => {
            let end = typed(buffer, area, ':', &line.text, theme);
            let words = format!("tab: {}", line.candidates().join(" "));
            let words = if line.candidates().is_empty() { "no such command" } else { &words };
            put(buffer, end + 2, area.y, width.saturating_sub(end + 2), words, theme.dim());
            return Some(Position { x: end, y: area.y });
        }
        Mode::Filter(_) => {
            let end = typed(buffer, area, '/', &state.view().filter.text, theme);
            let words = "enter keeps it, esc drops it, ! in front: rows without it";
            put(buffer, end + 2, area.y, width.saturating_sub(end + 2), words, theme.dim());
            return Some(Position { x: end, y: area.y });
        }
        Mode::Ask(_) | Mode::Browse => {}
    }
    if let Some(word) = &state.word {
        put(buffer, 1, area.y, width, &word.text, theme.tone(word.tone));
        return None;
    }
    let mut x = 1;
    for (key, what) in hints(state) {
        let length = u16::try_from(key.chars().count() + 1 + what.chars().count()).unwrap_or(u16::MAX);
        if x + length > width {
            break;
        }
        x = put(buffer, x, area.y, width, &key, theme.key());
        x = put(buffer, x + 1, area.y, width, what, theme.dim()) + 2;
    }
    None
}

/// What is typed; of a long line the end is seen.
fn typed(buffer: &mut Buffer, area: Rect, sign: char, text: &str, theme: Theme) -> u16 {
    let room = usize::from(area.width.saturating_sub(4));
    let skip = text.chars().count().saturating_sub(room);
    let text: String = std::iter::once(sign).chain(text.chars().skip(skip)).collect();
    put(buffer, 1, area.y, area.width.saturating_sub(2), &text, theme.strong())
}

/// Keys and what they do, those that matter here first.
fn hints(state: &State) -> Vec<(String, &'static str)> {
    let pane = state.pane();
    let mut hints: Vec<(String, &'static str)> = Vec::new();
    if state.may_act() {
        hints.extend(pane.dangers().iter().map(|danger| (danger.key(), danger.word)));
    }
    hints.push(("enter".to_owned(), pane.enters().0));
    if pane.name() == "incidents" {
        hints.push(("o".to_owned(), "runbook"));
    }
    if state.has_events() {
        hints.push(("l".to_owned(), "events"));
    }
    let all = [("?", "help"), (":", "command"), ("/", "filter"), ("q", "quit"), ("y", "yaml"), ("[ ]", "history")];
    hints.extend(all.map(|(key, what)| (key.to_owned(), what)));
    if pane.columns().is_empty() {
        hints.retain(|(key, _)| key != "/");
    }
    hints
}
