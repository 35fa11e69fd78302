//! What stands above a pane: text that scrolls, and questions.

use ratatui::{
    buffer::Buffer,
    layout::{Position, Rect},
    widgets::{Block, Clear, Widget as _},
};

use super::put;
use crate::{
    output::Tone,
    tui::{
        state::{Ask, FieldKind, Popup, State},
        theme::Theme,
    },
};

/// How wide a question is.
const ASK_WIDTH: u16 = 76;

/// A frame in the middle of the screen, empty inside; gives the inside.
fn frame(buffer: &mut Buffer, size: (u16, u16), inside: (u16, u16), title: &str, foot: &str, theme: Theme) -> Rect {
    let (width, height) = ((inside.0 + 4).min(size.0), (inside.1 + 2).min(size.1));
    let area = Rect::new((size.0 - width) / 2, (size.1 - height) / 2, width, height);
    Clear.render(area, buffer);
    let block =
        Block::bordered().title(format!(" {title} ")).title_bottom(format!(" {foot} ")).border_style(theme.title());
    let inner = block.inner(area);
    block.render(area, buffer);
    Rect { x: inner.x + 1, width: inner.width.saturating_sub(2), ..inner }
}

/// Text that scrolls.
pub(super) fn text(buffer: &mut Buffer, state: &State, popup: &Popup, theme: Theme) {
    let width = Popup::width(state.size);
    let lines = popup.lines(state, usize::from(width));
    let height = usize::from(Popup::height(state.size)).min(lines.len());
    let first = popup.first(lines.len(), height);
    let foot = match lines.len() > height {
        true => format!("{}-{} of {}  j k scroll  esc closes", first + 1, first + height, lines.len()),
        false => "esc closes".to_owned(),
    };
    let inside = (width, u16::try_from(height).unwrap_or(1));
    let area = frame(buffer, state.size, inside, &popup.title(state), &foot, theme);
    for (line, y) in lines.iter().skip(first).zip(area.y..area.bottom()) {
        let label: String = line.text.chars().take(line.label).collect();
        let rest: String = line.text.chars().skip(line.label).collect();
        let x = put(buffer, area.x, y, area.width, &label, theme.key());
        put(buffer, x, y, area.right().saturating_sub(x), &rest, theme.tone(line.tone));
    }
}

/// A question; gives where the cursor stands.
pub(super) fn ask(buffer: &mut Buffer, state: &State, ask: &Ask, theme: Theme) -> Option<Position> {
    let width = ASK_WIDTH.min(state.size.0.saturating_sub(4));
    let mut says = ask.says.clone();
    if state.setting.is_production {
        says.insert(0, (format!("PRODUCTION: {}", state.setting.context), Tone::Bad));
    }
    let says: Vec<(String, Tone)> = says
        .into_iter()
        .flat_map(|(text, tone)| wrapped(&text, usize::from(width)).into_iter().map(move |line| (line, tone)))
        .collect();
    let rows = says.len() + ask.fields.len() + 3;
    let is_last = ask.focus + 1 >= ask.fields.len();
    let foot = if is_last { "enter: do it  esc: no" } else { "enter: next  esc: no" };
    let inside = (width, u16::try_from(rows).unwrap_or(1));
    let area = frame(buffer, state.size, inside, &ask.title, foot, theme);
    let mut y = area.y;
    for (text, tone) in &says {
        put(buffer, area.x, y, area.width, text, theme.tone(*tone));
        y += 1;
    }
    y += 1;
    let labels = ask.fields.iter().map(|field| field.label().chars().count()).max().unwrap_or(0).min(40);
    let mut cursor = None;
    for (index, field) in ask.fields.iter().enumerate() {
        let is_here = index == ask.focus;
        let sign = if is_here { "> " } else { "  " };
        let style = match (&field.kind, is_here) {
            (FieldKind::Name(_), _) => theme.tone(Tone::Bad),
            (_, true) => theme.strong(),
            (_, false) => theme.dim(),
        };
        let x = put(buffer, area.x, y, area.width, &format!("{sign}{:<labels$}  ", field.label()), style);
        let room = area.right().saturating_sub(x + 1);
        let skip = field.text.chars().count().saturating_sub(usize::from(room));
        let text: String = field.text.chars().skip(skip).collect();
        let end = put(buffer, x, y, room, &text, theme.strong());
        if is_here {
            cursor = Some(Position { x: end, y });
        } else if field.text.is_empty() {
            put(buffer, x, y, room, "…", theme.dim());
        }
        y += 1;
    }
    if let Some(why) = &ask.error {
        put(buffer, area.x, y + 1, area.width, why, theme.tone(Tone::Bad));
    }
    cursor
}

/// Cuts text at spaces.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let line = lines.last().map_or(0, |line| line.chars().count());
        if line > 0 && line + 1 + word.chars().count() > width {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}
