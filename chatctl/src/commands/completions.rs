//! `chatctl completions`.

use clap::ValueEnum;
use clap_complete::env::Shells;

use crate::{complete::VARIABLE, error::CommandError, session::Session};

/// Print completions for a shell, with the names of gateways, operations and contexts as they are
///
/// For bash, in ~/.bashrc: source <(chatctl completions bash)
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Which shell
    shell: Shell,
}

/// Shells that can ask a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[allow(missing_docs)]
pub enum Shell {
    Bash,
    Elvish,
    Fish,
    Powershell,
    Zsh,
}

impl Shell {
    const fn name(self) -> &'static str {
        match self {
            Self::Bash => "bash",
            Self::Elvish => "elvish",
            Self::Fish => "fish",
            Self::Powershell => "powershell",
            Self::Zsh => "zsh",
        }
    }
}

pub(super) fn run(session: &Session, args: Args) -> Result<(), CommandError> {
    let name = args.shell.name();
    let shells = Shells::builtins();
    let shell = shells.completer(name).ok_or_else(|| CommandError::usage(format!("no completions for {name}")))?;
    let mut script = Vec::new();
    shell
        .write_registration(VARIABLE, "chatctl", "chatctl", "chatctl", &mut script)
        .map_err(|error| CommandError::failed(format!("cannot make completions: {error}")))?;
    session.ui.out(&String::from_utf8_lossy(&script))
}
