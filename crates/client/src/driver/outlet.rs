//! Where events go.

use std::{collections::VecDeque, sync::Arc};

use tokio::sync::mpsc;

use crate::{Event, Observer};

/// With this many events waiting for the program the client reads nothing more from its socket: the gateway then
/// closes a slow consumer, and a program that wakes up resumes.
const WAITING_MAX: usize = 256;

/// To a channel or to an observer.
pub(crate) enum Outlet {
    Channel { tx: mpsc::Sender<Event>, waiting: VecDeque<Event> },
    Observer(Arc<dyn Observer>),
}

impl Outlet {
    pub(crate) fn channel(tx: mpsc::Sender<Event>) -> Self {
        Self::Channel { tx, waiting: VecDeque::new() }
    }

    pub(super) fn emit(&mut self, event: Event) {
        match self {
            Self::Observer(observer) => observer.on(&event),
            Self::Channel { waiting, .. } => waiting.push_back(event),
        }
    }

    pub(super) fn has_room(&self) -> bool {
        match self {
            Self::Observer(_) => true,
            Self::Channel { waiting, .. } => waiting.len() < WAITING_MAX,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        match self {
            Self::Observer(_) => true,
            Self::Channel { waiting, .. } => waiting.is_empty(),
        }
    }

    /// Hands on what waits. A program that no longer listens loses its events, nothing else. Cancel safe.
    pub(super) async fn drain(&mut self) {
        let Self::Channel { tx, waiting } = self else { return };
        while !waiting.is_empty() {
            match tx.reserve().await {
                Ok(permit) => {
                    if let Some(event) = waiting.pop_front() {
                        permit.send(event);
                    }
                }
                Err(_) => waiting.clear(),
            }
        }
    }
}
