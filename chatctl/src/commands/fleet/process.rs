//! A program of a fleet, and its settings.

use protocol::identity::ProgramRole;
use toml::Table;

use super::settings::text;

/// A program.
#[derive(Debug, Clone)]
pub(super) struct Process {
    pub(super) name: String,
    pub(super) role: ProgramRole,
    pub(super) settings: Table,
}

impl Process {
    /// The program that it is.
    pub(super) const fn program(&self) -> &'static str {
        program(self.role)
    }

    /// Where clients reach it, if it is a gateway.
    pub(super) fn client_address(&self) -> Option<&str> {
        text(&self.settings, &["listen"]).filter(|_| self.role == ProgramRole::Gateway)
    }
}

pub(super) const fn program(role: ProgramRole) -> &'static str {
    match role {
        ProgramRole::ControlPlane => "chat-control-plane",
        ProgramRole::Worker => "chat-worker",
        ProgramRole::Gateway => "chat-gateway",
    }
}

/// The name that a table of the file gives its program.
pub(super) fn id(own: &Table, role: ProgramRole) -> Result<&str, String> {
    text(own, &["id"]).ok_or_else(|| format!("each {} needs an id", program(role)))
}
