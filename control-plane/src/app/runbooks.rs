//! Runs of runbooks: beginning them, confirming steps. [`crate::runs`] makes the calls.

use protocol::admin::{
    ConfirmRequest, Operation, OperationKind, OperationPhase, OperationState, RunRequest, RunbookDetail, Step,
    StepKind, StepRun, StepState,
};

use super::{Actor, App, audit::Deed, check_reason};
use crate::{
    error::AppError,
    store::{Change, StoreError, sha256_hex},
};

const STEPS_MAX: usize = 100;
const CALLS_MAX: usize = 20;
const TIMEOUT_MS: std::ops::RangeInclusive<u64> = 1_000..=3_600_000;

impl App {
    /// Begins a run, or goes on with one that failed.
    pub async fn run_begin(&self, actor: &Actor, request: &RunRequest) -> Result<Operation, AppError> {
        let deed = Deed { action: "runbook run", target: &request.runbook, reason: &request.reason };
        let result = self.run_start(actor, request, &deed).await;
        self.audited(actor, &deed, result).await
    }

    /// Types the word that a step asks for.
    pub async fn run_confirm(&self, actor: &Actor, id: &str, request: &ConfirmRequest) -> Result<Operation, AppError> {
        let target = format!("{id} step {}", request.step);
        let deed = Deed { action: "runbook confirm", target: &target, reason: "" };
        let result = self.confirm(actor, id, request, &deed).await;
        self.audited(actor, &deed, result).await
    }

    async fn run_start(&self, actor: &Actor, request: &RunRequest, deed: &Deed<'_>) -> Result<Operation, AppError> {
        check_reason(&request.reason)?;
        request.steps.iter().try_for_each(check_step)?;
        if request.steps.is_empty() || request.steps.len() > STEPS_MAX {
            return Err(AppError::invalid("steps", format!("there must be 1-{STEPS_MAX}")));
        }
        let plan = serde_json::to_string(&request.steps).map_err(|error| StoreError::Corrupt(error.to_string()))?;
        let mut detail = RunbookDetail {
            runbook: request.runbook.clone(),
            params: request.params.clone(),
            plan_hash: sha256_hex(&plan),
            role: actor.role,
            steps: request.steps.iter().map(|step| waiting(step, request)).collect(),
        };
        let _writing = self.writing.lock().await;
        if let Some(id) = &request.resume {
            self.take_finished(id, &mut detail).await?;
        }
        let value = serde_json::to_value(&detail).map_err(|error| StoreError::Corrupt(error.to_string()))?;
        let mut operation =
            self.operation_new(actor, OperationKind::Runbook, &request.runbook, &request.reason, value).await?;
        operation.progress.total = detail.steps.len() as u64;
        let audit = self.audit_done(actor, deed, "", &format!("operation {} plan {}", operation.id, detail.plan_hash));
        self.run_save(&mut operation, &detail, format!("runbook {} begins", request.runbook), vec![audit]).await?;
        self.runs.notify_one();
        Ok(operation)
    }

    /// A resumed run keeps what is finished, if it is the same; its checks are made again.
    async fn take_finished(&self, id: &str, detail: &mut RunbookDetail) -> Result<(), AppError> {
        let before = self.operation(id).await?;
        if before.kind != OperationKind::Runbook || before.state != OperationState::Failed {
            return Err(AppError::Conflict {
                what: format!("operation {id} is a {} and {}: only a failed run is resumed", before.kind, before.state),
                hint: "start a new run instead".to_owned(),
            });
        }
        let known = runbook_detail(&before)?;
        for (old, new) in known.steps.iter().zip(&mut detail.steps) {
            if old.state != StepState::Done {
                break;
            }
            if old.step != new.step {
                return Err(AppError::Conflict {
                    what: format!("step {} was finished and has changed since", old.step.id),
                    hint: "start a new run: what was done by the old one may not fit the new text".to_owned(),
                });
            }
            if old.step.kind == StepKind::Action {
                *new = old.clone();
            }
        }
        Ok(())
    }

