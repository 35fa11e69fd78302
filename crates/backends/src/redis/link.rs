//! Calls: many commands, one pipeline a server, whether it is one server or a cluster.

use std::sync::Arc;

use futures_util::future::join_all;
use redis::{Client, Value};
use tokio::time::{Duration, sleep, timeout};

use super::{
    address::Address,
    cluster::Cluster,
    command::Command,
    errand::{Errand, again, send},
    node::Node,
};
use crate::port::{StoreError, StoreResult};

/// What a call may take, with all its attempts. Below [`crate::port::CALL_DEADLINE`].
pub(super) const CALL: Duration = Duration::from_secs(3);
/// Commands in one pipeline: a server serves others between two of them.
const CHUNK: usize = 512;
/// Attempts of a command that a server sent back: its script is unknown, its slot moves, the server is loading.
const ATTEMPTS: u32 = 5;
/// Before another attempt of what a server cannot do now. Doubles.
const PAUSE: Duration = Duration::from_millis(20);

/// A Redis.
pub(super) struct Link {
    store: &'static str,
    address: Address,
    servers: Servers,
}

/// One server or many.
pub(super) enum Servers {
    One(Arc<Node>),
    Cluster(Cluster),
}

impl Link {
    /// Begins to connect; does not wait until it has. Needs a runtime.
    pub(super) fn open(store: &'static str, url: &str) -> StoreResult<Self> {
        let address = Address::parse(store, url)?;
        let servers = match address.names().next() {
            Some(name) if !address.is_cluster => {
                Servers::One(Arc::new(Node::new(store, name.clone(), address.client(store, &name)?)))
            }
            _ => Servers::Cluster(Cluster::new(store, address.clone())?),
        };
        Ok(Self { store, address, servers })
    }

    pub(super) fn is_cluster(&self) -> bool {
        self.address.is_cluster
    }

    /// A client of one of the servers, another one with each `turn`.
    pub(super) fn client(&self, turn: usize) -> StoreResult<Client> {
        let names = match &self.servers {
            Servers::One(node) => vec![node.name.clone()],
            Servers::Cluster(cluster) => cluster.names(),
        };
        let name = names.get(turn % names.len().max(1)).map_or("", String::as_str);
        self.address.client(self.store, name)
    }

    fn unavailable(&self, why: impl std::fmt::Display) -> StoreError {
        StoreError::unavailable(self.store, why)
    }

    /// Does all commands and returns an answer for each. On one server they run in this order.
    ///
    /// An answer may be an error of the server that is about the command and not about the server.
    pub(super) async fn call(&self, commands: &[Command]) -> StoreResult<Vec<Value>> {
        match timeout(CALL, self.attempts(commands)).await {
            Ok(answers) => answers,
            Err(_) => Err(self.unavailable(format_args!("no answer within {} s", CALL.as_secs()))),
        }
    }

    async fn attempts(&self, commands: &[Command]) -> StoreResult<Vec<Value>> {
        let mut answers = vec![Value::Nil; commands.len()];
        let mut todo: Vec<Errand> = (0..commands.len()).map(|at| Errand { at, load: false, ask: None }).collect();
        let (mut pause, mut why) = (PAUSE, None);
        for _ in 0..ATTEMPTS {
            if todo.is_empty() {
                return Ok(answers);
            }
            let parts = self.parts(commands, std::mem::take(&mut todo)).await?;
            let chunks = parts.iter().flat_map(|(node, part)| part.chunks(CHUNK).map(move |chunk| (node, chunk)));
            let done = join_all(chunks.map(|(node, chunk)| send(node, commands, chunk))).await;
            let mut is_busy = false;
            for part in done {
                for (node, errand, answer) in part? {
                    let Value::ServerError(error) = answer else {
                        answers[errand.at] = answer;
                        continue;
                    };
                    match again(&self.servers, node, commands, &errand, &error)? {
                        Some((errand, wait)) => {
                            is_busy |= wait;
                            why = Some(error);
                            todo.push(errand);
                        }
                        None => answers[errand.at] = Value::ServerError(error),
                    }
                }
            }
            if is_busy {
                sleep(pause).await;
                pause *= 2;
                // It may be that another server has the slot by now. If it cannot be told, the attempt will say so.
                if let Servers::Cluster(cluster) = &self.servers {
                    let _ = cluster.refresh().await;
                }
            }
        }
        match why.filter(|_| !todo.is_empty()) {
            Some(error) => Err(self.unavailable(error)),
            None => Ok(answers),
        }
    }

    /// Which server gets which commands, each in the order of the call.
    async fn parts(&self, commands: &[Command], todo: Vec<Errand>) -> StoreResult<Vec<(Arc<Node>, Vec<Errand>)>> {
        let cluster = match &self.servers {
            Servers::One(node) => return Ok(vec![(node.clone(), todo)]),
            Servers::Cluster(cluster) => cluster,
        };
        let mut parts: Vec<(Arc<Node>, Vec<Errand>)> = Vec::new();
        for errand in todo {
            let node = match &errand.ask {
                Some(node) => node.clone(),
                None => cluster.owner(commands[errand.at].slot()).await?,
            };
            match parts.iter_mut().find(|(known, _)| Arc::ptr_eq(known, &node)) {
                Some((_, part)) => part.push(errand),
                None => parts.push((node, vec![errand])),
            }
        }
        Ok(parts)
    }
}
