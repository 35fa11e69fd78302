//! Where a dev fleet keeps its data.

use std::path::PathBuf;

use crate::{commands::data_home, error::CommandError};

/// The chosen place.
pub(super) struct Place {
    /// `None`: a temporary directory.
    pub(super) path: Option<PathBuf>,
}

impl Place {
    pub(super) fn choose(data: Option<PathBuf>, is_ephemeral: bool) -> Result<Self, CommandError> {
        if is_ephemeral {
            return Ok(Self { path: None });
        }
        let path = match data {
            Some(path) => path,
            None => default_path()?,
        };
        // Absolute, so that what is printed means the same in another terminal.
        let absolute = std::path::absolute(&path);
        let path = absolute.map_err(|error| CommandError::usage(format!("--data {}: {error}", path.display())))?;
        Ok(Self { path: Some(path) })
    }

    /// In words.
    pub(super) fn describe(&self) -> String {
        match &self.path {
            Some(path) => path.display().to_string(),
            None => "temporary, gone at exit".to_owned(),
        }
    }
}

fn default_path() -> Result<PathBuf, CommandError> {
    let data = data_home().map_err(|error| error.hint("give --data DIR or --ephemeral"))?;
    Ok(data.join("dev"))
}
