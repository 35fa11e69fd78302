//! A command line becomes calls of the control plane's API. The same argument types as those of the commands, so a
//! runbook takes exactly what the command line takes.

use std::collections::{BTreeMap, BTreeSet};

use clap::Parser as _;
use protocol::admin::{
    Call, Comparison, Condition, CreateOverride, DrainRequest, KickRequest, PrescaleRequest, ReasonRequest,
    RevertRequest,
};
use serde::Serialize;
use serde_json::Value;

use super::{Block, Runbook, fill, wrong};
use crate::{
    api::segment,
    cli::Cli,
    commands::{
        Command, breaker, capacity, consistency, conversation, fault, gateway, heartbeats, incident, node, operation,
        overrides, reconcile, rollout, session,
    },
    error::CommandError,
};

/// Compiles the commands of a block. `touched` gets the nodes that its actions name.
pub(super) fn block(
    runbook: &Runbook,
    block: &Block,
    params: &BTreeMap<String, String>,
    reason: &str,
    touched: &mut BTreeSet<String>,
) -> Result<Vec<Call>, CommandError> {
    let mut calls = Vec::new();
    for text in &block.commands {
        let text = fill(text, params);
        if let Some(start) = text.find("${") {
            return Err(wrong(runbook, block, format!("{:?} is no parameter of it", &text[start..])));
        }
        let words =
            shlex::split(&text).ok_or_else(|| wrong(runbook, block, format!("{text:?}: a quote does not end")))?;
        let cli = Cli::try_parse_from(&words)
            .map_err(|error| wrong(runbook, block, format!("{text:?}: {}", first_line(&error))))?;
        let reason = if cli.global.reason.is_empty() { reason } else { &cli.global.reason };
        let made = of_command(&text, cli.command, reason, cli.global.wait, touched);
        calls.extend(made.map_err(|why| wrong(runbook, block, why))?);
    }
    if calls.is_empty() {
        return Err(wrong(runbook, block, "it has no command"));
    }
    Ok(calls)
}

fn first_line(error: &clap::Error) -> String {
    let text = error.to_string();
    text.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned()
}

/// Makes calls from one command.
struct Maker<'a> {
    text: &'a str,
    wait: bool,
}

impl Maker<'_> {
    fn get(&self, path: impl Into<String>) -> Call {
        Call { command: self.text.to_owned(), method: "GET".into(), path: path.into(), body: Value::Null, until: None }
    }

    fn change(
        &self,
        method: &str,
        path: impl Into<String>,
        body: &impl Serialize,
        until: Option<(&str, &str)>,
    ) -> Call {
        let until = until.filter(|_| self.wait).map(|(path, value)| Condition {
            path: path.to_owned(),
            field: "state".to_owned(),
            comparison: Comparison::Is,
            value: value.to_owned(),
        });
        let body = serde_json::to_value(body).unwrap_or_default();
        Call { command: self.text.to_owned(), method: method.to_owned(), path: path.into(), body, until }
    }

    fn post(&self, path: impl Into<String>, body: &impl Serialize) -> Call {
        self.change("POST", path, body, None)
    }

    fn operation(&self, path: impl Into<String>, body: &impl Serialize) -> Call {
        self.change("POST", path, body, Some(("/v1/operations/{id}", "succeeded")))
    }

    fn force(&self, request: &CreateOverride) -> Call {
        self.change("POST", "/v1/overrides", request, Some(("/v1/overrides/{id}", "active")))
    }

    fn revert(&self, slot: String, scope: Option<String>, reason: &str) -> Call {
        self.post("/v1/overrides/revert", &RevertRequest { slot, scope, reason: reason.to_owned() })
    }
}

