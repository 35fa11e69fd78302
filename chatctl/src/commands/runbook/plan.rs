//! What a run would do, step by step. What can be tried without harm is tried.

use std::{collections::BTreeMap, path::PathBuf};

use clap_complete::ArgValueCompleter;
use protocol::admin::{Call, RunRequest, StepKind};

use super::library::read;
use crate::{
    api::Api,
    complete,
    error::{CommandError, Kind},
    runbook,
    session::Session,
};

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

/// Reads what was given as `name=value`.
pub(super) fn pairs(given: &[String], what: &str) -> Result<BTreeMap<String, String>, CommandError> {
    let pair = |text: &String| {
        let (name, value) =
            text.split_once('=').ok_or_else(|| CommandError::usage(format!("{what}: {text:?} is no name=value")))?;
        Ok((name.to_owned(), value.to_owned()))
    };
    given.iter().map(pair).collect()
}

/// Compiles what was named.
pub(super) fn request(session: &Session, which: &Which) -> Result<RunRequest, CommandError> {
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
pub(super) async fn show(session: &Session, request: &RunRequest) -> Result<(), CommandError> {
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
