//! The secrets of a local fleet. They live in its data directory, so that tokens outlive a restart.

use std::{
    fmt, fs,
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use rand::{Rng as _, TryRngCore as _, rngs::OsRng};
use serde::{Deserialize, Serialize};

/// What a local fleet signs and checks with.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Secrets {
    /// The bearer token of the first admin of the control plane.
    pub admin_token: String,
    /// The HS256 secret of client tokens.
    pub jwt_secret: String,
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secrets(..)")
    }
}

impl Secrets {
    /// New ones.
    pub fn generate() -> Self {
        let random = || -> String {
            let bytes: [u8; 24] = OsRng.unwrap_err().random();
            bytes.iter().map(|byte| format!("{byte:02x}")).collect()
        };
        Self { admin_token: format!("cfa_{}", random()), jwt_secret: random() }
    }

    /// Those of a file, made at the first start and readable by their owner alone.
    pub fn load_or_make(path: &Path) -> io::Result<Self> {
        match fs::read_to_string(path) {
            Ok(text) => serde_json::from_str(&text).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let secrets = Self::generate();
                let text = serde_json::to_string(&secrets)?;
                // Whole or not at all: a crash in between must not leave half a secret.
                let unfinished = path.with_extension("new");
                let mut file =
                    fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
                file.write_all(text.as_bytes())?;
                file.sync_all()?;
                fs::rename(&unfinished, path)?;
                Ok(secrets)
            }
            Err(error) => Err(error),
        }
    }
}
