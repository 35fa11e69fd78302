//! Getting messages and notices to the gateways whose connections want them.

mod deliverer;
mod link;
mod links;
mod members;
#[cfg(test)]
mod reach_tests;
#[cfg(test)]
mod tests;

pub(crate) use deliverer::Deliverer;
pub(crate) use links::LinkSet;
pub(crate) use members::{MemberCache, Members};

use tokio::sync::oneshot;

/// Batches under way, in order: the offset after each, and its ticket.
pub(crate) type Unacked = std::collections::VecDeque<(u64, Ticket)>;

/// Folds the done batches at the front into one, and returns the offset up to which all is done. Called after every
/// batch, not only when offsets are committed: what is done must not count against the bound of what is under way.
pub(crate) fn reap(unacked: &mut Unacked) -> Option<u64> {
    let mut done = None;
    while unacked.front_mut().is_some_and(|(_, ticket)| ticket.is_done()) {
        done = unacked.pop_front().map(|(offset, _)| offset);
    }
    if let Some(offset) = done {
        unacked.push_front((offset, Ticket::default()));
    }
    done
}

/// Resolves when every gateway it concerns has the deliveries in its sockets' queues, or is dead.
#[derive(Debug, Default)]
pub(crate) struct Ticket {
    waits: Vec<oneshot::Receiver<()>>,
}

impl Ticket {
    pub(crate) fn add(&mut self, wait: oneshot::Receiver<()>) {
        self.waits.push(wait);
    }

    pub(crate) fn join(&mut self, other: Self) {
        self.waits.extend(other.waits);
    }

    /// Looks without waiting. A sender that was dropped belonged to a gateway that is dead or was cut off: its clients
    /// catch up when they come back.
    pub(crate) fn is_done(&mut self) -> bool {
        self.waits.retain_mut(|wait| matches!(wait.try_recv(), Err(oneshot::error::TryRecvError::Empty)));
        self.waits.is_empty()
    }
}
