//! The plan of a run, as a question. What is read is what runs: the question holds the very request that is sent, and
//! its answer approves this plan and no other.

use std::collections::BTreeMap;

use protocol::admin::{Call, RunRequest, Step, StepKind};

use super::{Ask, FieldKind, field::Field};
use crate::{
    error::CommandError,
    output::{Tone, counted},
    runbook,
    tui::{event::Act, panes::clean},
};

/// So much of a plan's hash is shown, as the command line does.
const HASH_CHARS: usize = 12;

/// Why there is no plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wrong {
    /// The parameter that is to blame, when one is.
    pub(super) param: Option<String>,
    /// What is wrong.
    pub(super) why: String,
}

impl Wrong {
    fn because(error: &CommandError) -> Self {
        Self { param: None, why: words(error) }
    }
}

/// Compiles a runbook with what was typed, and asks whether its plan is to run.
pub(super) fn question(id: &str, fields: &[Field]) -> Result<Ask, Wrong> {
    let book = runbook::find(id).map_err(|error| Wrong::because(&error))?;
    let mut params = BTreeMap::new();
    let mut reason = "";
    for field in fields {
        match &field.kind {
            FieldKind::Param { name, .. } => drop(params.insert(name.clone(), field.typed().to_owned())),
            FieldKind::Reason { .. } => reason = field.typed(),
            _ => {}
        }
    }
    match runbook::plan(&book, &params, &runbook::reason(id, reason)) {
        Ok(request) => Ok(ask(request)),
        Err(error) => Err(match runbook::at_fault(&book, &params) {
            Some((name, error)) => Wrong { why: format!("{name}: {}", words(&error)), param: Some(name) },
            None => Wrong::because(&error),
        }),
    }
}

fn words(error: &CommandError) -> String {
    let hint = error.hint.as_ref().map(|hint| format!("; {hint}")).unwrap_or_default();
    clean(&format!("{error}{hint}"))
}

fn ask(request: RunRequest) -> Ask {
    let hash = runbook::plan_hash(&request.steps);
    let title = format!("run {}: plan {}", request.runbook, hash.get(..HASH_CHARS).unwrap_or_default());
    let actions = request.steps.iter().filter(|step| step.kind == StepKind::Action).count();
    let head = format!(
        "{}, {actions} of which change something; reason: {}",
        counted(request.steps.len() as u64, "steps"),
        request.reason
    );
    let lines: Vec<(String, Tone)> =
        request.steps.iter().enumerate().flat_map(|(n, step)| lines(n + 1, step)).collect();
    let name = request.runbook.clone();
    let ask = Ask::new(title, Act::Run { request: Box::new(request) }).says(head);
    lines.into_iter().fold(ask, |ask, (text, tone)| ask.says_in(text, tone)).typed(&name)
}

/// A step: what it does, the word it asks for, and what undoes it.
fn lines(number: usize, step: &Step) -> Vec<(String, Tone)> {
    let (kind, tone) = match step.kind {
        StepKind::Check => ("check ", Tone::Plain),
        StepKind::Action => ("action", Tone::Busy),
    };
    let mut lines = vec![(format!("{number:>2} {kind}  {}: {}", step.id, step.title), tone)];
    lines.extend(commands(&step.calls).map(|command| (format!("      {command}"), Tone::Plain)));
    lines.extend(step.confirm.iter().map(|word| (format!("      asks for the word {word:?}"), Tone::Busy)));
    lines.extend(commands(&step.undo).map(|command| (format!("      undone by: {command}"), Tone::Dim)));
    lines
}

/// The commands of calls. One that makes several calls is said once.
fn commands(calls: &[Call]) -> impl Iterator<Item = &str> {
    let is_new = |n: usize| n == 0 || calls[n - 1].command != calls[n].command;
    calls.iter().enumerate().filter(move |(n, _)| is_new(*n)).map(|(_, call)| call.command.as_str())
}
