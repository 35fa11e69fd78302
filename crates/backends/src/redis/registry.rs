//! The connection registry on Redis.
//!
//! | key | what |
//! | --- | --- |
//! | `<prefix>:r:{user}:device` | the entry, `version gateway incarnation`; lives 90 s |
//! | `<prefix>:v:{user}` | hash of the last version of each of the user's devices; lives 48 h |
//! | `<prefix>:{leases}` | hash of the leases, `incarnation expiry-in-ms holding link` each |
//!
//! An entry is a key of its own, so that a refresh is one plain command. Leases run by the clock of their server.

use async_trait::async_trait;
use domain::{DeviceId, NodeId, UserId};
use rand::Rng as _;
use redis::{FromRedisValue, Value};
use tokio::time::Duration;

use super::{
    RedisOptions, chance,
    command::{Command, Lua, lua},
    entry::{Leases, read_devices, read_entry},
    link::Link,
    parse,
};
use crate::port::{
    Beat, Claim, GatewayLease, Gateways, Registered, Registry, Route, RouteHit, Routes, Session, StoreError,
    StoreResult,
};

/// As errors name it.
pub(super) const STORE: &str = "registry redis";
/// How long an entry lives unless refreshed.
const ENTRY_TTL: Duration = Duration::from_secs(90);
/// How long the last version of a device, and an ended lease, are known.
const KEPT: Duration = Duration::from_secs(48 * 3_600);
/// One refresh in so many keeps the versions, which are also the list of devices. With a heartbeat each 30 s there are
/// 5,760 in their time; that none of them does has a chance of 10^-20.
const KEEP_ONE_IN: u32 = 128;

static REGISTER: Lua = lua!("scripts/register.lua");
static RESTORE: Lua = lua!("scripts/restore.lua");
static UNREGISTER: Lua = lua!("scripts/unregister.lua");
static DEVICES: Lua = lua!("scripts/devices.lua");
static BEAT: Lua = lua!("scripts/beat.lua");
static RETIRE: Lua = lua!("scripts/retire.lua");

/// The connection registry on Redis.
pub struct RedisRegistry {
    link: Link,
    prefix: String,
}

impl RedisRegistry {
    /// The registry. Connects in the background.
    pub fn new(options: &RedisOptions) -> StoreResult<Self> {
        Ok(Self { link: options.open(STORE)?, prefix: options.prefix.clone() })
    }

    fn entry_key(&self, user: &UserId, device: &DeviceId) -> String {
        format!("{}:r:{{{user}}}:{device}", self.prefix)
    }

    fn versions_key(&self, user: &UserId) -> String {
        format!("{}:v:{{{user}}}", self.prefix)
    }

    fn leases_key(&self) -> String {
        format!("{}:{{leases}}", self.prefix)
    }

    /// Does commands stage by stage: none of a stage before all of the one before it.
    async fn in_turn<const N: usize>(&self, stages: [Vec<Command>; N]) -> StoreResult<Vec<Value>> {
        if !self.link.is_cluster() {
            return self.link.call(&stages.into_iter().flatten().collect::<Vec<_>>()).await;
        }
        // The servers of a cluster answer in any order.
        let mut answers = Vec::new();
        for stage in stages.iter().filter(|stage| !stage.is_empty()) {
            answers.extend(self.link.call(stage).await?);
        }
        Ok(answers)
    }

    /// Does commands, and reads the leases *after* them: the lease of a route that was seen is older than the route.
    async fn with_leases(&self, commands: Vec<Command>) -> StoreResult<(Vec<Value>, Leases)> {
        let key = self.leases_key();
        let ask = vec![Command::new("HGETALL", &key), Command::keyless("TIME", &key)];
        let mut answers = self.in_turn([commands, ask]).await?;
        let (time, leases) = (answers.pop().unwrap_or(Value::Nil), answers.pop().unwrap_or(Value::Nil));
        Ok((answers, Leases::read(leases, &time)?))
    }

    async fn one<T: FromRedisValue>(&self, command: Command) -> StoreResult<T> {
        let mut answers = self.link.call(&[command]).await?;
        parse(STORE, answers.pop().unwrap_or(Value::Nil))
    }

    fn devices_of(&self, user: &UserId) -> Command {
        Command::script(&DEVICES, &[&self.versions_key(user)]).arg(format!("{}:r:{{{user}}}:", self.prefix))
    }
}

#[async_trait]
impl Registry for RedisRegistry {
    async fn register(
        &self,
        user: &UserId,
        device: &DeviceId,
        gateway: &NodeId,
        incarnation: u64,
        now_ms: u64,
    ) -> StoreResult<Registered> {
        let register = Command::script(&REGISTER, &[&self.entry_key(user, device), &self.versions_key(user)])
            .arg(device.as_str())
            .arg(format!("{gateway} {incarnation}"))
            .arg(now_ms)
            .arg(ENTRY_TTL.as_millis() as u64)
            .arg(KEPT.as_millis() as u64);
        let (mut answers, leases) = self.with_leases(vec![register]).await?;
        let (version, previous): (u64, Option<String>) = parse(STORE, answers.pop().unwrap_or(Value::Nil))?;
        let previous = previous.map(|entry| read_entry(&entry)).transpose()?;
        Ok(Registered { session_version: version, previous: previous.filter(|route| leases.live(route)) })
    }

