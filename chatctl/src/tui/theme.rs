//! Colours: the 16 of every terminal, and none with `NO_COLOR`. A colour never says what no word says.

use ratatui::style::{Color, Modifier, Style};

use crate::output::Tone;

/// What things look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Theme {
    has_color: bool,
}

impl Theme {
    /// With colours or without.
    pub(crate) const fn new(has_color: bool) -> Self {
        Self { has_color }
    }

    fn color(self, color: Color) -> Style {
        if self.has_color { Style::new().fg(color) } else { Style::new() }
    }

    /// Text with a meaning.
    pub(crate) fn tone(self, tone: Tone) -> Style {
        match tone {
            Tone::Plain => Style::new(),
            Tone::Good => self.color(Color::Green),
            Tone::Busy => self.color(Color::Yellow),
            Tone::Bad => self.color(Color::Red).add_modifier(Modifier::BOLD),
            Tone::Dim => self.dim(),
        }
    }

    /// What matters less.
    pub(crate) fn dim(self) -> Style {
        if self.has_color { Style::new().fg(Color::DarkGray) } else { Style::new().add_modifier(Modifier::DIM) }
    }

    /// Titles and heads.
    pub(crate) fn title(self) -> Style {
        self.color(Color::Cyan).add_modifier(Modifier::BOLD)
    }

    /// Figures that a reader looks for.
    pub(crate) fn strong(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    /// Keys to press.
    pub(crate) fn key(self) -> Style {
        self.color(Color::Cyan)
    }

    /// The line at the top; red in production.
    pub(crate) fn header(self, is_production: bool) -> Style {
        let plain = Style::new().add_modifier(Modifier::BOLD);
        match (self.has_color, is_production) {
            (true, true) => plain.fg(Color::White).bg(Color::Red),
            (true, false) => plain.fg(Color::White).bg(Color::Blue),
            (false, _) => plain.add_modifier(Modifier::REVERSED),
        }
    }

    /// A line that says: something is wrong now.
    pub(crate) fn alarm(self) -> Style {
        let plain = Style::new().add_modifier(Modifier::BOLD);
        if self.has_color { plain.fg(Color::Black).bg(Color::Yellow) } else { plain.add_modifier(Modifier::REVERSED) }
    }

    /// The row, or the pane, that is chosen.
    pub(crate) fn selected(self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }

    /// A curve.
    pub(crate) fn curve(self) -> Style {
        self.color(Color::Cyan)
    }

    /// A tile of the heat map.
    pub(crate) fn heat(self, tone: Tone) -> Style {
        match (self.has_color, tone) {
            (true, Tone::Good) => Style::new().fg(Color::Black).bg(Color::Green),
            (true, Tone::Busy) => Style::new().fg(Color::Black).bg(Color::Yellow),
            (true, Tone::Bad) => Style::new().fg(Color::White).bg(Color::Red),
            (true, _) => Style::new().fg(Color::White).bg(Color::DarkGray),
            (false, Tone::Bad) => Style::new().add_modifier(Modifier::REVERSED),
            (false, _) => Style::new(),
        }
    }

    /// What is old: the last picture of a control plane that is lost.
    pub(crate) fn stale(self) -> Style {
        Style::new().add_modifier(Modifier::DIM)
    }
}
