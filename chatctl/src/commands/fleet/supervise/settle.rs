//! What a program needs beside what the file says: secrets, a certificate, where it keeps its state.

use std::path::{Path, PathBuf};

use fleet::Secrets;
use protocol::identity::ProgramRole;
use toml::Value;

use crate::{
    commands::fleet::{certificates::Authority, place::Place, plan::Plan, process::Process, settings::put},
    context::{Context, Jwt},
    error::CommandError,
};

/// Completes the settings of a fleet's programs.
pub(super) struct Settler {
    authority: Authority,
    secrets: Secrets,
    /// Files with two of the secrets.
    admin_token: PathBuf,
    jwt_secret: PathBuf,
    /// The command by which the control plane has nodes added.
    provision: String,
}

impl Settler {
    /// Makes the secrets, if there are none, and whoever signs certificates.
    pub(super) fn make(plan: &Plan, place: &Place) -> Result<Self, CommandError> {
        let secrets = place.secrets()?;
        Ok(Self {
            authority: Authority::make(place)?,
            admin_token: place.write("admin.token", &secrets.admin_token)?,
            jwt_secret: place.write("jwt.secret", &secrets.jwt_secret)?,
            provision: provision(&plan.path)?,
            secrets,
        })
    }

    /// Completes a program's settings and writes them; gives their file.
    pub(super) fn settle(&self, place: &Place, process: &mut Process) -> Result<PathBuf, CommandError> {
        let path = |path: &Path| Value::String(path.display().to_string());
        let settings = &mut process.settings;
        match process.role {
            ProgramRole::ControlPlane => {
                settings.insert("admin_token_file".to_owned(), path(&self.admin_token));
                settings.insert("data_dir".to_owned(), path(&place.path(&process.name)));
                if !settings.contains_key("provision") {
                    put(settings, "provision", "command", &self.provision);
                }
            }
            role => {
                put(settings, "node", "state_dir", &place.path("").display().to_string());
                if role == ProgramRole::Gateway {
                    put(settings, "jwt", "secret_file", &self.jwt_secret.display().to_string());
                }
            }
        }
        self.authority.certify(place, process)?;
        place.write(&format!("{}.toml", process.name), &process.settings.to_string())
    }

    /// How chatctl finds the fleet.
    pub(super) fn context(&self, plan: &Plan) -> Context {
        Context {
            ca: None,
            control_plane: urls(&plan.control_planes).join(","),
            admin_token: Some(self.secrets.admin_token.clone()),
            gateways: urls(plan.gateways.iter().map(|(_, listen)| listen)),
            service_token: None,
            production: false,
            jwt: Some(Jwt { alg: "HS256".to_owned(), secret: self.secrets.jwt_secret.clone() }),
        }
    }
}

fn urls<'a>(listens: impl IntoIterator<Item = &'a String>) -> Vec<String> {
    listens.into_iter().map(|listen| format!("http://{listen}")).collect()
}

/// This program again. It finds the fleet's directory by the same variables, for the control plane inherits them.
fn provision(file: &Path) -> Result<String, CommandError> {
    let failed = |why: &dyn std::fmt::Display| CommandError::failed(format!("cannot name chatctl in a command: {why}"));
    let me = std::env::current_exe().map_err(|error| failed(&error))?;
    let (me, file) = (me.display().to_string(), file.display().to_string());
    shlex::try_join([me.as_str(), "fleet", "scale", "-f", file.as_str()]).map_err(|error| failed(&error))
}
