//! A run while it goes on: each step as it begins and ends, and the words that it asks for.

use protocol::admin::{ConfirmRequest, Operation, OperationPhase, OperationState, RunbookDetail, StepRun, StepState};
use tokio::time::{Duration, Instant, sleep};

use super::start::may_ask;
use crate::{
    api::Api,
    error::{CommandError, Kind},
    output::{Cell, Column, Format, Tabular, Tone, format_span},
    runbook,
    session::Session,
};

/// Between two looks at a run.
const LOOK: Duration = Duration::from_millis(300);

impl Tabular for StepRun {
    const COLUMNS: &'static [Column] = &[
        Column("STEP", false),
        Column("KIND", false),
        Column("STATE", false),
        Column("TOOK", false),
        Column("TITLE", false),
        Column("RESULT", false),
    ];

    fn row(&self) -> Vec<Cell> {
        let tone = match self.state {
            StepState::Waiting => Tone::Dim,
            StepState::Unconfirmed | StepState::Running => Tone::Busy,
            StepState::Done => Tone::Good,
            StepState::Failed => Tone::Bad,
            StepState::Undone => Tone::Dim,
        };
        let took = self.began_ms.zip(self.ended_ms).map(|(began, ended)| format_span(ended.saturating_sub(began)));
        vec![
            (&self.step.id).into(),
            self.step.kind.into(),
            Cell::new(self.state, tone),
            took.unwrap_or_default().into(),
            (&self.step.title).into(),
            (&self.result).into(),
        ]
    }
}

/// Shows each step as it begins and ends, and asks for words, until the run is over.
pub(super) async fn watch(session: &Session, api: &Api, begun: &Operation) -> Result<(), CommandError> {
    let deadline = Instant::now() + session.global.timeout;
    let mut shown: Vec<StepState> = Vec::new();
    loop {
        let operation = api.operation(&begun.id).await?;
        let detail = detail(&operation)?;
        show(session, &detail, &mut shown)?;
        match operation.state {
            OperationState::Succeeded => return session.ui.say(&format!("{} succeeded", operation.id), &operation),
            OperationState::Cancelled => {
                return session.ui.say(&format!("{} is undone", operation.id), &operation);
            }
            OperationState::Failed => {
                let error = CommandError::failed(operation.error.unwrap_or_else(|| "it failed".to_owned()));
                return Err(error.hint(format!(
                    "go on with `chatctl runbook resume {id}`; what it did so far: `chatctl runbook history {id}`",
                    id = operation.id
                )));
            }
            OperationState::Running if operation.phase == OperationPhase::Waiting => {
                ask(session, api, &operation, &detail).await?;
            }
            OperationState::Running | OperationState::Cancelling => {}
        }
        if Instant::now() >= deadline {
            let error = CommandError::new(Kind::TimedOut, format!("{} has not ended in time", operation.id));
            return Err(error.hint(format!("it goes on; undo it with `chatctl runbook abort {}`", operation.id)));
        }
        tokio::select! {
            () = sleep(LOOK) => {}
            _ = tokio::signal::ctrl_c() => {
                let error = CommandError::failed(format!("stopped watching {}", operation.id));
                return Err(error.hint(format!("it goes on; undo it with `chatctl runbook abort {}`", operation.id)));
            }
        }
    }
}

fn show(session: &Session, detail: &RunbookDetail, shown: &mut Vec<StepState>) -> Result<(), CommandError> {
    shown.resize(detail.steps.len(), StepState::Waiting);
    for (step, was) in detail.steps.iter().zip(shown) {
        if step.state == *was {
            continue;
        }
        *was = step.state;
        let text = match step.state {
            StepState::Running => format!("  ...   {}  {}", step.step.id, step.step.title),
            StepState::Done => format!("  done  {}  {}", step.step.id, step.result),
            StepState::Failed => format!("  FAIL  {}  {}", step.step.id, step.result),
            StepState::Undone => format!("  undo  {}  {}", step.step.id, step.result),
            StepState::Unconfirmed | StepState::Waiting => continue,
        };
        match session.ui.format() {
            Format::Table | Format::Wide => session.ui.note(&text),
            Format::Json | Format::Yaml => session.ui.line(&text, step)?,
        }
    }
    Ok(())
}

async fn ask(session: &Session, api: &Api, operation: &Operation, detail: &RunbookDetail) -> Result<(), CommandError> {
    let Some(step) = detail.steps.iter().find(|step| step.state == StepState::Unconfirmed) else { return Ok(()) };
    let word = step.step.confirm.clone().unwrap_or_default();
    if !may_ask(session) {
        let what = format!("step {} of {} waits for a word", step.step.id, operation.id);
        return Err(CommandError::new(Kind::Refused, what).hint("run it on a terminal, or give --confirm ahead"));
    }
    for call in &step.step.calls {
        session.ui.note(&format!("        {}", call.command));
    }
    session
        .ui
        .note(&format!("step {}: {}; type {word:?} to go on, anything else stops here", step.step.id, step.step.title));
    let mut typed = String::new();
    std::io::stdin().read_line(&mut typed).map_err(|error| CommandError::failed(format!("cannot read: {error}")))?;
    if typed.trim() != word {
        let error = CommandError::new(Kind::Refused, "not confirmed");
        return Err(error.hint(format!("the run waits; undo it with `chatctl runbook abort {}`", operation.id)));
    }
    let request = ConfirmRequest { step: step.step.id.clone(), value: word, plan_hash: detail.plan_hash.clone() };
    api.runbook_confirm(&operation.id, &request).await.map(drop)
}

/// The steps of a run. An error when the operation is none.
pub(super) fn detail(operation: &Operation) -> Result<RunbookDetail, CommandError> {
    runbook::run_detail(operation).ok_or_else(|| {
        CommandError::usage(format!("operation {} is no run of a runbook", operation.id))
            .hint("chatctl runbook history lists runs")
    })
}
