//! Does what the state asks for, through the client of the command line, and says what came of it as an event.

use std::time::Duration;

use protocol::admin::{Changed, ConfirmRequest, CreateOverride, DrainRequest, KickRequest, Lever, PrescaleRequest};
use tokio::time::timeout;

use super::event::{Act, Data, Event, Failure, Load, Need};
use crate::{
    api::Api,
    context::Context,
    error::{CommandError, Kind},
    gateway_api::GatewayApi,
    output::{counted, format_span},
};

/// A picture that takes longer than this is none: the control plane counts as lost.
const LOAD_DEADLINE: Duration = Duration::from_secs(5);
/// How many operations and entries of the audit are looked at.
const LIMIT: u32 = 200;

/// Messages of a batched group wait so long for others: as the command line has it.
const BATCH_WINDOW_MS: u64 = 5_000;

/// The fleet that is looked at.
#[derive(Clone)]
pub(super) struct Fleet {
    api: Api,
    name: String,
    context: Context,
}

impl Fleet {
    pub(super) fn new(name: &str, context: Context) -> Result<Self, CommandError> {
        Ok(Self { api: Api::new(&context)?, name: name.to_owned(), context })
    }
}

/// Loads something.
pub(super) async fn load(fleet: &Fleet, load: Load) -> Event {
    let need = load.need();
    let is_list = matches!(load, Load::Plain(_));
    match timeout(LOAD_DEADLINE, fetch(fleet, load)).await {
        Ok(Ok(data)) => Event::Loaded(data),
        Ok(Err(error)) => Event::Failed(need, failure(error, is_list)),
        Err(_) => Event::Failed(need, Failure::Lost(format!("no answer within {} s", LOAD_DEADLINE.as_secs()))),
    }
}

async fn fetch(fleet: &Fleet, load: Load) -> Result<Data, CommandError> {
    let api = &fleet.api;
    let need = match load {
        Load::Events(id, after) => {
            let events = api.operation_event_list(&id, after).await?;
            return Ok(Data::Events(id, events));
        }
        Load::Preview(gateway) => {
            return api.drain_preview(&gateway, &DrainRequest::default()).await.map(Data::Preview);
        }
        Load::Capacity(factor) => {
            let factor = factor.parse().map_err(|_| CommandError::usage(format!("{factor:?} is no number")))?;
            return api.prescale_plan(factor).await.map(Box::new).map(Data::Capacity);
        }
        Load::Sessions(user) => {
            let sessions = api.sessions(&user).await?;
            return Ok(Data::Sessions(user, sessions));
        }
        Load::Conversation(id) => {
            // Made anew each time: its token lives for minutes.
            let gateways = GatewayApi::new(&fleet.name, &fleet.context)?;
            return gateways.show(&id).await.map(Box::new).map(Data::Conversation);
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
        Need::ScaleEvents => api.scale_events().await.map(Data::ScaleEvents),
        Need::Capacity | Need::Sessions | Need::Conversation | Need::Events | Need::Preview => {
            Err(CommandError::failed("this needs a name"))
        }
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
pub(super) async fn act(fleet: &Fleet, act: Act) -> Event {
    let done = match act {
        Act::Run { request } => match fleet.api.runbook_run(&request).await {
            Ok(operation) => return Event::Started(operation.id),
            Err(error) => Err(error),
        },
        act => perform(&fleet.api, act).await,
    };
    Event::Done(done.map_err(|error| words(&error)))
}

async fn perform(api: &Api, act: Act) -> Result<String, CommandError> {
    Ok(match act {
        Act::Drain { gateway, reason } => {
            let request = DrainRequest { reason, ..DrainRequest::default() };
            said(api.drain(&gateway, &request).await?, |it| format!("{gateway} drains: {}", it.id))
        }
        Act::Undrain { gateway, reason } => {
            let begun = api.undrain(&gateway, &reason).await?;
            said(begun, |it| format!("{gateway} goes back into service: {}", it.id))
        }
        Act::Cancel { operation, reason } => {
            said(api.cancel(&operation, &reason).await?, |it| format!("{} is {}", it.id, it.state))
        }
        Act::Breaker { name, state, scope, for_ms, reason } => {
            let lever = Lever::Breaker { name, state };
            let request = CreateOverride { lever, scope, for_ms, reason, dry_run: false };
            let created = api.override_create(&request).await?;
            format!("{}: {} on {} for {}", created.id, created.lever, created.scope, format_span(for_ms))
        }
        Act::Revert { id, reason } => {
            said(api.override_end(&id, &reason).await?, |it| format!("{} is {}", it.id, it.state))
        }
        Act::Run { .. } => return Err(CommandError::failed("a run is begun, not done")),
        Act::Confirm { run, step, word, plan_hash } => {
            let request = ConfirmRequest { step: step.clone(), value: word, plan_hash };
            let operation = api.runbook_confirm(&run, &request).await?;
            format!("{} goes on with step {step}", operation.id)
        }
        Act::Kick { user, device, gateway, reason } => {
            let request = KickRequest { device: Some(device), gateway: Some(gateway), reason };
            let kicked = api.kick(&user, &request).await?;
            format!("{} of {user} closed", counted(kicked.closed, "connections"))
        }
        Act::Prescale { factor, reason } => {
            let request = PrescaleRequest { factor: factor.parse().ok(), reason };
            format!("the fleet is scaled: {}", api.prescale(&request).await?.id)
        }
        Act::Unscale { reason } => {
            let begun = api.prescale(&PrescaleRequest { factor: None, reason }).await?;
            said(begun, |it| format!("the fleet is scaled back: {}", it.id))
        }
        Act::ForgetEvent { name, reason } => {
            said(api.event_remove(&name, &reason).await?, |it| format!("event {} is {}", it.name, it.state))
        }
        Act::Batch { conversation, for_ms, reason } => {
            let lever = Lever::Batch { conversation, window_ms: BATCH_WINDOW_MS };
            let request = CreateOverride { lever, scope: "fleet".to_owned(), for_ms, reason, dry_run: false };
            let created = api.override_create(&request).await?;
            format!("{}: {} for {}", created.id, created.lever, format_span(for_ms))
        }
        Act::Ack { incident, reason } => {
            said(api.incident_ack(&incident, &reason).await?, |it| format!("{} is {}", it.id, it.state))
        }
        Act::Resolve { incident, reason } => {
            said(api.incident_resolve(&incident, &reason).await?, |it| format!("{} is {}", it.id, it.state))
        }
    })
}

/// What was done, or why there was nothing to do.
fn said<T>(changed: Changed<T>, done: impl FnOnce(&T) -> String) -> String {
    changed.already.unwrap_or_else(|| done(&changed.now))
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
