//! Where a fleet of processes keeps its secrets, settings, logs and pids.

use std::{
    fs, io,
    io::Write as _,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use fleet::Secrets;
use toml::Table;

use super::plan::Plan;
use crate::{commands::data_home, error::CommandError};

/// The name under which the supervisor keeps its pid.
pub(super) const SUPERVISOR: &str = "supervisor";

/// A fleet's directory, of its owner alone.
pub(super) struct Place(PathBuf);

impl Place {
    pub(super) fn of(plan: &Plan) -> Result<Self, CommandError> {
        Ok(Self(data_home()?.join("fleet").join(&plan.name)))
    }

    pub(super) fn make(&self) -> Result<(), CommandError> {
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.0);
        made.map_err(|error| CommandError::failed(format!("cannot make {}: {error}", self.0.display())))
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub(super) fn log(&self, name: &str) -> PathBuf {
        self.path(&format!("{name}.log"))
    }

    pub(super) fn secrets(&self) -> Result<Secrets, CommandError> {
        let secrets = Secrets::load_or_make(&self.path("secrets.json"));
        secrets.map_err(|error| CommandError::failed(format!("cannot keep the fleet's secrets: {error}")))
    }

    /// Writes a file that its owner alone may read, whole or not at all.
    pub(super) fn write(&self, name: &str, text: &str) -> Result<PathBuf, CommandError> {
        let path = self.path(name);
        let write = || -> io::Result<()> {
            let new = self.path(&format!("{name}.new"));
            let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
            file.write_all(text.as_bytes())?;
            fs::rename(&new, &path)
        };
        write().map_err(|error| CommandError::failed(format!("cannot write {}: {error}", path.display())))?;
        Ok(path)
    }

    /// The settings that a program was started with last.
    pub(super) fn settings(&self, name: &str) -> Option<Table> {
        fs::read_to_string(self.path(&format!("{name}.toml"))).ok()?.parse().ok()
    }

    /// Forgets a program that is no part of the fleet any more; its log stays. Also what the control plane ordered: the
    /// next of its name must not begin as drained.
    pub(super) fn forget(&self, name: &str) {
        for what in ["toml", "pem", "key", "desired"] {
            let _ = fs::remove_file(self.path(&format!("{name}.{what}")));
        }
    }

    pub(super) fn keep_pid(&self, name: &str, pid: u32) -> Result<(), CommandError> {
        let started = started(pid).unwrap_or_default();
        self.write(&format!("{name}.pid"), &format!("{pid} {started}\n")).map(drop)
    }

    pub(super) fn forget_pid(&self, name: &str) {
        let _ = fs::remove_file(self.path(&format!("{name}.pid")));
    }

    /// The pid of a program of this fleet that runs. A pid that was given to another program since does not count.
    pub(super) fn pid(&self, name: &str) -> Option<u32> {
        let text = fs::read_to_string(self.path(&format!("{name}.pid"))).ok()?;
        let (pid, since) = text.trim().split_once(' ')?;
        let pid = pid.parse().ok()?;
        (started(pid)?.to_string() == since).then_some(pid)
    }
}

/// When a process was started, in ticks since boot; `None` when there is none or it is a zombie.
fn started(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("stat")).ok()?;
    let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
    if fields.first() == Some(&"Z") {
        return None;
    }
    fields.get(19)?.parse().ok()
}

/// SIGTERM.
pub(super) fn terminate(pid: u32) -> Result<(), CommandError> {
    let failed = |why: String| CommandError::failed(format!("cannot stop process {pid}: {why}"));
    let status = std::process::Command::new("kill").arg("-TERM").arg(pid.to_string()).status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(failed(status.to_string())),
        Err(error) => Err(failed(error.to_string())),
    }
}
