//! The terminal UI: the whole fleet in one terminal, with the grammar of k9s.
//!
//! - [`event`]: what happens, all over one bounded channel, and what is asked for in return.
//! - [`state`]: what is known and how events change it; pure.
//! - [`panes`]: one file each: rows, description, filter text, dangerous keys.
//! - [`draw`]: the picture of a state; [`theme`]: its colours.
//! - [`runner`]: the only part that does IO; [`canvas`] and [`screen`] are its terminal, [`perform`] its calls.

mod canvas;
mod draw;
mod event;
mod panes;
mod perform;
mod runner;
mod screen;
mod state;
#[cfg(test)]
mod tests;
mod theme;

use crate::{error::CommandError, session::Session};

/// Names of the panes, for the command line.
pub(crate) fn pane_names() -> impl Iterator<Item = &'static str> {
    panes::ALL.iter().map(|pane| pane.name())
}

/// Runs it until somebody quits.
pub(crate) async fn run(
    session: &Session,
    pane: Option<&str>,
    is_read_only: bool,
    has_mouse: bool,
) -> Result<(), CommandError> {
    let at = match pane {
        None => 0,
        Some(name) => panes::find(name).ok_or_else(|| {
            let names = pane_names().collect::<Vec<_>>().join(", ");
            CommandError::usage(format!("there is no pane {name:?}")).hint(format!("panes: {names}"))
        })?,
    };
    let (name, context) = session.context()?;
    let setting = state::Setting {
        context: name,
        url: context.control_plane.clone(),
        is_production: context.production,
        is_read_only,
    };
    let fleet = perform::Fleet::new(&setting.context, context)?;
    let theme = theme::Theme::new(session.ui.has_color());
    runner::run(fleet, runner::Options { setting, pane: at, theme, has_mouse }).await
}
