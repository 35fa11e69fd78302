//! The session: made in the background, tried again until it stands.

use std::sync::Arc;

use scylla::client::session::Session;
use tokio::{
    sync::watch,
    time::{Duration, sleep, timeout},
};
use tokio_util::task::AbortOnDropHandle;

use super::{
    call::unavailable,
    health::Thousandths,
    options::{CassandraOptions, STORE},
    schema,
    statements::Statements,
};
use crate::port::{StoreError, StoreResult};

/// What one attempt to connect and to bring the schema up to date may take. Creating three tables on a cluster of
/// three nodes takes seconds.
const CONNECT_DEADLINE: Duration = Duration::from_secs(30);
/// After the first failed attempt; twice as long after each further one.
const BACKOFF: Duration = Duration::from_millis(100);
/// The longest wait between attempts.
const BACKOFF_MAX: Duration = Duration::from_secs(2);

/// A session and the statements that were prepared on it.
pub(super) struct Linked {
    pub(super) session: Session,
    pub(super) statements: Statements,
    pub(super) keyspace: String,
    pub(super) thousandths: Thousandths,
}

/// The store, or why there is none yet.
type State = Result<Arc<Linked>, StoreError>;

/// Connects, and holds what came of it.
#[derive(Debug)]
pub(super) struct Link {
    state: watch::Receiver<State>,
    /// Connecting ends with the adapter.
    _task: AbortOnDropHandle<()>,
}

impl std::fmt::Debug for Linked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Linked").finish_non_exhaustive()
    }
}

impl Link {
    pub(super) fn start(options: CassandraOptions) -> Self {
        let (tx, state) = watch::channel(Err(StoreError::unavailable(STORE, "not connected yet")));
        let task = tokio::spawn(async move {
            let mut pause = BACKOFF;
            loop {
                let outcome = timeout(CONNECT_DEADLINE, link(&options)).await.unwrap_or_else(|_| {
                    Err(unavailable(format_args!("cannot connect within {} s", CONNECT_DEADLINE.as_secs())))
                });
                let is_over = match &outcome {
                    Ok(_) => true,
                    Err(error) => {
                        tracing::warn!(%error, "cannot connect to the message store");
                        // What is stored is not for this program: it takes an operator, and then a restart.
                        !error.is_retryable()
                    }
                };
                drop(tx.send_replace(outcome.map(Arc::new)));
                if is_over {
                    return;
                }
                sleep(pause).await;
                pause = (pause * 2).min(BACKOFF_MAX);
            }
        });
        Self { state, _task: AbortOnDropHandle::new(task) }
    }

    /// The session, if there is one.
    pub(super) fn now(&self) -> State {
        self.state.borrow().clone()
    }

    /// The session, as soon as there is one.
    pub(super) async fn wait(&self, patience: Duration) -> State {
        let mut state = self.state.clone();
        let settled = |state: &State| !matches!(state, Err(error) if error.is_retryable());
        // Late or never: the last state says why.
        let _ = timeout(patience, state.wait_for(settled)).await;
        self.now()
    }
}

async fn link(options: &CassandraOptions) -> StoreResult<Linked> {
    let session = options.session().build().await.map_err(unavailable)?;
    schema::prepare(&session, options).await?;
    let statements = Statements::prepare(&session, &options.keyspace).await?;
    Ok(Linked { session, statements, keyspace: options.keyspace.clone(), thousandths: Thousandths::default() })
}
