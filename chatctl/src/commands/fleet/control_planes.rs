//! The control planes of a file: one, or several that share their state.

use protocol::identity::ProgramRole;
use toml::Table;

use super::{
    process::{Process, id},
    settings::{merge, put, text},
};

const LISTEN: &str = "127.0.0.1:7400";
const NODES: &str = "127.0.0.1:7500";
/// The name of one that is alone and was not given any.
const ALONE: &str = "control-plane";

/// Programs, and where they serve.
pub(super) struct ControlPlanes {
    pub(super) processes: Vec<Process>,
    /// Where each serves chatctl.
    pub(super) apis: Vec<String>,
    /// Where each serves nodes.
    pub(super) nodes: Vec<String>,
}

impl ControlPlanes {
    /// `each` is laid over what all of them share.
    pub(super) fn of(shared: &Table, each: Vec<Table>) -> Result<Self, String> {
        let are_several = each.len() > 1;
        if are_several && text(shared, &["store", "url"]).is_none() {
            return Err("several control planes share their state: set store.url of [control_plane] to \
                        mysql://USER:PASSWORD@HOST:PORT/DATABASE"
                .to_owned());
        }
        let mut planes = Self { processes: Vec::new(), apis: Vec::new(), nodes: Vec::new() };
        if each.is_empty() {
            planes.add(ALONE.to_owned(), shared.clone());
        }
        for mut own in each {
            let name = id(&own, ProgramRole::ControlPlane)?.to_owned();
            for path in [&["listen"][..], &["nodes", "listen"]] {
                if are_several && text(&own, path).is_none() {
                    return Err(format!("control plane {name} needs a {} of its own", path.join(".")));
                }
            }
            own.remove("id");
            let mut settings = shared.clone();
            merge(&mut settings, own);
            planes.add(name, settings);
        }
        Ok(planes)
    }

    fn add(&mut self, name: String, mut settings: Table) {
        self.apis.push(text(&settings, &["listen"]).unwrap_or(LISTEN).to_owned());
        self.nodes.push(text(&settings, &["nodes", "listen"]).unwrap_or(NODES).to_owned());
        // Those that can share a store lead under names of their own.
        if text(&settings, &["store", "url"]).is_some() && text(&settings, &["replica", "id"]).is_none() {
            put(&mut settings, "replica", "id", &name);
        }
        self.processes.push(Process { name, role: ProgramRole::ControlPlane, settings });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHARED: &str = "store.url = 'mysql://a/b'\nprice.gateway_per_h = 2.0";

    fn planes(shared: &str, each: &[&str]) -> Result<ControlPlanes, String> {
        let table = |text: &str| toml::from_str(text).unwrap();
        ControlPlanes::of(&table(shared), each.iter().map(|text| table(text)).collect())
    }

    #[test]
    fn one_is_alone_unless_the_file_names_more() {
        let alone = planes("listen = '127.0.0.1:1'", &[]).unwrap();
        assert_eq!((alone.apis, alone.nodes), (vec!["127.0.0.1:1".to_owned()], vec![NODES.to_owned()]));
        assert_eq!(alone.processes[0].name, "control-plane");
        assert!(!alone.processes[0].settings.contains_key("replica"));
    }

    #[test]
    fn several_share_what_is_not_their_own() {
        let first = "id = 'control-1'\nlisten = '127.0.0.1:1'\nnodes.listen = '127.0.0.1:2'";
        let second = "id = 'control-2'\nlisten = '127.0.0.1:3'\nnodes.listen = '127.0.0.1:4'\nreplica.id = 'b'";
        let both = planes(SHARED, &[first, second]).unwrap();
        assert_eq!(
            (both.apis.join(","), both.nodes.join(",")),
            ("127.0.0.1:1,127.0.0.1:3".into(), "127.0.0.1:2,127.0.0.1:4".into())
        );
        let leads_as: Vec<_> = both.processes.iter().map(|one| text(&one.settings, &["replica", "id"])).collect();
        assert_eq!(leads_as, [Some("control-1"), Some("b")]);
        assert!(both.processes.iter().all(|one| one.settings["price"]["gateway_per_h"].as_float() == Some(2.0)));

        let why = |shared, each: &[&str]| planes(shared, each).err().unwrap();
        assert!(why("", &[first, second]).contains("set store.url of [control_plane]"));
        assert_eq!(why(SHARED, &[first, "id = 'control-2'"]), "control plane control-2 needs a listen of its own");
        assert_eq!(why(SHARED, &["listen = '127.0.0.1:1'"]), "each chat-control-plane needs an id");
    }
}
