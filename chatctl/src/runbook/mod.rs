//! Runbooks: Markdown that people read and the control plane runs.
//!
//! - [`parse`]: the text, its front matter and its fenced commands.
//! - [`compile`]: each command becomes calls of the control plane's API; what cannot be called so cannot be in a runbook.
//! - [`library`]: the runbooks that come with chatctl.

mod compile;
mod library;
mod parse;

use std::collections::BTreeMap;

use protocol::admin::{Operation, RunRequest, RunbookDetail, Step, StepKind};
use sha2::{Digest as _, Sha256};

pub(crate) use self::{
    library::{all, find},
    parse::{Block, BlockKind, Runbook, parse},
};
use crate::{
    error::{CommandError, Kind},
    output::counted,
};

/// Fills the parameters in and compiles every step.
pub(crate) fn plan(
    runbook: &Runbook,
    given: &BTreeMap<String, String>,
    reason: &str,
) -> Result<RunRequest, CommandError> {
    let params = params(runbook, given)?;
    let undo = |name: &str| runbook.blocks.iter().find(|block| block.kind == BlockKind::Undo && block.id == name);
    let mut steps = Vec::new();
    let mut touched = std::collections::BTreeSet::new();
    for block in runbook.blocks.iter().filter(|block| block.kind != BlockKind::Undo) {
        let undo = match &block.undo {
            None => Vec::new(),
            Some(name) => {
                let block =
                    undo(name).ok_or_else(|| wrong(runbook, block, format!("there is no undo block {name:?}")))?;
                compile::block(runbook, block, &params, reason, &mut touched)?
            }
        };
        let calls = compile::block(runbook, block, &params, reason, &mut touched)?;
        let kind = if block.kind == BlockKind::Check { StepKind::Check } else { StepKind::Action };
        if kind == StepKind::Check && calls.iter().any(|call| call.method != "GET") {
            return Err(wrong(runbook, block, "a check only looks".to_owned()));
        }
        steps.push(Step {
            id: block.id.clone(),
            title: block.title.clone(),
            kind,
            calls,
            undo,
            timeout_ms: block.timeout_ms,
            confirm: block.confirm.as_deref().map(|text| fill(text, &params)),
        });
    }
    if touched.len() > runbook.max_affected {
        let names: Vec<_> = touched.into_iter().collect();
        let what = format!(
            "runbook {} may touch {} and would touch {}",
            runbook.id,
            counted(runbook.max_affected as u64, "nodes"),
            names.join(", ")
        );
        return Err(CommandError::new(Kind::Refused, what).hint("run it for fewer nodes at a time"));
    }
    Ok(RunRequest {
        runbook: runbook.id.clone(),
        params,
        steps,
        confirm: BTreeMap::new(),
        resume: None,
        reason: reason.to_owned(),
    })
}

/// Why a run is made, when nobody says.
pub(crate) fn reason(id: &str, given: &str) -> String {
    if given.is_empty() { format!("runbook {id}") } else { given.to_owned() }
}

/// The parameter that is to blame for a plan that cannot be made, and how: with samples for all others there is none
/// either.
pub(crate) fn at_fault(runbook: &Runbook, given: &BTreeMap<String, String>) -> Option<(String, CommandError)> {
    given.iter().find_map(|(name, value)| {
        let mut params = samples(runbook);
        params.insert(name.clone(), value.clone());
        Some((name.clone(), plan(runbook, &params, "sample").err()?))
    })
}

/// Values that do for the parameters that have no default.
fn samples(runbook: &Runbook) -> BTreeMap<String, String> {
    let sample = |name: &str| match name {
        "window" | "for" => "10m".to_owned(),
        _ => format!("sample-{name}"),
    };
    let wanted = runbook.params.iter().filter(|(_, param)| param.default.is_none());
    wanted.map(|(name, _)| (name.clone(), sample(name))).collect()
}

/// The command that runs a runbook.
pub(crate) fn run_command(id: &str, params: &BTreeMap<String, String>) -> String {
    let params: String = params.iter().map(|(name, value)| format!(" --param {name}={value}")).collect();
    format!("chatctl runbook run {id}{params}")
}

/// The steps of a run and how they stand. `None` when the operation is no run.
pub(crate) fn run_detail(operation: &Operation) -> Option<RunbookDetail> {
    serde_json::from_value(operation.detail.clone()).ok()
}

/// The hash of a plan, as the control plane makes it: approvals are bound to it.
pub(crate) fn plan_hash(steps: &[Step]) -> String {
    let text = serde_json::to_string(steps).unwrap_or_default();
    Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Everything that is wrong with a runbook, with sample parameters where it has no defaults.
pub(crate) fn lint(runbook: &Runbook) -> Vec<String> {
    let mut faults = Vec::new();
    let first_action = runbook.blocks.iter().position(|block| block.kind == BlockKind::Action);
    let first_check = runbook.blocks.iter().position(|block| block.kind == BlockKind::Check);
    match (first_check, first_action) {
        (None, _) => faults.push("it has no check".to_owned()),
        (Some(check), Some(action)) if action < check => {
            faults.push("an action stands before the first check".to_owned())
        }
        _ => {}
    }
    let last_is_check = runbook.blocks.iter().rfind(|block| block.kind != BlockKind::Undo);
    if last_is_check.is_some_and(|block| block.kind != BlockKind::Check) {
        faults.push("it does not end with a check: nobody would know that it worked".to_owned());
    }
    for section in ["How it looks", "How to be sure", "What to do", "How to know that it worked", "What to tell people"]
    {
        if !runbook.text.lines().any(|line| line.trim_start_matches('#').trim() == section && line.starts_with('#')) {
            faults.push(format!("the section {section:?} is missing"));
        }
    }
    if let Err(error) = plan(runbook, &samples(runbook), "lint") {
        faults.push(error.to_string());
    }
    faults
}

fn params(runbook: &Runbook, given: &BTreeMap<String, String>) -> Result<BTreeMap<String, String>, CommandError> {
    if let Some(unknown) = given.keys().find(|name| !runbook.params.contains_key(*name)) {
        let known: Vec<_> = runbook.params.keys().cloned().collect();
        let known = if known.is_empty() { "it has none".to_owned() } else { format!("it has {}", known.join(", ")) };
        return Err(CommandError::usage(format!("runbook {} has no parameter {unknown:?}; {known}", runbook.id)));
    }
    let mut params = BTreeMap::new();
    for (name, param) in &runbook.params {
        let value = given.get(name).or(param.default.as_ref());
        let value = value.ok_or_else(|| {
            CommandError::usage(format!("runbook {} needs --param {name}=...: {}", runbook.id, param.about))
        })?;
        params.insert(name.clone(), value.clone());
    }
    Ok(params)
}

/// Fills `${name}` in.
fn fill(text: &str, params: &BTreeMap<String, String>) -> String {
    params.iter().fold(text.to_owned(), |text, (name, value)| text.replace(&format!("${{{name}}}"), value))
}

fn wrong(runbook: &Runbook, block: &Block, why: impl std::fmt::Display) -> CommandError {
    CommandError::usage(format!("runbook {}, step {} (line {}): {why}", runbook.id, block.id, block.line))
}

#[cfg(test)]
mod tests;
