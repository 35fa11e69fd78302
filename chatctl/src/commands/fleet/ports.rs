//! Where added gateways listen: the next free ports after those of the file.

use std::{
    collections::BTreeSet,
    net::{SocketAddr, TcpListener},
};

use protocol::identity::ProgramRole;
use toml::Value;

use super::{
    place::Place,
    plan::Plan,
    process::Process,
    settings::{addresses, put, text},
};
use crate::error::CommandError;

/// What a gateway takes that is not told where workers connect.
const LINK: &str = "127.0.0.1:7501";

/// Ports of a fleet. One whose program is down just now is not free, whatever the machine says.
pub(super) struct Ports {
    taken: BTreeSet<u16>,
    /// Those of the file's last gateway.
    clients: Option<SocketAddr>,
    workers: Option<SocketAddr>,
}

impl Ports {
    pub(super) fn of(plan: &Plan) -> Self {
        let taken =
            plan.processes.iter().flat_map(|process| addresses(&process.settings)).map(|at| at.port()).collect();
        let last = plan.processes.iter().rfind(|process| process.role == ProgramRole::Gateway);
        let of_last = |path: &[&str], default| {
            let at = last.and_then(|last| text(&last.settings, path)).unwrap_or(default);
            at.parse().ok()
        };
        Self { taken, clients: of_last(&["listen"], ""), workers: of_last(&["link", "listen"], LINK) }
    }

    /// Gives a gateway its addresses: those of its last life, so that a supervisor that starts again finds it where
    /// it was; else the next free ones.
    pub(super) fn assign(&mut self, place: &Place, gateway: &mut Process) -> Result<(), CommandError> {
        let before = place.settings(&gateway.name).unwrap_or_default();
        let before = |path: &[&str]| text(&before, path).and_then(|at| at.parse().ok());
        let clients = self.take(before(&["listen"]), self.clients)?;
        let workers = self.take(before(&["link", "listen"]), self.workers)?;
        gateway.settings.insert("listen".to_owned(), Value::String(clients.to_string()));
        put(&mut gateway.settings, "link", "listen", &workers.to_string());
        Ok(())
    }

    /// The addresses of a gateway that is gone are free again.
    pub(super) fn release(&mut self, gateway: &Process) {
        for at in addresses(&gateway.settings) {
            self.taken.remove(&at.port());
        }
    }

    fn take(&mut self, before: Option<SocketAddr>, of_file: Option<SocketAddr>) -> Result<SocketAddr, CommandError> {
        let before = before.filter(|at| !self.taken.contains(&at.port()));
        let found = before.or_else(|| self.free_after(of_file?));
        let none = || CommandError::failed("no port is free for another gateway after those of the file's last one");
        let found = found.ok_or_else(none)?;
        self.taken.insert(found.port());
        Ok(found)
    }

    fn free_after(&self, last: SocketAddr) -> Option<SocketAddr> {
        let after = (last.port()..=u16::MAX).skip(1).map(|port| SocketAddr::new(last.ip(), port));
        after.filter(|at| !self.taken.contains(&at.port())).find(|at| TcpListener::bind(at).is_ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_of_the_fleet_and_of_others_are_passed_over() {
        let other = TcpListener::bind("127.0.0.1:0").unwrap();
        let last = other.local_addr().unwrap();
        let last = SocketAddr::new(last.ip(), last.port() - 1);
        let mut ports = Ports { taken: BTreeSet::from([last.port()]), clients: Some(last), workers: None };
        let first = ports.take(None, Some(last)).unwrap();
        let second = ports.take(None, Some(last)).unwrap();
        assert!(last.port() + 1 < first.port() && first.port() < second.port(), "{first} {second}");
        let third = ports.take(Some(last), Some(last)).unwrap();
        assert!(third.port() > second.port(), "where it was before is another's by now");
        assert!(ports.take(None, None).is_err());
    }

    #[test]
    fn a_gateway_that_is_gone_leaves_its_ports() {
        let mut ports = Ports { taken: BTreeSet::from([1, 2]), clients: None, workers: None };
        let settings = toml::from_str("listen = '127.0.0.1:1'\nlink.listen = '127.0.0.1:2'").unwrap();
        ports.release(&Process { name: "gw-3".to_owned(), role: ProgramRole::Gateway, settings });
        assert!(ports.taken.is_empty());
    }
}
