//! The filter of a pane: rows that hold a text somewhere, or with `!` rows that do not. With `=` a whole cell is that text.

use crate::tui::panes::Row;

/// A filter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Filter {
    /// As it is typed.
    pub(crate) text: String,
}

impl Filter {
    /// True when it lets all through.
    pub(crate) fn is_empty(&self) -> bool {
        self.text.trim_start_matches(['!', '=']).is_empty()
    }

    /// True when a row is shown.
    pub(crate) fn takes(&self, row: &Row) -> bool {
        if self.is_empty() {
            return true;
        }
        let (is_inverse, text) = match self.text.strip_prefix('!') {
            Some(text) => (true, text),
            None => (false, self.text.as_str()),
        };
        let text = text.to_lowercase();
        let holds = |cell: &str| match text.strip_prefix('=') {
            Some(whole) => cell == whole,
            None => cell.contains(&text),
        };
        row.cells.iter().any(|cell| holds(&cell.text.to_lowercase())) != is_inverse
    }
}
