//! What a fleet's file says: which programs, with which settings.

use std::path::Path;

use protocol::identity::ProgramRole;
use serde::Deserialize;
use toml::{Table, Value};

use crate::error::CommandError;

/// A fleet.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) name: String,
    /// The control plane first, gateways last.
    pub(super) processes: Vec<Process>,
    /// Where the control plane serves chatctl.
    pub(super) control_plane: String,
    /// Names of gateways, and where clients reach them.
    pub(super) gateways: Vec<(String, String)>,
}

/// A program of it.
#[derive(Debug)]
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
}

const fn program(role: ProgramRole) -> &'static str {
    match role {
        ProgramRole::ControlPlane => "chat-control-plane",
        ProgramRole::Worker => "chat-worker",
        ProgramRole::Gateway => "chat-gateway",
    }
}

/// The file. What it does not know it passes on: each program checks its own settings.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    name: String,
    /// Settings of gateways and workers: where the stores are.
    stores: Table,
    control_plane: Table,
    gateways: Vec<Table>,
    workers: Vec<Table>,
}

const LISTEN: &str = "127.0.0.1:7400";
const NODES: &str = "127.0.0.1:7500";

impl Plan {
    pub(super) fn read(path: &Path) -> Result<Self, CommandError> {
        let shown = path.display();
        let text = std::fs::read_to_string(path);
        let text = text.map_err(|error| CommandError::usage(format!("cannot read {shown}: {error}")))?;
        let parsed: Result<File, _> = toml::from_str(&text);
        let file = parsed.map_err(|error| {
            let line = error.span().map_or(0, |span| text[..span.start].lines().count().max(1));
            CommandError::usage(format!("{shown}, line {line}: {}", error.message()))
        })?;
        Self::of(file).map_err(|why| CommandError::usage(format!("{shown}: {why}")))
    }

    fn of(file: File) -> Result<Self, String> {
        domain::NodeId::parse(&file.name).map_err(|error| format!("name: {error}"))?;
        let control_plane = text(&file.control_plane, &["listen"]).unwrap_or(LISTEN).to_owned();
        let nodes = text(&file.control_plane, &["nodes", "listen"]).unwrap_or(NODES).to_owned();
        let mut processes = vec![Process {
            name: "control-plane".to_owned(),
            role: ProgramRole::ControlPlane,
            settings: file.control_plane,
        }];
        let mut gateways = Vec::new();
        let workers = file.workers.into_iter().map(|table| (table, ProgramRole::Worker));
        for (mut own, role) in workers.chain(file.gateways.into_iter().map(|table| (table, ProgramRole::Gateway))) {
            let id = own.remove("id").and_then(|id| id.as_str().map(str::to_owned));
            let name = id.ok_or_else(|| format!("each {} needs an id", program(role)))?;
            domain::NodeId::parse(&name).map_err(|error| format!("id {name:?}: {error}"))?;
            if processes.iter().any(|process| process.name == name) {
                return Err(format!("two programs are named {name:?}"));
            }
            if role == ProgramRole::Gateway {
                let listen = text(&own, &["listen"]).ok_or_else(|| format!("gateway {name} needs listen"))?;
                gateways.push((name.clone(), listen.to_owned()));
            }
            let mut settings = file.stores.clone();
            merge(&mut settings, own);
            settings.insert("control_plane".to_owned(), Value::String(nodes.clone()));
            put(&mut settings, "node", "id", &name);
            settings.entry("fleet").or_insert_with(|| Value::String(file.name.clone()));
            processes.push(Process { name, role, settings });
        }
        if gateways.is_empty() {
            return Err("a fleet needs at least one gateway".to_owned());
        }
        Ok(Self { name: file.name, processes, control_plane, gateways })
    }
}

fn text<'a>(table: &'a Table, path: &[&str]) -> Option<&'a str> {
    let (last, sections) = path.split_last()?;
    let mut table = table;
    for section in sections {
        table = table.get(*section)?.as_table()?;
    }
    table.get(*last)?.as_str()
}

/// Sets a value in a section.
pub(super) fn put(settings: &mut Table, section: &str, key: &str, value: &str) {
    let section = settings.entry(section).or_insert_with(|| Value::Table(Table::new()));
    if let Some(section) = section.as_table_mut() {
        section.insert(key.to_owned(), Value::String(value.to_owned()));
    }
}

/// Lays `over` over `under`, section by section.
fn merge(under: &mut Table, over: Table) {
    for (key, value) in over {
        match (under.get_mut(&key).and_then(Value::as_table_mut), value) {
            (Some(inner), Value::Table(value)) => merge(inner, value),
            (_, value) => {
                under.insert(key, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"
        name = "local"
        [stores.kafka]
        brokers = "a:1"
        partitions = 8
        [control_plane]
        listen = "127.0.0.1:1"
        nodes.listen = "127.0.0.1:2"
        [[gateways]]
        id = "gw-1"
        listen = "127.0.0.1:3"
        kafka.partitions = 4
        [[workers]]
        id = "worker-1"
    "#;

    fn plan(text: &str) -> Result<Plan, String> {
        Plan::of(toml::from_str(text).unwrap())
    }

    #[test]
    fn each_program_gets_what_is_its_own() {
        let plan = plan(FILE).unwrap();
        let named: Vec<_> = plan.processes.iter().map(|one| (one.name.as_str(), one.program())).collect();
        let programs = [("control-plane", "chat-control-plane"), ("worker-1", "chat-worker"), ("gw-1", "chat-gateway")];
        assert_eq!(named, programs);
        assert_eq!(plan.gateways, [("gw-1".to_owned(), "127.0.0.1:3".to_owned())]);
        let gateway = &plan.processes[2].settings;
        assert_eq!(text(gateway, &["kafka", "brokers"]), Some("a:1"));
        assert_eq!(gateway["kafka"]["partitions"].as_integer(), Some(4));
        assert_eq!(text(gateway, &["node", "id"]), Some("gw-1"));
        assert_eq!(text(gateway, &["control_plane"]), Some("127.0.0.1:2"));
        assert!(!plan.processes[0].settings.contains_key("kafka"));
    }

    #[test]
    fn faults_are_named() {
        let twice = FILE.replace("worker-1", "gw-1");
        assert!(plan(&twice).unwrap_err().contains("two programs are named \"gw-1\""));
        let nameless = FILE.replace("id = \"worker-1\"", "");
        assert!(plan(&nameless).unwrap_err().contains("each chat-worker needs an id"));
    }
}
