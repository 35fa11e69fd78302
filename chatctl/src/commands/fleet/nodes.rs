//! Gateways and workers of a file: what each is told.

use protocol::identity::ProgramRole;
use toml::{Table, Value};

use super::{
    growth::{Growth, all_roles},
    process::{Process, id},
    settings::{merge, put, value},
};

/// What gateways and workers have in common.
pub(super) struct Common {
    pub(super) fleet: String,
    pub(super) stores: Table,
    /// Where the control planes serve nodes.
    pub(super) control_plane: String,
}

impl Common {
    pub(super) fn process(&self, name: String, role: ProgramRole, mut own: Table) -> Process {
        own.remove("id");
        let mut settings = self.stores.clone();
        merge(&mut settings, own);
        settings.insert("control_plane".to_owned(), Value::String(self.control_plane.clone()));
        put(&mut settings, "node", "id", &name);
        settings.entry("fleet").or_insert_with(|| Value::String(self.fleet.clone()));
        Process { name, role, settings }
    }

    /// A node that is added is like the last one of the file, but for `added`; a worker takes every role, so that it
    /// shares the load wherever that is.
    pub(super) fn growth(&self, role: ProgramRole, of_file: &[Table], added: Table) -> Result<Growth, String> {
        let ids: Vec<&str> = of_file.iter().map(|own| id(own, role)).collect::<Result<_, _>>()?;
        let mut own = of_file.last().cloned().unwrap_or_default();
        if role == ProgramRole::Worker {
            own.remove("roles");
            own.extend(all_roles(of_file).map(|roles| ("roles".to_owned(), roles)));
        }
        check_added(&added, role)?;
        merge(&mut own, added);
        Ok(Growth::new(role, &ids, self.process(String::new(), role, own).settings))
    }
}

/// What is one node's own cannot be told to all that are added.
fn check_added(added: &Table, role: ProgramRole) -> Result<(), String> {
    let own = [&["id"][..], &["listen"], &["advertise"], &["node", "id"], &["link", "listen"], &["link", "advertise"]];
    match own.into_iter().find(|path| value(added, path).is_some()) {
        None => Ok(()),
        Some(path) => {
            let kind = if role == ProgramRole::Gateway { "gateways" } else { "workers" };
            let what = path.join(".");
            Err(format!(
                "added.{kind}: {what} is each node's own, and an added one gets the next that is free: leave it out"
            ))
        }
    }
}
