//! `chatctl completions`.

use clap::CommandFactory as _;
use clap_complete::Shell;

use crate::{cli::Cli, error::CommandError, session::Session};

/// Print completions for a shell: `chatctl completions bash > /etc/bash_completion.d/chatctl`
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Which shell
    shell: Shell,
}

pub(super) fn run(session: &Session, args: Args) -> Result<(), CommandError> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "chatctl", &mut script);
    session.ui.out(&String::from_utf8_lossy(&script))
}
