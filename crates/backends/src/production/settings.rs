//! Settings of a program: a TOML file, then the environment, then flags; the later one wins.
//!
//! A program says what it takes as tables of [`Setting`]s. All faults are found at once and told together; a key that
//! nobody knows is one of them.

use std::{collections::BTreeMap, fmt, path::Path, str::FromStr};

/// Before the name of a setting in the environment: `kafka.brokers` is `CHAT_KAFKA_BROKERS`.
const ENVIRONMENT: &str = "CHAT_";

/// Something a program can be told.
#[derive(Clone, Copy)]
pub struct Setting {
    /// `section.name`, as in the file.
    pub key: &'static str,
    /// What holds when nothing is said. `None`: it must be said. Empty: it may be left out.
    pub default: Option<&'static str>,
    /// For `--help`.
    pub help: &'static str,
    /// Says what is wrong with a value.
    check: fn(&str) -> Result<(), String>,
}

impl Setting {
    /// A setting that is read as a `T`.
    pub const fn new<T: FromStr<Err: fmt::Display>>(
        key: &'static str,
        default: Option<&'static str>,
        help: &'static str,
    ) -> Self {
        Self { key, default, help, check: |text| text.parse::<T>().map(drop).map_err(|error| error.to_string()) }
    }

    /// Its flag, without the dashes in front.
    pub(super) fn flag(&self) -> String {
        self.key.replace(['.', '_'], "-")
    }

    /// Its variable.
    pub(super) fn variable(&self) -> String {
        format!("{ENVIRONMENT}{}", self.key.replace('.', "_").to_uppercase())
    }
}

/// What is wrong with the settings of a program: all of it.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct Faults(pub Vec<String>);

/// Values that passed their checks.
#[derive(Debug)]
pub struct Settings {
    values: BTreeMap<&'static str, String>,
}

/// What was said, and where.
struct Said {
    value: String,
    by: String,
}

impl Settings {
    /// Reads what was said. `flag` and `variable` look a name up.
    pub fn read(
        table: &[Setting],
        file: Option<&Path>,
        variable: impl Fn(&str) -> Option<String>,
        flag: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, Faults> {
        let mut faults = Vec::new();
        let mut said = file.map(|path| from_file(table, path, &mut faults)).unwrap_or_default();
        let mut values = BTreeMap::new();
        for setting in table {
            let by_variable = variable(&setting.variable()).map(|value| Said { value, by: setting.variable() });
            let by_flag = flag(&setting.flag()).map(|value| Said { value, by: format!("--{}", setting.flag()) });
            let by_default = || Some(Said { value: setting.default?.to_owned(), by: "the default".to_owned() });
            let found = by_flag.or(by_variable).or_else(|| said.remove(setting.key)).or_else(by_default);
            let Some(Said { value, by }) = found else {
                let (flag, variable) = (setting.flag(), setting.variable());
                faults.push(format!(
                    "{} is not set: {}; give --{flag}, {variable} or the file",
                    setting.key, setting.help
                ));
                continue;
            };
            // Empty: left out.
            if !(value.is_empty() && setting.default == Some(""))
                && let Err(why) = (setting.check)(&value)
            {
                // The value itself may be a secret.
                faults.push(format!("{} ({by}): {why}", setting.key));
            }
            values.insert(setting.key, value);
        }
        if faults.is_empty() { Ok(Self { values }) } else { Err(Faults(faults)) }
    }

    fn text(&self, key: &str) -> &str {
        self.values.get(key).unwrap_or_else(|| unreachable!("{key} is in no table of this program"))
    }

    /// A value.
    pub fn get<T: FromStr>(&self, key: &str) -> T {
        let parsed = self.text(key).parse();
        parsed.unwrap_or_else(|_| unreachable!("{key} was checked as another type than it is read as"))
    }

    /// A value that may be left out.
    pub fn get_if_set<T: FromStr>(&self, key: &str) -> Option<T> {
        (!self.text(key).is_empty()).then(|| self.get(key))
    }
}

fn from_file(table: &[Setting], path: &Path, faults: &mut Vec<String>) -> BTreeMap<String, Said> {
    let shown = path.display();
    let parsed = std::fs::read_to_string(path).map_err(|error| error.to_string()).and_then(|text| {
        text.parse::<toml::Table>().map_err(|error| {
            let line = error.span().map_or(0, |span| text[..span.start].lines().count().max(1));
            format!("line {line}: {}", error.message())
        })
    });
    let mut found = BTreeMap::new();
    match parsed {
        Ok(root) => flatten("", root, &mut found),
        Err(why) => faults.push(format!("{shown}: {why}")),
    }
    for key in found.keys().filter(|key| !table.iter().any(|setting| setting.key == key.as_str())) {
        let near = nearest(table, key).map_or_else(String::new, |near| format!("; did you mean {near}?"));
        faults.push(format!("{shown}: nobody knows {key}{near}"));
    }
    found.into_iter().map(|(key, value)| (key, Said { value, by: shown.to_string() })).collect()
}

fn flatten(prefix: &str, table: toml::Table, found: &mut BTreeMap<String, String>) {
    for (name, value) in table {
        let key = if prefix.is_empty() { name } else { format!("{prefix}.{name}") };
        match value {
            toml::Value::Table(inner) => flatten(&key, inner, found),
            toml::Value::Array(items) => {
                let items: Vec<_> = items.iter().map(plain).collect();
                found.insert(key, items.join(","));
            }
            one => {
                found.insert(key, plain(&one));
            }
        }
    }
}

fn plain(value: &toml::Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned)
}

