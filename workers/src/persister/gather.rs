//! Records that wait to be stored together: rows of one conversation then share a request, and the commits of all
//! partitions a call. Only the store sees the wait; delivery does not, and catch-up reads the tails first.

use std::collections::BTreeMap;

use backends::port::Entry;
use tokio::time::{Duration, Instant};

/// How long a record waits for others. Measured on the real stack with 64 pairs at 8,000 messages/s: without it a
/// request had 2 rows, and the message store used more of the machine than all else.
const PATIENCE: Duration = Duration::from_millis(100);
/// Records that wait no longer for others. They are one write, whose time the detector of failure mode 4 watches.
const ENOUGH: usize = 512;

/// What waits, by partition.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    partitions: BTreeMap<u32, Vec<Entry>>,
    records: usize,
    since: Option<Instant>,
}

impl Gathered {
    pub(super) fn add(&mut self, partition: u32, entries: Vec<Entry>) {
        self.records += entries.len();
        self.since.get_or_insert_with(Instant::now);
        self.partitions.entry(partition).or_default().extend(entries);
    }

    /// A partition has another owner, or is owned anew.
    pub(super) fn forget(&mut self, partition: u32) {
        self.records -= self.partitions.remove(&partition).map_or(0, |entries| entries.len());
    }

    /// True when there are enough: no more are to be read before these are stored.
    pub(super) fn is_full(&self) -> bool {
        self.records >= ENOUGH
    }

    /// Waits until they are due; for ever when there are none.
    pub(super) async fn due(&self) {
        match self.since.filter(|_| self.records > 0) {
            Some(_) if self.is_full() => {}
            Some(since) => tokio::time::sleep_until(since + PATIENCE).await,
            None => std::future::pending().await,
        }
    }

    pub(super) fn take(&mut self) -> BTreeMap<u32, Vec<Entry>> {
        std::mem::take(self).partitions
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(n: u64) -> Vec<Entry> {
        (0..n).map(|offset| Entry { offset, time_ms: 1, payload: bytes::Bytes::new() }).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn few_records_wait_for_others_and_many_do_not() {
        let mut gathered = Gathered::default();
        let began = Instant::now();
        gathered.add(1, entries(3));
        gathered.add(2, entries(2));
        gathered.due().await;
        assert_eq!(began.elapsed(), PATIENCE);
        gathered.forget(1);
        let taken = gathered.take();
        assert_eq!(taken.iter().map(|(partition, of)| (*partition, of.len())).collect::<Vec<_>>(), [(2, 2)]);

        let again = Instant::now();
        gathered.add(1, entries(ENOUGH as u64));
        assert!(gathered.is_full());
        gathered.due().await;
        assert_eq!(again.elapsed(), Duration::ZERO);
        gathered.forget(1);
        let never = tokio::time::timeout(Duration::from_secs(3_600), gathered.due()).await;
        assert!(never.is_err(), "there is nothing to store");
    }
}
