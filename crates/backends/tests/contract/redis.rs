//! The contracts of the registry, presence and the caches against a real Redis.

mod cluster;
mod failures;
mod servers;

use std::sync::Arc;

use ::redis::{Cmd, Value, cmd};
use chatfleet_backends::{
    Clock,
    port::{Presence, Session},
    redis::{RedisOptions, RedisPresence, RedisRecent, RedisRegistry},
};
use domain::{NodeId, UserId};
use futures_util::future::BoxFuture;
use tokio::time::{Duration, timeout};

use crate::{name, presence, real, recent, registry};

/// Moves what runs out at a time by `ms`: leases hold theirs, all else is a TTL.
const SHIFT: &str = r"
if redis.call('TYPE', KEYS[1]).ok == 'hash' and string.find(KEYS[1], '{leases}', 1, true) then
    local all = redis.call('HGETALL', KEYS[1])
    for i = 1, #all, 2 do
        local incarnation, expiry, rest = string.match(all[i + 1], '^(%d+) (%d+) (.*)$')
        local lease = string.format('%s %.0f %s', incarnation, math.max(tonumber(expiry) - tonumber(ARGV[1]), 0), rest)
        redis.call('HSET', KEYS[1], all[i], lease)
    end
end
local left = redis.call('PTTL', KEYS[1])
if left >= 0 then
    redis.call('PEXPIRE', KEYS[1], left - tonumber(ARGV[1]))
end
return 1
";

/// The keys of one test on some servers.
#[derive(Clone)]
struct Keys {
    urls: Vec<String>,
    prefix: String,
}

impl Keys {
    fn on(url: &str) -> (RedisOptions, Self) {
        let prefix = name::<NodeId>("contract").to_string();
        (RedisOptions::new(url, &prefix), Self { urls: vec![url.to_owned()], prefix })
    }

    /// Does something to each key.
    async fn each(&self, command: impl Fn(&[u8]) -> Cmd) {
        for url in &self.urls {
            let mut connection = servers::connect(url).await;
            let mut cursor = 0u64;
            loop {
                let mut scan = cmd("SCAN");
                scan.arg(cursor).arg("MATCH").arg(format!("{}:*", self.prefix)).arg("COUNT").arg(1_000);
                // Some keys are not text.
                let (next, keys): (u64, Vec<Vec<u8>>) = scan.query_async(&mut connection).await.unwrap();
                for key in keys {
                    let _: Value = command(&key).query_async(&mut connection).await.unwrap();
                }
                cursor = next;
                if cursor == 0 {
                    break;
                }
            }
        }
    }

    async fn flush(self) {
        self.each(|key| cmd("DEL").arg(key).clone()).await;
    }

    /// Lets time pass, for the adapters and for their keys.
    async fn pass(self, duration: Duration) {
        tokio::time::pause();
        tokio::time::advance(duration).await;
        tokio::time::resume();
        let ms = duration.as_millis() as u64;
        self.each(|key| cmd("EVAL").arg(SHIFT).arg(1).arg(key).arg(ms).clone()).await;
    }

    /// As the suites want them.
    fn hooks(
        &self,
    ) -> (impl Fn(Duration) -> BoxFuture<'static, ()> + use<>, impl Fn() -> BoxFuture<'static, ()> + use<>) {
        let (passing, flushing) = (self.clone(), self.clone());
        (
            move |duration| -> BoxFuture<'static, ()> { Box::pin(passing.clone().pass(duration)) },
            move || -> BoxFuture<'static, ()> { Box::pin(flushing.clone().flush()) },
        )
    }
}

/// The simulated clock runs with tokio's, which `pass` moves.
fn clock() -> Clock {
    Clock::simulated(Clock::System.now_ms())
}

async fn registry_on(options: &RedisOptions, keys: &Keys) {
    let registry = Arc::new(RedisRegistry::new(options).unwrap());
    let (pass, flush) = keys.hooks();
    registry::suite(registry.clone()).await;
    registry::expiry(registry.clone(), &pass).await;
    registry::flushed(registry.clone(), &flush).await;
}

async fn presence_on(options: &RedisOptions, keys: &Keys) {
    let (pass, _) = keys.hooks();
    let presence = Arc::new(RedisPresence::new(options, clock()).unwrap());
    presence::suite(presence.clone(), &pass).await;
    heard_elsewhere(options, &presence).await;
}

async fn recent_on(options: &RedisOptions, keys: &Keys) {
    let recent = Arc::new(RedisRecent::new(options).unwrap());
    let (pass, flush) = keys.hooks();
    recent::suite(recent.clone(), &pass).await;
    recent::flushed(recent.clone(), &flush, &pass).await;
}

/// What one gateway's adapter is told, another one's readers hear.
async fn heard_elsewhere(options: &RedisOptions, presence: &RedisPresence) {
    let other = RedisPresence::new(options, clock()).unwrap();
    let mut changes = other.changes();
    let (user, device) = (name::<UserId>("u"), name("d"));
    let session = Session { user: user.clone(), device, session_version: 1 };
    // Until it has subscribed it hears nothing.
    let heard = async {
        loop {
            presence.refresh(std::slice::from_ref(&session)).await.unwrap();
            presence.leave(&session).await.unwrap();
            // A cluster may still be carrying changes of others.
            while let Ok(changed) = timeout(Duration::from_millis(20), changes.recv()).await {
                if changed.unwrap() == user {
                    return;
                }
            }
        }
    };
    timeout(servers::DEADLINE, heard).await.unwrap();
}

#[tokio::test]
async fn registry_on_redis() {
    let Some(url) = real::address("CHATFLEET_REDIS_REGISTRY") else { return };
    let (options, keys) = Keys::on(&url);
    registry_on(&options, &keys).await;
    keys.flush().await;
}

#[tokio::test]
async fn presence_on_redis() {
    let Some(url) = real::address("CHATFLEET_REDIS_PRESENCE") else { return };
    let (options, keys) = Keys::on(&url);
    presence_on(&options, &keys).await;
    keys.flush().await;
}

#[tokio::test]
async fn recent_on_redis() {
    let Some(url) = real::address("CHATFLEET_REDIS_DEDUP") else { return };
    let (options, keys) = Keys::on(&url);
    recent_on(&options, &keys).await;
    keys.flush().await;
}