/// The key that shares the last part, or the longest beginning.
fn nearest(table: &[Setting], key: &str) -> Option<&'static str> {
    let common = |setting: &Setting| setting.key.bytes().zip(key.bytes()).take_while(|(a, b)| a == b).count();
    let best = table.iter().max_by_key(|setting| common(setting))?;
    (common(best) >= 4).then_some(best.key)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &[Setting] = &[
        Setting::new::<String>("node.id", None, "its name"),
        Setting::new::<u16>("node.port", Some("7"), "its port"),
        Setting::new::<String>("tls.ca", Some(""), "its CA"),
    ];

    fn read(file: &str, variables: &[(&str, &str)], flags: &[(&str, &str)]) -> Result<Settings, Faults> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("it.toml");
        std::fs::write(&path, file).unwrap();
        let find = |from: &[(&str, &str)], name: &str| {
            from.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        };
        Settings::read(TABLE, Some(&path), |name| find(variables, name), |name| find(flags, name))
    }

    #[test]
    fn flags_win_over_the_environment_and_that_over_the_file() {
        let file = "[node]\nid = \"a\"\nport = 1\n";
        assert_eq!(read(file, &[], &[]).unwrap().get::<u16>("node.port"), 1);
        let variables = &[("CHAT_NODE_PORT", "2")];
        assert_eq!(read(file, variables, &[]).unwrap().get::<u16>("node.port"), 2);
        let settings = read(file, variables, &[("node-port", "3")]).unwrap();
        assert_eq!(settings.get::<u16>("node.port"), 3);
        assert_eq!(settings.get::<String>("node.id"), "a");
        assert_eq!(settings.get_if_set::<String>("tls.ca"), None);
        assert_eq!(read("node.id = 'a'", &[], &[]).unwrap().get::<u16>("node.port"), 7);
    }

    #[test]
    fn all_faults_are_told_together() {
        let Faults(faults) = read("[node]\nprot = 1\n", &[("CHAT_NODE_PORT", "many")], &[]).unwrap_err();
        assert!(faults[0].contains("nobody knows node.prot; did you mean node.port?"), "{faults:?}");
        assert!(faults[1].starts_with("node.id is not set"), "{faults:?}");
        assert!(faults[2].starts_with("node.port (CHAT_NODE_PORT): invalid digit"), "{faults:?}");
        assert_eq!(faults.len(), 3);
    }
}
