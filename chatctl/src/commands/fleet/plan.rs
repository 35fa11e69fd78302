//! What a fleet's file says: which programs, with which settings.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use protocol::identity::ProgramRole;
use serde::Deserialize;
use toml::Table;

use super::{
    control_planes::ControlPlanes,
    growth::Growth,
    nodes::Common,
    process::{Process, id},
    settings::{addresses, text},
};
use crate::error::CommandError;

/// A fleet.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) name: String,
    /// The file, wherever one stands.
    pub(super) path: PathBuf,
    /// Control planes first, gateways last.
    pub(super) processes: Vec<Process>,
    /// Where each control plane serves chatctl.
    pub(super) control_planes: Vec<String>,
    /// Names of gateways, and where clients reach them.
    pub(super) gateways: Vec<(String, String)>,
    /// How gateways are added, and workers.
    pub(super) growths: [Growth; 2],
}

/// The file. What it does not know it passes on: each program checks its own settings.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    name: String,
    /// Settings of gateways and workers: where the stores are.
    stores: Table,
    /// Settings of the control plane; of all, where there are several.
    control_plane: Table,
    #[serde(default)]
    control_planes: Vec<Table>,
    gateways: Vec<Table>,
    workers: Vec<Table>,
    #[serde(default)]
    added: Added,
}

