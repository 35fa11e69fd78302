//! A store as one node meets it: whether it answers, its breaker, and the faults injected into its calls.

use std::sync::Arc;

use domain::{Admission, Breaker, BreakerPosition, BreakerRule};
use parking_lot::Mutex;
use protocol::node;
use tokio::time::{Duration, Instant, sleep};

use super::Edge;
use crate::port::{Appending, ConsumerEvent, StoreError, StoreResult};

/// A store that fails for less than this is not called down: one slow call is not an outage.
const GRACE: Duration = Duration::from_secs(1);

/// A caller that leaves after this long has waited in vain.
const GAVE_UP: Duration = Duration::from_secs(1);

/// One store that a node stands on. Clones are the same.
#[derive(Debug, Clone)]
pub struct Dependency(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    name: &'static str,
    product: &'static str,
    born: Instant,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    calls: u64,
    errors: u64,
    breaker: Breaker,
    /// The override that holds the breaker.
    forced_by: String,
    fault: CallFault,
    /// Calls since a fault with errors began: every so-manieth fails.
    faulted: u64,
    /// No call succeeds any more.
    failing: Option<Failing>,
}

#[derive(Debug)]
struct Failing {
    since: Instant,
    /// What the last call said.
    why: String,
    /// The log has been told.
    is_told: bool,
}

/// What goes wrong with each call, on purpose.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CallFault {
    /// Each call takes this much longer.
    pub latency_ms: u64,
    /// So many of 100 calls fail without having been made.
    pub error_percent: u32,
}

/// How an edge stands. Counts and p99 are of the last ten seconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EdgeStatus {
    /// Its name.
    pub name: &'static str,
    /// Where its breaker stands.
    pub position: BreakerPosition,
    /// For how long, ms.
    pub position_ms: u64,
    /// The override that holds it there; empty when it moves by itself.
    pub forced_by: String,
    /// Calls.
    pub calls: u64,
    /// Those that failed.
    pub errors: u64,
    /// p99 of their times, ms.
    pub p99_ms: u64,
    /// What the last call said while none succeeds.
    pub trouble: String,
}

impl Dependency {
    /// One that was not called yet. `name` is the edge's, as operators type it; `product` is what stands behind it.
    pub fn new(name: &'static str, product: &'static str, rule: BreakerRule) -> Self {
        let state = State {
            calls: 0,
            errors: 0,
            breaker: Breaker::new(rule, 0),
            forced_by: String::new(),
            fault: CallFault::default(),
            faulted: 0,
            failing: None,
        };
        Self(Arc::new(Inner { name, product, born: Instant::now(), state: Mutex::new(state) }))
    }

    /// Its name, as operators type it.
    pub fn name(&self) -> &'static str {
        self.0.name
    }

    /// Calls and errors since the start.
    pub fn counts(&self) -> (u64, u64) {
        let state = self.0.state.lock();
        (state.calls, state.errors)
    }

    /// What is wrong with it, in words: no call has succeeded for a while, or none is made.
    pub fn trouble(&self) -> Option<String> {
        let state = self.0.state.lock();
        let Inner { name, product, .. } = &*self.0;
        let (position, position_ms) = state.breaker.position(self.now_ms());
        if position == BreakerPosition::Open && !state.forced_by.is_empty() {
            return Some(format!("{name} ({product}) is held open by {}", state.forced_by));
        }
        let Failing { since, why, .. } = state.failing.as_ref()?;
        let down = since.elapsed().max(Duration::from_millis(match position {
            BreakerPosition::Open => position_ms,
            _ => 0,
        }));
        (down >= GRACE).then(|| format!("{name} ({product}) is down for {} s: {why}", down.as_secs()))
    }

    /// How it stands.
    pub fn status(&self) -> EdgeStatus {
        let (now_ms, trouble) = (self.now_ms(), self.trouble());
        let state = self.0.state.lock();
        let ((position, position_ms), sums) = (state.breaker.position(now_ms), state.breaker.sums(now_ms));
        EdgeStatus {
            name: self.0.name,
            position,
            position_ms,
            forced_by: state.forced_by.clone(),
            calls: sums.calls,
            errors: sums.errors,
            p99_ms: sums.p99_ms,
            trouble: trouble.unwrap_or_default(),
        }
    }

    /// Holds the breaker where an override wants it, or lets it go.
    pub fn force(&self, forced: Option<(BreakerPosition, &str)>) {
        let now_ms = self.now_ms();
        let mut state = self.0.state.lock();
        state.breaker.force(forced.map(|(position, _)| position), now_ms);
        state.forced_by = forced.map(|(_, by)| by.to_owned()).unwrap_or_default();
    }

    /// Injects a fault into every call from now on, or ends it.
    pub fn inject(&self, fault: CallFault) {
        self.0.state.lock().fault = fault;
    }

    fn now_ms(&self) -> u64 {
        self.0.born.elapsed().as_millis() as u64
    }

    /// Before a call: may it pass, and what is wrong with it on purpose.
    fn admit(&self) -> Result<(Admission, CallFault), StoreError> {
        let now_ms = self.now_ms();
        let mut state = self.0.state.lock();
        let admission = state.breaker.admit(now_ms);
        if admission == Admission::Refuse {
            let by = if state.forced_by.is_empty() { "after errors" } else { &state.forced_by };
            return Err(StoreError::unavailable(self.0.name, format!("its breaker is open ({by})")));
        }
        let mut fault = state.fault;
        if fault.error_percent > 0 {
            state.faulted += 1;
            // 37 and 100 have no common factor: of 100 calls in a row exactly so many fail, well mixed.
            let fails = state.faulted * 37 % 100 < u64::from(fault.error_percent);
            fault.error_percent = if fails { 100 } else { 0 };
        }
        Ok((admission, fault))
    }

    fn note<T>(&self, outcome: &StoreResult<T>) {
        let mut state = self.0.state.lock();
        state.calls += 1;
        match outcome {
            Ok(_) => {
                if let Some(Failing { since, is_told: true, .. }) = state.failing.take() {
                    tracing::info!(
                        store = self.0.name,
                        down_ms = since.elapsed().as_millis() as u64,
                        "it answers again"
                    );
                }
            }
            Err(error) => {
                state.errors += 1;
                let why = match error {
                    StoreError::Unavailable { why, .. } | StoreError::Corrupt { why, .. } => why.clone(),
                };
                let (since, was_told) =
                    state.failing.take().map_or_else(|| (Instant::now(), false), |last| (last.since, last.is_told));
                // Once an outage, not once a call: an outage at full load would bury everything else.
                let is_told = was_told || since.elapsed() >= GRACE;
                if is_told && !was_told {
                    tracing::warn!(store = self.0.name, %why, "it does not answer");
                }
                state.failing = Some(Failing { since, why, is_told });
            }
        }
    }

    fn done<T>(&self, admission: Admission, began: Instant, outcome: &StoreResult<T>) {
        let now_ms = self.now_ms();
        let took_us = began.elapsed().as_micros() as u64;
        self.0.state.lock().breaker.done(now_ms, admission, outcome.is_err(), took_us);
        self.note(outcome);
    }

    async fn faulty<T>(&self, fault: CallFault, call: impl Future<Output = StoreResult<T>>) -> StoreResult<T> {
        if fault.latency_ms > 0 {
            sleep(Duration::from_millis(fault.latency_ms)).await;
        }
        if fault.error_percent > 0 {
            return Err(StoreError::unavailable(self.0.name, "an injected fault"));
        }
        call.await
    }
}

