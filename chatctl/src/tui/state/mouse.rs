//! The mouse: the wheel moves, a click chooses a row, a pane, or the column to sort by.

use crossterm::event::{MouseButton, MouseEvent, MouseEventKind};

use super::{LIGHTS_AT, Mode, State, Tab, place, tabs};
use crate::tui::event::Action;

/// Rows that the wheel moves.
const WHEEL_ROWS: isize = 3;

impl State {
    pub(super) fn on_mouse(&mut self, mouse: MouseEvent) -> Vec<Action> {
        let above = self.above_ask();
        match &mut self.mode {
            Mode::Browse => {}
            // What a question says is read to its end; its fields stay as they are.
            Mode::Ask(ask) => {
                match mouse.kind {
                    MouseEventKind::ScrollDown => ask.scroll_by(WHEEL_ROWS, self.size, above),
                    MouseEventKind::ScrollUp => ask.scroll_by(-WHEEL_ROWS, self.size, above),
                    _ => {}
                }
                return Vec::new();
            }
            // While something is typed, a hand that slips changes nothing.
            Mode::Command(_) | Mode::Filter(_) => return Vec::new(),
        }
        match (mouse.kind, self.popup.is_some()) {
            (MouseEventKind::ScrollDown, true) => self.scroll(WHEEL_ROWS),
            (MouseEventKind::ScrollUp, true) => self.scroll(-WHEEL_ROWS),
            (MouseEventKind::ScrollDown, false) => self.step(self.wheel()),
            (MouseEventKind::ScrollUp, false) => self.step(-self.wheel()),
            (MouseEventKind::Down(MouseButton::Left), true) => self.popup = None,
            (MouseEventKind::Down(MouseButton::Left), false) => self.click(mouse.column, mouse.row),
            _ => {}
        }
        Vec::new()
    }

    fn wheel(&self) -> isize {
        if self.pane().columns().is_empty() { 1 } else { WHEEL_ROWS }
    }

    fn click(&mut self, x: u16, y: u16) {
        let areas = self.areas();
        let at = (x, y).into();
        if areas.tabs.contains(at) {
            let hit = |tab: &Tab| x >= tab.x && usize::from(x - tab.x) < tab.text.chars().count();
            if let Some(tab) = tabs(self.size.0, self.at).into_iter().find(hit) {
                self.go(tab.pane);
            }
        } else if areas.heads.contains(at) {
            let pane = self.pane();
            let placed = place(pane.columns(), self.size.0);
            let hit = placed.iter().find(|column| x >= column.x && x < column.x + column.width);
            if let Some(letter) = hit.and_then(|column| pane.columns()[column.index].letter()) {
                self.view_mut().sort_by(pane, letter);
            }
        } else if areas.body.contains(at) {
            let row = usize::from(y - areas.body.y);
            let index = match self.pane().columns().is_empty() {
                true => row.checked_sub(usize::from(LIGHTS_AT)),
                false => Some(row + self.view().offset),
            };
            let rows = self.rows();
            if let Some(key) = index.and_then(|index| rows.get(index)).map(|row| row.key.clone()) {
                self.view_mut().key = Some(key);
            }
        }
    }
}
