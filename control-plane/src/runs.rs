//! Runs runbooks: makes the calls of their steps, one after another, through the API itself and with the rights of
//! whoever started the run. Each step is journalled before and after; a control plane that takes over goes on from the
//! journal, and calls that change something carry an idempotency key, so that one made twice counts once.

use std::{collections::HashMap, sync::Arc};

use axum::{
    Router,
    body::Body,
    http::{Request, header::CONTENT_TYPE},
};
use protocol::admin::{Call, Condition, Operation, OperationKind, OperationState, RunbookDetail, StepState};
use tokio::{
    task::{self, JoinSet},
    time::{Duration, Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use crate::{
    app::{Actor, App, runbooks::runbook_detail},
    error::AppError,
    http::{IDEMPOTENCY_KEY, Internal},
    store::OperationFilter,
};

/// Between two looks for runs to go on with.
const LOOK: Duration = Duration::from_secs(1);
/// Between two looks at a condition.
const LOOK_AT_CONDITION: Duration = Duration::from_millis(500);
/// Largest answer that is read.
const ANSWER_BYTES_MAX: usize = 4 << 20;
/// Where operations are looked at.
const OPERATIONS: &str = "/v1/operations/";
/// Runs at once.
const RUNS_MAX: usize = 20;

/// Goes on with every run until `stop`.
pub(crate) async fn run(app: Arc<App>, api: Router, stop: CancellationToken) {
    let mut driving: HashMap<task::Id, String> = HashMap::new();
    let mut drivers: JoinSet<()> = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            Some(ended) = drivers.join_next_with_id() => {
                // Of one that panicked the run is found again by the next look. The others still have their drivers.
                let task = match ended {
                    Ok((task, ())) => task,
                    Err(error) => {
                        tracing::error!(%error, "a run's driver ended");
                        error.id()
                    }
                };
                driving.remove(&task);
            }
            _ = timeout(LOOK, app.runs.notified()) => {}
        }
        let active = match app.store.operations(OperationFilter::Active, u64::MAX, usize::MAX).await {
            Ok(active) => active,
            Err(error) => {
                tracing::warn!(%error, "runs cannot be looked up");
                continue;
            }
        };
        for operation in active {
            let is_new = operation.kind == OperationKind::Runbook && !driving.values().any(|id| *id == operation.id);
            if is_new && driving.len() < RUNS_MAX {
                let driver = Driver { app: app.clone(), api: api.clone() };
                let id = operation.id.clone();
                let task = drivers.spawn(async move { driver.drive(&id).await }).id();
                driving.insert(task, operation.id);
            }
        }
    }
    // A call under way is given up; the journal says where to go on.
    drivers.shutdown().await;
}

struct Driver {
    app: Arc<App>,
    api: Router,
}

impl Driver {
    /// Takes steps until there is none to take now.
    async fn drive(&self, id: &str) {
        loop {
            match self.next(id).await {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => {
                    tracing::warn!(%error, run = id, "a run cannot go on now");
                    sleep(LOOK).await;
                    return;
                }
            }
        }
    }

    /// Takes one step; false when there is none to take now.
    async fn next(&self, id: &str) -> Result<bool, AppError> {
        let (operation, detail) = self.load(id).await?;
        match operation.state {
            OperationState::Running => {}
            OperationState::Cancelling => {
                self.roll_back(&operation, &detail).await?;
                return Ok(false);
            }
            _ => return Ok(false),
        }
        let next = detail.steps.iter().position(|step| step.state != StepState::Done);
        let Some(at) = next else {
            self.end(id, OperationState::Succeeded, None, "every step is done".to_owned()).await?;
            return Ok(false);
        };
        match detail.steps[at].state {
            StepState::Unconfirmed => Ok(false),
            _ => self.take(&operation, &detail, at).await.map(|()| true),
        }
    }

