//! What a person sees: messages on stdout, everything else dim on stderr.

use std::io::{self, IsTerminal as _, Write as _};

use console::Term;
use protocol::{frames::MessageFrame, http::ConversationDetail};

use crate::{
    error::CommandError,
    output::{Ui, counted, time_of_day},
};

/// Where it is shown.
pub(super) struct Screen<'a> {
    ui: &'a Ui,
    user: String,
    /// Typed and shown on one terminal: the echo of a typed line gives way to the message.
    terminal: Option<Term>,
    has_color: bool,
}

impl<'a> Screen<'a> {
    pub(super) fn new(ui: &'a Ui, user: &str) -> Self {
        let is_terminal = io::stdin().is_terminal() && io::stdout().is_terminal();
        Self { ui, user: user.to_owned(), terminal: is_terminal.then(Term::stdout), has_color: ui.has_color() }
    }

    pub(super) fn hello(&self, detail: &ConversationDetail) {
        let ConversationDetail { id, kind, members, head } = detail;
        self.dim(&format!(
            "{id}: a {} of {} with {}; you are {}; /history, /quit; times are UTC",
            kind.as_str(),
            members.len(),
            counted(*head, "messages"),
            self.user
        ));
    }

    /// One message.
    pub(super) fn message(&self, message: &MessageFrame) -> Result<(), CommandError> {
        let (number, sender) = (message.sequence_number, visible(&message.sender));
        let (time, body) = (time_of_day(message.sent_at_ms), visible(&message.body));
        let text = match (self.has_color, message.sender == self.user) {
            (false, _) => format!("{time}  #{number}  {sender}: {body}"),
            (true, true) => format!("\x1b[2m{time}  #{number}\x1b[0m  \x1b[1m{sender}\x1b[0m: {body}"),
            (true, false) => format!("\x1b[2m{time}  #{number}\x1b[0m  \x1b[1;36m{sender}\x1b[0m: {body}"),
        };
        self.ui.line(&text, message)
    }

    /// A line about the talk, not of it.
    pub(super) fn dim(&self, text: &str) {
        let text = visible(text);
        let mut stderr = io::stderr().lock();
        // A terminal that went away ends the run by its signal.
        let _ = match self.has_color && io::stderr().is_terminal() {
            true => writeln!(stderr, "\x1b[2m-- {text}\x1b[0m"),
            false => writeln!(stderr, "-- {text}"),
        };
    }

    /// Takes away the echo of a typed line: the message itself comes with time and number. Not one that may have
    /// wrapped: nobody knows how many rows it took.
    pub(super) fn take_echo(&self, line: &str) {
        if let Some(terminal) = &self.terminal
            && console::measure_text_width(line) + 2 < usize::from(terminal.size().1)
        {
            let _ = terminal.clear_last_lines(1);
        }
    }
}

/// Text that cannot take over a terminal: control characters, and those that turn the direction of what follows, are
/// spelt out.
pub(super) fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        let turns =
            matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{61c}');
        if c.is_control() || turns || matches!(c, '\u{2028}' | '\u{2029}') {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_takes_over_the_terminal() {
        assert_eq!(visible("a\x1b[2Jb\u{9b}31m\n\t\0"), "a\\u{1b}[2Jb\\u{9b}31m\\n\\t\\u{0}");
        assert_eq!(visible("\u{202e}evil\u{2066}"), "\\u{202e}evil\\u{2066}");
        assert_eq!(visible("héllo, שלום 🎉"), "héllo, שלום 🎉");
    }
}
