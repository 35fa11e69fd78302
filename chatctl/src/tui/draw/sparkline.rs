//! Curves of the recent past. Each column is the largest of its time, so that no peak is lost; the scale begins at 0.

use ratatui::{buffer::Buffer, layout::Rect};

use super::{put, put_right};
use crate::tui::theme::Theme;

const LEVELS: [&str; 9] = [" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"];
/// How wide the name of a curve is.
const NAME: u16 = 15;
/// From this height on the figures stand below the name.
const STACKED_FROM: u16 = 3;
/// How wide its figures are.
const FIGURES: u16 = 26;

/// A curve.
pub(super) struct Curve<'a> {
    pub(super) name: &'a str,
    pub(super) values: Vec<u64>,
    pub(super) now: String,
    pub(super) max: String,
}

/// Draws a curve with its name, now, and the largest: in a line, or one below the other at the left of a high curve.
pub(super) fn draw(buffer: &mut Buffer, area: Rect, curve: &Curve<'_>, theme: Theme) {
    let bottom = area.bottom().saturating_sub(1);
    let max = format!("max {}", curve.max);
    let graph = if area.height >= STACKED_FROM {
        put(buffer, area.x + 1, area.y, NAME - 2, curve.name, theme.dim());
        put(buffer, area.x + 1, area.y + 1, NAME - 2, &curve.now, theme.strong());
        put(buffer, area.x + 1, area.y + 2, NAME - 2, &max, theme.dim());
        // A line between two curves.
        let rows = area.height - u16::from(area.height > STACKED_FROM);
        Rect { x: area.x + NAME, width: area.width.saturating_sub(NAME + 1), height: rows, ..area }
    } else {
        put(buffer, area.x + 1, bottom, NAME - 2, curve.name, theme.dim());
        let at = area.right().saturating_sub(FIGURES);
        put_right(buffer, at, bottom, 11, &curve.now, theme.strong());
        put_right(buffer, at + 12, bottom, 13, &max, theme.dim());
        Rect { x: area.x + NAME, width: area.width.saturating_sub(NAME + FIGURES), ..area }
    };
    let max = curve.values.iter().copied().max().unwrap_or(0).max(1);
    let full = u64::from(graph.height) * 8;
    for (column, value) in columns(&curve.values, usize::from(graph.width)).into_iter().enumerate() {
        let Some(value) = value else { continue };
        // Nothing is still a line: it was measured.
        let mut eighths = (value.saturating_mul(full).div_ceil(max)).max(1);
        for y in graph.rows().rev().map(|row| row.y) {
            let level = eighths.min(8);
            let x = graph.x + u16::try_from(column).unwrap_or(0);
            put(buffer, x, y, 1, LEVELS[usize::try_from(level).unwrap_or(0)], theme.curve());
            eighths -= level;
        }
    }
}

/// So many columns out of all values, the newest at the right; none where nothing was measured.
fn columns(values: &[u64], width: usize) -> Vec<Option<u64>> {
    if values.is_empty() {
        return vec![None; width];
    }
    // Few values are not stretched: each is a column, and the left is empty.
    if values.len() <= width {
        let empty = std::iter::repeat_n(None, width - values.len());
        return empty.chain(values.iter().copied().map(Some)).collect();
    }
    (0..width)
        .map(|column| {
            let (from, to) = (column * values.len() / width, (column + 1) * values.len() / width);
            values[from..to.max(from + 1)].iter().copied().max()
        })
        .collect()
}
