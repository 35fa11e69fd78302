//! How many nodes are added to those of the file. `fleet scale` writes it, the supervisor follows it.
//!
//! It outlives the supervisor: the control plane, too, remembers what it scaled up until it takes that back, and would
//! miss the nodes. `fleet scale` without a direction takes away what nobody wants any more.

use std::fs;

use protocol::identity::ProgramRole;
use serde::{Deserialize, Serialize};

use super::{growth::ADDED_MAX, place::Place};
use crate::error::{CommandError, Kind};

const FILE: &str = "added.json";
const LOCK: &str = "added.lock";

/// How many are added.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Counts {
    gateways: u64,
    workers: u64,
}

/// The way to go; a person need not say it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Direction {
    /// Take nothing away, even when there are more
    Up,
    /// Add nothing, even when there are fewer
    Down,
}

impl Counts {
    /// None are added where nobody ever asked for one.
    pub(super) fn read(place: &Place) -> Result<Self, CommandError> {
        let path = place.path(FILE);
        let failed = |why: String| CommandError::failed(format!("cannot read {}: {why}", path.display()));
        match fs::read_to_string(&path) {
            Ok(text) => serde_json::from_str(&text).map_err(|error| failed(error.to_string())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(failed(error.to_string())),
        }
    }

    /// Changes what is kept, one after another when several do.
    pub(super) fn change(
        place: &Place,
        change: impl FnOnce(&mut Self) -> Result<(), CommandError>,
    ) -> Result<Self, CommandError> {
        let failed = |error: &dyn std::fmt::Display| CommandError::failed(format!("cannot keep the counts: {error}"));
        let lock = fs::File::create(place.path(LOCK)).map_err(|error| failed(&error))?;
        lock.lock().map_err(|error| failed(&error))?;
        let mut counts = Self::read(place)?;
        change(&mut counts)?;
        place.write(FILE, &serde_json::to_string(&counts).map_err(|error| failed(&error))?)?;
        Ok(counts)
    }

    pub(super) const fn of(self, role: ProgramRole) -> u64 {
        match role {
            ProgramRole::Gateway => self.gateways,
            ProgramRole::Worker => self.workers,
            ProgramRole::ControlPlane => 0,
        }
    }

    pub(super) const fn set(&mut self, role: ProgramRole, added: u64) {
        match role {
            ProgramRole::Gateway => self.gateways = added,
            ProgramRole::Worker => self.workers = added,
            ProgramRole::ControlPlane => {}
        }
    }
}

/// How many are to be added so that there are `count` in all, when `added` are now.
pub(super) fn wanted(added: u64, of_file: u64, count: u64, direction: Option<Direction>) -> Result<u64, CommandError> {
    if count > of_file + ADDED_MAX {
        let why = format!("a fleet of processes adds at most {ADDED_MAX} to the {of_file} of its file");
        return Err(CommandError::new(Kind::Refused, why).hint("put more into the file, or on more machines"));
    }
    match direction {
        Some(Direction::Up) => Ok(added.max(count.saturating_sub(of_file))),
        // The control plane counts those that are live: with one of the file away it may ask for fewer than the file.
        Some(Direction::Down) => Ok(added.min(count.saturating_sub(of_file))),
        None if count < of_file => {
            let why = format!("{of_file} of them are in the file, and those stay");
            Err(CommandError::new(Kind::Refused, why).hint("take them out of the file and start the fleet anew"))
        }
        None => Ok(count - of_file),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn up_takes_nothing_away_and_down_adds_nothing() {
        let wanted = |added, count, direction| wanted(added, 2, count, direction).unwrap();
        assert_eq!(wanted(0, 4, Some(Direction::Up)), 2);
        assert_eq!(wanted(2, 4, Some(Direction::Up)), 2, "told twice");
        assert_eq!(wanted(2, 3, Some(Direction::Up)), 2);
        assert_eq!(wanted(2, 3, Some(Direction::Down)), 1);
        assert_eq!(wanted(0, 3, Some(Direction::Down)), 0);
        assert_eq!(wanted(2, 1, Some(Direction::Down)), 0, "those of the file stay");
        assert_eq!((wanted(2, 3, None), wanted(0, 3, None)), (1, 1));
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let why = |count, direction| wanted(0, 2, count, direction).unwrap_err().message;
        assert_eq!(why(1, None), "2 of them are in the file, and those stay");
        assert_eq!(why(35, Some(Direction::Up)), "a fleet of processes adds at most 32 to the 2 of its file");
    }
}
