//! `chatctl swarm replay`.

use std::path::{Path, PathBuf};

use client::swarm::{
    self, ReplayConfig, Speed,
    irc::{IrcError, Log},
};

use super::{End, check_files, play};
use crate::{error::CommandError, session::Session};

/// What `chatctl swarm replay` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The chat log
    file: PathBuf,
    /// `max`, or so many times as fast as people typed it
    #[arg(long, default_value = "max", value_parser = parse_speed, value_name = "max|N")]
    speed: Speed,
    /// Keep only those who speak first, so many
    #[arg(long, value_parser = clap::value_parser!(u16).range(2..=500), value_name = "N")]
    speakers: Option<u16>,
    /// Seed of all chances
    #[arg(long, default_value_t = 0, value_name = "N")]
    seed: u64,
    #[command(flatten)]
    end: End,
}

fn parse_speed(text: &str) -> Result<Speed, String> {
    let times = || text.strip_suffix('x').unwrap_or(text).parse().ok().filter(|n: &f64| n.is_finite() && *n > 0.0);
    match text {
        "max" => Ok(Speed::Max),
        _ => times().map(Speed::Times).ok_or_else(|| "must be `max` or a number above 0".to_owned()),
    }
}

pub(super) async fn run(session: &Session, args: Args) -> Result<(), CommandError> {
    let log = read(&args.file)?;
    check_files(log.speakers().len().min(args.speakers.map_or(usize::MAX, usize::from)))?;
    let mut config = ReplayConfig::new(log);
    config.speed = args.speed;
    config.seed = args.seed;
    config.patience = args.end.patience;
    config.speakers_max = args.speakers.map(usize::from);
    play(session, "replay", |fleet| swarm::replay(fleet, config)).await
}

/// A file that is no log is a mistake on the command line, not a failure of the fleet.
fn read(path: &Path) -> Result<Log, CommandError> {
    let name = path.display();
    let bytes = std::fs::read(path).map_err(|error| CommandError::usage(format!("cannot read {name}: {error}")))?;
    if bytes.is_empty() {
        return Err(CommandError::usage(format!("{name} is empty: it holds no chat log")));
    }
    // Old logs have lines in other encodings; they are said as far as they can be read.
    Log::parse(&String::from_utf8_lossy(&bytes)).map_err(|error| match error {
        IrcError::Empty => CommandError::usage(format!("{name} holds no chat log: nobody says anything in it")),
        IrcError::Line { line, text } => CommandError::usage(format!(
            "{name} is no chat log: line {line} is neither `[HH:MM] <nick> text` nor `=== ...`: {text:?}"
        )),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speeds_are_max_or_a_factor() {
        assert_eq!(parse_speed("max"), Ok(Speed::Max));
        assert_eq!(parse_speed("60"), Ok(Speed::Times(60.0)));
        assert_eq!(parse_speed("0.5x"), Ok(Speed::Times(0.5)));
        for bad in ["", "0", "-1", "fast", "inf", "nan", "x"] {
            assert!(parse_speed(bad).is_err(), "{bad}");
        }
    }
}
