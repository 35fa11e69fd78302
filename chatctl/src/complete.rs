//! Completions with live names: the shell asks this program, and this program asks the fleet.
//!
//! A shell waits while a person presses tab: what does not answer at once has no names.

use std::{ffi::OsStr, time::Duration};

use clap::CommandFactory as _;
use clap_complete::{CompletionCandidate, env::CompleteEnv};

use crate::{api::Api, cli::Cli, context::ContextFile, error::CommandError};

/// The variable that says: a shell asks, and which one.
pub(crate) const VARIABLE: &str = "CHATCTL_COMPLETE";
/// Longer than this nobody waits for a tab.
const DEADLINE: Duration = Duration::from_millis(800);

/// Answers a shell, if one asks; then the program is over.
pub(crate) fn answer_shell() {
    CompleteEnv::with_factory(Cli::command).var(VARIABLE).complete();
}

/// Names of gateways.
pub(crate) fn gateways(current: &OsStr) -> Vec<CompletionCandidate> {
    live(current, async |api| Ok(api.gateways().await?.into_iter().map(|it| (it.id, it.phase.to_string())).collect()))
}

/// Ids of operations, newest first.
pub(crate) fn operations(current: &OsStr) -> Vec<CompletionCandidate> {
    live(current, async |api| {
        let operations = api.operations(None, 50).await?;
        Ok(operations.into_iter().map(|it| (it.id, it.state.to_string())).collect())
    })
}

/// Ids of overrides in force.
pub(crate) fn overrides(current: &OsStr) -> Vec<CompletionCandidate> {
    live(current, async |api| {
        let overrides = api.overrides(false).await?;
        Ok(overrides.into_iter().map(|it| (it.id, it.lever.to_string())).collect())
    })
}

/// Ids of incidents that are not resolved.
pub(crate) fn incidents(current: &OsStr) -> Vec<CompletionCandidate> {
    live(current, async |api| {
        let incidents = api.incidents(false).await?;
        Ok(incidents.into_iter().map(|it| (it.id, it.summary)).collect())
    })
}

/// Ids of runbooks: they are in this program.
pub(crate) fn runbooks(current: &OsStr) -> Vec<CompletionCandidate> {
    candidates(current, crate::runbook::all().into_iter().map(|it| (it.id, it.title)).collect())
}

/// `fleet` and the names of nodes.
pub(crate) fn scopes(current: &OsStr) -> Vec<CompletionCandidate> {
    live(current, async |api| {
        let nodes = api.nodes().await?.into_iter().map(|it| (it.id, it.role.to_string()));
        Ok(std::iter::once(("fleet".to_owned(), "every node".to_owned())).chain(nodes).collect())
    })
}

/// Names of contexts: they are in a file.
pub(crate) fn contexts(current: &OsStr) -> Vec<CompletionCandidate> {
    let names = ContextFile::load().map(|file| file.contexts.into_keys().map(|name| (name, String::new())).collect());
    candidates(current, names.unwrap_or_default())
}

/// Asks the control plane of the context in use. Any trouble: no names.
fn live(
    current: &OsStr,
    names: impl AsyncFnOnce(Api) -> Result<Vec<(String, String)>, CommandError>,
) -> Vec<CompletionCandidate> {
    let context = std::env::var("CHATCTL_CONTEXT").ok().filter(|name| !name.is_empty());
    let found = ContextFile::load().and_then(|file| file.pick(context.as_deref())).and_then(|(_, it)| Api::new(&it));
    let (Ok(api), Ok(runtime)) = (found, tokio::runtime::Builder::new_current_thread().enable_all().build()) else {
        return Vec::new();
    };
    let names = runtime.block_on(async { tokio::time::timeout(DEADLINE, names(api)).await });
    candidates(current, names.ok().and_then(Result::ok).unwrap_or_default())
}

fn candidates(current: &OsStr, names: Vec<(String, String)>) -> Vec<CompletionCandidate> {
    let current = current.to_string_lossy();
    let fits = names.into_iter().filter(|(name, _)| name.starts_with(&*current));
    fits.map(|(name, help)| {
        let candidate = CompletionCandidate::new(name);
        if help.is_empty() { candidate } else { candidate.help(Some(help.into())) }
    })
    .collect()
}