    async fn take(&self, operation: &Operation, detail: &RunbookDetail, at: usize) -> Result<(), AppError> {
        let step = &detail.steps[at].step;
        let now_ms = || self.app.clock.now_ms();
        let began_ms = now_ms();
        let running = |run: &mut protocol::admin::StepRun| {
            run.state = StepState::Running;
            run.began_ms = Some(began_ms);
        };
        self.change(&operation.id, at, running, format!("step {}: {}", step.id, step.title)).await?;
        let key = format!("{}/{}", operation.id, step.id);
        let outcome = self.calls(operation, detail, &step.calls, step.timeout_ms, &key).await;
        let ended_ms = now_ms();
        match outcome {
            Ok(result) => {
                let done = |run: &mut protocol::admin::StepRun| {
                    run.state = StepState::Done;
                    run.ended_ms = Some(ended_ms);
                    run.result.clone_from(&result);
                };
                self.change(&operation.id, at, done, format!("step {} is done: {result}", step.id)).await
            }
            Err(why) => {
                let failed = |run: &mut protocol::admin::StepRun| {
                    run.state = StepState::Failed;
                    run.ended_ms = Some(ended_ms);
                    run.result.clone_from(&why);
                };
                self.change(&operation.id, at, failed, format!("step {} failed: {why}", step.id)).await?;
                // A cancelled run is rolled back by the next look at it.
                if self.app.operation(&operation.id).await?.state == OperationState::Cancelling {
                    return Ok(());
                }
                let error = format!("step {} failed: {why}", step.id);
                self.end(&operation.id, OperationState::Failed, Some(error.clone()), error).await
            }
        }
    }

    /// Makes calls one after another; returns what came of the last.
    async fn calls(
        &self,
        operation: &Operation,
        detail: &RunbookDetail,
        calls: &[Call],
        timeout_ms: u64,
        key: &str,
    ) -> Result<String, String> {
        let actor = Actor::new(&operation.who, detail.role);
        let deadline = Instant::now() + Duration::from_millis(timeout_ms);
        let mut result = String::new();
        for (n, call) in calls.iter().enumerate() {
            let key = format!("{key}/{n}");
            let made = timeout(deadline.duration_since(Instant::now()), self.call(&actor, call, &key));
            let body = made.await.map_err(|_| format!("{}: not answered in time", call.command))??;
            result = match &call.until {
                None => call.command.clone(),
                Some(condition) => {
                    let found = self.hold(&operation.id, &actor, condition, &body, deadline).await;
                    format!("{}: {}", call.command, found.map_err(|why| format!("{}: {why}", call.command))?)
                }
            };
        }
        Ok(result)
    }

    async fn call(&self, actor: &Actor, call: &Call, key: &str) -> Result<serde_json::Value, String> {
        self.request(actor, &call.method, &call.path, &call.body, Some(key)).await
    }

    async fn request(
        &self,
        actor: &Actor,
        method: &str,
        path: &str,
        body: &serde_json::Value,
        key: Option<&str>,
    ) -> Result<serde_json::Value, String> {
        let mut request = Request::builder().method(method).uri(path).header(CONTENT_TYPE, "application/json");
        if let Some(key) = key.filter(|_| method != "GET") {
            request = request.header(IDEMPOTENCY_KEY, key);
        }
        let content = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
        let mut request = request.body(content).map_err(|error| error.to_string())?;
        request.extensions_mut().insert(Internal(actor.clone()));
        let Ok(response) = self.api.clone().oneshot(request).await;
        let is_success = response.status().is_success();
        let bytes =
            axum::body::to_bytes(response.into_body(), ANSWER_BYTES_MAX).await.map_err(|error| error.to_string())?;
        let value: serde_json::Value = serde_json::from_slice(&bytes).unwrap_or_default();
        if is_success {
            return Ok(value);
        }
        Err(value["error"]["message"].as_str().unwrap_or("refused without a reason").to_owned())
    }

