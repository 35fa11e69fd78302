//! `chatctl runbook`.

use std::{collections::BTreeMap, io::IsTerminal as _, path::PathBuf};

use clap::Subcommand;
use clap_complete::ArgValueCompleter;
use protocol::admin::{
    Call, ConfirmRequest, Operation, OperationKind, OperationPhase, OperationState, RunRequest, RunbookDetail,
    StepKind, StepRun, StepState,
};
use serde::Serialize;
use tokio::time::{Duration, Instant, sleep};

use super::no_dry_run;
use crate::{
    api::Api,
    complete,
    error::{CommandError, Kind},
    output::{Cell, Column, Format, Tabular, Tone, format_span},
    runbook::{self, Runbook},
    session::Session,
};

/// Between two looks at a run.
const LOOK: Duration = Duration::from_millis(300);

/// Run written procedures step by step, with checks, confirmations and a way back
#[derive(Debug, Subcommand)]
pub enum Args {
    /// List the runbooks
    List,
    /// Print a runbook
    Show {
        /// The runbook
        #[arg(add = ArgValueCompleter::new(complete::runbooks))]
        runbook: String,
    },
    /// Say what is wrong with runbooks [default: those that come with chatctl]
    Lint {
        /// Markdown files
        files: Vec<PathBuf>,
    },
    /// Say what a run would do, step by step; what can be tried without harm is tried
    Plan(Which),
    /// Run a runbook
    ///
    /// The control plane makes the calls, with your rights; this only watches and asks. A step that needs a word asks
    /// for it; without a terminal give it with --confirm, else the run is refused before it begins.
    Run(Which),
    /// Go on with a run that failed: checks are made again, finished actions are kept
    Resume {
        /// The run
        #[arg(add = ArgValueCompleter::new(complete::operations))]
        run: String,
        /// The word of a step, as `step=word`
        #[arg(long, value_name = "STEP=WORD")]
        confirm: Vec<String>,
    },
    /// Stop a run and undo what it did, the last first
    Abort {
        /// The run
        #[arg(add = ArgValueCompleter::new(complete::operations))]
        run: String,
    },
    /// List runs, newest first; with a run, its steps
    History {
        /// The run
        #[arg(add = ArgValueCompleter::new(complete::operations))]
        run: Option<String>,
    },
}

/// What `plan` and `run` take.
#[derive(Debug, clap::Args)]
pub struct Which {
    /// The runbook
    #[arg(add = ArgValueCompleter::new(complete::runbooks), required_unless_present = "file")]
    runbook: Option<String>,
    /// A Markdown file instead of one that comes with chatctl
    #[arg(long, value_name = "FILE", conflicts_with = "runbook")]
    file: Option<PathBuf>,
    /// A parameter, as `name=value`
    #[arg(long, value_name = "NAME=VALUE")]
    param: Vec<String>,
    /// The word of a step, as `step=word`
    #[arg(long, value_name = "STEP=WORD")]
    confirm: Vec<String>,
}

/// A runbook as a list shows it.
#[derive(Debug, Serialize)]
struct Listed {
    id: String,
    title: String,
    fires_on: String,
    role: String,
    params: Vec<String>,
}

impl Tabular for Listed {
    const COLUMNS: &'static [Column] = &[
        Column("RUNBOOK", false),
        Column("TITLE", false),
        Column("FIRES ON", false),
        Column("ROLE", false),
        Column("PARAMS", false),
    ];

    fn row(&self) -> Vec<Cell> {
        vec![
            (&self.id).into(),
            (&self.title).into(),
            (&self.fires_on).into(),
            (&self.role).into(),
            self.params.join(", ").into(),
        ]
    }
}

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

pub(super) async fn run(session: &Session, args: Args) -> Result<(), CommandError> {
    match args {
        Args::List => list(session),
        Args::Show { runbook } => session.ui.out(&runbook::find(&runbook)?.text),
        Args::Lint { files } => lint(session, &files),
        Args::Plan(which) => {
            let request = request(session, &which)?;
            plan(session, &request).await
        }
        Args::Run(which) if session.global.dry_run => plan(session, &request(session, &which)?).await,
        Args::Run(which) => start(session, request(session, &which)?).await,
        Args::Resume { run, confirm } => resume(session, &run, &confirm).await,
        Args::Abort { run } => {
            no_dry_run(session, "abort")?;
            let api = session.api()?;
            let operation = api.cancel(&run, &session.global.reason).await?;
            if session.global.wait { watch(session, &api, &operation).await } else { session.ui.one(&operation) }
        }
        Args::History { run: None } => {
            let mut runs = session.api()?.operations(None, 200).await?;
            runs.retain(|operation| operation.kind == OperationKind::Runbook);
            session.ui.list(&runs)
        }
        Args::History { run: Some(run) } => {
            let api = session.api()?;
            session.ui.repeat(async || session.ui.list(&detail(&api.operation(&run).await?)?.steps)).await
        }
    }
}

fn list(session: &Session) -> Result<(), CommandError> {
    let listed = |runbook: Runbook| Listed {
        id: runbook.id,
        title: runbook.title,
        fires_on: runbook.fires_on.unwrap_or_default(),
        role: runbook.role.to_string(),
        params: runbook.params.into_keys().collect(),
    };
    session.ui.list(&runbook::all().into_iter().map(listed).collect::<Vec<_>>())
}

