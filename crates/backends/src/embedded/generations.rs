//! A bounded map that forgets its oldest entries in bulk.

use std::{collections::HashMap, hash::BuildHasherDefault, hash::Hash};

use rustc_hash::FxHasher;

type Map<K, V> = HashMap<K, V, BuildHasherDefault<FxHasher>>;

/// Two generations of entries: when the young one is full it becomes the old one, and the old one is forgotten. No
/// bookkeeping an entry; at least the newest `half` entries are there, at most twice as many.
#[derive(Debug)]
pub(super) struct Generations<K, V> {
    young: Map<K, V>,
    old: Map<K, V>,
    half: usize,
    /// What the young entries weigh.
    weight: usize,
}

impl<K: Eq + Hash, V> Generations<K, V> {
    /// Holds entries of up to twice the weight `half`.
    pub(super) fn new(half: usize) -> Self {
        Self { young: Map::default(), old: Map::default(), half, weight: 0 }
    }

    /// The young and the old entry under a key.
    pub(super) fn get(&self, key: &K) -> (Option<&V>, Option<&V>) {
        (self.young.get(key), self.old.get(key))
    }

    /// The young entry under a key, made if need be, for a change that adds one to the weight.
    pub(super) fn young(&mut self, key: K) -> std::collections::hash_map::Entry<'_, K, V> {
        if self.weight >= self.half {
            self.old = std::mem::take(&mut self.young);
            self.weight = 0;
        }
        self.weight += 1;
        self.young.entry(key)
    }
}
