//! Whether a store answers.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::time::{Duration, Instant};

use super::Edge;
use crate::port::{Appending, ConsumerEvent, StoreError, StoreResult};

/// A store that fails for less than this is not called down: one slow call is not an outage.
const GRACE: Duration = Duration::from_secs(1);

/// One store that a node stands on, and how it answers. Clones are the same.
#[derive(Debug, Clone)]
pub struct Dependency(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    name: &'static str,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    calls: u64,
    errors: u64,
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

impl Dependency {
    /// One that was not called yet.
    pub fn new(name: &'static str) -> Self {
        Self(Arc::new(Inner { name, state: Mutex::default() }))
    }

    /// Its name, as operators know it.
    pub fn name(&self) -> &'static str {
        self.0.name
    }

    /// Calls and errors since the start.
    pub fn counts(&self) -> (u64, u64) {
        let state = self.0.state.lock();
        (state.calls, state.errors)
    }

    /// What is wrong with it, in words: no call has succeeded for a while.
    pub fn trouble(&self) -> Option<String> {
        let state = self.0.state.lock();
        let Failing { since, why, .. } = state.failing.as_ref()?;
        let down = since.elapsed();
        (down >= GRACE).then(|| format!("{} is down for {} s: {why}", self.0.name, down.as_secs()))
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
}

impl Edge for Dependency {
    async fn pass<T: Send>(&self, call: impl Future<Output = StoreResult<T>> + Send) -> StoreResult<T> {
        let outcome = call.await;
        self.note(&outcome);
        outcome
    }

    fn append(&self, start: impl FnOnce() -> Appending) -> Appending {
        let (appending, dependency) = (start(), self.clone());
        Box::pin(async move {
            let outcome = appending.await;
            dependency.note(&outcome);
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
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn called(dependency: &Dependency, outcome: StoreResult<()>) {
        let _ = dependency.pass(std::future::ready(outcome)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_store_is_down_when_nothing_succeeds_for_a_while() {
        let (dependency, failed) =
            (Dependency::new("the cellar"), || Err(StoreError::unavailable("cellar", "flooded")));
        assert_eq!(dependency.trouble(), None);
        called(&dependency, failed()).await;
        assert_eq!(dependency.trouble(), None);
        tokio::time::advance(Duration::from_secs(5)).await;
        called(&dependency, failed()).await;
        assert_eq!(dependency.trouble().as_deref(), Some("the cellar is down for 5 s: flooded"));
        called(&dependency, Ok(())).await;
        assert_eq!(dependency.trouble(), None);
        assert_eq!(dependency.counts(), (3, 2));
    }
}
