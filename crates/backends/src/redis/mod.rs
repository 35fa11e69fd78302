//! The connection registry, presence and the caches on Redis, one server or a cluster each.
//!
//! A URL is `redis://[user:password@]host[:port][/db]`, or `redis+cluster://[user:password@]host:port[,host:port...]`
//! for a cluster, of which some servers are enough. Redis 7.0 or later.
//!
//! Adapters connect in the background: making one needs no Redis, only a runtime. While a server is known to be down,
//! calls fail at once; one that falls silent is known to be down after 1.5 s. It is reconnected with backoff, and what
//! it lost meanwhile is lost (every port says what that means).
//!
//! All keys begin with the fleet's prefix. What one script touches is in one slot: of a user, of a conversation.
//! Nothing asks for a server's configuration, except that it must not evict: the registry and presence with
//! `noeviction`; the caches may run with any policy.

mod address;
mod cluster;
mod command;
mod entry;
mod errand;
mod link;
mod node;
mod presence;
mod recent;
mod registry;
mod subscriber;
mod together;

use rand::{SeedableRng as _, rngs::SmallRng};
use redis::{FromRedisValue, Value, from_redis_value};

pub use self::{presence::RedisPresence, recent::RedisRecent, registry::RedisRegistry};
use crate::port::{StoreError, StoreResult};

/// How to reach one Redis, and whose keys are whose.
#[derive(Clone)]
pub struct RedisOptions {
    /// Where it is, see [the module](self).
    pub url: String,
    /// Before each key, with a colon between: the fleet's name. Fleets with different prefixes share servers without
    /// touching each other. Without braces, which would decide the slot.
    pub prefix: String,
}

impl std::fmt::Debug for RedisOptions {
    /// Without the URL, which may hold a password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RedisOptions").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

impl RedisOptions {
    /// The Redis at `url` for the fleet `prefix`.
    pub fn new(url: impl Into<String>, prefix: impl Into<String>) -> Self {
        Self { url: url.into(), prefix: prefix.into() }
    }

    fn open(&self, store: &'static str) -> StoreResult<link::Link> {
        if self.prefix.contains(['{', '}']) {
            return Err(StoreError::unavailable(store, format_args!("the prefix {:?} has braces", self.prefix)));
        }
        link::Link::open(store, &self.url)
    }
}

/// An answer as a value. What the server refused is not an answer.
fn parse<T: FromRedisValue>(store: &'static str, answer: Value) -> StoreResult<T> {
    if let Value::ServerError(error) = answer {
        return Err(StoreError::unavailable(store, error));
    }
    from_redis_value(answer).map_err(|error| StoreError::corrupt(store, error))
}

/// Chance, for spreading work over time: nothing that is decided here depends on it.
fn chance() -> SmallRng {
    SmallRng::from_os_rng()
}
