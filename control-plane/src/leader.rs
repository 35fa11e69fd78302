//! Which replica leads. One of them does at a time: it drives operations, listens to nodes and answers callers; the
//! others wait to take its place. Leadership is a row in the store that the leader renews; a replica that takes it
//! reads everything anew and takes operations over.
//!
//! A leader that cannot renew gives up before its time is over, and whatever it writes carries its epoch: should it be
//! late to notice, the store refuses.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::time::{Duration, Instant, sleep, sleep_until, timeout, timeout_at};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    app::App,
    checks, detect,
    error::AppError,
    http, reconcile, runs, scale,
    store::{Leadership, Store, StoreResult},
};

/// Between two renewals, and between two looks of a replica that waits.
const RENEW: Duration = Duration::from_secs(2);
/// For how long leadership is asked.
const TTL: Duration = Duration::from_secs(6);
/// A leader that could not renew for this long leads no more. The rest of [`TTL`] is for clocks that differ.
const GIVE_UP: Duration = Duration::from_secs(4);
/// Between two attempts when the store does not answer.
const RETRY: Duration = Duration::from_millis(500);
/// A store that does not answer within this is asked again.
const ASK_DEADLINE: Duration = Duration::from_secs(5);
/// How long the tasks of a leader may take to end.
const CLOSE_DEADLINE: Duration = Duration::from_secs(10);

/// One of the control planes of a fleet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replica {
    /// Its name. No other replica may have it: who comes back under a name leads at once if that name leads.
    pub id: String,
    /// Where it serves its API, as callers are told when another replica is asked.
    pub url: String,
}

impl Default for Replica {
    /// The only one.
    fn default() -> Self {
        Self { id: "control".to_owned(), url: String::new() }
    }
}

impl Replica {
    /// As the store knows it.
    pub(crate) fn holder(&self) -> String {
        format!("{} {}", self.id, self.url)
    }
}

/// How this replica stands, for everything that asks.
#[derive(Debug, Default)]
pub(crate) struct Seat {
    standing: Mutex<Standing>,
}

#[derive(Debug, Default)]
struct Standing {
    /// In which epoch it may write.
    epoch: Option<u64>,
    /// Ends with its leadership. `None`: it serves nobody.
    term: Option<CancellationToken>,
    /// Where the leader is, when another leads.
    leader: Option<String>,
}

impl Seat {
    /// In which epoch this replica may write, if any.
    pub(crate) fn epoch(&self) -> Option<u64> {
        self.standing.lock().epoch
    }

    /// What ends when this replica does not lead any more; `None` when it does not lead.
    pub(crate) fn term(&self) -> Option<CancellationToken> {
        self.standing.lock().term.clone()
    }

    /// Refuses callers of a replica that does not lead.
    pub(crate) fn check(&self) -> Result<(), AppError> {
        let standing = self.standing.lock();
        match standing.term {
            Some(_) => Ok(()),
            None => Err(AppError::Follows { leader: standing.leader.clone() }),
        }
    }

    fn may_write(&self, epoch: u64) {
        *self.standing.lock() = Standing { epoch: Some(epoch), term: None, leader: None };
    }

    fn serve(&self, term: CancellationToken) {
        self.standing.lock().term = Some(term);
    }

    fn follow(&self, leader: Option<String>) {
        *self.standing.lock() = Standing { epoch: None, term: None, leader };
    }
}

/// One time of leading.
pub(crate) struct Term {
    epoch: u64,
    /// When leadership was asked for.
    since: Instant,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Term {
    fn new(epoch: u64, since: Instant) -> Self {
        Self { epoch, since, stop: CancellationToken::new(), tasks: TaskTracker::new() }
    }
}

/// Takes leadership, keeps it, and does what a leader does.
pub(crate) struct Leader {
    pub(crate) app: Arc<App>,
    /// Not fenced: leadership itself is written with it.
    pub(crate) store: Arc<dyn Store>,
    pub(crate) replica: Replica,
    pub(crate) admin_token: String,
    /// The end of the control plane.
    pub(crate) stop: CancellationToken,
}

impl Leader {
    /// Asks for the first time. Leads when it returns a term, and knows who does otherwise.
    pub(crate) async fn start(&self) -> Result<Option<Term>, AppError> {
        let asked = Instant::now();
        let answer = self.ask().await?;
        if !answer.is_leader {
            self.app.seat.follow(Some(answer.address.clone()));
            tracing::info!(leader = %answer.holder, address = %answer.address, "another replica leads");
            return Ok(None);
        }
        let term = Term::new(answer.epoch, asked);
        self.open(&term.stop, term.epoch).await?;
        self.work(&term.stop, &term.tasks);
        Ok(Some(term))
    }

