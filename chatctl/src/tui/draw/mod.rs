//! Draws the state. Nothing here changes it: the same state and size give the same picture.

mod foot;
mod header;
mod heat;
mod lights;
mod overview;
mod popup;
mod sparkline;
mod table;

use ratatui::{
    buffer::Buffer,
    layout::{Position, Rect},
    style::Style,
};

use super::{
    event::Need,
    state::{Mode, State},
    theme::Theme,
};

/// Smaller than this, nothing can be read.
const SIZE_MIN: (u16, u16) = (40, 10);

/// Draws everything. Gives where the cursor stands, when something is typed.
pub(crate) fn draw(buffer: &mut Buffer, state: &State, theme: Theme) -> Option<Position> {
    if state.size.0 < SIZE_MIN.0 || state.size.1 < SIZE_MIN.1 {
        put(buffer, 0, 0, state.size.0, "this terminal is too small", theme.strong());
        return None;
    }
    let areas = state.areas();
    header::draw(buffer, &areas, state, theme);
    body(buffer, state, theme);
    if state.link.lost.is_some() {
        for old in [areas.title, areas.heads, areas.body] {
            buffer.set_style(old, theme.stale());
        }
    }
    let cursor = foot::draw(buffer, areas.foot, state, theme);
    if let Some(shown) = &state.popup {
        popup::text(buffer, state, shown, theme);
    }
    match &state.mode {
        Mode::Ask(ask) => popup::ask(buffer, state, ask, theme),
        _ => cursor,
    }
}

fn body(buffer: &mut Buffer, state: &State, theme: Theme) {
    let areas = state.areas();
    let pane = state.pane();
    if !pane.columns().is_empty() {
        table::draw(buffer, &areas, state, theme);
    }
    let Some(meta) = pane.needs().first().map(|need| state.store.meta(*need)) else { return };
    let text = match &meta.error {
        _ if meta.is_unserved => "this control plane does not serve this yet".to_owned(),
        _ if meta.at_ms.is_some() && pane.columns().is_empty() => {
            overview::draw(buffer, areas.body, state, theme);
            return;
        }
        _ if meta.at_ms.is_some() && !state.rows().is_empty() => return,
        _ if meta.at_ms.is_some() && !state.view().filter.is_empty() => "no row passes the filter".to_owned(),
        _ if meta.at_ms.is_some() => pane.empty().to_owned(),
        // The banner says why.
        _ if state.link.lost.is_some() => "nothing was loaded before the control plane was lost".to_owned(),
        Some(why) => super::panes::clean(why),
        None => "loading".to_owned(),
    };
    let body = areas.body;
    if body.height > 0 {
        center(buffer, Rect { y: body.y + body.height / 3, height: 1, ..body }, &text, theme.dim());
    }
    // Gateways are known even where the overview is not.
    if pane.columns().is_empty() && state.store.meta(Need::Gateways).at_ms.is_some() && body.height > 8 {
        let below = Rect { y: body.y + body.height / 2, height: body.height - body.height / 2, ..body };
        heat::draw(buffer, below, state, theme);
    }
}

/// Puts a line of text; what has no room ends in `…`. Gives where it ended.
fn put(buffer: &mut Buffer, x: u16, y: u16, width: u16, text: &str, style: Style) -> u16 {
    if !buffer.area.contains(Position { x, y }) {
        return x;
    }
    let width = usize::from(width.min(buffer.area.right() - x));
    if text.chars().count() <= width {
        return buffer.set_stringn(x, y, text, width, style).0;
    }
    let cut: String = text.chars().take(width.saturating_sub(1)).chain(['…']).collect();
    buffer.set_stringn(x, y, cut, width, style).0
}

/// Puts text at the right end of a place.
fn put_right(buffer: &mut Buffer, x: u16, y: u16, width: u16, text: &str, style: Style) {
    let length = u16::try_from(text.chars().count()).unwrap_or(u16::MAX);
    let room = width.saturating_sub(length);
    put(buffer, x + room, y, width - room, text, style);
}

fn center(buffer: &mut Buffer, area: Rect, text: &str, style: Style) {
    let length = u16::try_from(text.chars().count()).unwrap_or(u16::MAX).min(area.width);
    put(buffer, area.x + (area.width - length) / 2, area.y, length, text, style);
}

/// A title with a rule to the end of the line.
fn title(buffer: &mut Buffer, area: Rect, text: &str, theme: Theme) {
    let end = put(buffer, area.x + 1, area.y, area.width.saturating_sub(1), text, theme.title());
    let rule = "─".repeat(usize::from(area.right().saturating_sub(end + 1)));
    put(buffer, end + 1, area.y, area.right().saturating_sub(end + 1), &rule, theme.dim());
}
