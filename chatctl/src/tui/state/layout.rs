//! Where things are on the screen: drawing and the mouse go by the same places.

use ratatui::layout::Rect;

use crate::tui::panes::{ALL, Column};

/// Below this a pane's name is short.
const NAMES_FROM: u16 = 160;
/// Panes that a digit leads to.
const DIGITS: usize = 9;
/// Between two columns.
const GAP: u16 = 2;
/// Where the lights begin in the overview: below the figures and their title.
pub(crate) const LIGHTS_AT: u16 = 3;

/// The parts of the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Areas {
    /// The line at the top.
    pub(crate) header: Rect,
    /// The names of the panes.
    pub(crate) tabs: Rect,
    /// What is wrong now; without height when nothing is.
    pub(crate) banner: Rect,
    /// The title of the pane.
    pub(crate) title: Rect,
    /// The heads of the columns.
    pub(crate) heads: Rect,
    /// The rows.
    pub(crate) body: Rect,
    /// The line at the bottom.
    pub(crate) foot: Rect,
}

impl Areas {
    /// For a screen of this size.
    pub(crate) fn of(size: (u16, u16), banners: u16, has_table: bool) -> Self {
        let (width, height) = size;
        let mut y = 0;
        let mut take = |rows: u16, keep: u16| {
            let rows = rows.min(height.saturating_sub(y).saturating_sub(keep));
            let area = Rect::new(0, y, width, rows);
            y += rows;
            area
        };
        let heads = u16::from(has_table);
        let (header, tabs, banner) = (take(1, 1), take(1, 1), take(banners, 1));
        let (title, heads) = (take(heads, 1), take(heads, 1));
        let body = take(height, 1);
        Self { header, tabs, banner, title, heads, body, foot: take(1, 0) }
    }
}

/// The name of a pane at the top.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tab {
    /// Which pane.
    pub(crate) pane: usize,
    /// Its digit, if it has one, and its name.
    pub(crate) text: String,
    /// Where it begins.
    pub(crate) x: u16,
}

/// The names of the panes that have room, the one in front among them.
pub(crate) fn tabs(width: u16, at: usize) -> Vec<Tab> {
    let gap = if width < NAMES_FROM { 1 } else { 3 };
    let names: Vec<String> = (0..ALL.len())
        .map(|pane| {
            let name = if width < NAMES_FROM { tab_name(pane) } else { ALL[pane].name() };
            if pane < DIGITS { format!("{} {name}", pane + 1) } else { name.to_owned() }
        })
        .collect();
    let length = |pane: usize| u16::try_from(names[pane].chars().count()).unwrap_or(u16::MAX);
    // As few as need be are left out at the left.
    let end = |first: usize| (first..=at).fold(1_u16, |x, pane| x.saturating_add(length(pane)).saturating_add(gap));
    let first = (0..at).find(|first| end(*first).saturating_sub(gap) < width).unwrap_or(at);
    let mut x: u16 = 1;
    let mut all = Vec::new();
    for (pane, text) in names.iter().enumerate().skip(first) {
        all.push(Tab { pane, text: text.clone(), x });
        x = x.saturating_add(length(pane)).saturating_add(gap);
        if x >= width {
            break;
        }
    }
    all
}

/// A pane's name where there is little room: only the longest is cut, so that the rest stays readable.
fn tab_name(index: usize) -> &'static str {
    let Some(pane) = ALL.get(index) else { return "" };
    if pane.name().len() > 9 { pane.short() } else { pane.name() }
}

/// A column on the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Placed {
    /// Its place among the pane's columns.
    pub(crate) index: usize,
    /// Where it begins.
    pub(crate) x: u16,
    /// How wide it is.
    pub(crate) width: u16,
}

/// The columns that have room in a width. They go by the width alone, so that nothing moves when data change.
pub(crate) fn place(columns: &[Column], width: u16) -> Vec<Placed> {
    let shown: Vec<usize> = (0..columns.len()).filter(|&index| columns[index].from <= width).collect();
    let fixed: u16 = shown.iter().map(|&index| columns[index].width + GAP).sum();
    let mut room = width.saturating_sub(1).saturating_sub(fixed.saturating_sub(GAP));
    let mut parts: u16 = shown.iter().map(|&index| columns[index].grow).sum();
    let mut x: u16 = 1;
    let mut placed = Vec::with_capacity(shown.len());
    for index in shown {
        let column = &columns[index];
        // What does not divide goes to the columns on the right.
        let more = (room.saturating_mul(column.grow)).checked_div(parts).unwrap_or(0);
        room -= more;
        parts -= column.grow;
        let wide = (column.width + more).min(width.saturating_sub(x));
        placed.push(Placed { index, x, width: wide });
        x = x.saturating_add(wide).saturating_add(GAP);
    }
    placed
}
