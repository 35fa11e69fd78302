//! One server: a connection that is made in the background, and again whenever it is lost.

use std::sync::Arc;

use rand::Rng as _;
use redis::{Client, Pipeline, PushInfo, PushKind, Value, aio::MultiplexedConnection};
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{Duration, sleep, timeout},
};

use super::address;
use crate::port::{StoreError, StoreResult};

/// How long a call waits for a connection that is being made. One that failed is not waited for.
const PATIENCE: Duration = Duration::from_millis(500);
/// Between attempts to connect: doubles from the first to the last, and half of it is by chance.
const BACKOFF_MIN: Duration = Duration::from_millis(50);
const BACKOFF_MAX: Duration = Duration::from_secs(1);

#[derive(Clone)]
enum State {
    /// At first, and after the server closed the connection: it will be there in a moment, or known to be down.
    Connecting,
    Up {
        connection: MultiplexedConnection,
        /// Which connection of this node.
        number: u64,
    },
    Down(Arc<str>),
}

/// A server.
pub(super) struct Node {
    store: &'static str,
    pub(super) name: String,
    state: Arc<watch::Sender<State>>,
    task: JoinHandle<()>,
}

impl Node {
    /// Begins to connect. Needs a runtime.
    pub(super) fn new(store: &'static str, name: String, client: Client) -> Self {
        let state = Arc::new(watch::Sender::new(State::Connecting));
        let task = tokio::spawn(connect(client, name.clone(), state.clone()));
        Self { store, name, state, task }
    }

    pub(super) fn is_down(&self) -> bool {
        matches!(*self.state.borrow(), State::Down(_))
    }

    fn unavailable(&self, why: impl std::fmt::Display) -> StoreError {
        StoreError::unavailable(self.store, format_args!("{}: {why}", self.name))
    }

    async fn connection(&self) -> StoreResult<(MultiplexedConnection, u64)> {
        let mut state = self.state.subscribe();
        let settled = state.wait_for(|state| !matches!(state, State::Connecting));
        match timeout(PATIENCE, settled).await.ok().and_then(Result::ok).as_deref() {
            Some(State::Up { connection, number }) => Ok((connection.clone(), *number)),
            Some(State::Down(why)) => Err(self.unavailable(why)),
            Some(State::Connecting) | None => Err(self.unavailable("still connecting")),
        }
    }

    /// Sends commands and returns an answer for each, errors of the server among them.
    pub(super) async fn run(&self, pipeline: &Pipeline) -> StoreResult<Vec<Value>> {
        let (mut connection, number) = self.connection().await?;
        connection.send_packed_commands(pipeline, 0, pipeline.len()).await.map_err(|error| {
            let is_silent = error.is_timeout();
            if is_silent || error.is_unrecoverable_error() {
                lose(&self.state, number, is_silent, &error.to_string());
            }
            self.unavailable(error)
        })
    }

    /// The server is not what it was: connects again, by name.
    pub(super) fn reconnect(&self, why: &str) {
        let State::Up { number, .. } = *self.state.borrow() else { return };
        lose(&self.state, number, false, why);
    }
}

/// A connection is not to be used any more. A server that did not answer is down until it does.
fn lose(state: &watch::Sender<State>, number: u64, is_silent: bool, why: &str) {
    state.send_if_modified(|state| {
        let is_current = matches!(state, State::Up { number: current, .. } if *current == number);
        if is_current {
            tracing::warn!(why, "lost a connection to redis");
            *state = if is_silent { State::Down(why.into()) } else { State::Connecting };
        }
        is_current
    });
}

impl Drop for Node {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn connect(client: Client, name: String, state: Arc<watch::Sender<State>>) {
    let mut backoff = Backoff::default();
    for number in 0.. {
        // Not the state itself: it holds the connection, which would hold itself.
        let told = Arc::downgrade(&state);
        let config = address::config().set_push_sender(move |info: PushInfo| {
            if let Some(state) = told.upgrade().filter(|_| info.kind == PushKind::Disconnection) {
                lose(&state, number, false, "connection closed");
            }
            Ok::<_, ()>(())
        });
        match client.get_multiplexed_async_connection_with_config(&config).await {
            Ok(connection) => {
                tracing::debug!(name, "connected to redis");
                backoff = Backoff::default();
                state.send_replace(State::Up { connection, number });
                let is_lost = |state: &State| !matches!(state, State::Up { .. });
                // This task holds the sender.
                let _ = state.subscribe().wait_for(is_lost).await;
            }
            Err(error) => {
                tracing::debug!(name, %error, "cannot connect to redis");
                state.send_replace(State::Down(error.to_string().into()));
                backoff.wait().await;
            }
        }
    }
}

/// Waits longer each time.
pub(super) struct Backoff(Duration);

impl Default for Backoff {
    fn default() -> Self {
        Self(BACKOFF_MIN)
    }
}

impl Backoff {
    pub(super) async fn wait(&mut self) {
        // By chance, so that all of a fleet do not come at once to a server that has just started.
        sleep(self.0.mul_f64(super::chance().random_range(0.5..1.0))).await;
        self.0 = (self.0 * 2).min(BACKOFF_MAX);
    }
}
