//! Presence on Redis.
//!
//! `<prefix>:p:{user}` is a sorted set of the user's sessions, `device:version`, by when each was last heard of in ms:
//! the newest tells both whether the user is online and when they were last seen. When all left, a member without a
//! name remembers the time. A refresh of a session that is known is two plain commands; all else is a script.
//!
//! Times are those of the gateways' clocks, which must agree within seconds: a heartbeat comes each 30 s and counts for 60.
//!
//! Changes are published on the channel `<prefix>:changes`, which a cluster carries to all of its servers. What was
//! published while a subscriber was not connected is missed, as by a reader that lags.

use std::sync::Arc;

use async_trait::async_trait;
use domain::UserId;
use rand::Rng as _;
use redis::Value;
use tokio::{sync::broadcast, time::Duration};

use super::{
    RedisOptions, chance,
    command::{Command, Lua, lua},
    link::Link,
    parse,
    subscriber::Subscriber,
};
use crate::{
    Clock,
    port::{Presence, PresenceState, Session, StoreResult},
};

const STORE: &str = "presence redis";
/// How long a user stays online without a sign of life.
const PRESENCE_TTL: Duration = Duration::from_secs(60);
/// How long it is known when a user was last seen.
const KEPT: Duration = Duration::from_secs(30 * 24 * 3_600);
/// One refresh in so many keeps the key. With a heartbeat each 30 s there are 86,400 in its time.
const KEEP_ONE_IN: u32 = 1_024;
/// Changes a slow reader may fall behind before it has to ask again.
const CHANGES: usize = 4_096;

static ENTER: Lua = lua!("scripts/enter.lua");
static LEAVE: Lua = lua!("scripts/leave.lua");

/// Presence on Redis.
pub struct RedisPresence {
    link: Arc<Link>,
    prefix: String,
    clock: Clock,
    changes: broadcast::Sender<UserId>,
    subscriber: Subscriber,
}

impl RedisPresence {
    /// Presence by this clock. Connects in the background.
    pub fn new(options: &RedisOptions, clock: Clock) -> StoreResult<Self> {
        let link = Arc::new(options.open(STORE)?);
        let changes = broadcast::Sender::new(CHANGES);
        let subscriber = Subscriber::new(link.clone(), format!("{}:changes", options.prefix), changes.clone());
        Ok(Self { link, prefix: options.prefix.clone(), clock, changes, subscriber })
    }

    fn key(&self, user: &UserId) -> String {
        format!("{}:p:{{{user}}}", self.prefix)
    }

    /// A script that may publish a change.
    fn change(&self, script: &'static Lua, session: &Session, now_ms: u64) -> Command {
        Command::script(script, &[&self.key(&session.user)])
            .arg(session.device.as_str())
            .arg(session.session_version)
            .arg(now_ms)
            .arg(PRESENCE_TTL.as_millis() as u64)
            .arg(KEPT.as_millis() as u64)
            .arg(self.subscriber.channel())
            .arg(self.subscriber.payload(&session.user))
    }

    /// Readers here hear at once: the subscriber skips what this adapter said itself.
    fn changed(&self, user: &UserId) {
        // No reader is no fault.
        let _ = self.changes.send(user.clone());
    }
}

/// The newest member of a user's set and its time.
fn newest(answer: Value) -> StoreResult<Option<(String, u64)>> {
    let newest: Vec<(String, f64)> = parse(STORE, answer)?;
    Ok(newest.into_iter().next().map(|(member, ms)| (member, ms as u64)))
}

fn state(newest: Option<(String, u64)>, now_ms: u64) -> PresenceState {
    newest.map_or_else(PresenceState::default, |(member, ms)| PresenceState {
        online: !member.is_empty() && now_ms < ms + PRESENCE_TTL.as_millis() as u64,
        last_seen_ms: Some(ms),
    })
}

#[async_trait]
impl Presence for RedisPresence {
    async fn refresh(&self, sessions: &[Session]) -> StoreResult<()> {
        let now_ms = self.clock.now_ms();
        let mut commands = Vec::with_capacity(2 * sessions.len() + sessions.len() / 512);
        for session in sessions {
            let key = self.key(&session.user);
            let member = format!("{}:{}", session.device, session.session_version);
            commands.push(Command::new("ZREVRANGE", &key).arg(0).arg(0).arg("WITHSCORES"));
            // Answers 1 when it was there and is newer now.
            commands.push(Command::new("ZADD", key).arg("XX").arg("GT").arg("CH").arg(now_ms).arg(member));
        }
        let mut chance = chance();
        let kept = sessions.iter().filter(|_| chance.random_ratio(1, KEEP_ONE_IN));
        commands
            .extend(kept.map(|session| Command::new("PEXPIRE", self.key(&session.user)).arg(KEPT.as_millis() as u64)));
        let mut answers = self.link.call(&commands).await?.into_iter();
        let (mut rest, mut asked) = (Vec::new(), Vec::new());
        for session in sessions {
            let before = newest(answers.next().unwrap_or(Value::Nil))?;
            let is_known = parse::<u64>(STORE, answers.next().unwrap_or(Value::Nil))? == 1;
            if !is_known {
                rest.push(self.change(&ENTER, session, now_ms));
                asked.push(&session.user);
            } else if !state(before, now_ms).online {
                // It had fallen silent, and is back.
                let payload = self.subscriber.payload(&session.user);
                rest.push(
                    Command::keyless("PUBLISH", &self.key(&session.user)).arg(self.subscriber.channel()).arg(payload),
                );
                asked.push(&session.user);
                self.changed(&session.user);
            }
        }
        let is_publish = |command: &Command| command.script.is_none();
        let published: Vec<bool> = rest.iter().map(is_publish).collect();
        for ((user, answer), published) in asked.into_iter().zip(self.link.call(&rest).await?).zip(published) {
            // What PUBLISH answers is how many heard it here.
            if parse::<u64>(STORE, answer)? == 1 && !published {
                self.changed(user);
            }
        }
        Ok(())
    }

    async fn leave(&self, session: &Session) -> StoreResult<()> {
        let leave = self.change(&LEAVE, session, self.clock.now_ms());
        let mut answers = self.link.call(&[leave]).await?;
        if parse::<u64>(STORE, answers.pop().unwrap_or(Value::Nil))? == 1 {
            self.changed(&session.user);
        }
        Ok(())
    }

    async fn get(&self, users: &[UserId]) -> StoreResult<Vec<PresenceState>> {
        let ask = |user| Command::new("ZREVRANGE", self.key(user)).arg(0).arg(0).arg("WITHSCORES");
        let answers = self.link.call(&users.iter().map(ask).collect::<Vec<_>>()).await?;
        let now_ms = self.clock.now_ms();
        answers.into_iter().map(|answer| Ok(state(newest(answer)?, now_ms))).collect()
    }

    fn changes(&self) -> broadcast::Receiver<UserId> {
        self.changes.subscribe()
    }
}
