//! `chatctl ui`, and `chatctl` alone in a terminal.

use std::io::{self, IsTerminal as _};

use crate::{context::ContextFile, error::CommandError, session::Session, tui};

/// The long help.
pub(super) const LONG_ABOUT: &str = "\
    Watch and steer the fleet in this terminal\n\n\
    Panes: overview, gateways, workers, breakers, overrides, incidents, operations, audit, runbooks, capacity, \
    sessions, conversations, queues, backends. A digit, tab, a click, or `:` and a name goes to a pane; `?` explains its \
    keys. `:sessions USER`, `:conversations ID` and `:capacity FACTOR` look one thing up. It polls once a second \
    only what the pane in front needs.\n\n\
    The grammar is that of k9s: `:` command (tab completes), `/` filter (`/!text` for rows without it), enter in, \
    esc out, `[` and `]` back and forth, shift and a letter sorts by the column that shows the letter, `d` describe, \
    `y` YAML, `l` events of an operation, `q` or ctrl-c quit.\n\n\
    Keys that change the fleet ask first, and go through the same calls as the commands: drain and held breakers \
    want the name typed, what is forced wants a reason and a time. A token with role viewer does not have them, nor \
    does anybody with --read-only.\n\n\
    An incident names its runbook: `o` reads it, `r` there asks for its parameters, with those of the incident filled \
    in, then shows its plan: every command, and the hash that is approved by typing the runbook's name. What was read is \
    what runs. Its steps are the operation's events; `c` among the operations types the word that a step waits for, \
    ctrl-x undoes.\n\n\
    A control plane that is lost is said, its last picture stays, and it comes back by itself.\n\n\
    Colours are the 16 of every terminal; --no-color or the variable NO_COLOR turns them off, and no meaning is \
    lost.";

/// Watch and steer the fleet in this terminal
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The pane to begin with [default: overview]
    #[arg(long, value_name = "PANE", value_parser = clap::builder::PossibleValuesParser::new(tui::pane_names()))]
    pane: Option<String>,
    /// Change nothing, whatever the token allows
    #[arg(long)]
    read_only: bool,
    /// Leave the mouse to the terminal, so that it can select text
    #[arg(long)]
    no_mouse: bool,
}

pub(super) async fn run(session: &Session, args: Args) -> Result<(), CommandError> {
    if !has_terminal() || session.global.no_input {
        return Err(CommandError::usage("the terminal ui needs a terminal on stdin and stdout")
            .hint("`chatctl gateway list --watch` and the like print again and again"));
    }
    tui::run(session, args.pane.as_deref(), args.read_only, !args.no_mouse).await
}

/// Runs the UI for `chatctl` alone: only in a terminal, and only when a fleet is known. False when the help is wanted.
pub(super) async fn run_alone(session: &Session) -> Result<bool, CommandError> {
    let has_context = session.global.context.is_some() || ContextFile::load()?.current.is_some();
    if !has_terminal() || !has_context || session.global.no_input {
        return Ok(false);
    }
    tui::run(session, None, false, true).await.map(|()| true)
}

fn has_terminal() -> bool {
    io::stdin().is_terminal() && io::stdout().is_terminal()
}
