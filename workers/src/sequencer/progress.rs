//! How far a partition is done, and so what may be committed: the next owner delivers everything after that again.
//!
//! Records that waited for their conversation are folded after later ones. Until their deliveries are done, too, the
//! commit stays below them: what was folded and not delivered is nobody's otherwise.

use crate::delivery::{Ticket, Unacked, reap};

/// The progress of one partition.
pub(super) struct Progress {
    /// Batches done but for the gateways' word: the offset after each.
    unacked: Unacked,
    /// Folds of records that had waited: the lowest offset of each, and its deliveries.
    late: Vec<(u64, Ticket)>,
    /// The lowest offset that waited when the fold under way began.
    folding_from: Option<u64>,
    committed: u64,
}

impl Progress {
    /// From where the partition was taken over.
    pub(super) fn new(resume: u64) -> Self {
        Self { unacked: Unacked::new(), late: Vec::new(), folding_from: None, committed: resume }
    }

    /// A fold begins. `first_waiting`: the lowest offset that waits; it may be folded now.
    pub(super) fn begin(&mut self, first_waiting: Option<u64>) {
        self.folding_from = first_waiting;
    }

    /// It ended: everything below `next` was folded or waits, and this is the word of its deliveries.
    pub(super) fn finish(&mut self, next: u64, ticket: Ticket) {
        let ticket = match self.folding_from.take() {
            None => ticket,
            Some(from) => {
                self.late.push((from, ticket));
                Ticket::default()
            }
        };
        self.unacked.push_back((next, ticket));
        self.reap();
    }

    /// Folds whose deliveries gateways have not acknowledged.
    pub(super) fn under_way(&mut self) -> usize {
        self.reap();
        self.unacked.len() + self.late.len()
    }

    fn reap(&mut self) -> Option<u64> {
        self.late.retain_mut(|(_, ticket)| !ticket.is_done());
        reap(&mut self.unacked)
    }

    /// What may be committed now, if it is more than is. `first_waiting`: the lowest offset that waits.
    pub(super) fn committable(&mut self, first_waiting: Option<u64>) -> Option<u64> {
        let done = self.reap()?;
        let late = self.late.iter().map(|(from, _)| *from);
        let held = late.chain(self.folding_from).chain(first_waiting).min();
        let offset = held.map_or(done, |held| held.min(done));
        (offset > self.committed).then_some(offset)
    }

    /// The log has the commit.
    pub(super) fn committed(&mut self, offset: u64) {
        self.committed = self.committed.max(offset);
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    fn ticket() -> (oneshot::Sender<()>, Ticket) {
        let (done, wait) = oneshot::channel();
        let mut ticket = Ticket::default();
        ticket.add(wait);
        (done, ticket)
    }

    #[test]
    fn what_waited_holds_the_commit_until_it_is_delivered() {
        let mut progress = Progress::new(50);
        // 51 cannot be folded: its conversation is not loaded. 50 and 52 are delivered.
        progress.begin(None);
        progress.finish(53, Ticket::default());
        assert_eq!(progress.committable(Some(51)), Some(51));
        progress.committed(51);
        // It is folded now: it waits no more, and is not delivered yet.
        progress.begin(Some(51));
        assert_eq!(progress.committable(None), None);
        let (done, word) = ticket();
        progress.finish(53, word);
        assert_eq!(progress.committable(None), None);
        assert_eq!(progress.under_way(), 2);
        done.send(()).unwrap();
        assert_eq!(progress.committable(None), Some(53));
    }

    #[test]
    fn batches_are_committed_in_their_order() {
        let mut progress = Progress::new(0);
        let ((first, word), (second, later)) = (ticket(), ticket());
        progress.finish(10, word);
        progress.finish(20, later);
        second.send(()).unwrap();
        assert_eq!(progress.committable(None), None);
        first.send(()).unwrap();
        assert_eq!(progress.committable(None), Some(20));
        progress.committed(20);
        assert_eq!(progress.committable(None), None);
    }
}
