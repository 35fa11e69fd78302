//! A line that is typed.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// Longer than this no line gets.
const CHARS_MAX: usize = 500;

/// Changes a line as a key says. False when the key is none of editing.
pub(super) fn edit(line: &mut String, key: KeyEvent) -> bool {
    let has_ctrl = key.modifiers.contains(KeyModifiers::CONTROL);
    match key.code {
        KeyCode::Char('u') if has_ctrl => line.clear(),
        KeyCode::Char('w') if has_ctrl => {
            let kept = line.trim_end().rfind(' ').map_or(0, |at| at + 1);
            line.truncate(kept);
        }
        KeyCode::Backspace => {
            line.pop();
        }
        KeyCode::Char(c) if !has_ctrl && !key.modifiers.contains(KeyModifiers::ALT) => {
            insert(line, c.encode_utf8(&mut [0; 4]));
        }
        _ => return false,
    }
    true
}

/// Adds text that was typed or pasted, without what moves a cursor.
pub(super) fn insert(line: &mut String, text: &str) {
    let room = CHARS_MAX.saturating_sub(line.chars().count());
    line.extend(text.chars().filter(|c| !c.is_control()).take(room));
}
