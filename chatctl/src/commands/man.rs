//! `chatctl man`.

use std::path::PathBuf;

use clap::CommandFactory as _;
use serde_json::json;

use crate::{cli::Cli, error::CommandError, session::Session};

/// Write the man pages of every command into a directory
///
/// As `chatctl man ~/.local/share/man/man1`, and then `man chatctl-gateway-drain`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The directory; it is made when it is not there
    directory: PathBuf,
}

pub(super) fn run(session: &Session, args: Args) -> Result<(), CommandError> {
    let shown = args.directory.display();
    let failed = |error: std::io::Error| CommandError::failed(format!("cannot write man pages to {shown}: {error}"));
    std::fs::create_dir_all(&args.directory).map_err(failed)?;
    clap_mangen::generate_to(Cli::command(), &args.directory).map_err(failed)?;
    let pages = std::fs::read_dir(&args.directory).map_err(failed)?.flatten();
    let pages = pages.filter(|page| page.file_name().to_string_lossy().starts_with("chatctl")).count();
    session.ui.say(&format!("{pages} pages are in {shown}"), &json!({ "directory": args.directory, "pages": pages }))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The names of all commands, as `chatctl-gateway-drain`.
    fn names(command: &clap::Command, before: &str) -> Vec<String> {
        let name = format!("{before}{}", command.get_name());
        let below = command.get_subcommands().filter(|it| it.get_name() != "help");
        let below: Vec<String> = below.flat_map(|it| names(it, &format!("{name}-"))).collect();
        std::iter::once(name).chain(below).collect()
    }

    #[test]
    fn every_command_has_a_page_and_says_what_it_does() {
        let place = tempfile::tempdir().unwrap();
        clap_mangen::generate_to(Cli::command(), place.path()).unwrap();
        let all = names(&Cli::command(), "");
        assert!(all.len() > 80, "{}", all.len());
        for name in all {
            let page = std::fs::read_to_string(place.path().join(format!("{name}.1"))).unwrap_or_default();
            assert!(page.contains(".SH NAME") && page.contains(".SH SYNOPSIS"), "{name}");
            assert!(page.contains("\\- "), "{name} does not say what it does");
        }
    }
}
