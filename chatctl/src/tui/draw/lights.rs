//! The six failure modes as lights: symbol, word, figure, threshold. Colour only repeats what the word says.

use ratatui::{buffer::Buffer, layout::Rect};

use super::{put, put_right, title};
use crate::tui::{state::State, theme::Theme};

/// Where the columns are: symbol, word, mode, now, threshold, figure.
const AT: [u16; 6] = [1, 3, 12, 27, 36, 53];
/// How wide the figure of now is.
const NOW: u16 = 8;
/// How wide its threshold is.
const THRESHOLD: u16 = 15;
/// Less than this of what is measured says nothing.
const MEASURED_MIN: u16 = 12;
/// How wide an incident's name is.
const INCIDENT: u16 = 10;

/// Draws them: a title, and a line each.
pub(super) fn draw(buffer: &mut Buffer, area: Rect, state: &State, theme: Theme) {
    title(buffer, Rect { height: 1, ..area }, "failure modes", theme);
    put_right(buffer, area.x + AT[3], area.y, NOW + 1, " now ", theme.title());
    put_right(buffer, area.x + AT[4], area.y, THRESHOLD + 1, " fires at ", theme.title());
    let rows = state.rows();
    if rows.is_empty() && area.height > 1 {
        put(buffer, area.x + 1, area.y + 1, area.width, state.pane().empty(), theme.dim());
    }
    let has_incidents = rows.iter().any(|row| row.cells.get(6).is_some_and(|cell| !cell.text.is_empty()));
    let side = if has_incidents { INCIDENT + 1 } else { 0 };
    // What is measured has room, or is left to the description.
    let room = Some(area.width.saturating_sub(AT[5] + side + 1)).filter(|room| *room >= MEASURED_MIN);
    if room.is_some() {
        put(buffer, area.x + AT[5] - 1, area.y, area.width.saturating_sub(AT[5]), " measured ", theme.title());
    }
    for ((index, row), y) in rows.iter().enumerate().zip(area.y + 1..area.bottom()) {
        let [symbol, word, mode, now, threshold, figure, incident] = row.cells.as_slice() else { continue };
        put(buffer, area.x + AT[0], y, 1, &symbol.text, theme.tone(symbol.tone));
        put(buffer, area.x + AT[1], y, 8, &word.text, theme.tone(word.tone));
        put(buffer, area.x + AT[2], y, 15, &mode.text, theme.strong());
        put_right(buffer, area.x + AT[3], y, NOW, &now.text, theme.tone(now.tone));
        put_right(buffer, area.x + AT[4], y, THRESHOLD, &threshold.text, theme.tone(threshold.tone));
        if let Some(room) = room {
            put(buffer, area.x + AT[5], y, room, &figure.text, theme.tone(figure.tone));
        }
        if !incident.text.is_empty() {
            put(
                buffer,
                area.right().saturating_sub(INCIDENT + 1),
                y,
                INCIDENT,
                &incident.text,
                theme.tone(incident.tone),
            );
        }
        if index == state.view().index {
            buffer.set_style(Rect { y, height: 1, ..area }, theme.selected());
        }
    }
}
