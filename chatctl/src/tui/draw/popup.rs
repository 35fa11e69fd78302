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
    let scroll = match lines.len() > height {
        true => format!("{}-{} of {}  j k scroll  ", first + 1, first + height, lines.len()),
        false => String::new(),
    };
    let foot = format!("{scroll}{}esc closes", popup.keys(state));
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
    let warning = state.warning();
    let fit = ask.fit(state.size, u16::from(warning.is_some()));
    let rows = usize::from(warning.is_some()) + fit.shown + ask.fields.len() + fit.error.len() + 2;
    let is_last = ask.focus + 1 >= ask.fields.len();
    let mut foot = match fit.says.len() > fit.shown {
        true => format!("{}-{} of {}  pgup pgdn scroll  ", fit.first + 1, fit.first + fit.shown, fit.says.len()),
        false => String::new(),
    };
    let enter = if is_last { ask.enter_word() } else { "next" };
    foot.push_str(&format!("enter: {enter}  esc: {}", ask.escape_word()));
    let inside = (fit.width, u16::try_from(rows).unwrap_or(1));
    let area = frame(buffer, state.size, inside, &ask.title, &foot, theme);
    let mut y = area.y;
    let warning = warning.map(|text| (text, Tone::Bad));
    for (text, tone) in warning.iter().chain(fit.says.iter().skip(fit.first).take(fit.shown)) {
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
    for (why, y) in fit.error.iter().zip(y + 1..area.bottom()) {
        put(buffer, area.x, y, area.width, why, theme.tone(Tone::Bad));
    }
    cursor
}
