//! The stores of a fleet in production, by its settings. Only Kafka must be there at start: without the log nothing can
//! be accepted.

use std::sync::Arc;

use domain::{ConversationId, UserId};
use tokio::time::{Duration, MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;

use super::{
    program::Refusal,
    settings::{Setting, Settings},
};
use crate::{
    Clock, Products, Stores,
    cassandra::{CassandraMessages, CassandraOptions, Credentials},
    edge::Dependencies,
    kafka::{KafkaLog, KafkaOptions},
    mysql::{MysqlDirectory, MysqlOptions},
    port::{Lane, StoreError, Topic},
    redis::{RedisOptions, RedisPresence, RedisRecent, RedisRegistry},
};

/// Between attempts to reach Kafka at start.
const RETRY: Duration = Duration::from_secs(1);

/// Connections of one process to MySQL: it is asked for what the caches do not have.
const MYSQL_CONNECTIONS: u32 = 8;
/// Between two questions to each store.
const PROBE: Duration = Duration::from_secs(2);

const PRODUCTS: Products = Products { log: "kafka", messages: "cassandra", memory: "redis", directory: "mysql" };

/// Where the stores are.
pub const STORES: &[Setting] = &[
    Setting::new::<domain::NodeId>("fleet", Some("chat"), "name of the fleet, before its topics, keys and tables"),
    Setting::new::<String>("kafka.brokers", None, "host:port of Kafka brokers, separated by commas"),
    Setting::new::<u32>("kafka.partitions", Some("24"), "partitions of each topic, for the life of the fleet"),
    Setting::new::<u32>("kafka.replication", Some("3"), "replicas of topics that are created"),
    Setting::new::<u32>("kafka.session_timeout_ms", Some("6000"), "silence after which a worker's partitions move"),
    Setting::new::<String>("redis.registry", None, "URL of the Redis for sessions and leases"),
    Setting::new::<String>("redis.presence", None, "URL of the Redis for presence"),
    Setting::new::<String>("redis.dedup", None, "URL of the Redis for dedup and recent tails"),
    Setting::new::<String>("cassandra.nodes", None, "host:port of Cassandra nodes, separated by commas"),
    Setting::new::<String>("cassandra.datacenter", Some(""), "the datacenter of this fleet"),
    Setting::new::<String>("cassandra.user", Some(""), "the role to log in as, if the cluster asks for one"),
    Setting::new::<String>("cassandra.password_file", Some(""), "file with its password"),
    Setting::new::<u32>("cassandra.replication", Some("3"), "replicas of each row, for a keyspace that is created"),
    Setting::new::<String>("mysql.url", None, "mysql://user:password@host:port/database"),
];

impl Stores {
    /// Connects. Waits for Kafka until `stop`; the others connect by themselves.
    pub async fn connect(settings: &Settings, clock: Clock, stop: &CancellationToken) -> Result<Option<Self>, Refusal> {
        let Some(log) = log(settings, stop).await? else { return Ok(None) };
        let fleet: String = settings.get("fleet");
        let refused = |error: StoreError| Box::new(error) as Refusal;
        let redis = |key: &str| RedisOptions::new(settings.get::<String>(key), fleet.clone());
        let mysql = MysqlOptions { url: settings.get("mysql.url"), connections: MYSQL_CONNECTIONS };
        let cassandra = CassandraOptions {
            contact_points: settings.get::<String>("cassandra.nodes").split(',').map(str::to_owned).collect(),
            local_datacenter: settings.get_if_set("cassandra.datacenter"),
            keyspace: fleet.replace(['-', '.'], "_"),
            replication: settings.get("cassandra.replication"),
            credentials: credentials(settings)?,
        };
        let stores = Self {
            log: Arc::new(log),
            messages: Arc::new(CassandraMessages::connect(cassandra).map_err(refused)?),
            recent: Arc::new(RedisRecent::new(&redis("redis.dedup")).map_err(refused)?),
            registry: Arc::new(RedisRegistry::new(&redis("redis.registry")).map_err(refused)?),
            presence: Arc::new(RedisPresence::new(&redis("redis.presence"), clock).map_err(refused)?),
            directory: Arc::new(MysqlDirectory::connect(&mysql).map_err(refused)?),
            dependencies: Dependencies::default(),
        };
        Ok(Some(stores.watched(PRODUCTS)))
    }

    /// Asks each store something now and then, until `stop`: one that nobody calls would not be known to be down, nor
    /// to be back.
    pub async fn probe(self, stop: CancellationToken) {
        let (user, conversation) = (probe::<UserId>(), probe::<ConversationId>());
        let mut probes = interval(PROBE);
        probes.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                _ = probes.tick() => {}
            }
            // What they say goes to their edges.
            let users = std::slice::from_ref(&user);
            let _ = tokio::join!(
                self.log.end(Topic::Intake(Lane::Direct), 0),
                self.messages.head(&conversation),
                self.recent.members_version(&conversation),
                self.registry.routes(users),
                self.presence.get(users),
                self.directory.membership(&conversation, &user),
            );
        }
    }
}

fn credentials(settings: &Settings) -> Result<Option<Credentials>, Refusal> {
    let Some(user) = settings.get_if_set("cassandra.user") else { return Ok(None) };
    let path: String = settings.get("cassandra.password_file");
    let read = std::fs::read_to_string(&path);
    let password =
        read.map_err(|error| Box::new(format!("cannot read the password in {path:?}: {error}")) as Refusal)?;
    Ok(Some(Credentials { user, password: password.trim().to_owned() }))
}

/// A name that no user and no conversation has.
fn probe<T: std::str::FromStr>() -> T {
    "probe".parse().unwrap_or_else(|_| unreachable!("it is a valid name"))
}

async fn log(settings: &Settings, stop: &CancellationToken) -> Result<Option<KafkaLog>, Refusal> {
    let options = KafkaOptions {
        brokers: settings.get("kafka.brokers"),
        prefix: settings.get("fleet"),
        partitions: settings.get("kafka.partitions"),
        replication: settings.get("kafka.replication"),
        session_timeout_ms: settings.get("kafka.session_timeout_ms"),
    };
    loop {
        let connected = tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(None),
            connected = KafkaLog::connect(options.clone()) => connected,
        };
        match connected {
            Ok(log) => return Ok(Some(log)),
            Err(error) if error.is_retryable() => tracing::warn!(%error, "waiting for kafka"),
            Err(error) => return Err(Box::new(error)),
        }
        sleep(RETRY).await;
    }
}
