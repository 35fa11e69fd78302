//! How far long work is: a bar on a terminal, a line for each step elsewhere.

use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use super::ui::Ui;
use crate::error::CommandError;

/// The progress of one operation.
pub struct Progress<'a> {
    ui: &'a Ui,
    bar: Option<ProgressBar>,
}

impl<'a> Progress<'a> {
    /// Begins to show progress.
    pub fn new(ui: &'a Ui) -> Self {
        let bar = ui.has_progress().then(|| {
            let bar = ProgressBar::new(0);
            if let Ok(style) = ProgressStyle::with_template("{prefix} [{bar:32}] {pos}/{len} {msg}") {
                bar.set_style(style.progress_chars("=> "));
            }
            bar
        });
        Self { ui, bar }
    }

    /// Shows a step: `done` of `all`, in words, and as data for programs.
    pub fn step<T: Serialize>(
        &self,
        phase: &str,
        done: u64,
        all: u64,
        text: &str,
        data: &T,
    ) -> Result<(), CommandError> {
        match &self.bar {
            None => self.ui.line(text, data),
            Some(bar) => {
                bar.set_length(all);
                bar.set_position(done);
                bar.set_prefix(phase.to_owned());
                bar.set_message(text.to_owned());
                Ok(())
            }
        }
    }
}

impl Drop for Progress<'_> {
    /// The bar goes; where it stood is said in a line that stays.
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            let last = format!("{}: {}", bar.prefix(), bar.message());
            bar.finish_and_clear();
            if !bar.message().is_empty() {
                self.ui.note(&last);
            }
        }
    }
}
