//! `chatctl support-bundle`: one file with what others need to help, and no secret.

use std::path::PathBuf;

use serde_json::{Map, Value, json};

use crate::{api::Api, error::CommandError, output::format_ms, session::Session};

/// What is asked for, by the name it has in the bundle.
const PARTS: [(&str, &str); 12] = [
    ("overview", "/v1/overview"),
    ("nodes", "/v1/nodes"),
    ("gateways", "/v1/gateways"),
    ("breakers", "/v1/breakers"),
    ("overrides", "/v1/overrides?all=true"),
    ("consistency", "/v1/consistency"),
    ("windows", "/v1/consistency/windows?all=true"),
    ("lag", "/v1/lag"),
    ("incidents", "/v1/incidents?all=true&limit=500"),
    ("operations", "/v1/operations?limit=500"),
    ("events", "/v1/events"),
    ("audit", "/v1/audit?limit=500"),
];
/// A key that ends so is left out, wherever it is.
const SECRETS: [&str; 5] = ["token", "secret", "password", "jwt", "authorization"];

/// Write what others need to help into one file, secrets left out
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where to write it
    #[arg(long, default_value = "support-bundle.json", value_name = "FILE")]
    file: PathBuf,
}

pub(super) async fn run(session: &Session, args: Args) -> Result<(), CommandError> {
    let api = session.api()?;
    let now_ms = u64::try_from(time::OffsetDateTime::now_utc().unix_timestamp_nanos() / 1_000_000).unwrap_or(0);
    let mut bundle = Map::new();
    bundle.insert("made_at".to_owned(), format_ms(now_ms).into());
    bundle.insert("chatctl".to_owned(), env!("CARGO_PKG_VERSION").into());
    let mut missing = 0;
    for (name, path) in PARTS {
        bundle.insert(name.to_owned(), part(&api, path, &mut missing).await);
    }
    let mut bundle = Value::Object(bundle);
    leave_out_secrets(&mut bundle);
    let text = serde_json::to_string_pretty(&bundle).map_err(|error| CommandError::failed(error.to_string()))?;
    std::fs::write(&args.file, &text)
        .map_err(|error| CommandError::failed(format!("cannot write {}: {error}", args.file.display())))?;
    let what =
        format!("{}: {} KB, {missing} of {} parts missing", args.file.display(), text.len() / 1_024, PARTS.len());
    session.ui.say(&what, &json!({ "file": args.file, "bytes": text.len(), "missing": missing }))?;
    session.ui.note("read it before you send it: it names users in audit lines and reasons");
    Ok(())
}

async fn part(api: &Api, path: &str, missing: &mut usize) -> Value {
    match api.raw(path).await {
        Ok(value) => value,
        Err(error) => {
            *missing += 1;
            json!({ "error": error.to_string() })
        }
    }
}

fn leave_out_secrets(value: &mut Value) {
    match value {
        Value::Object(map) => {
            for (key, value) in map.iter_mut() {
                let key = key.to_ascii_lowercase();
                if SECRETS.iter().any(|secret| key.ends_with(secret)) {
                    *value = "(left out)".into();
                } else {
                    leave_out_secrets(value);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(leave_out_secrets),
        // A URL may carry a password before its host.
        Value::String(text) => {
            if let Some((scheme, rest)) = text.split_once("://")
                && let Some((_, host)) = rest.split_once('@')
            {
                *text = format!("{scheme}://(left out)@{host}");
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_left_out_wherever_they_are() {
        let mut value = json!({
            "admin_token": "hush", "nested": [{ "Password": "hush", "url": "mysql://chat:hush@db:3306/chat" }],
            "reason": "kept", "tokens_total": 3,
        });
        leave_out_secrets(&mut value);
        assert!(!value.to_string().contains("hush"), "{value}");
        assert_eq!((value["reason"].as_str(), value["tokens_total"].as_u64()), (Some("kept"), Some(3)));
    }
}