/// What differs in nodes that are added.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Added {
    #[serde(default)]
    gateways: Table,
    #[serde(default)]
    workers: Table,
}

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
        let path = std::path::absolute(path);
        let path = path.map_err(|error| CommandError::failed(format!("cannot find {shown}: {error}")))?;
        Self::of(file, path).map_err(|why| CommandError::usage(format!("{shown}: {why}")))
    }

    fn of(file: File, path: PathBuf) -> Result<Self, String> {
        domain::NodeId::parse(&file.name).map_err(|error| format!("name: {error}"))?;
        let ControlPlanes { mut processes, apis, nodes } = ControlPlanes::of(&file.control_plane, file.control_planes)?;
        let common = Common { fleet: file.name.clone(), stores: file.stores, control_plane: nodes.join(",") };
        let growths = [
            common.growth(ProgramRole::Gateway, &file.gateways, file.added.gateways)?,
            common.growth(ProgramRole::Worker, &file.workers, file.added.workers)?,
        ];
        let mut gateways = Vec::new();
        for own in file.workers {
            let name = id(&own, ProgramRole::Worker)?.to_owned();
            processes.push(common.process(name, ProgramRole::Worker, own));
        }
        for own in file.gateways {
            let name = id(&own, ProgramRole::Gateway)?.to_owned();
            let listen = text(&own, &["listen"]).ok_or_else(|| format!("gateway {name} needs listen"))?;
            gateways.push((name.clone(), listen.to_owned()));
            processes.push(common.process(name, ProgramRole::Gateway, own));
        }
        if gateways.is_empty() {
            return Err("a fleet needs at least one gateway".to_owned());
        }
        let plan = Self { name: file.name, path, processes, control_planes: apis, gateways, growths };
        plan.check_names()?;
        plan.check_addresses()?;
        Ok(plan)
    }

    /// How nodes are added: gateways, else workers.
    pub(super) fn growth(&self, role: ProgramRole) -> &Growth {
        let [gateways, workers] = &self.growths;
        if role == ProgramRole::Gateway { gateways } else { workers }
    }

    /// No two programs may be named alike, nor one as another that may be added.
    fn check_names(&self) -> Result<(), String> {
        let all = || self.processes.iter().map(|process| process.name.as_str());
        for name in all() {
            domain::NodeId::parse(name).map_err(|error| format!("id {name:?}: {error}"))?;
            if all().filter(|other| *other == name).count() > 1 {
                return Err(format!("two programs are named {name:?}"));
            }
            if self.growths.iter().any(|growth| growth.all_names().any(|added| added == name)) {
                return Err(format!("{name:?} would be the name of an added node: choose another id"));
            }
        }
        Ok(())
    }

    /// No two programs may listen at the same place: one of them would be started again and again.
    fn check_addresses(&self) -> Result<(), String> {
        let mut known: Vec<(SocketAddr, &str)> = Vec::new();
        for process in &self.processes {
            for at in addresses(&process.settings).filter(|at| at.port() != 0) {
                if let Some((_, other)) = known.iter().find(|(taken, _)| *taken == at) {
                    return Err(format!("{other} and {} both listen at {at}", process.name));
                }
                known.push((at, &process.name));
            }
        }
        Ok(())
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
        Plan::of(toml::from_str(text).unwrap(), PathBuf::from("/fleet.toml"))
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
    fn what_is_added_is_like_the_last_of_the_file_unless_it_says_otherwise() {
        let two = format!("{FILE}\nroles = \"fanout\"\n[[workers]]\nid = \"worker-2\"\nroles = \"persister-direct\"");
        let added = |text: &str| plan(text).unwrap().growths.map(|growth| growth.process(1));
        let [gateway, worker] = added(&two);
        assert_eq!((gateway.name.as_str(), worker.name.as_str()), ("gw-2", "worker-3"));
        assert_eq!(gateway.settings["kafka"]["partitions"].as_integer(), Some(4));
        assert_eq!(text(&worker.settings, &["roles"]), Some("fanout,persister-direct"));
        assert_eq!(text(&worker.settings, &["control_plane"]), Some("127.0.0.1:2"));
        let [_, worker] = added(&format!("{two}\n[added.workers]\nroles = \"fanout\""));
        assert_eq!(text(&worker.settings, &["roles"]), Some("fanout"));
    }

    #[test]
    fn nodes_know_every_control_plane() {
        let two = "store.url = \"mysql://a/b\"\n[[control_planes]]\nid = \"c-1\"\nlisten = \"127.0.0.1:5\"\n\
                   nodes.listen = \"127.0.0.1:6\"\n[[control_planes]]\nid = \"c-2\"\nlisten = \"127.0.0.1:7\"\n\
                   nodes.listen = \"127.0.0.1:8\"\n[[gateways]]";
        let plan = plan(&FILE.replacen("[[gateways]]", two, 1)).unwrap();
        assert_eq!(plan.control_planes, ["127.0.0.1:5", "127.0.0.1:7"]);
        let names: Vec<_> = plan.processes.iter().map(|one| one.name.as_str()).collect();
        assert_eq!(names, ["c-1", "c-2", "worker-1", "gw-1"]);
        for process in &plan.processes[2..] {
            assert_eq!(text(&process.settings, &["control_plane"]), Some("127.0.0.1:6,127.0.0.1:8"));
        }
    }

    #[test]
    fn faults_are_named() {
        let twice = FILE.replace("worker-1", "gw-1");
        assert!(plan(&twice).unwrap_err().contains("two programs are named \"gw-1\""));
        let nameless = FILE.replace("id = \"worker-1\"", "");
        assert!(plan(&nameless).unwrap_err().contains("each chat-worker needs an id"));
        let same_port = FILE.replace("127.0.0.1:3", "127.0.0.1:2");
        assert_eq!(plan(&same_port).unwrap_err(), "control-plane and gw-1 both listen at 127.0.0.1:2");
        for (own, named) in [("listen = \"127.0.0.1:9\"", "listen"), ("link.advertise = \"a:1\"", "link.advertise")] {
            let why = plan(&format!("{FILE}\n[added.gateways]\n{own}")).unwrap_err();
            assert!(why.starts_with(&format!("added.gateways: {named} is each node's own")), "{why}");
        }
        let of_another = FILE.replace("worker-1", "gw-2");
        assert!(plan(&of_another).unwrap_err().contains("\"gw-2\" would be the name of an added node"));
    }
}
