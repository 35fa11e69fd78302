//! How a question lies on a screen: its fields have their places, what it says has the room that is left, and scrolls.

use super::{Ask, wrap::hang};
use crate::output::Tone;

/// Wider than this no question is.
const WIDTH_MAX: u16 = 76;
/// Rows around what it says and its fields: the frame, and a line above and below the fields.
const AROUND: u16 = 4;
/// Lines of the screen that stay seen: the first says which fleet this is.
const KEPT: u16 = 2;

/// A question on a screen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fit {
    /// How wide its inside is.
    pub(crate) width: u16,
    /// What it says, in lines.
    pub(crate) says: Vec<(String, Tone)>,
    /// The first of them that is shown.
    pub(crate) first: usize,
    /// How many are shown.
    pub(crate) shown: usize,
    /// What is wrong with an answer, in lines.
    pub(crate) error: Vec<String>,
}

impl Ask {
    /// Lays it out on a screen, with so many lines above what it says.
    pub(crate) fn fit(&self, size: (u16, u16), above: u16) -> Fit {
        let width = WIDTH_MAX.min(size.0.saturating_sub(4));
        let cut = |text: &str| hang(text, usize::from(width));
        let says: Vec<(String, Tone)> =
            self.says.iter().flat_map(|(text, tone)| cut(text).into_iter().map(move |line| (line, *tone))).collect();
        // The line for what is wrong is there before anything is.
        let error = self.error.as_deref().map_or_else(|| vec![String::new()], cut);
        let taken = usize::from(AROUND + KEPT + above) + self.fields.len() + error.len();
        let shown = usize::from(size.1).saturating_sub(taken).max(1).min(says.len());
        Fit { width, first: self.scroll.min(says.len() - shown), says, shown, error }
    }

    /// Scrolls what it says.
    pub(super) fn scroll_by(&mut self, by: isize, size: (u16, u16), above: u16) {
        let fit = self.fit(size, above);
        self.scroll = fit.first.saturating_add_signed(by).min(fit.says.len() - fit.shown);
    }
}
