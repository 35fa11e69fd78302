//! Where a dev fleet keeps its data.

use std::path::PathBuf;

use crate::error::CommandError;

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
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let data = set("XDG_DATA_HOME").or_else(|| set("HOME").map(|home| home.join(".local").join("share")));
    let data = data.ok_or_else(|| {
        CommandError::usage(
            "neither XDG_DATA_HOME nor HOME is set, so there is no place for data: give --data DIR or --ephemeral",
        )
    })?;
    Ok(data.join("chatctl").join("dev"))
}