    async fn refresh(&self, gateway: &NodeId, incarnation: u64, sessions: &[Session]) -> StoreResult<Vec<Option<u64>>> {
        let mut commands = Vec::with_capacity(sessions.len() + sessions.len() / 64);
        for session in sessions {
            // An older session that asks keeps the newer one alive this once: it hears of it, and ends.
            let key = self.entry_key(&session.user, &session.device);
            commands.push(Command::new("GETEX", key).arg("PX").arg(ENTRY_TTL.as_millis() as u64));
        }
        let mut chance = chance();
        let kept = sessions.iter().filter(|_| chance.random_ratio(1, KEEP_ONE_IN));
        commands.extend(
            kept.map(|session| Command::new("PEXPIRE", self.versions_key(&session.user)).arg(KEPT.as_millis() as u64)),
        );
        let answers = self.link.call(&commands).await?;
        let mut versions = Vec::with_capacity(sessions.len());
        for (session, answer) in sessions.iter().zip(answers) {
            let entry: Option<String> = parse(STORE, answer)?;
            let route = entry.map(|entry| read_entry(&entry)).transpose()?;
            versions.push(route.and_then(|route| {
                let mine = route.session_version == session.session_version
                    && route.gateway == *gateway
                    && route.incarnation == incarnation;
                (mine || route.session_version > session.session_version).then_some(route.session_version)
            }));
        }
        Ok(versions)
    }

    async fn unregister(&self, session: &Session) -> StoreResult<()> {
        let keys = [self.entry_key(&session.user, &session.device), self.versions_key(&session.user)];
        let unregister = Command::script(&UNREGISTER, &[&keys[0], &keys[1]])
            .arg(session.device.as_str())
            .arg(session.session_version)
            .arg(KEPT.as_millis() as u64);
        self.one(unregister).await
    }

    async fn restore(&self, gateway: &NodeId, incarnation: u64, sessions: &[Session]) -> StoreResult<Vec<u64>> {
        let restore = |session: &Session| {
            let Session { user, device, session_version } = session;
            Command::script(&RESTORE, &[&self.entry_key(user, device), &self.versions_key(user)])
                .arg(device.as_str())
                .arg(*session_version)
                .arg(format!("{gateway} {incarnation}"))
                .arg(ENTRY_TTL.as_millis() as u64)
                .arg(KEPT.as_millis() as u64)
        };
        let commands: Vec<Command> = sessions.iter().map(restore).collect();
        self.link.call(&commands).await?.into_iter().map(|answer| parse(STORE, answer)).collect()
    }

    async fn routes(&self, users: &[UserId]) -> StoreResult<Routes> {
        let key = self.leases_key();
        let leases = || Command::new("HGETALL", &key);
        let devices = users.iter().map(|user| self.devices_of(user)).collect();
        // The leases before and after: of a gateway that lost its lease in between some sessions may not have been seen.
        let after = vec![leases(), Command::keyless("TIME", &key)];
        let mut answers = self.in_turn([vec![leases()], devices, after]).await?.into_iter();
        let before = answers.next().unwrap_or(Value::Nil);
        let devices: Vec<Value> = answers.by_ref().take(users.len()).collect();
        let (after, time) = (answers.next().unwrap_or(Value::Nil), answers.next().unwrap_or(Value::Nil));
        let (before, after) = (Leases::read(before, &time)?, Leases::read(after, &time)?);
        let mut hits: Vec<RouteHit> = Vec::with_capacity(users.len());
        for (user, answer) in devices.into_iter().enumerate() {
            let first = hits.len();
            for (_, route) in read_devices(answer)? {
                let known = hits[first..].iter().any(|hit| hit.gateway == route.gateway);
                if !known && after.live(&route) {
                    hits.push(RouteHit { user, gateway: route.gateway });
                }
            }
        }
        Ok(Routes { hits, settled: after.held_since(&before) })
    }

    async fn devices(&self, user: &UserId) -> StoreResult<Vec<(DeviceId, Route)>> {
        let (mut answers, leases) = self.with_leases(vec![self.devices_of(user)]).await?;
        let mut devices = read_devices(answers.pop().unwrap_or(Value::Nil))?;
        devices.retain(|(_, route)| leases.live(route));
        Ok(devices)
    }

    async fn beat(&self, lease: &GatewayLease, ttl_ms: u64, claim: Claim) -> StoreResult<Beat> {
        let claim = match claim {
            Claim::Take => "take".to_owned(),
            Claim::Return => "return".to_owned(),
            Claim::Renew(holding) => holding.to_string(),
        };
        let beat = Command::script(&BEAT, &[&self.leases_key()])
            .arg(lease.gateway.as_str())
            .arg(lease.incarnation)
            .arg(&lease.link)
            .arg(ttl_ms)
            .arg(KEPT.as_millis() as u64)
            .arg(claim);
        let answer: String = self.one(beat).await?;
        match answer.as_str() {
            "refused" => Ok(Beat::Refused),
            "ended" => Ok(Beat::Ended),
            "forgotten" => Ok(Beat::Forgotten),
            held => {
                let corrupt = |_| StoreError::corrupt(STORE, format_args!("holding {held}"));
                held.parse().map(Beat::Held).map_err(corrupt)
            }
        }
    }

    async fn gateways(&self) -> StoreResult<Gateways> {
        let (_, leases) = self.with_leases(Vec::new()).await?;
        Ok(leases.into_gateways())
    }

    async fn retire(&self, gateway: &NodeId, incarnation: u64) -> StoreResult<()> {
        let retire = Command::script(&RETIRE, &[&self.leases_key()]).arg(gateway.as_str()).arg(incarnation);
        self.one(retire).await
    }
}
