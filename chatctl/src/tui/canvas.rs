//! The picture on the terminal: only cells that changed are written. Another size writes every cell over what is there
//! instead of clearing first, so nothing flickers.

use ratatui::{
    backend::Backend,
    buffer::{Buffer, Cell},
    layout::Rect,
    style::Modifier,
};

use super::{draw, state::State, theme::Theme};

/// A backend and what it shows.
pub(crate) struct Canvas<B> {
    backend: B,
    shown: Buffer,
    theme: Theme,
}

impl<B: Backend> Canvas<B> {
    /// Nothing is known of what the terminal shows.
    pub(crate) fn new(backend: B, theme: Theme) -> Self {
        Self { backend, shown: unknown(Rect::ZERO), theme }
    }

    /// Shows the state, as far as the backend writes through: flushing is the caller's.
    pub(crate) fn show(&mut self, state: &State) -> Result<(), B::Error> {
        let area = Rect::new(0, 0, state.size.0, state.size.1);
        let mut next = Buffer::empty(area);
        let cursor = draw::draw(&mut next, state, self.theme);
        if self.shown.area != area {
            self.shown = unknown(area);
        }
        self.backend.hide_cursor()?;
        self.backend.draw(self.shown.diff(&next).into_iter())?;
        if let Some(position) = cursor {
            self.backend.set_cursor_position(position)?;
            self.backend.show_cursor()?;
        }
        self.shown = next;
        Ok(())
    }

    /// What it shows.
    #[cfg(test)]
    pub(crate) fn shown(&self) -> &Buffer {
        &self.shown
    }

    /// The backend.
    pub(crate) fn backend_mut(&mut self) -> &mut B {
        &mut self.backend
    }
}

/// A picture that differs from any other in every cell.
fn unknown(area: Rect) -> Buffer {
    let mut cell = Cell::new(" ");
    cell.modifier = Modifier::HIDDEN | Modifier::RAPID_BLINK;
    Buffer::filled(area, cell)
}
