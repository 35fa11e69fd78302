//! A table: title, heads, rows. The chosen row is reversed.

use ratatui::{buffer::Buffer, layout::Rect, style::Modifier};

use super::{put, put_right, title};
use crate::tui::{
    panes::{Cell, Column, Row},
    state::{Areas, State, place},
    theme::Theme,
};

pub(super) fn draw(buffer: &mut Buffer, areas: &Areas, state: &State, theme: Theme) {
    let rows = state.rows();
    title(buffer, areas.title, &caption(state, &rows, usize::from(areas.body.height)), theme);
    let pane = state.pane();
    let columns = place(pane.columns(), areas.body.width);
    for placed in &columns {
        head(buffer, areas.heads.y, placed.x, placed.width, placed.index, state, theme);
    }
    let view = state.view();
    let shown = rows.iter().enumerate().skip(view.offset);
    for ((index, row), y) in shown.zip(areas.body.y..areas.body.bottom()) {
        for placed in &columns {
            if let (Some(cell), Some(column)) = (row.cells.get(placed.index), pane.columns().get(placed.index)) {
                draw_cell(buffer, (placed.x, y, placed.width), cell, column, theme);
            }
        }
        if index == view.index {
            buffer.set_style(Rect { y, height: 1, ..areas.body }, theme.selected());
        }
    }
}

/// The pane's name, how many rows there are, and what hides others.
fn caption(state: &State, rows: &[Row], height: usize) -> String {
    let view = state.view();
    let name = state.pane().name();
    let mut text = match view.filter.is_empty() {
        true => format!("{name} ({})", rows.len()),
        false => {
            let all = state.pane().rows(&state.store).len();
            format!("{name} ({} of {all}) /{}", rows.len(), view.filter.text)
        }
    };
    if rows.len() > height {
        text.push_str(&format!("  rows {}-{}", view.offset + 1, (view.offset + height).min(rows.len())));
    }
    let meta = state.pane().needs().first().map(|need| state.store.meta(*need));
    if let Some(why) = meta.filter(|meta| meta.at_ms.is_some()).and_then(|meta| meta.error.as_ref())
        && state.link.lost.is_none()
    {
        let why = why.lines().next().unwrap_or_default();
        text.push_str(&format!("  not fresh: {}", crate::tui::panes::clean(why)));
    }
    text
}

/// A head; the letter that sorts by it is underlined, and an arrow says how it is sorted.
fn head(buffer: &mut Buffer, y: u16, x: u16, width: u16, index: usize, state: &State, theme: Theme) {
    let column = state.pane().columns()[index];
    let sort = state.view().sort.filter(|sort| sort.column == index);
    let arrow = sort.map(|sort| if sort.is_descending { '↓' } else { '↑' });
    let room = usize::from(width).saturating_sub(usize::from(arrow.is_some()));
    let text: String = column.head.chars().take(room).chain(arrow).collect();
    let length = u16::try_from(text.chars().count()).unwrap_or(width);
    let from = if column.is_number { x + width.saturating_sub(length) } else { x };
    put(buffer, from, y, width, &text, theme.title());
    let letter = text.chars().position(|c| c.is_ascii_uppercase()).and_then(|at| u16::try_from(at).ok());
    if let Some(cell) = letter.and_then(|at| buffer.cell_mut((from + at, y))) {
        cell.modifier.insert(Modifier::UNDERLINED);
    }
}

fn draw_cell(buffer: &mut Buffer, (x, y, width): (u16, u16, u16), cell: &Cell, column: &Column, theme: Theme) {
    let style = theme.tone(cell.tone);
    match (cell.text.is_empty(), column.is_number) {
        (true, true) => put_right(buffer, x, y, width, "-", theme.dim()),
        (true, false) => _ = put(buffer, x, y, width, "-", theme.dim()),
        (false, true) => put_right(buffer, x, y, width, &cell.text, style),
        (false, false) => _ = put(buffer, x, y, width, &cell.text, style),
    }
}
