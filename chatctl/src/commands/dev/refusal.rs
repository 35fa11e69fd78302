//! Why a dev fleet did not start: one line that names the way out.

use std::io;

use fleet::{DataDirError, FleetError, ListenError};

use super::place::Place;
use crate::error::{CommandError, Kind};

pub(super) fn explain(error: FleetError, place: &Place) -> CommandError {
    let way_out = match &error {
        FleetError::Listen(ListenError::InUse(_)) => {
            "stop what listens there, or give another --port (0: any free ports)"
        }
        FleetError::Listen(ListenError::Io { source, .. }) => match source.kind() {
            io::ErrorKind::AddrNotAvailable => "give an address of this machine with --bind",
            io::ErrorKind::PermissionDenied => "give a --port above 1023",
            _ => "give another --bind or --port",
        },
        FleetError::DataDir(DataDirError::Locked(_)) => {
            "stop the other fleet, or give another --data DIR or --ephemeral"
        }
        FleetError::DataDir(DataDirError::Foreign(_)) => "give a new or empty directory with --data DIR",
        FleetError::DataDir(DataDirError::Io { .. }) => "give one that you may write with --data DIR, or --ephemeral",
        FleetError::Store(_) if place.path.is_some() => {
            "nothing was changed; keep a copy, and start anew with another --data DIR or --ephemeral"
        }
        FleetError::Io { .. } | FleetError::Store(_) => "give a directory you may write with --data DIR",
        FleetError::ControlPlane(_) | FleetError::NotReady(_) => "run it again with -v to see why",
    };
    let kind = match &error {
        FleetError::DataDir(DataDirError::Locked(_) | DataDirError::Foreign(_)) => Kind::Refused,
        _ => Kind::Failed,
    };
    // What a store says may have lines of its own.
    let why = error.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
    CommandError::new(kind, format!("{why}: {way_out}"))
}
