//! Getting messages and notices to the gateways whose connections want them.

mod deliverer;
mod link;
mod links;
mod members;
#[cfg(test)]
mod reach_tests;
#[cfg(test)]
mod reap_tests;
#[cfg(test)]
mod tests;

pub(crate) use deliverer::Deliverer;
pub(crate) use links::LinkSet;
pub(crate) use members::{MemberCache, Members};

use tokio::{
    sync::oneshot,
    time::{Duration, Instant},
};

/// Batches under way, in order: the offset after each, and its ticket.
pub(crate) type Unacked = std::collections::VecDeque<(u64, Ticket)>;

/// Batches that only wait for messages that are held back become one if they began within this time: few are looked
/// through, and a group that is held for hours still lets go of what was delivered.
const HELD_TOGETHER: Duration = Duration::from_secs(1);

/// Folds batches into the ones before them, and returns the offset up to which all is done. A done batch is committed
/// when what is before it is done, so it needs no entry of its own, wherever it stands. Called after every batch, not
/// only when offsets are committed: what is done must not count against the bound of what is under way.
pub(crate) fn reap(unacked: &mut Unacked) -> Option<u64> {
    let mut kept = Unacked::with_capacity(unacked.len());
    for (offset, mut ticket) in unacked.drain(..) {
        if let Some((last, before)) = kept.back_mut()
            && (ticket.is_done() || before.is_held_with(&mut ticket))
        {
            *last = offset;
            before.join(ticket);
        } else {
            kept.push_back((offset, ticket));
        }
    }
    *unacked = kept;
    let (offset, first) = unacked.front_mut()?;
    first.is_done().then_some(*offset)
}

/// Resolves when every gateway it concerns has the deliveries in its sockets' queues, or is dead.
#[derive(Debug, Default)]
pub(crate) struct Ticket {
    waits: Vec<oneshot::Receiver<()>>,
    /// Of messages that are held back on purpose.
    held: Vec<oneshot::Receiver<()>>,
    /// Since when the first of them is.
    held_since: Option<Instant>,
}

impl Ticket {
    pub(crate) fn add(&mut self, wait: oneshot::Receiver<()>) {
        self.waits.push(wait);
    }

    /// Waits for a message that is held back, too.
    pub(crate) fn add_held(&mut self, wait: oneshot::Receiver<()>) {
        self.held.push(wait);
        self.held_since.get_or_insert_with(Instant::now);
    }

    pub(crate) fn join(&mut self, other: Self) {
        self.waits.extend(other.waits);
        self.held.extend(other.held);
        self.held_since = self.held_since.into_iter().chain(other.held_since).min();
    }

    /// Looks without waiting. A sender that was dropped belonged to a gateway that is dead or was cut off: its clients
    /// catch up when they come back.
    pub(crate) fn is_done(&mut self) -> bool {
        !self.is_with_gateways() && !is_pending(&mut self.held)
    }

    /// True until the gateways have what was not held back.
    pub(crate) fn is_with_gateways(&mut self) -> bool {
        is_pending(&mut self.waits)
    }

    /// True when both only wait for messages that are held back, since about the same time.
    fn is_held_with(&mut self, later: &mut Self) -> bool {
        let (Some(since), Some(later_since)) = (self.held_since, later.held_since) else { return false };
        later_since.saturating_duration_since(since) < HELD_TOGETHER
            && !self.is_done()
            && !self.is_with_gateways()
            && !later.is_with_gateways()
    }
}

/// Looks from the end, no further than to one that is pending: there may be thousands, and they are looked at often.
fn is_pending(waits: &mut Vec<oneshot::Receiver<()>>) -> bool {
    let is_over =
        |wait: &mut oneshot::Receiver<()>| !matches!(wait.try_recv(), Err(oneshot::error::TryRecvError::Empty));
    while waits.pop_if(is_over).is_some() {}
    !waits.is_empty()
}
