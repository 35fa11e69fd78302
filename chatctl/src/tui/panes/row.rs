//! Rows, cells, columns and facts: what panes are made of, before anything is drawn.

use std::cmp::Ordering;

use crate::output::{Tone, thousands};

/// A column.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Column {
    /// Its head. Its only capital is the letter that sorts by it (with shift).
    pub(crate) head: &'static str,
    /// Its width.
    pub(crate) width: u16,
    /// Its part of the room that is left; 0 keeps its width.
    pub(crate) grow: u16,
    /// Numbers stand at the right.
    pub(crate) is_number: bool,
    /// Shown on terminals of at least this width.
    pub(crate) from: u16,
}

impl Column {
    /// A column of words.
    pub(crate) const fn text(head: &'static str, width: u16) -> Self {
        Self { head, width, grow: 0, is_number: false, from: 0 }
    }

    /// A column of numbers.
    pub(crate) const fn number(head: &'static str, width: u16) -> Self {
        Self { head, width, grow: 0, is_number: true, from: 0 }
    }

    /// It takes a part of the room that is left.
    pub(crate) const fn grow(self, grow: u16) -> Self {
        Self { grow, ..self }
    }

    /// Only on terminals of at least this width.
    pub(crate) const fn from(self, from: u16) -> Self {
        Self { from, ..self }
    }

    /// The letter that sorts by it.
    pub(crate) fn letter(&self) -> Option<char> {
        self.head.chars().find(char::is_ascii_uppercase)
    }
}

/// A cell.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Cell {
    /// What it says.
    pub(crate) text: String,
    /// What it means.
    pub(crate) tone: Tone,
    /// What to sort by, when it is not the text.
    pub(crate) number: Option<u64>,
}

impl Cell {
    /// Words. Control characters become spaces: nobody's reason may move the cursor.
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self { text: clean(&text.into()), tone: Tone::Plain, number: None }
    }

    /// A number with its thousands apart.
    pub(crate) fn number(number: u64) -> Self {
        Self::sorted(thousands(number), number)
    }

    /// Words that are sorted by a number.
    pub(crate) fn sorted(text: impl Into<String>, number: u64) -> Self {
        Self { number: Some(number), ..Self::text(text) }
    }

    /// With a meaning.
    pub(crate) fn tone(self, tone: Tone) -> Self {
        Self { tone, ..self }
    }

    /// How two cells of a column are ordered.
    pub(crate) fn order(&self, other: &Self) -> Ordering {
        match (self.number, other.number) {
            (Some(one), Some(other)) => one.cmp(&other),
            _ => self.text.cmp(&other.text),
        }
    }
}

/// A row.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Row {
    /// What tells it from others, however often it is loaded.
    pub(crate) key: String,
    /// One for each column.
    pub(crate) cells: Vec<Cell>,
}

impl Row {
    /// A row.
    pub(crate) fn new(key: impl Into<String>, cells: Vec<Cell>) -> Self {
        Self { key: key.into(), cells }
    }
}

/// A line of a description.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Fact {
    /// What is said; empty goes on with the fact before.
    pub(crate) name: String,
    /// The value.
    pub(crate) value: Cell,
}

impl Fact {
    /// A fact.
    pub(crate) fn new(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self { name: name.into(), value: Cell::text(value) }
    }

    /// With a meaning.
    pub(crate) fn tone(self, tone: Tone) -> Self {
        Self { value: self.value.tone(tone), ..self }
    }
}

/// One line, without what moves a cursor.
pub(crate) fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
