//! One pane as somebody left it: filter, order, the row that is chosen, and how far it is scrolled.

use super::filter::Filter;
use crate::tui::panes::{Pane, Row};

/// By which column rows are ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sort {
    /// The column's place.
    pub(crate) column: usize,
    /// Largest first.
    pub(crate) is_descending: bool,
}

/// The state of one pane.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct View {
    /// Which rows.
    pub(crate) filter: Filter,
    /// In which order; none is the pane's own.
    pub(crate) sort: Option<Sort>,
    /// The key of the row that is chosen: it stays chosen wherever it goes.
    pub(crate) key: Option<String>,
    /// It is not among the rows yet: it was begun a moment ago.
    is_awaited: bool,
    /// Its place.
    pub(crate) index: usize,
    /// The first row on the screen.
    pub(crate) offset: usize,
}

impl View {
    /// The rows that pass the filter, in order.
    pub(crate) fn order(&self, mut rows: Vec<Row>) -> Vec<Row> {
        rows.retain(|row| self.filter.takes(row));
        if let Some(sort) = self.sort {
            rows.sort_by(|one, other| {
                let order = match (one.cells.get(sort.column), other.cells.get(sort.column)) {
                    (Some(one), Some(other)) => one.order(other),
                    _ => std::cmp::Ordering::Equal,
                };
                if sort.is_descending { order.reverse() } else { order }
            });
        }
        rows
    }

    /// Orders by the column with this letter; again turns the order around. Numbers begin with the largest.
    pub(super) fn sort_by(&mut self, pane: &dyn Pane, letter: char) -> bool {
        let Some(column) = pane.columns().iter().position(|column| column.letter() == Some(letter)) else {
            return false;
        };
        let is_descending = match self.sort {
            Some(sort) if sort.column == column => !sort.is_descending,
            _ => pane.columns().get(column).is_some_and(|column| column.is_number),
        };
        self.sort = Some(Sort { column, is_descending });
        true
    }

    /// Chooses a row that is to come.
    pub(super) fn await_row(&mut self, key: String) {
        self.key = Some(key);
        self.is_awaited = true;
    }

    /// Chooses another row, so many further down.
    pub(super) fn step(&mut self, rows: &[Row], by: isize) {
        self.is_awaited = false;
        let last = rows.len().saturating_sub(1);
        self.index = self.index.saturating_add_signed(by).min(last);
        self.key = rows.get(self.index).map(|row| row.key.clone());
    }

    /// Rows have changed: finds the chosen one again, and keeps it on the screen.
    pub(super) fn settle(&mut self, rows: &[Row], height: usize) {
        let found = self.key.as_ref().and_then(|key| rows.iter().position(|row| row.key == *key));
        self.index = found.unwrap_or_else(|| self.index.min(rows.len().saturating_sub(1)));
        self.is_awaited &= found.is_none();
        if !rows.is_empty() && !self.is_awaited {
            self.key = rows.get(self.index).map(|row| row.key.clone());
        }
        let height = height.max(1);
        if self.index < self.offset {
            self.offset = self.index;
        }
        if self.index >= self.offset + height {
            self.offset = self.index + 1 - height;
        }
        self.offset = self.offset.min(rows.len().saturating_sub(height));
    }
}
