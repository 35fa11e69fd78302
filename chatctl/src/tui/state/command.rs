//! The line after `:`. Tab completes; what is not known is said.

use crossterm::event::{KeyCode, KeyEvent};

use super::input;
use crate::tui::panes;

/// What a command means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Command {
    /// Go to a pane, with a filter when one follows its name.
    Go(usize, Option<String>),
    /// End the program.
    Quit,
    /// Show the help.
    Help,
}

/// What a key made of the line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Typed {
    /// It goes on.
    Stay,
    /// Nobody wants it any more.
    Cancel,
    /// Do this.
    Run(Command),
    /// It means nothing; why.
    Unknown(String),
}

/// The line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct CommandLine {
    /// As it stands.
    pub(crate) text: String,
    /// What was typed before tab, and how often tab was pressed since.
    tabs: Option<(String, usize)>,
}

impl CommandLine {
    /// A key.
    pub(super) fn key(&mut self, key: KeyEvent) -> Typed {
        match key.code {
            KeyCode::Esc => return Typed::Cancel,
            KeyCode::Backspace if self.text.is_empty() => return Typed::Cancel,
            KeyCode::Enter if self.text.trim().is_empty() => return Typed::Cancel,
            KeyCode::Enter => {
                return match parse(&self.text) {
                    Ok(command) => Typed::Run(command),
                    Err(why) => Typed::Unknown(why),
                };
            }
            KeyCode::Tab => self.complete(),
            _ => {
                self.tabs = None;
                input::edit(&mut self.text, key);
            }
        }
        Typed::Stay
    }

    /// Text was pasted.
    pub(super) fn paste(&mut self, text: &str) {
        self.tabs = None;
        input::insert(&mut self.text, text);
    }

    /// Each tab takes the next word that begins as the line did.
    fn complete(&mut self) {
        let (stem, tabs) = self.tabs.take().unwrap_or_else(|| (self.text.clone(), 0));
        let words = candidates(&stem);
        if let Some(word) = words.get(tabs.checked_rem(words.len()).unwrap_or(0)) {
            self.text = (*word).to_owned();
        }
        self.tabs = Some((stem, tabs + 1));
    }

    /// The words that tab goes through.
    pub(crate) fn candidates(&self) -> Vec<&'static str> {
        candidates(self.tabs.as_ref().map_or(&self.text, |(stem, _)| stem))
    }
}

fn words() -> impl Iterator<Item = &'static str> {
    panes::ALL.iter().map(|pane| pane.name()).chain(["help", "quit"])
}

fn candidates(stem: &str) -> Vec<&'static str> {
    words().filter(|word| word.starts_with(stem)).collect()
}

fn parse(text: &str) -> Result<Command, String> {
    let text = text.trim();
    let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
    let rest = rest.trim();
    match word {
        "q" | "quit" | "exit" => Ok(Command::Quit),
        "h" | "help" => Ok(Command::Help),
        _ => match panes::find(word) {
            Some(pane) => Ok(Command::Go(pane, (!rest.is_empty()).then(|| rest.to_owned()))),
            None => Err(format!("unknown command {word:?}; known: {}", words().collect::<Vec<_>>().join(" "))),
        },
    }
}
