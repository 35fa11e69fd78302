//! `chatctl wait`: for scripts and runbooks.

use std::{str::FromStr, time::Duration};

use serde_json::Value;
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
    conditions: Vec<Condition>,
}

/// A field, a comparison and a value.
#[derive(Debug, Clone, PartialEq)]
struct Condition {
    text: String,
    thing: String,
    name: Option<String>,
    field: Vec<String>,
    operator: Operator,
    value: String,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Operator {
    Is,
    IsNot,
    AtLeast,
    AtMost,
    Above,
    Below,
}

/// Longer ones first: `>=` begins with `>`.
const OPERATORS: [(&str, Operator); 6] = [
    ("==", Operator::Is),
    ("!=", Operator::IsNot),
    (">=", Operator::AtLeast),
    ("<=", Operator::AtMost),
    (">", Operator::Above),
    ("<", Operator::Below),
];
const NAMED: [(&str, &str); 5] = [
    ("gateway", "gateways"),
    ("node", "nodes"),
    ("operation", "operations"),
    ("override", "overrides"),
    ("incident", "incidents"),
];
const ONE: [&str; 2] = ["overview", "consistency"];

impl FromStr for Condition {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = OPERATORS.iter().filter_map(|(sign, operator)| Some((text.find(sign)?, *sign, *operator)));
        // The first in the text; of two at one place the longer.
        let first = found.min_by_key(|(at, sign, _)| (*at, std::cmp::Reverse(sign.len())));
        let (at, sign, operator) = first.ok_or("needs a comparison: ==, !=, >=, <=, > or <")?;
        let (left, value) = (text[..at].trim(), text[at + sign.len()..].trim());
        let (thing, rest) = match left.split_once('/') {
            Some((thing, rest)) => (thing, Some(rest)),
            None => (left.split('.').next().unwrap_or(left), None),
        };
        let (name, field) = match rest {
            // Names may have dots; fields have none, but levels do: the name ends where the last field begins.
            Some(rest) if NAMED.iter().any(|(known, _)| *known == thing) => {
                let (name, field) = rest.rsplit_once('.').ok_or("needs a field, as in gateway/gw-1.connections==0")?;
                (Some(name.to_owned()), field)
            }
            None if ONE.contains(&thing) => {
                let field = left.split_once('.').ok_or("needs a field, as in consistency.level==LOCAL_QUORUM")?.1;
                (None, field)
            }
            _ => {
                let known: Vec<_> = NAMED.iter().map(|(thing, _)| format!("{thing}/NAME")).collect();
                return Err(format!("cannot look at {thing:?}; there are {}, {}", known.join(", "), ONE.join(", ")));
            }
        };
        if field.is_empty() || value.is_empty() {
            return Err("needs a field and a value, as in gateway/gw-1.connections==0".to_owned());
        }
        Ok(Self {
            text: text.to_owned(),
            thing: thing.to_owned(),
            name,
            field: field.split('.').map(str::to_owned).collect(),
            operator,
            value: value.to_owned(),
        })
    }
}

impl Condition {
    fn path(&self) -> String {
        let plural = NAMED.iter().find(|(thing, _)| *thing == self.thing).map(|(_, plural)| *plural);
        match (&self.name, plural) {
            (Some(name), Some(plural)) => format!("/v1/{plural}/{}", segment(name)),
            _ => format!("/v1/{}", self.thing),
        }
    }

    /// Does it hold? With the value it looked at.
    fn holds(&self, body: &Value) -> Result<(bool, String), String> {
        let mut at = body;
        for level in &self.field {
            // A field that is left out is one that says nothing.
            at = at.get(level).unwrap_or(&Value::Null);
        }
        let found = match at {
            Value::String(text) => text.clone(),
            Value::Null => String::new(),
            other => other.to_string(),
        };
        let numbers = found.parse::<f64>().ok().zip(self.value.parse::<f64>().ok());
        let holds = match (self.operator, numbers) {
            (Operator::Is, Some((a, b))) => a == b,
            (Operator::IsNot, Some((a, b))) => a != b,
            (Operator::Is, None) => found == self.value,
            (Operator::IsNot, None) => found != self.value,
            (Operator::AtLeast, Some((a, b))) => a >= b,
            (Operator::AtMost, Some((a, b))) => a <= b,
            (Operator::Above, Some((a, b))) => a > b,
            (Operator::Below, Some((a, b))) => a < b,
            (_, None) => return Err(format!("{}: {found:?} is no number", self.text)),
        };
        Ok((holds, found))
    }
}

pub(super) async fn run(session: &Session, args: Args) -> Result<(), CommandError> {
    let api = session.api()?;
    let deadline = Instant::now() + session.global.timeout;
    loop {
        let mut missing = None;
        for condition in &args.conditions {
            let (holds, found) = look(&api, condition).await?;
            if !holds {
                missing = Some(format!("{}: it is {found:?}", condition.text));
                break;
            }
        }
        let Some(why) = missing else {
            let held: Vec<_> = args.conditions.iter().map(|condition| condition.text.clone()).collect();
            return session.ui.say(&format!("holds: {}", held.join(", ")), &serde_json::json!({ "holds": held }));
        };
        if Instant::now() >= deadline {
            return Err(CommandError::new(Kind::TimedOut, format!("does not hold in time: {why}")));
        }
        sleep(LOOK).await;
    }
}

/// A control plane that is away for a moment is waited for, too.
async fn look(api: &Api, condition: &Condition) -> Result<(bool, String), CommandError> {
    match api.raw(&condition.path()).await {
        Ok(body) => condition.holds(&body).map_err(CommandError::failed),
        Err(error) if error.kind == Kind::Unreachable => Ok((false, "unreachable".to_owned())),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn holds(text: &str, body: Value) -> Result<(bool, String), String> {
        text.parse::<Condition>().unwrap().holds(&body)
    }

    #[test]
    fn conditions_are_a_thing_a_field_and_a_comparison() {
        let condition: Condition = "gateway/gw-1.connections == 0".parse().unwrap();
        assert_eq!(condition.path(), "/v1/gateways/gw-1");
        assert_eq!("consistency.level==ONE".parse::<Condition>().unwrap().path(), "/v1/consistency");
        for bad in ["", "gateway/gw-1", "gateway/gw-1==0", "planet/x.y==1", "consistency==ONE", "overview.users=="] {
            assert!(bad.parse::<Condition>().is_err(), "{bad}");
        }
    }

    #[test]
    fn numbers_compare_as_numbers_and_words_as_words() {
        let gateway = json!({ "connections": 12, "phase": "active", "progress": { "done": 3 } });
        assert!(holds("gateway/a.connections>=12", gateway.clone()).unwrap().0);
        assert!(!holds("gateway/a.connections<12", gateway.clone()).unwrap().0);
        assert!(holds("gateway/a.phase!=drained", gateway.clone()).unwrap().0);
        assert!(holds("gateway/a.connections==12.0", gateway.clone()).unwrap().0);
        assert!(holds("gateway/a.operation==op-1", gateway.clone()).is_ok_and(|(holds, _)| !holds));
        assert!(holds("gateway/a.phase>3", gateway).is_err());
        assert!(holds("overview.now.lag_records<=5", json!({ "now": { "lag_records": 5 } })).unwrap().0);
    }
}