/// A call under way. Dropped late and before its end it counts as an error: whoever waited gave up, and that is what a
/// store that hangs looks like. One that is dropped early says nothing about the store: its client left.
struct Call<'a> {
    dependency: &'a Dependency,
    admission: Admission,
    began: Instant,
    is_done: bool,
}

impl Call<'_> {
    fn end<T>(mut self, outcome: &StoreResult<T>) {
        self.is_done = true;
        self.dependency.done(self.admission, self.began, outcome);
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        if self.is_done {
            return;
        }
        if self.began.elapsed() < GAVE_UP {
            self.dependency.0.state.lock().breaker.left(self.admission);
        } else {
            let given_up = Err::<(), _>(StoreError::unavailable(self.dependency.0.name, "no answer in time"));
            self.dependency.done(self.admission, self.began, &given_up);
        }
    }
}

impl Edge for Dependency {
    async fn pass<T: Send>(&self, call: impl Future<Output = StoreResult<T>> + Send) -> StoreResult<T> {
        let (admission, fault) = self.admit()?;
        let passing = Call { dependency: self, admission, began: Instant::now(), is_done: false };
        let outcome = self.faulty(fault, call).await;
        passing.end(&outcome);
        outcome
    }

    fn append(&self, start: impl FnOnce() -> Appending) -> Appending {
        let (admission, fault) = match self.admit() {
            Ok(admitted) => admitted,
            Err(refused) => return Box::pin(std::future::ready(Err(refused))),
        };
        // Started now even if it is slowed down: appends keep their order.
        let appending = (fault.error_percent == 0).then(start);
        let (began, dependency) = (Instant::now(), self.clone());
        Box::pin(async move {
            let passing = Call { dependency: &dependency, admission, began, is_done: false };
            let outcome = dependency
                .faulty(fault, async {
                    match appending {
                        Some(appending) => appending.await,
                        None => Err(StoreError::unavailable(dependency.0.name, "an injected fault")),
                    }
                })
                .await;
            passing.end(&outcome);
            outcome
        })
    }

    async fn wait(&self) {}

    fn waited(&self, event: &StoreResult<ConsumerEvent>) {
        self.note(event);
    }
}

/// The stores a node stands on.
#[derive(Debug, Clone, Default)]
pub struct Dependencies(pub Vec<Dependency>);

impl Dependencies {
    /// What is wrong with those that are down, in words; empty when all is well.
    pub fn trouble(&self) -> String {
        let troubles: Vec<_> = self.0.iter().filter_map(Dependency::trouble).collect();
        troubles.join("; ")
    }

    /// How they stand, for the control plane.
    pub fn report(&self) -> Vec<node::Edge> {
        self.0.iter().map(|dependency| to_wire(dependency.status())).collect()
    }

    /// The edge with this name.
    pub fn named(&self, name: &str) -> Option<&Dependency> {
        self.0.iter().find(|dependency| dependency.name() == name)
    }
}

fn to_wire(status: EdgeStatus) -> node::Edge {
    let state = match status.position {
        BreakerPosition::Closed => node::BreakerState::Closed,
        BreakerPosition::Open => node::BreakerState::Open,
        BreakerPosition::HalfOpen => node::BreakerState::HalfOpen,
    };
    node::Edge {
        name: status.name.to_owned(),
        state: state.into(),
        state_ms: status.position_ms,
        forced_by: status.forced_by,
        calls: status.calls,
        errors: status.errors,
        p99_ms: status.p99_ms,
        trouble: status.trouble,
    }
}

#[cfg(test)]
mod tests;
