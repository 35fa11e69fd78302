//! Where somebody was: back with `[`, forth with `]`.

/// More than this nobody goes back.
const VISITS_MAX: usize = 100;

/// Visits to panes, and where in them one is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct History {
    visits: Vec<usize>,
    at: usize,
}

impl History {
    /// Begins at a pane.
    pub(super) fn new(pane: usize) -> Self {
        Self { visits: vec![pane], at: 0 }
    }

    /// Goes to a pane; what was ahead is forgotten.
    pub(super) fn visit(&mut self, pane: usize) {
        if self.visits.get(self.at) == Some(&pane) {
            return;
        }
        self.visits.truncate(self.at + 1);
        self.visits.push(pane);
        if self.visits.len() > VISITS_MAX {
            self.visits.remove(0);
        }
        self.at = self.visits.len() - 1;
    }

    /// The pane before, if there is one.
    pub(super) fn back(&mut self) -> Option<usize> {
        self.at = self.at.checked_sub(1)?;
        self.visits.get(self.at).copied()
    }

    /// The pane after, if there is one.
    pub(super) fn forth(&mut self) -> Option<usize> {
        let pane = self.visits.get(self.at + 1).copied()?;
        self.at += 1;
        Some(pane)
    }
}
