//! Does what the state asks for, through the client of the command line, and says what came of it as an event.

use std::time::Duration;

use protocol::admin::{CreateOverride, DrainRequest, Lever};
use tokio::time::timeout;

use super::event::{Act, Data, Event, Failure, Load, Need};
use crate::{
    api::Api,
    error::{CommandError, Kind},
    output::format_span,
};

/// A picture that takes longer than this is none: the control plane counts as lost.
const LOAD_DEADLINE: Duration = Duration::from_secs(5);
/// How many operations and entries of the audit are looked at.
const LIMIT: u32 = 200;

/// Loads something.
pub(super) async fn load(api: &Api, load: Load) -> Event {
    let need = load.need();
    let is_list = matches!(load, Load::Plain(_));
    match timeout(LOAD_DEADLINE, fetch(api, load)).await {
        Ok(Ok(data)) => Event::Loaded(data),
        Ok(Err(error)) => Event::Failed(need, failure(error, is_list)),
        Err(_) => Event::Failed(need, Failure::Lost(format!("no answer within {} s", LOAD_DEADLINE.as_secs()))),
    }
}

async fn fetch(api: &Api, load: Load) -> Result<Data, CommandError> {
    let need = match load {
        Load::Events(id, after) => {
            let events = api.operation_event_list(&id, after).await?;
            return Ok(Data::Events(id, events));
        }
        Load::Preview(gateway) => {
            return api.drain_preview(&gateway, &DrainRequest::default()).await.map(Data::Preview);
        }
        Load::Plain(need) => need,
    };
    match need {
        Need::WhoAmI => api.whoami().await.map(Data::WhoAmI),
        Need::Overview => api.overview().await.map(Box::new).map(Data::Overview),
        Need::Gateways => api.gateways().await.map(Data::Gateways),
        Need::Nodes => api.nodes().await.map(Data::Nodes),
        Need::Lag => api.lag().await.map(Data::Lag),
        Need::Breakers => api.breakers().await.map(Data::Breakers),
        Need::Overrides => api.overrides(true).await.map(Data::Overrides),
        Need::Incidents => api.incidents(true).await.map(Data::Incidents),
        Need::Operations => api.operations(None, LIMIT).await.map(Data::Operations),
        Need::Audit => api.audit(LIMIT).await.map(Data::Audit),
        Need::Events | Need::Preview => Err(CommandError::failed("this needs a name")),
    }
}

fn failure(error: CommandError, is_list: bool) -> Failure {
    match error.kind {
        Kind::Unreachable | Kind::TimedOut => Failure::Lost(error.message),
        Kind::NotFound if is_list => Failure::Unserved,
        _ if is_list && is_unserved(&error.message) => Failure::Unserved,
        _ => Failure::Refused(words(&error)),
    }
}

/// A path that knows only other methods, and what stands before a control plane and knows neither.
fn is_unserved(message: &str) -> bool {
    ["does not know this method", " answered 404 ", " answered 405 "].iter().any(|part| message.contains(part))
}

/// Changes something.
pub(super) async fn act(api: &Api, act: Act) -> Event {
    Event::Done(perform(api, act).await.map_err(|error| words(&error)))
}

async fn perform(api: &Api, act: Act) -> Result<String, CommandError> {
    Ok(match act {
        Act::Drain { gateway, reason } => {
            let request = DrainRequest { reason, ..DrainRequest::default() };
            let operation = api.drain(&gateway, &request).await?;
            format!("{gateway} drains: {}", operation.id)
        }
        Act::Undrain { gateway, reason } => {
            let operation = api.undrain(&gateway, &reason).await?;
            format!("{gateway} goes back into service: {}", operation.id)
        }
        Act::Cancel { operation, reason } => {
            let operation = api.cancel(&operation, &reason).await?;
            format!("{} is {}", operation.id, operation.state)
        }
        Act::Breaker { name, state, scope, for_ms, reason } => {
            let lever = Lever::Breaker { name, state };
            let request = CreateOverride { lever, scope, for_ms, reason, dry_run: false };
            let created = api.override_create(&request).await?;
            format!("{}: {} on {} for {}", created.id, created.lever, created.scope, format_span(for_ms))
        }
        Act::Revert { id, reason } => {
            let ended = api.override_end(&id, &reason).await?;
            format!("{} is {}", ended.id, ended.state)
        }
        Act::Ack { incident, reason } => {
            let incident = api.incident_ack(&incident, &reason).await?;
            format!("{} is {}", incident.id, incident.state)
        }
        Act::Resolve { incident, reason } => {
            let incident = api.incident_resolve(&incident, &reason).await?;
            format!("{} is {}", incident.id, incident.state)
        }
    })
}

/// What went wrong, what to try, and what overrides it.
fn words(error: &CommandError) -> String {
    let mut text = error.message.clone();
    if let Some(hint) = &error.hint {
        text.push_str(&format!("\n{hint}"));
    }
    if let Some(flag) = &error.override_flag {
        text.push_str(&format!("\n{flag} overrides this, on the command line"));
    }
    text
}
