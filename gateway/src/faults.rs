//! Faults in what is sent to clients, injected by an operator: acks and deliveries that are dropped (failure mode 2).

use std::sync::atomic::{AtomicU32, Ordering};

/// Decides which frames a fault hits: of 100 in a row exactly so many, well mixed.
#[derive(Debug, Default)]
pub(crate) struct FrameFaults {
    acks: AtomicU32,
    deliveries: AtomicU32,
}

fn hits(counter: &AtomicU32, percent: u32) -> bool {
    // 37 and 100 have no common factor.
    percent > 0 && counter.fetch_add(37, Ordering::Relaxed) % 100 < percent
}

impl FrameFaults {
    /// Must this `accepted` not be sent?
    pub(crate) fn drops_ack(&self, percent: u32) -> bool {
        hits(&self.acks, percent)
    }

    /// Must this delivery not be sent?
    pub(crate) fn drops_delivery(&self, percent: u32) -> bool {
        hits(&self.deliveries, percent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_hundred_exactly_so_many() {
        let faults = FrameFaults::default();
        assert_eq!((0..100).filter(|_| faults.drops_ack(0)).count(), 0);
        assert_eq!((0..300).filter(|_| faults.drops_ack(20)).count(), 60);
        assert_eq!((0..100).filter(|_| faults.drops_delivery(100)).count(), 100);
    }
}
