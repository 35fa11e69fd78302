//! The data directory: one process at a time, and nobody else's files.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// What the marker file of a data directory says. Another text is another program's or another version's directory.
const FORMAT: &str = "chatfleet data 1\n";

/// What a start that was killed before it wrote the marker leaves.
const UNFINISHED: [&str; 2] = ["LOCK", "FORMAT.new"];

/// Why a data directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    /// It cannot be made, read or written.
    #[error("data directory {} cannot be used: {source}", path.display())]
    Io {
        /// The directory.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Another process has it.
    #[error("data directory {} is in use by another process", .0.display())]
    Locked(PathBuf),
    /// It holds something else.
    #[error("data directory {} is not chatfleet's: it has files but no valid FORMAT file", .0.display())]
    Foreign(PathBuf),
}

/// A data directory that this process has locked. Dropping it unlocks.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    /// Holds the lock.
    _lock: fs::File,
    was_clean: bool,
}

impl DataDir {
    /// Opens or makes a data directory and locks it.
    pub fn open(path: &Path) -> Result<Self, DataDirError> {
        let io = |source| DataDirError::Io { path: path.to_owned(), source };
        fs::create_dir_all(path).map_err(io)?;
        let names = fs::read_dir(path).map_err(io)?.map(|entry| entry.map(|entry| entry.file_name()));
        let names = names.collect::<io::Result<Vec<_>>>().map_err(io)?;
        let empty = names.iter().all(|name| UNFINISHED.iter().any(|unfinished| name == unfinished));
        let format = path.join("FORMAT");
        let marker = match fs::read_to_string(&format) {
            Ok(text) => Some(text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) if error.kind() == io::ErrorKind::InvalidData => Some(String::new()),
            Err(error) => return Err(io(error)),
        };
        match marker {
            Some(text) if text == FORMAT => {}
            None if empty => {}
            _ => return Err(DataDirError::Foreign(path.to_owned())),
        }
        let lock = fs::File::create(path.join("LOCK")).map_err(io)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => return Err(DataDirError::Locked(path.to_owned())),
            Err(fs::TryLockError::Error(error)) => return Err(io(error)),
        }
        // Asked again now that nobody else is at it: another process may have been faster.
        let is_new = !format.exists();
        if is_new {
            // Whole or not at all: half a marker would be another program's.
            let unfinished = path.join("FORMAT.new");
            fs::write(&unfinished, FORMAT).and_then(|()| fs::rename(&unfinished, &format)).map_err(io)?;
        }
        // The mark of a clean stop is taken away while the directory is in use.
        let was_clean = is_new || fs::remove_file(path.join("CLEAN")).is_ok();
        Ok(Self { path: path.to_owned(), _lock: lock, was_clean })
    }

    /// A file or folder in it.
    pub fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// True when the last process that used it stopped in order (or there was none).
    pub fn was_clean(&self) -> bool {
        self.was_clean
    }

    /// Marks the stop as an orderly one; call it last.
    pub fn mark_clean(&self) {
        if let Err(error) = fs::write(self.path.join("CLEAN"), "") {
            tracing::warn!(%error, "cannot mark the data directory as cleanly closed");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_locked_and_clean() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("data");
        let first = DataDir::open(&path).unwrap();
        assert!(first.was_clean());
        assert!(matches!(DataDir::open(&path), Err(DataDirError::Locked(_))));
        drop(first);
        let second = DataDir::open(&path).unwrap();
        assert!(!second.was_clean(), "the first was dropped without a mark");
        second.mark_clean();
        drop(second);
        assert!(DataDir::open(&path).unwrap().was_clean());

        let killed = dir.path().join("killed");
        fs::create_dir(&killed).unwrap();
        fs::write(killed.join("LOCK"), "").unwrap();
        assert!(DataDir::open(&killed).unwrap().was_clean(), "a start that was killed half way is nobody's data");

        fs::write(dir.path().join("thesis.doc"), "mine").unwrap();
        assert!(matches!(DataDir::open(dir.path()), Err(DataDirError::Foreign(_))));
        fs::write(path.join("FORMAT"), [0xff, 0xfe]).unwrap();
        assert!(matches!(DataDir::open(&path), Err(DataDirError::Foreign(_))));
    }
}
