//! The ready file: addresses and secrets of a running fleet, for programs.

use std::{
    fs, io,
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use crate::{
    commands::token::sign_service,
    context::{Context, Jwt},
    error::CommandError,
};

/// How long the service token counts: longer than any fleet with a ready file runs.
const SERVICE_TOKEN_TTL: Duration = Duration::from_secs(365 * 86_400);

#[derive(Serialize)]
struct Ready<'a> {
    /// Its URL; of each, separated by commas.
    control_plane: &'a str,
    gateways: &'a [ReadyGateway],
    admin_token: Option<&'a str>,
    service_token: String,
    jwt: Option<&'a Jwt>,
    pid: u32,
    allow_faults: bool,
}

/// A gateway, and where clients reach it.
#[derive(Debug, Serialize)]
pub(super) struct ReadyGateway {
    pub(super) id: String,
    pub(super) ws: String,
    pub(super) http: String,
}

/// The part that tells whose it is.
#[derive(Deserialize)]
struct Owner {
    pid: u32,
}

/// A written ready file; it goes when dropped.
pub(super) struct ReadyFile(PathBuf);

impl ReadyFile {
    /// Writes it whole or not at all, readable by its owner alone.
    pub(super) fn write(
        path: &Path,
        gateways: &[ReadyGateway],
        context: &Context,
        allow_faults: bool,
    ) -> Result<Self, CommandError> {
        let ready = Ready {
            control_plane: &context.control_plane,
            gateways,
            admin_token: context.admin_token.as_deref(),
            service_token: sign_service(context, SERVICE_TOKEN_TTL)?,
            jwt: context.jwt.as_ref(),
            pid: std::process::id(),
            allow_faults,
        };
        let failed = |error: &dyn std::fmt::Display| {
            CommandError::failed(format!("cannot write the ready file {}: {error}", path.display()))
        };
        let text = serde_json::to_string_pretty(&ready).map_err(|error| failed(&error))?;
        replace(path, &text).map_err(|error| failed(&error))?;
        Ok(Self(path.to_owned()))
    }
}

fn replace(path: &Path, text: &str) -> io::Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".new.{}", std::process::id()));
    let new = PathBuf::from(name);
    let write = || {
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
        file.write_all(text.as_bytes())?;
        file.write_all(b"\n")?;
        fs::rename(&new, path)
    };
    write().inspect_err(|_| drop(fs::remove_file(&new)))
}

fn owner(path: &Path) -> Option<u32> {
    let text = fs::read_to_string(path).ok()?;
    serde_json::from_str::<Owner>(&text).ok().map(|owner| owner.pid)
}

/// Removes what a killed fleet left, so that nobody takes it for this one's. That of a fleet that runs stays.
pub(super) fn remove_stale(path: &Path) {
    let is_alive = |pid: u32| pid != std::process::id() && Path::new(&format!("/proc/{pid}")).exists();
    if owner(path).is_some_and(|pid| !is_alive(pid)) {
        let _ = fs::remove_file(path);
    }
}

impl Drop for ReadyFile {
    fn drop(&mut self) {
        // Another fleet may have written its own there since.
        if owner(&self.0) == Some(std::process::id()) {
            let _ = fs::remove_file(&self.0);
        }
    }
}