    /// Waits until a condition holds.
    async fn hold(
        &self,
        run: &str,
        actor: &Actor,
        condition: &Condition,
        answer: &serde_json::Value,
        deadline: Instant,
    ) -> Result<String, String> {
        let id = answer["id"].as_str().unwrap_or_default();
        let path = condition.path.replace("{id}", id);
        loop {
            let why = match self.request(actor, "GET", &path, &serde_json::Value::Null, None).await {
                Ok(body) => match condition.holds(&body)? {
                    (true, found) => return Ok(format!("{} is {found}", condition.field)),
                    (false, found) => match ended(&path, &body) {
                        // It changes no more: nothing is to be waited for.
                        Some(how) => return Err(how),
                        None => format!("{} is {found:?}", condition.field),
                    },
                },
                Err(why) => why,
            };
            if self.app.operation(run).await.is_ok_and(|it| it.state == OperationState::Cancelling) {
                return Err("stopped: the run is cancelled".to_owned());
            }
            if Instant::now() + LOOK_AT_CONDITION >= deadline {
                return Err(format!("not in time: {why}"));
            }
            sleep(LOOK_AT_CONDITION).await;
        }
    }

    /// Undoes finished actions, the last first.
    async fn roll_back(&self, operation: &Operation, detail: &RunbookDetail) -> Result<(), AppError> {
        let mut failed = Vec::new();
        for (at, run) in detail.steps.iter().enumerate().rev() {
            let was_begun = matches!(run.state, StepState::Done | StepState::Running | StepState::Failed);
            if !was_begun || run.step.undo.is_empty() {
                continue;
            }
            let key = format!("{}/{}/undo", operation.id, run.step.id);
            let outcome = self.calls(operation, detail, &run.step.undo, run.step.timeout_ms, &key).await;
            let (state, result) = match outcome {
                Ok(result) => (StepState::Undone, result),
                Err(why) => {
                    failed.push(format!("{}: {why}", run.step.id));
                    (run.state, format!("not undone: {why}"))
                }
            };
            let message = format!("step {}: {result}", run.step.id);
            let undone = |run: &mut protocol::admin::StepRun| {
                run.state = state;
                run.result = result;
            };
            self.change(&operation.id, at, undone, message).await?;
        }
        let (state, error) = match failed.is_empty() {
            true => (OperationState::Cancelled, None),
            false => (OperationState::Failed, Some(format!("not everything was undone: {}", failed.join("; ")))),
        };
        let message = error.clone().unwrap_or_else(|| "what was done is undone".to_owned());
        self.end(&operation.id, state, error, message).await
    }

    async fn load(&self, id: &str) -> Result<(Operation, RunbookDetail), AppError> {
        let operation = self.app.operation(id).await?;
        let detail = runbook_detail(&operation)?;
        Ok((operation, detail))
    }

    /// Journals a change of one step.
    async fn change(
        &self,
        id: &str,
        at: usize,
        change: impl FnOnce(&mut protocol::admin::StepRun),
        message: String,
    ) -> Result<(), AppError> {
        let _writing = self.app.writing.lock().await;
        let (mut operation, mut detail) = self.load(id).await?;
        change(&mut detail.steps[at]);
        self.app.run_save(&mut operation, &detail, message, Vec::new()).await
    }

    async fn end(
        &self,
        id: &str,
        state: OperationState,
        error: Option<String>,
        message: String,
    ) -> Result<(), AppError> {
        let _writing = self.app.writing.lock().await;
        let (mut operation, detail) = self.load(id).await?;
        let audit = self.app.operation_end(&mut operation, state, error);
        self.app.run_save(&mut operation, &detail, message, vec![audit]).await
    }
}

/// How an operation that was looked at ended, if it has.
fn ended(path: &str, body: &serde_json::Value) -> Option<String> {
    if !path.starts_with(OPERATIONS) {
        return None;
    }
    let state: OperationState = serde_json::from_value(body["state"].clone()).ok()?;
    let why = body["error"].as_str().map(|why| format!(": {why}")).unwrap_or_default();
    state.is_final().then(|| format!("{} ended as {state}{why}", body["id"].as_str().unwrap_or("it")))
}
