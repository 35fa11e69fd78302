//! Tables: columns line up, two spaces apart; colour means something and nothing depends on it.

use comfy_table::{Attribute, Color, ContentArrangement, Table, presets};
use protocol::admin::Changed;

/// What a colour says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// Nothing.
    Plain,
    /// All is well.
    Good,
    /// Something is under way.
    Busy,
    /// Somebody should look.
    Bad,
    /// Not in use.
    Dim,
}

/// One cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cell {
    text: String,
    tone: Tone,
}

impl Cell {
    /// A cell with a meaning.
    pub fn new(text: impl ToString, tone: Tone) -> Self {
        Self { text: text.to_string(), tone }
    }
}

impl<T: ToString> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::new(text, Tone::Plain)
    }
}

/// A column: its head, and whether only `-o wide` shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column(pub &'static str, pub bool);

/// Something with a row in a table.
pub trait Tabular {
    /// The columns.
    const COLUMNS: &'static [Column];

    /// The cells, one for each column.
    fn row(&self) -> Vec<Cell>;
}

impl<T: Tabular> Tabular for Changed<T> {
    const COLUMNS: &'static [Column] = T::COLUMNS;

    fn row(&self) -> Vec<Cell> {
        self.now.row()
    }
}

/// Draws a table; an empty one is its heads.
pub(super) fn draw<T: Tabular>(items: &[T], is_wide: bool, has_color: bool) -> String {
    let shown = |index: &usize| is_wide || !T::COLUMNS[*index].1;
    let columns: Vec<usize> = (0..T::COLUMNS.len()).filter(shown).collect();
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_content_arrangement(ContentArrangement::Disabled);
    if has_color {
        table.enforce_styling();
    } else {
        table.force_no_tty();
    }
    table.set_header(
        columns.iter().map(|&index| comfy_table::Cell::new(T::COLUMNS[index].0).add_attribute(Attribute::Bold)),
    );
    for item in items {
        let row = item.row();
        table.add_row(columns.iter().filter_map(|&index| row.get(index)).map(draw_cell));
    }
    for index in 0..columns.len() {
        if let Some(column) = table.column_mut(index) {
            column.set_padding((0, 2));
        }
    }
    table.trim_fmt()
}

fn draw_cell(cell: &Cell) -> comfy_table::Cell {
    // A cell is one line, whatever somebody wrote into a reason.
    let text: String = cell.text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let drawn = comfy_table::Cell::new(if text.is_empty() { "-" } else { &text });
    match cell.tone {
        Tone::Plain => drawn,
        Tone::Good => drawn.fg(Color::Green),
        Tone::Busy => drawn.fg(Color::Yellow),
        Tone::Bad => drawn.fg(Color::Red),
        Tone::Dim => drawn.add_attribute(Attribute::Dim),
    }
}
