//! Commands of many callers, sent together: while pipelines are under way the next one fills. A gateway asks and
//! tells the dedup cache once for each send; each in a pipeline of its own cost more than all the rest of a send.

use std::sync::Arc;

use futures_util::{StreamExt as _, stream::FuturesUnordered};
use redis::Value;
use tokio::{
    sync::{
        mpsc::{self, error::TrySendError},
        oneshot,
    },
    task::JoinHandle,
    time::timeout,
};

use super::{
    command::Command,
    link::{CALL, Link},
};
use crate::port::{StoreError, StoreResult};

/// Callers that may wait. Past it a call is refused.
const WAITING_MAX: usize = 16_384;
/// Callers that share a call.
const AT_ONCE: usize = 512;
/// Calls under way. One alone would make each command wait for the one before it; of many none would be full. A server
/// that hangs holds up the commands for others once it has all of them, until they fail.
const CALLS: usize = 4;

struct Waiting {
    commands: Vec<Command>,
    answers: oneshot::Sender<StoreResult<Vec<Value>>>,
}

/// The way into a Redis that callers share.
pub(super) struct Together {
    store: &'static str,
    queue: mpsc::Sender<Waiting>,
    task: JoinHandle<()>,
}

impl Together {
    /// Needs a runtime.
    pub(super) fn new(store: &'static str, link: Arc<Link>) -> Self {
        let (queue, waiting) = mpsc::channel(WAITING_MAX);
        Self { store, queue, task: tokio::spawn(run(link, waiting)) }
    }

    /// As [`Link::call`], together with the commands of others, and waiting for a place among them included.
    pub(super) async fn call(&self, commands: Vec<Command>) -> StoreResult<Vec<Value>> {
        let (answers, answered) = oneshot::channel();
        let unavailable = |why: String| StoreError::unavailable(self.store, why);
        let closed = || unavailable("it is closed".to_owned());
        self.queue.try_send(Waiting { commands, answers }).map_err(|error| match error {
            TrySendError::Full(_) => unavailable(format!("{WAITING_MAX} callers wait already")),
            TrySendError::Closed(_) => closed(),
        })?;
        match timeout(CALL, answered).await {
            Ok(answered) => answered.map_err(|_| closed())?,
            Err(_) => Err(unavailable(format!("no answer within {} s", CALL.as_secs()))),
        }
    }
}

impl Drop for Together {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn run(link: Arc<Link>, mut queue: mpsc::Receiver<Waiting>) {
    let mut calls = FuturesUnordered::new();
    let mut next = Vec::new();
    loop {
        tokio::select! {
            biased;
            Some(()) = calls.next(), if !calls.is_empty() => {}
            received = queue.recv_many(&mut next, AT_ONCE), if calls.len() < CALLS => {
                if received == 0 {
                    return;
                }
                calls.push(call(&link, std::mem::take(&mut next)));
            }
        }
    }
}

async fn call(link: &Link, mut waiting: Vec<Waiting>) {
    // Whoever lost patience needs no answer.
    waiting.retain(|one| !one.answers.is_closed());
    let mut commands = Vec::with_capacity(waiting.len());
    let callers: Vec<_> = waiting
        .into_iter()
        .map(|one| {
            let wanted = one.commands.len();
            commands.extend(one.commands);
            (wanted, one.answers)
        })
        .collect();
    let mut outcome = link.call(&commands).await.map(Vec::into_iter);
    for (wanted, answers) in callers {
        let part = match &mut outcome {
            Ok(values) => Ok(values.by_ref().take(wanted).collect()),
            Err(error) => Err(error.clone()),
        };
        // They may be gone since.
        let _ = answers.send(part);
    }
}
