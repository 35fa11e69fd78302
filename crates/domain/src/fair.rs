//! A queue that is fair between conversations: a busy group does not hold up the quiet ones (failure mode 6).

use std::collections::{BTreeMap, VecDeque};

/// First in, first out within a key; keys take turns.
#[derive(Debug)]
pub struct FairQueue<K, T> {
    turns: VecDeque<K>,
    lanes: BTreeMap<K, VecDeque<T>>,
    len: usize,
}

impl<K, T> Default for FairQueue<K, T> {
    fn default() -> Self {
        Self { turns: VecDeque::new(), lanes: BTreeMap::new(), len: 0 }
    }
}

impl<K: Ord + Clone, T> FairQueue<K, T> {
    /// Appends to the lane of `key`. The caller bounds [`FairQueue::len`].
    pub fn push(&mut self, key: K, item: T) {
        let lane = self.lanes.entry(key.clone()).or_default();
        if lane.is_empty() {
            self.turns.push_back(key);
        }
        lane.push_back(item);
        self.len += 1;
    }

    /// The next item of the key whose turn it is.
    pub fn pop(&mut self) -> Option<(K, T)> {
        let key = self.turns.pop_front()?;
        let lane = self.lanes.get_mut(&key)?;
        let item = lane.pop_front()?;
        self.len -= 1;
        if lane.is_empty() {
            self.lanes.remove(&key);
        } else {
            self.turns.push_back(key.clone());
        }
        Some((key, item))
    }

    /// Items that wait, of all keys.
    pub fn len(&self) -> usize {
        self.len
    }

    /// True when nothing waits.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_take_turns_and_keep_their_order() {
        let mut queue = FairQueue::default();
        for n in 1..=3 {
            queue.push("busy", n);
        }
        queue.push("quiet", 1);
        let order: Vec<_> = std::iter::from_fn(|| queue.pop()).collect();
        assert_eq!(order, [("busy", 1), ("quiet", 1), ("busy", 2), ("busy", 3)]);
        assert!(queue.is_empty());
    }
}