fn of_command(
    text: &str,
    command: Option<Command>,
    reason: &str,
    wait: bool,
    touched: &mut BTreeSet<String>,
) -> Result<Vec<Call>, String> {
    let make = Maker { text, wait };
    let why = || ReasonRequest { reason: reason.to_owned() };
    let call = match command {
        Some(Command::Gateway(args)) => match args {
            gateway::Args::List => make.get("/v1/gateways"),
            gateway::Args::Show { gateway } => make.get(format!("/v1/gateways/{}", segment(&gateway))),
            gateway::Args::Drain(args) => {
                touched.insert(args.gateway.clone());
                let request: DrainRequest = args.request(reason);
                make.operation(format!("/v1/gateways/{}/drain", segment(&args.gateway)), &request)
            }
            gateway::Args::Undrain { gateway } => {
                make.operation(format!("/v1/gateways/{}/undrain", segment(&gateway)), &why())
            }
        },
        Some(Command::Node(node::Args::List)) => make.get("/v1/nodes"),
        Some(Command::Node(node::Args::Show { node })) => make.get(format!("/v1/nodes/{}", segment(&node))),
        Some(Command::Lag(_)) => make.get("/v1/lag"),
        Some(Command::Operation(operation::Args::List { .. })) => make.get("/v1/operations"),
        Some(Command::Operation(operation::Args::Show { operation })) => {
            make.get(format!("/v1/operations/{}", segment(&operation)))
        }
        Some(Command::Capacity(_)) => make.get("/v1/capacity"),
        Some(Command::Event(capacity::EventArgs::List)) => make.get("/v1/events"),
        Some(Command::Prescale(args)) => match args {
            capacity::PrescaleArgs::Plan { factor } => make.get(format!("/v1/capacity?factor={factor}")),
            capacity::PrescaleArgs::Apply { factor } => {
                let request = PrescaleRequest { factor: Some(factor), reason: reason.to_owned() };
                make.operation("/v1/prescale", &request)
            }
            capacity::PrescaleArgs::Revert => {
                make.operation("/v1/prescale", &PrescaleRequest { factor: None, reason: reason.to_owned() })
            }
        },
        Some(Command::Reconcile(reconcile::Args::Run(run))) => {
            make.operation("/v1/reconciliations", &run.request(true, reason))
        }
        Some(Command::Rollout(args @ rollout::Args::Restart { .. })) => {
            make.operation("/v1/rollouts", &args.request(reason).ok_or("only restart can be run")?)
        }
        Some(Command::Breaker(args)) => match args {
            breaker::Args::List { .. } => make.get("/v1/breakers"),
            breaker::Args::Auto { name, scope } => make.revert(format!("breaker {name}"), Some(scope), reason),
            breaker::Args::Open(force) => make.force(&force.request(protocol::admin::BreakerState::Open, reason)),
            breaker::Args::Close(force) => make.force(&force.request(protocol::admin::BreakerState::Closed, reason)),
        },
        Some(Command::Heartbeats(args)) => match args {
            heartbeats::Args::Limit(limit) => make.force(&limit.request(reason)),
            heartbeats::Args::Auto { scope } => make.revert("heartbeat_rate".to_owned(), scope, reason),
        },
        Some(Command::Consistency(args)) => match args {
            consistency::Args::Show => make.get("/v1/consistency"),
            consistency::Args::Ledger => make.get("/v1/consistency/windows?all=true"),
            consistency::Args::Restore => make.revert("consistency_one".to_owned(), None, reason),
            consistency::Args::Verify => {
                let until = |field: &str, value: &str| {
                    let path = "/v1/consistency".to_owned();
                    Some(Condition { path, field: field.into(), comparison: Comparison::Is, value: value.into() })
                };
                return Ok(vec![
                    Call { until: until("level", "LOCAL_QUORUM"), ..make.get("/v1/consistency") },
                    Call { until: until("windows", "[]"), ..make.get("/v1/consistency") },
                ]);
            }
            args @ consistency::Args::Set { .. } => make.force(&args.request(reason).ok_or("nothing to set")?),
        },
        Some(Command::Override(args)) => match args {
            overrides::Args::List { .. } => make.get("/v1/overrides"),
            overrides::Args::Show { id } => make.get(format!("/v1/overrides/{}", segment(&id))),
            overrides::Args::Revert { id } => {
                make.change("DELETE", format!("/v1/overrides/{}", segment(&id)), &why(), None)
            }
        },
        Some(Command::Fault(args)) => match args {
            fault::Args::List { .. } => make.get("/v1/overrides"),
            fault::Args::Clear { .. } => make.revert("faults".to_owned(), None, reason),
            fault::Args::Inject(inject) => make.force(&inject.request(reason).map_err(|error| error.to_string())?),
        },
        Some(Command::Session(args)) => match args {
            session::Args::Show { user } => make.get(format!("/v1/sessions/{}", segment(&user))),
            session::Args::Kick { user, device, gateway } => {
                let request = KickRequest { device, gateway, reason: reason.to_owned() };
                make.post(format!("/v1/sessions/{}/kick", segment(&user)), &request)
            }
        },
        Some(Command::Incident(args)) => match args {
            incident::Args::List { .. } => make.get("/v1/incidents"),
            incident::Args::Show { incident } => make.get(format!("/v1/incidents/{}", segment(&incident))),
            incident::Args::Ack { incident } => make.post(format!("/v1/incidents/{}/ack", segment(&incident)), &why()),
            incident::Args::Resolve { incident } => {
                make.post(format!("/v1/incidents/{}/resolve", segment(&incident)), &why())
            }
        },
        Some(Command::Conversation(args @ conversation::Args::Mode { .. })) => match args.batch(reason)? {
            conversation::Batching::On(request) => make.force(&request),
            conversation::Batching::Off(conversation) => make.revert(format!("batch {conversation}"), None, reason),
        },
        Some(Command::Wait(args)) => {
            let of =
                |condition: &Condition| Call { until: Some(condition.clone()), ..make.get(condition.path.clone()) };
            return Ok(args.conditions().iter().map(of).collect());
        }
        _ => return Err(format!("{text:?} cannot be run by a runbook: it does not go through the control plane")),
    };
    Ok(vec![call])
}
