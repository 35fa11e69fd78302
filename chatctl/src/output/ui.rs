//! The terminal in front of a run: prints results, asks, repeats.

use std::{
    io::{self, BufRead as _, IsTerminal as _, Write as _},
    time::Duration,
};

use protocol::admin::Changed;
use serde::Serialize;

use super::table::{self, Tabular};
use crate::{
    cli::Global,
    error::{CommandError, Kind},
};

/// Time between two prints of `--watch`.
const WATCH_INTERVAL: Duration = Duration::from_secs(2);

/// How to print.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// A table
    Table,
    /// A table with more columns
    Wide,
    /// JSON; long work prints one object a line
    Json,
    /// YAML
    Yaml,
}

/// Where to print and to ask.
#[derive(Debug)]
pub struct Ui {
    format: Format,
    has_color: bool,
    is_watching: bool,
    is_yes: bool,
    may_ask: bool,
}

impl Ui {
    /// What the flags and the terminal allow.
    pub fn new(global: &Global) -> Self {
        let no_color = global.no_color || std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self {
            format: global.output,
            has_color: !no_color && io::stdout().is_terminal(),
            is_watching: global.watch,
            is_yes: global.yes,
            may_ask: !global.no_input && io::stdin().is_terminal() && io::stderr().is_terminal(),
        }
    }

    /// How results are printed.
    pub fn format(&self) -> Format {
        self.format
    }

    /// True when colours are wanted and have a place on stdout.
    pub fn has_color(&self) -> bool {
        self.has_color
    }

    /// True when a progress bar has a place: a terminal, and a person reads it.
    pub fn has_progress(&self) -> bool {
        matches!(self.format, Format::Table | Format::Wide) && io::stderr().is_terminal()
    }

    /// Prints a list.
    pub fn list<T: Tabular + Serialize>(&self, items: &[T]) -> Result<(), CommandError> {
        match self.format {
            Format::Table => self.out(&table::draw(items, false, self.has_color)),
            Format::Wide => self.out(&table::draw(items, true, self.has_color)),
            Format::Json | Format::Yaml => self.data(&items),
        }
    }

    /// Prints one thing: as a row of a list for people, whole for programs.
    pub fn one<T: Tabular + Serialize>(&self, item: &T) -> Result<(), CommandError> {
        match self.format {
            Format::Table => self.out(&table::draw(std::slice::from_ref(item), false, self.has_color)),
            Format::Wide => self.out(&table::draw(std::slice::from_ref(item), true, self.has_color)),
            Format::Json | Format::Yaml => self.data(item),
        }
    }

    /// Prints one thing of which a change was asked for; says so when it was so already.
    pub fn changed<T: Tabular + Serialize>(&self, thing: &Changed<T>) -> Result<(), CommandError> {
        if let Some(why) = &thing.already {
            self.note(why);
        }
        self.one(thing)
    }

    /// Prints text for people, or data for programs.
    pub fn say<T: Serialize>(&self, text: &str, data: &T) -> Result<(), CommandError> {
        match self.format {
            Format::Table | Format::Wide => self.out(text),
            Format::Json | Format::Yaml => self.data(data),
        }
    }

    /// Prints data for programs. People have read a note.
    pub fn answer<T: Serialize>(&self, data: &T) -> Result<(), CommandError> {
        match self.format {
            Format::Table | Format::Wide => Ok(()),
            Format::Json | Format::Yaml => self.data(data),
        }
    }

    /// Prints one object of long work: a line of JSON, or text.
    pub fn line<T: Serialize>(&self, text: &str, data: &T) -> Result<(), CommandError> {
        match self.format {
            Format::Table | Format::Wide => self.out(text),
            Format::Json => self.out(&serde_json::to_string(data).map_err(|error| cannot_print(&error))?),
            Format::Yaml => {
                self.out("---")?;
                self.data(data)
            }
        }
    }

    /// Prints to a person, on stderr.
    pub fn note(&self, text: &str) {
        let _ = writeln!(io::stderr(), "{text}");
    }

    /// Prints what went wrong, on stderr; as JSON for programs that asked for it.
    pub fn error(&self, error: &CommandError) {
        if self.format == Format::Json
            && let Ok(text) = serde_json::to_string(&serde_json::json!({ "error": error }))
        {
            return self.note(&text);
        }
        self.note(&format!("error: {error}"));
        if let Some(hint) = &error.hint {
            self.note(&format!("hint: {hint}"));
        }
        if let Some(flag) = &error.override_flag {
            self.note(&format!("hint: {flag} overrides this"));
        }
    }

    /// Asks before something severe. Without a terminal it is refused unless `--yes` is given.
    pub fn confirm(&self, question: &str, production: Option<&str>) -> Result<(), CommandError> {
        if self.is_yes {
            return Ok(());
        }
        if !self.may_ask {
            let refused = CommandError::new(Kind::Refused, format!("not confirmed: {question}"));
            return Err(CommandError { override_flag: Some("--yes".to_owned()), ..refused });
        }
        let warning = match production {
            Some(name) if self.has_color => format!("\x1b[1;31mPRODUCTION {name}\x1b[0m "),
            Some(name) => format!("PRODUCTION {name} "),
            None => String::new(),
        };
        let _ = write!(io::stderr(), "{warning}{question}\ngo on? [y/N] ");
        let _ = io::stderr().flush();
        let mut answer = String::new();
        io::stdin().lock().read_line(&mut answer).map_err(|error| cannot_print(&error))?;
        match answer.trim() {
            "y" | "Y" | "yes" => Ok(()),
            _ => Err(CommandError::new(Kind::Refused, "not confirmed")),
        }
    }

    /// Does something once, or with `--watch` again and again until ctrl-C.
    pub async fn repeat(&self, show: impl AsyncFn() -> Result<(), CommandError>) -> Result<(), CommandError> {
        if !self.is_watching {
            return show().await;
        }
        loop {
            if self.has_progress() && io::stdout().is_terminal() {
                // To the top left, and clear: the picture stays where it was.
                self.out("\x1b[H\x1b[2J")?;
            }
            show().await?;
            tokio::select! {
                _ = tokio::signal::ctrl_c() => return Ok(()),
                () = tokio::time::sleep(WATCH_INTERVAL) => {}
            }
        }
    }

    /// Prints a line of text on stdout. A reader that went away ends the run quietly, and not as a success: whatever
    /// was waited for may not have come.
    pub fn out(&self, text: &str) -> Result<(), CommandError> {
        let mut stdout = io::stdout().lock();
        let newline = if text.ends_with('\n') { "" } else { "\n" };
        match write!(stdout, "{text}{newline}").and_then(|()| stdout.flush()) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => std::process::exit(1),
            result => result.map_err(|error| cannot_print(&error)),
        }
    }

    fn data<T: Serialize>(&self, data: &T) -> Result<(), CommandError> {
        let text = match self.format {
            Format::Yaml => serde_saphyr::to_string(data).map_err(|error| cannot_print(&error))?,
            _ => serde_json::to_string_pretty(data).map_err(|error| cannot_print(&error))?,
        };
        self.out(&text)
    }
}

fn cannot_print(error: &dyn std::fmt::Display) -> CommandError {
    CommandError::failed(format!("cannot print: {error}"))
}
