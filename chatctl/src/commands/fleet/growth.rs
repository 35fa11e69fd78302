//! Nodes that are added to those of the file: what they are named, and what they are told.

use protocol::identity::ProgramRole;
use toml::{Table, Value};

use super::{
    process::Process,
    settings::{put, take, text},
};

/// Nodes of a kind that one machine is asked to have beside those of the file, at most.
pub(super) const ADDED_MAX: u64 = 32;

/// How nodes of a kind are added.
#[derive(Debug, Clone)]
pub(super) struct Growth {
    pub(super) role: ProgramRole,
    /// How many the file has: they stay.
    pub(super) of_file: u64,
    names: Names,
    /// Its name and addresses are its own.
    settings: Table,
}

impl Growth {
    /// `settings` are those of any of them; what is one node's own is left out.
    pub(super) fn new(role: ProgramRole, of_file: &[&str], mut settings: Table) -> Self {
        for own in ["listen", "advertise"] {
            settings.remove(own);
            take(&mut settings, "link", own);
        }
        Self { role, of_file: of_file.len() as u64, names: Names::after(of_file, role), settings }
    }

    /// The name of the first, the second... that is added.
    pub(super) fn name(&self, n: u64) -> String {
        self.names.get(n)
    }

    /// The names of as many as may be added.
    pub(super) fn all_names(&self) -> impl Iterator<Item = String> {
        (1..=ADDED_MAX).map(|n| self.name(n))
    }

    /// It has its name, and no addresses yet.
    pub(super) fn process(&self, n: u64) -> Process {
        let (name, mut settings) = (self.name(n), self.settings.clone());
        put(&mut settings, "node", "id", &name);
        Process { name, role: self.role, settings }
    }
}

/// Names that go on where those of the file end.
///
/// On the way down the control plane drains the nodes whose names come last: the longest, and of those the last by
/// letters. What is added must come after all of the file, or it would drain one that stays.
#[derive(Debug, Clone)]
struct Names {
    stem: String,
    last: u64,
    width: usize,
}

impl Names {
    fn after(known: &[&str], role: ProgramRole) -> Self {
        let longest = known.iter().map(|name| name.len()).max().unwrap_or(0);
        let split = |name: &str| {
            let stem = name.trim_end_matches(|c: char| c.is_ascii_digit()).to_owned();
            let number = name[stem.len()..].parse::<u64>().ok()?;
            Some((stem, number))
        };
        let all: Option<Vec<(String, u64)>> = known.iter().map(|name| split(name)).collect();
        if let Some(all) = all
            && let Some((stem, _)) = all.first()
            && all.iter().all(|(other, _)| other == stem)
        {
            let last = all.iter().map(|(_, number)| *number).max().unwrap_or(0);
            return Self { width: longest - stem.len(), stem: stem.clone(), last };
        }
        // They are not named alike, as workers of several roles: what is added is named for what it is.
        let stem = match role {
            ProgramRole::Gateway => "added-gateway-",
            _ => "added-worker-",
        };
        Self { width: (longest + 1).saturating_sub(stem.len()), stem: stem.to_owned(), last: 0 }
    }

    fn get(&self, n: u64) -> String {
        let (number, width) = (self.last + n, self.width);
        format!("{}{number:0width$}", self.stem)
    }
}

/// What workers together do: one that is added takes a share of all of it. `None` where one does everything.
pub(super) fn all_roles(workers: &[Table]) -> Option<Value> {
    let mut all = Vec::new();
    for worker in workers {
        for role in text(worker, &["roles"]).filter(|roles| *roles != "all")?.split(',').map(str::trim) {
            if !all.contains(&role) {
                all.push(role);
            }
        }
    }
    Some(Value::String(all.join(",")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(known: &[&str], role: ProgramRole) -> Vec<String> {
        let names = Names::after(known, role);
        (1..=2).map(|n| names.get(n)).collect()
    }

    #[test]
    fn names_go_on_where_the_file_ends() {
        assert_eq!(names(&["gw-1", "gw-2"], ProgramRole::Gateway), ["gw-3", "gw-4"]);
        assert_eq!(names(&["gw-9", "gw-8"], ProgramRole::Gateway), ["gw-10", "gw-11"]);
        assert_eq!(names(&["gw-08", "gw-09"], ProgramRole::Gateway), ["gw-10", "gw-11"]);
        assert_eq!(names(&["gw-01"], ProgramRole::Gateway), ["gw-02", "gw-03"]);
        assert_eq!(names(&["fanout-1", "persister-1"], ProgramRole::Worker), ["added-worker-1", "added-worker-2"]);
        assert_eq!(names(&["east"], ProgramRole::Gateway), ["added-gateway-1", "added-gateway-2"]);
    }

    #[test]
    fn what_is_added_is_what_the_control_plane_drains_first() {
        for known in [&["gw-2", "gw-1"][..], &["a", "worker-with-a-long-name", "z-1"], &["x9", "x100"], &["w"]] {
            for role in [ProgramRole::Gateway, ProgramRole::Worker] {
                let names = Names::after(known, role);
                let added: Vec<String> = (1..=ADDED_MAX).map(|n| names.get(n)).collect();
                let mut all: Vec<String> = known.iter().map(|&name| name.to_owned()).chain(added.clone()).collect();
                // The same order as `leaving` of the control plane.
                all.sort_by_key(|id| (id.len(), id.clone()));
                assert_eq!(all[known.len()..], added, "{known:?}");
            }
        }
    }

    #[test]
    fn an_added_worker_takes_every_role_of_the_file() {
        let workers = |roles: &[Option<&str>]| -> Vec<Table> {
            let table = |role: &Option<&str>| role.map(|role| ("roles".to_owned(), role.into())).into_iter().collect();
            roles.iter().map(table).collect()
        };
        let shared = all_roles(&workers(&[Some("fanout"), Some("persister, fanout")]));
        assert_eq!(shared, Some("fanout,persister".into()));
        assert_eq!(all_roles(&workers(&[Some("fanout"), None])), None);
        assert_eq!(all_roles(&workers(&[Some("fanout"), Some("all")])), None);
    }

    #[test]
    fn what_is_one_nodes_own_is_not_copied() {
        let settings = "listen = '127.0.0.1:1'\nlink.listen = '127.0.0.1:2'\nlimits.connections = 9";
        let growth = Growth::new(ProgramRole::Gateway, &["gw-1"], toml::from_str(settings).unwrap());
        let added = growth.process(1);
        assert_eq!((added.name.as_str(), text(&added.settings, &["node", "id"])), ("gw-2", Some("gw-2")));
        assert_eq!(added.settings["limits"]["connections"].as_integer(), Some(9));
        assert!(!added.settings.contains_key("listen") && text(&added.settings, &["link", "listen"]).is_none());
    }
}