    async fn confirm(
        &self,
        actor: &Actor,
        id: &str,
        request: &ConfirmRequest,
        deed: &Deed<'_>,
    ) -> Result<Operation, AppError> {
        let _writing = self.writing.lock().await;
        let mut operation = self.operation(id).await?;
        let mut detail = runbook_detail(&operation)?;
        if detail.plan_hash != request.plan_hash {
            return Err(AppError::Conflict {
                what: "that approval is for another plan".to_owned(),
                hint: format!("look at this one: chatctl operation show {id} -o json"),
            });
        }
        if actor.role < detail.role {
            return Err(AppError::Forbidden { needed: detail.role, has: actor.role });
        }
        let step = detail.steps.iter_mut().find(|it| it.step.id == request.step);
        let step = step.ok_or_else(|| AppError::not_found("step", &request.step))?;
        if step.state != StepState::Unconfirmed || operation.state != OperationState::Running {
            return Err(AppError::Conflict {
                what: format!("step {} is {} and waits for no word", request.step, step.state),
                hint: format!("see chatctl operation show {id}"),
            });
        }
        if step.step.confirm.as_deref() != Some(request.value.as_str()) {
            return Err(AppError::invalid("value", "is not the word that the step asks for"));
        }
        step.state = StepState::Waiting;
        step.result = format!("confirmed by {}", actor.name);
        let audit = self.audit_done(actor, deed, "unconfirmed", "confirmed");
        self.run_save(&mut operation, &detail, format!("{} confirmed by {}", request.step, actor.name), vec![audit])
            .await?;
        self.runs.notify_one();
        Ok(operation)
    }

    /// Journals a run. The caller holds `writing`.
    pub(crate) async fn run_save(
        &self,
        operation: &mut Operation,
        detail: &RunbookDetail,
        mut message: String,
        with: Vec<Change>,
    ) -> Result<(), AppError> {
        operation.detail = serde_json::to_value(detail).map_err(|error| StoreError::Corrupt(error.to_string()))?;
        operation.progress.done = detail.steps.iter().filter(|step| step.state == StepState::Done).count() as u64;
        if operation.state == OperationState::Running {
            let next = detail.steps.iter().find(|step| step.state != StepState::Done);
            operation.phase = match next.filter(|step| step.state == StepState::Unconfirmed) {
                None => OperationPhase::Working,
                Some(StepRun { step, .. }) => {
                    let word = step.confirm.as_deref().unwrap_or_default();
                    message.push_str(&format!("; step {} waits for somebody to type {word}", step.id));
                    OperationPhase::Waiting
                }
            };
        }
        self.operation_save(operation, message, with).await
    }
}

/// The detail of a run.
pub(crate) fn runbook_detail(operation: &Operation) -> Result<RunbookDetail, AppError> {
    if operation.kind != OperationKind::Runbook {
        return Err(AppError::not_found("run of a runbook", &operation.id));
    }
    let detail = serde_json::from_value(operation.detail.clone());
    Ok(detail.map_err(|error| StoreError::Corrupt(format!("{}: {error}", operation.id)))?)
}

fn waiting(step: &Step, request: &RunRequest) -> StepRun {
    let is_confirmed = step.confirm.is_none() || request.confirm.get(&step.id) == step.confirm.as_ref();
    StepRun {
        step: step.clone(),
        state: if is_confirmed { StepState::Waiting } else { StepState::Unconfirmed },
        began_ms: None,
        ended_ms: None,
        result: String::new(),
    }
}

fn check_step(step: &Step) -> Result<(), AppError> {
    let wrong = |why: String| AppError::invalid("steps", format!("{}: {why}", step.id));
    if step.id.is_empty() || step.id.len() > 64 {
        return Err(wrong("a step needs an id of 1-64 characters".to_owned()));
    }
    if step.calls.is_empty() || step.calls.len() > CALLS_MAX || step.undo.len() > CALLS_MAX {
        return Err(wrong(format!("a step makes 1-{CALLS_MAX} calls")));
    }
    if !TIMEOUT_MS.contains(&step.timeout_ms) {
        return Err(wrong(format!("timeout_ms is {}, must be 1,000 ms to 1 h", step.timeout_ms)));
    }
    for call in step.calls.iter().chain(&step.undo) {
        if !matches!(call.method.as_str(), "GET" | "POST" | "DELETE") || !call.path.starts_with("/v1/") {
            return Err(wrong(format!("{} {} is no call of this API", call.method, call.path)));
        }
        // A run must not start runs, give out tokens, or wait for itself.
        if call.path.starts_with("/v1/runbooks") || call.path.starts_with("/v1/tokens") {
            return Err(wrong(format!("{} cannot be called by a runbook", call.path)));
        }
        if step.kind == StepKind::Check && call.method != "GET" {
            return Err(wrong("a check only looks: it makes GET calls".to_owned()));
        }
    }
    Ok(())
}
