//! `chatctl wait`: for scripts and runbooks.

use std::{str::FromStr, time::Duration};

use protocol::admin::{Comparison, Condition};
use tokio::time::{Instant, sleep};

use crate::{
    api::{Api, segment},
    error::{CommandError, Kind},
    session::Session,
};

/// Between two looks.
const LOOK: Duration = Duration::from_millis(250);

/// Wait until something holds, as `gateway/gw-1.connections==0` or `consistency.level==LOCAL_QUORUM`
///
/// What can be looked at: gateway/NAME, node/NAME, operation/ID, override/ID, incident/ID, overview, consistency; the
/// fields are those of `-o json`, with dots between levels. Exits with 6 when it does not hold before --timeout.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What must hold; may be given several times, then all at once
    #[arg(long = "for", required = true, value_name = "CONDITION")]
    conditions: Vec<Typed>,
}

/// A condition as it is typed.
#[derive(Debug, Clone, PartialEq)]
struct Typed {
    text: String,
    condition: Condition,
}

/// Longer ones first: `>=` begins with `>`.
const SIGNS: [(&str, Comparison); 6] = [
    ("==", Comparison::Is),
    ("!=", Comparison::IsNot),
    (">=", Comparison::AtLeast),
    ("<=", Comparison::AtMost),
    (">", Comparison::Above),
    ("<", Comparison::Below),
];
const NAMED: [(&str, &str); 5] = [
    ("gateway", "gateways"),
    ("node", "nodes"),
    ("operation", "operations"),
    ("override", "overrides"),
    ("incident", "incidents"),
];
const ONE: [&str; 2] = ["overview", "consistency"];

impl Args {
    /// What must hold.
    pub(crate) fn conditions(&self) -> Vec<Condition> {
        self.conditions.iter().map(|typed| typed.condition.clone()).collect()
    }
}

impl FromStr for Typed {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = SIGNS.iter().filter_map(|(sign, comparison)| Some((text.find(sign)?, *sign, *comparison)));
        // The first in the text; of two at one place the longer.
        let first = found.min_by_key(|(at, sign, _)| (*at, std::cmp::Reverse(sign.len())));
        let (at, sign, comparison) = first.ok_or("needs a comparison: ==, !=, >=, <=, > or <")?;
        let (left, value) = (text[..at].trim(), text[at + sign.len()..].trim());
        let (path, field) = match left.split_once('/') {
            Some((thing, rest)) => named(thing, rest)?,
            None => one(left)?,
        };
        if field.is_empty() || value.is_empty() {
            return Err("needs a field and a value, as in gateway/gw-1.connections==0".to_owned());
        }
        let condition = Condition { path, field, comparison, value: value.to_owned() };
        Ok(Self { text: text.to_owned(), condition })
    }
}

fn unknown(thing: &str) -> String {
    let known: Vec<_> = NAMED.iter().map(|(thing, _)| format!("{thing}/NAME")).collect();
    format!("cannot look at {thing:?}; there are {}, {}", known.join(", "), ONE.join(", "))
}

fn named(thing: &str, rest: &str) -> Result<(String, String), String> {
    let (_, plural) = NAMED.iter().find(|(known, _)| *known == thing).ok_or_else(|| unknown(thing))?;
    let (name, field) = rest.split_once('.').ok_or("needs a field, as in gateway/gw-1.connections==0")?;
    Ok((format!("/v1/{plural}/{}", segment(name)), field.to_owned()))
}

fn one(left: &str) -> Result<(String, String), String> {
    let (thing, field) = left.split_once('.').unwrap_or((left, ""));
    if !ONE.contains(&thing) {
        return Err(unknown(thing));
    }
    Ok((format!("/v1/{thing}"), field.to_owned()))
}

pub(super) async fn run(session: &Session, args: Args) -> Result<(), CommandError> {
    let api = session.api()?;
    let deadline = Instant::now() + session.global.timeout;
    loop {
        let mut missing = None;
        for condition in &args.conditions {
            let (holds, found) = look(&api, &condition.condition).await?;
            if !holds {
                missing = Some((format!("{}: it is {found:?}", condition.text), found));
                break;
            }
        }
        let Some((why, found)) = missing else {
            let held: Vec<_> = args.conditions.iter().map(|condition| condition.text.clone()).collect();
            return session.ui.say(&format!("holds: {}", held.join(", ")), &serde_json::json!({ "holds": held }));
        };
        if Instant::now() >= deadline {
            let error = CommandError::new(Kind::TimedOut, format!("does not hold in time: {why}"));
            // A field may come and go, so a wrong name is not refused ahead.
            return Err(match found.is_empty() {
                true => error.hint("it is empty, or there is no such field: the fields are those of -o json"),
                false => error,
            });
        }
        sleep(LOOK).await;
    }
}

/// A control plane that is away for a moment is waited for, too.
async fn look(api: &Api, condition: &Condition) -> Result<(bool, String), CommandError> {
    match api.raw(&condition.path).await {
        Ok(body) => condition.holds(&body).map_err(CommandError::failed),
        Err(error) if error.kind == Kind::Unreachable => Ok((false, "unreachable".to_owned())),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn holds(text: &str, body: &serde_json::Value) -> Result<(bool, String), String> {
        text.parse::<Typed>().unwrap().condition.holds(body)
    }

    #[test]
    fn conditions_are_a_thing_a_field_and_a_comparison() {
        let typed: Typed = "gateway/gw-1.connections == 0".parse().unwrap();
        assert_eq!(typed.condition.path, "/v1/gateways/gw-1");
        assert_eq!("consistency.level==ONE".parse::<Typed>().unwrap().condition.path, "/v1/consistency");
        for bad in ["", "gateway/gw-1", "gateway/gw-1==0", "planet/x.y==1", "consistency==ONE", "overview.users=="] {
            assert!(bad.parse::<Typed>().is_err(), "{bad}");
        }
    }

    #[test]
    fn numbers_compare_as_numbers_and_words_as_words() {
        let gateway = json!({ "connections": 12, "phase": "active", "progress": { "done": 3 } });
        assert!(holds("gateway/a.connections>=12", &gateway).unwrap().0);
        assert!(!holds("gateway/a.connections<12", &gateway).unwrap().0);
        assert!(holds("gateway/a.phase!=drained", &gateway).unwrap().0);
        assert!(holds("gateway/a.connections==12.0", &gateway).unwrap().0);
        assert!(holds("gateway/a.progress.done<=3", &gateway).unwrap().0);
        assert!(holds("gateway/a.operation==op-1", &gateway).is_ok_and(|(holds, _)| !holds));
        assert!(holds("gateway/a.phase>3", &gateway).is_err());
        assert!(holds("overview.now.lag_records<=5", &json!({ "now": { "lag_records": 5 } })).unwrap().0);
    }
}
