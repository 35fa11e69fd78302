//! The shape of JSON: its keys and the types of their values, which programs depend on; not the values.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Deserializer, Value};

/// What programs read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Json,
    Yaml,
}

impl Format {
    /// What a command line asks for.
    pub(super) fn of(line: &str) -> Option<Self> {
        let is = |format: &str| line.contains(&format!("-o {format}"));
        if is("json") { Some(Self::Json) } else { is("yaml").then_some(Self::Yaml) }
    }
}

/// A path: how often it is there, how often what it is in, and the types seen.
#[derive(Default)]
struct Seen {
    times: usize,
    types: BTreeSet<&'static str>,
}

/// A line for each path of the document, or of all documents where there is one after the other.
pub(super) fn shape(format: Format, text: &str) -> String {
    let parsed: Result<Vec<Value>, String> = match format {
        Format::Json => {
            let all: Result<_, _> = Deserializer::from_str(text).into_iter().collect();
            all.map_err(|error| error.to_string())
        }
        Format::Yaml => serde_saphyr::from_str(text).map(|one| vec![one]).map_err(|error| error.to_string()),
    };
    let values = match parsed {
        Ok(values) => values,
        Err(error) => return format!("({error}: {text})"),
    };
    let mut seen = BTreeMap::new();
    let root = if values.len() == 1 { "" } else { "line" };
    values.iter().for_each(|value| look(value, root, &mut seen));
    let line = |(path, of): (&String, &Seen)| {
        // Of several documents it is not known how many there are of each kind.
        let optional = if values.len() == 1 && is_optional(path, of.times, &seen) { "?" } else { "" };
        let types: Vec<_> = of.types.iter().copied().collect();
        format!("{}{optional}: {}\n", if path.is_empty() { "." } else { path }, types.join(" or "))
    };
    seen.iter().map(line).collect()
}

fn look(value: &Value, path: &str, seen: &mut BTreeMap<String, Seen>) {
    let of = seen.entry(path.to_owned()).or_default();
    of.times += 1;
    of.types.insert(match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(items) if items.is_empty() => "empty list",
        Value::Array(_) => "list",
        Value::Object(_) => "object",
    });
    match value {
        Value::Array(items) => items.iter().for_each(|item| look(item, &format!("{path}[]"), seen)),
        Value::Object(map) => {
            map.iter().for_each(|(key, value)| look(value, format!("{path}.{key}").trim_start_matches('.'), seen));
        }
        _ => {}
    }
}

/// True when some object that it could be in has it not.
fn is_optional(path: &str, times: usize, seen: &BTreeMap<String, Seen>) -> bool {
    if path.ends_with("[]") {
        return false;
    }
    let of = path.rsplit_once('.').map_or("", |(of, _)| of);
    // A list of objects and of something else is not known here.
    of != path && seen.get(of).is_some_and(|parent| times < parent.times)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden_shapes_are_paths_and_types() {
        let text =
            r#"[{"id": "a", "n": 1, "of": [{"x": null}]}, {"id": "b", "n": "2", "of": []}, {"id": "c", "of": []}]"#;
        let shown = ".: list\n[]: object\n[].id: string\n[].n?: number or string\n[].of: empty list or list\n\
            [].of[]: object\n[].of[].x: null\n";
        assert_eq!(shape(Format::Json, text), shown);
        let lines = "{\"a\": true}\n{\"a\": false, \"b\": {}}\n";
        assert_eq!(shape(Format::Json, lines), "line: object\nline.a: bool\nline.b: object\n");
        assert_eq!(shape(Format::Yaml, "a:\n  - b: 1\n"), ".: object\na: list\na[]: object\na[].b: number\n");
    }
}
