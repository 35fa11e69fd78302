//! Settings of programs, as tables of TOML.

use std::net::SocketAddr;

use toml::{Table, Value};

/// What stands at a path of sections.
pub(super) fn value<'a>(table: &'a Table, path: &[&str]) -> Option<&'a Value> {
    let (last, sections) = path.split_last()?;
    let mut table = table;
    for section in sections {
        table = table.get(*section)?.as_table()?;
    }
    table.get(*last)
}

/// The text at a path of sections.
pub(super) fn text<'a>(table: &'a Table, path: &[&str]) -> Option<&'a str> {
    value(table, path)?.as_str()
}

/// Sets a value in a section.
pub(super) fn put(settings: &mut Table, section: &str, key: &str, value: &str) {
    let section = settings.entry(section).or_insert_with(|| Value::Table(Table::new()));
    if let Some(section) = section.as_table_mut() {
        section.insert(key.to_owned(), Value::String(value.to_owned()));
    }
}

/// Removes a value of a section.
pub(super) fn take(settings: &mut Table, section: &str, key: &str) {
    if let Some(section) = settings.get_mut(section).and_then(Value::as_table_mut) {
        section.remove(key);
    }
}

/// Lays `over` over `under`, section by section.
pub(super) fn merge(under: &mut Table, over: Table) {
    for (key, value) in over {
        match (under.get_mut(&key).and_then(Value::as_table_mut), value) {
            (Some(inner), Value::Table(value)) => merge(inner, value),
            (_, value) => {
                under.insert(key, value);
            }
        }
    }
}

/// Every address that a program listens at.
pub(super) fn addresses(settings: &Table) -> impl Iterator<Item = SocketAddr> {
    let listens = [&["listen"][..], &["link", "listen"], &["nodes", "listen"]];
    listens.into_iter().filter_map(|path| text(settings, path)?.parse().ok())
}