fn lint(session: &Session, files: &[PathBuf]) -> Result<(), CommandError> {
    let mut faults = Vec::new();
    let mut runbooks = Vec::new();
    for path in files {
        match read(path) {
            Ok(runbook) => runbooks.push((path.display().to_string(), runbook)),
            Err(error) => faults.push(error.to_string()),
        }
    }
    if files.is_empty() {
        runbooks = runbook::all().into_iter().map(|runbook| (runbook.id.clone(), runbook)).collect();
    }
    for (name, runbook) in &runbooks {
        faults.extend(runbook::lint(runbook).into_iter().map(|fault| format!("{name}: {fault}")));
    }
    if faults.is_empty() {
        return session
            .ui
            .say(&format!("{} runbooks are well", runbooks.len()), &serde_json::json!({ "faults": faults }));
    }
    session.ui.say(&faults.join("\n"), &serde_json::json!({ "faults": faults }))?;
    Err(CommandError::failed(format!("{} faults", faults.len())))
}

fn read(path: &std::path::Path) -> Result<Runbook, CommandError> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| CommandError::usage(format!("cannot read {}: {error}", path.display())))?;
    runbook::parse(&text).map_err(|why| CommandError::usage(format!("{}: {why}", path.display())))
}

fn pairs(given: &[String], what: &str) -> Result<BTreeMap<String, String>, CommandError> {
    let pair = |text: &String| {
        let (name, value) =
            text.split_once('=').ok_or_else(|| CommandError::usage(format!("{what}: {text:?} is no name=value")))?;
        Ok((name.to_owned(), value.to_owned()))
    };
    given.iter().map(pair).collect()
}

fn request(session: &Session, which: &Which) -> Result<RunRequest, CommandError> {
    let runbook = match (&which.runbook, &which.file) {
        (_, Some(path)) => read(path)?,
        (Some(id), None) => runbook::find(id)?,
        (None, None) => return Err(CommandError::usage("name a runbook, or give --file")),
    };
    let reason = runbook::reason(&runbook.id, &session.global.reason);
    let mut request = runbook::plan(&runbook, &pairs(&which.param, "--param")?, &reason)?;
    request.confirm = pairs(&which.confirm, "--confirm")?;
    Ok(request)
}

/// Says what each step would do. Calls that know a dry run are made as one.
async fn plan(session: &Session, request: &RunRequest) -> Result<(), CommandError> {
    let api = session.api()?;
    let mut text = format!("plan {} of runbook {}\n", &runbook::plan_hash(&request.steps)[..12], request.runbook);
    let mut refused = 0;
    for (n, step) in request.steps.iter().enumerate() {
        let kind = if step.kind == StepKind::Check { "check " } else { "action" };
        text += &format!("\n{:>2}. {kind}  {} - {}\n", n + 1, step.id, step.title);
        for call in &step.calls {
            text += &format!("      {}\n", call.command);
            if let Some(said) = dry_run(&api, call).await {
                refused += usize::from(said.is_err());
                text += &format!("        {}\n", said.unwrap_or_else(|why| format!("would be refused: {why}")));
            }
        }
        if let Some(word) = &step.confirm {
            text += &format!("      asks for the word {word:?}\n");
        }
        for call in &step.undo {
            text += &format!("      undone by: {}\n", call.command);
        }
    }
    session.ui.say(text.trim_end(), request)?;
    match refused {
        0 => Ok(()),
        n => Err(CommandError::new(Kind::Refused, format!("{n} calls would be refused as things are now"))),
    }
}

async fn dry_run(api: &Api, call: &Call) -> Option<Result<String, String>> {
    let mut call = call.clone();
    if call.method == "GET" {
        return None;
    }
    *call.body.get_mut("dry_run")? = true.into();
    match api.dry_call(&call).await {
        Ok(answer) => match answer["refused"].as_str() {
            Some(why) => Some(Err(why.to_owned())),
            None => Some(Ok("would be done as things are now".to_owned())),
        },
        Err(error) => Some(Err(error.to_string())),
    }
}

async fn start(session: &Session, request: RunRequest) -> Result<(), CommandError> {
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
        "run {} with {} steps, {actions} of which change something (see `chatctl runbook plan`)",
        request.runbook,
        request.steps.len()
    ))?;
    let api = session.api()?;
    let operation = api.runbook_run(&request).await?;
    watch(session, &api, &operation).await
}

async fn resume(session: &Session, run: &str, confirm: &[String]) -> Result<(), CommandError> {
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

fn may_ask(session: &Session) -> bool {
    !session.global.no_input && std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// Shows each step as it begins and ends, and asks for words, until the run is over.
async fn watch(session: &Session, api: &Api, begun: &Operation) -> Result<(), CommandError> {
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

fn detail(operation: &Operation) -> Result<RunbookDetail, CommandError> {
    runbook::run_detail(operation).ok_or_else(|| {
        CommandError::usage(format!("operation {} is no run of a runbook", operation.id))
            .hint("chatctl runbook history lists runs")
    })
}
