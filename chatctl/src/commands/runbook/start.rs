//! Begins a run, or goes on with one that failed.

use std::io::IsTerminal as _;

use protocol::admin::{RunRequest, StepKind};

use super::{
    no_dry_run,
    plan::pairs,
    watch::{detail, watch},
};
use crate::{
    error::{CommandError, Kind},
    output::counted,
    runbook,
    session::Session,
};

pub(super) async fn start(session: &Session, request: RunRequest) -> Result<(), CommandError> {
    let may_ask = may_ask(session);
    let unconfirmed = request
        .steps
        .iter()
        .filter(|step| step.confirm.as_ref().is_some_and(|word| request.confirm.get(&step.id) != Some(word)));
    let missing: Vec<String> = unconfirmed
        .map(|step| format!("--confirm {}={}", step.id, step.confirm.as_deref().unwrap_or_default()))
        .collect();
    if !missing.is_empty() && !may_ask {
        let what = format!("runbook {} asks for words and there is nobody to ask", request.runbook);
        return Err(CommandError::new(Kind::Refused, what).hint(format!("give them ahead: {}", missing.join(" "))));
    }
    let actions = request.steps.iter().filter(|step| step.kind == StepKind::Action).count();
    session.confirm(&format!(
        "run {} with {}, {actions} of which change something (see `chatctl runbook plan`)",
        request.runbook,
        counted(request.steps.len() as u64, "steps")
    ))?;
    let api = session.api()?;
    let operation = api.runbook_run(&request).await?;
    watch(session, &api, &operation).await
}

pub(super) async fn resume(session: &Session, run: &str, confirm: &[String]) -> Result<(), CommandError> {
    no_dry_run(session, "resume")?;
    let api = session.api()?;
    let before = api.operation(run).await?;
    let known = detail(&before)?;
    let runbook = runbook::find(&known.runbook)?;
    let mut request = runbook::plan(&runbook, &known.params, &before.reason)?;
    request.confirm = pairs(confirm, "--confirm")?;
    request.resume = Some(run.to_owned());
    let operation = api.runbook_run(&request).await?;
    watch(session, &api, &operation).await
}

/// Whether there is somebody who can type a word.
pub(super) fn may_ask(session: &Session) -> bool {
    !session.global.no_input && std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}