    /// Renews, gives up and takes leadership until `stop`.
    pub(crate) async fn run(self: Arc<Self>, mut term: Option<Term>) {
        let mut renewed = term.as_ref().map_or_else(Instant::now, |term| term.since);
        let mut next = renewed + RENEW;
        loop {
            tokio::select! {
                biased;
                () = self.stop.cancelled() => break,
                () = sleep_until(next) => {}
            }
            let asked = Instant::now();
            let gives_up = if term.is_some() { renewed + GIVE_UP } else { asked + ASK_DEADLINE };
            let answer = tokio::select! {
                biased;
                () = self.stop.cancelled() => break,
                answer = timeout_at(gives_up, self.ask()) => answer,
            };
            next = asked + RENEW;
            match answer {
                Ok(Ok(answer)) if answer.is_leader => {
                    renewed = asked;
                    if term.as_ref().is_some_and(|term| term.epoch != answer.epoch) {
                        // Another led in between.
                        self.close(term.take(), None).await;
                    }
                    if term.is_none() {
                        term = Some(self.begin(answer.epoch, asked));
                    }
                }
                Ok(Ok(answer)) => self.close(term.take(), Some(answer.address)).await,
                Ok(Err(_)) | Err(_) => {
                    let why = answer.map_or_else(|_| "it does not answer".to_owned(), |answer| why(&answer));
                    tracing::warn!(why, "the store cannot be asked who leads");
                    next = Instant::now() + RETRY;
                    if term.is_some() && renewed.elapsed() >= GIVE_UP {
                        self.close(term.take(), None).await;
                    } else if term.is_some() {
                        next = next.min(renewed + GIVE_UP);
                    }
                }
            }
        }
        self.close(term.take(), None).await;
    }

    /// Lets another lead at once.
    pub(crate) async fn resign(&self) {
        match timeout(ASK_DEADLINE, self.store.resign(&self.replica.holder())).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "leadership was not given up; it runs out"),
            Err(_) => tracing::warn!("leadership was not given up in time; it runs out"),
        }
    }

    async fn ask(&self) -> StoreResult<Leadership> {
        self.store.lead(&self.replica.holder(), self.app.clock.now_ms(), TTL.as_millis() as u64).await
    }

    /// Begins to lead. Whatever takes long is done aside: leadership must be renewed meanwhile.
    fn begin(self: &Arc<Self>, epoch: u64, asked: Instant) -> Term {
        let term = Term::new(epoch, asked);
        let (leader, stop, tasks) = (self.clone(), term.stop.clone(), term.tasks.clone());
        term.tasks.spawn(async move {
            loop {
                let opened = tokio::select! {
                    biased;
                    () = stop.cancelled() => return,
                    opened = leader.open(&stop, epoch) => opened,
                };
                match opened {
                    Ok(()) => return leader.work(&stop, &tasks),
                    Err(error) => tracing::warn!(%error, "cannot begin to lead yet"),
                }
                tokio::select! {
                    biased;
                    () = stop.cancelled() => return,
                    () = sleep(RETRY) => {}
                }
            }
        });
        term
    }

    /// Reads everything anew and takes over what goes on.
    async fn open(&self, term: &CancellationToken, epoch: u64) -> Result<(), AppError> {
        let app = &self.app;
        {
            // A call that began under an earlier leadership ends first: it must not write what it read before.
            let _writing = app.writing.lock().await;
            app.seat.may_write(epoch);
            app.nodes.reload(app.store.nodes().await?, app.store.desired().await?);
            *app.samples.lock() = detect::Samples::default();
        }
        app.token_bootstrap(&self.admin_token).await?;
        reconcile::take_over(app).await?;
        app.seat.serve(term.clone());
        tracing::info!(replica = %self.replica.id, epoch, "this replica leads");
        Ok(())
    }

    /// Starts what only a leader does.
    fn work(&self, stop: &CancellationToken, tasks: &TaskTracker) {
        let app = || self.app.clone();
        tasks.spawn(reconcile::run(app(), stop.clone()));
        tasks.spawn(detect::run(app(), stop.clone()));
        tasks.spawn(scale::run(self.app.clone(), stop.clone()));
        tasks.spawn(checks::run(app(), stop.clone()));
        tasks.spawn(runs::run(app(), http::router(app(), self.stop.clone()), stop.clone()));
    }

    /// Ends a time of leading, if it is one, and says where the leader is now, if known.
    async fn close(&self, term: Option<Term>, leader: Option<String>) {
        self.app.seat.follow(leader.clone());
        let Some(term) = term else { return };
        tracing::info!(replica = %self.replica.id, epoch = term.epoch, "this replica leads no more");
        term.stop.cancel();
        term.tasks.close();
        if timeout(CLOSE_DEADLINE, term.tasks.wait()).await.is_err() {
            tracing::warn!(tasks = term.tasks.len(), "a leader's tasks did not end in time");
        }
        // One of them may have begun to lead just then.
        self.app.seat.follow(leader);
    }
}

fn why(answer: &StoreResult<Leadership>) -> String {
    answer.as_ref().err().map(ToString::to_string).unwrap_or_default()
}
