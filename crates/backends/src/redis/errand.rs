//! Commands on their way: to which server, with what before them, and what becomes of those that come back.

use std::sync::Arc;

use redis::{Pipeline, ServerError, ServerErrorKind, Value};

use super::{command::Command, link::Servers, node::Node};
use crate::port::StoreResult;

/// A command that is still to be done.
#[derive(Clone)]
pub(super) struct Errand {
    /// Which command of the call.
    pub(super) at: usize,
    /// The server does not know its script.
    pub(super) load: bool,
    /// Not to the owner of its slot, but to the one that is taking it over.
    pub(super) ask: Option<Arc<Node>>,
}

/// What becomes of a command that a server sent back, and whether that has time. `None`: its error is the answer.
pub(super) fn again(
    servers: &Servers,
    node: &Node,
    commands: &[Command],
    errand: &Errand,
    error: &ServerError,
) -> StoreResult<Option<(Errand, bool)>> {
    let at = errand.at;
    // `slot host:port`. A host that is left out is that of the server that says so.
    let elsewhere = || {
        let name = error.details()?.split_whitespace().nth(1)?;
        let here = node.name.rsplit_once(':').map_or("", |(host, _)| host);
        Some(if name.starts_with(':') { format!("{here}{name}") } else { name.to_owned() })
    };
    let plain = Errand { at, load: false, ask: None };
    let again = match (error.kind(), servers) {
        (Some(ServerErrorKind::NoScript), _) => (Errand { load: true, ..errand.clone() }, false),
        (Some(ServerErrorKind::Moved), Servers::Cluster(cluster)) => match elsewhere() {
            Some(name) => {
                cluster.moved(commands[at].slot(), &name)?;
                (plain, false)
            }
            None => (plain, true),
        },
        (Some(ServerErrorKind::Ask), Servers::Cluster(cluster)) => match elsewhere() {
            Some(name) => (Errand { at, load: false, ask: Some(cluster.node(&name)?) }, false),
            None => (plain, true),
        },
        (Some(ServerErrorKind::ReadOnly | ServerErrorKind::MasterDown), Servers::One(_)) => {
            // Its name may lead to the new master now.
            node.reconnect("it is a replica");
            (plain, true)
        }
        (
            Some(
                ServerErrorKind::TryAgain
                | ServerErrorKind::ClusterDown
                | ServerErrorKind::BusyLoading
                | ServerErrorKind::MasterDown
                | ServerErrorKind::ReadOnly,
            ),
            _,
        ) => (plain, true),
        _ => return Ok(None),
    };
    Ok(Some(again))
}

/// Sends a chunk to a server.
pub(super) async fn send<'a>(
    node: &'a Node,
    commands: &[Command],
    chunk: &[Errand],
) -> StoreResult<Vec<(&'a Node, Errand, Value)>> {
    let (pipeline, counts) = pack(commands, chunk);
    let answers = node.run(&pipeline).await?;
    let answers = answers.into_iter().zip(counts).filter(|(_, counts)| *counts).map(|(answer, _)| answer);
    Ok(chunk.iter().cloned().zip(answers).map(|(errand, answer)| (node, errand, answer)).collect())
}

/// The commands of a chunk with what they need before them, and whether the answer at each place is one of the call.
fn pack(commands: &[Command], chunk: &[Errand]) -> (Pipeline, Vec<bool>) {
    let mut pipeline = Pipeline::with_capacity(chunk.len());
    let mut counts = Vec::with_capacity(chunk.len());
    let mut loaded: Vec<&'static str> = Vec::new();
    for errand in chunk {
        let command = &commands[errand.at];
        if let Some(script) = command.script.filter(|script| errand.load && !loaded.contains(&script.text)) {
            loaded.push(script.text);
            pipeline.cmd("SCRIPT").arg("LOAD").arg(script.text);
            counts.push(false);
        }
        if errand.ask.is_some() {
            pipeline.cmd("ASKING");
            counts.push(false);
        }
        pipeline.add_command(command.cmd.clone());
        counts.push(true);
    }
    (pipeline, counts)
}
