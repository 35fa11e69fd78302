//! The stores of a fleet, as one node calls them: each behind an edge with a breaker.

use std::sync::Arc;

use domain::{PRESENCE_RULE, STORE_RULE};

use crate::{
    edge::{Behind, Dependencies, Dependency},
    port::{Directory, Log, Messages, Presence, Recent, Registry},
};

/// The stores.
#[derive(Clone)]
pub struct Stores {
    /// Intake and sequenced.
    pub log: Arc<dyn Log>,
    /// Stored messages.
    pub messages: Arc<dyn Messages>,
    /// Dedup cache, tails and versions.
    pub recent: Arc<dyn Recent>,
    /// Sessions and leases.
    pub registry: Arc<dyn Registry>,
    /// Who is online.
    pub presence: Arc<dyn Presence>,
    /// Conversations and members.
    pub directory: Arc<dyn Directory>,
    /// How they answer. Empty where that is not watched: nothing is ever down then.
    pub dependencies: Dependencies,
}

/// What stands behind the edges, in words.
#[derive(Debug, Clone, Copy)]
pub struct Products {
    /// Behind `log`.
    pub log: &'static str,
    /// Behind `messages`.
    pub messages: &'static str,
    /// Behind `dedup`, `registry` and `presence`.
    pub memory: &'static str,
    /// Behind `directory`.
    pub directory: &'static str,
}

impl Stores {
    /// The same stores behind edges of one node's own.
    pub fn watched(self, products: Products) -> Self {
        let Products { log, messages, memory, directory } = products;
        let log = Dependency::new("log", log, STORE_RULE);
        let messages = Dependency::new("messages", messages, STORE_RULE);
        let dedup = Dependency::new("dedup", memory, STORE_RULE);
        let registry = Dependency::new("registry", memory, STORE_RULE);
        let presence = Dependency::new("presence", memory, PRESENCE_RULE);
        let directory = Dependency::new("directory", directory, STORE_RULE);
        let all = [&log, &messages, &dedup, &registry, &presence, &directory].map(Clone::clone);
        Self {
            log: Behind::new(self.log, log),
            messages: Behind::new(self.messages, messages),
            recent: Behind::new(self.recent, dedup),
            registry: Behind::new(self.registry, registry),
            presence: Behind::new(self.presence, presence),
            directory: Behind::new(self.directory, directory),
            dependencies: Dependencies(all.to_vec()),
        }
    }
}
