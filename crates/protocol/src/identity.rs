//! Who a program of the fleet is, as a URI among the names of its certificate: `spiffe://chatfleet/ROLE/NAME`. The CA
//! says that it belongs to the fleet, the URI as what: a gateway's certificate opens no worker's stream, and no node
//! reports for another one.

use std::fmt;

/// Before role and name.
const PREFIX: &str = "spiffe://chatfleet/";

/// What a program is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProgramRole {
    /// A gateway.
    Gateway,
    /// A worker.
    Worker,
    /// A control plane.
    ControlPlane,
}

impl ProgramRole {
    const ALL: [Self; 3] = [Self::Gateway, Self::Worker, Self::ControlPlane];

    /// As the URI has it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::Worker => "worker",
            Self::ControlPlane => "control-plane",
        }
    }
}

/// A program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// What it is.
    pub role: ProgramRole,
    /// Its name.
    pub name: String,
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.role.as_str(), self.name)
    }
}

impl Identity {
    /// The URI.
    pub fn uri(&self) -> String {
        format!("{PREFIX}{}/{}", self.role.as_str(), self.name)
    }

    /// Reads a URI; `None` when it names no program of a fleet.
    pub fn read(uri: &str) -> Option<Self> {
        let (role, name) = uri.strip_prefix(PREFIX)?.split_once('/')?;
        let role = ProgramRole::ALL.into_iter().find(|known| known.as_str() == role)?;
        (!name.is_empty() && !name.contains('/')).then(|| Self { role, name: name.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uri_names_a_role_and_a_program_and_nothing_else_does() {
        for role in ProgramRole::ALL {
            let identity = Identity { role, name: "gw-1".to_owned() };
            assert_eq!(Identity::read(&identity.uri()), Some(identity));
        }
        for other in [
            "spiffe://chatfleet/gateway/",
            "spiffe://chatfleet/gateway/a/b",
            "spiffe://chatfleet/king/a",
            "spiffe://other/gateway/a",
            "https://chatfleet/gateway/a",
            "spiffe://chatfleet/gateway",
        ] {
            assert_eq!(Identity::read(other), None, "{other}");
        }
    }
}
