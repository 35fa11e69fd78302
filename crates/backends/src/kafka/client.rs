//! How clients of Kafka are set up, and what their errors mean.

use rdkafka::{
    ClientConfig,
    error::{KafkaError, RDKafkaErrorCode},
};
use tokio::time::Duration;

use crate::port::StoreError;

/// As errors name it.
pub(super) const STORE: &str = "kafka";
/// What a call of this adapter may take. Below [`crate::port::CALL_DEADLINE`].
pub(super) const CALL: Duration = Duration::from_secs(4);
/// How long the producer tries to append a record. Longer than its caller waits, who then does not know whether the log has
/// it. A record that expires makes an idempotent producer begin a new epoch, for which it stops sending; with as short a
/// time as a call has, one of two gateways did nothing else for 66 and 71 s after a broker had stood still for 5 s, for as
/// long as clients sent again (soak, kafka-paused). So an ordinary fault of a broker must be over before.
const KEPT: Duration = Duration::from_secs(30);

/// How to reach Kafka, and how the fleet's topics are.
#[derive(Debug, Clone)]
pub struct KafkaOptions {
    /// `host:port`, separated by commas.
    pub brokers: String,
    /// Before the name of each topic, group and client, with a dot between. Fleets with different prefixes share
    /// brokers without touching each other.
    pub prefix: String,
    /// Partitions of each topic. Fixed for the life of a fleet: a conversation's partition follows from it.
    pub partitions: u32,
    /// Replicas of each partition, for topics that are created.
    pub replication: u32,
    /// How long a member of a group may be silent before its partitions go to others. The floor of every takeover.
    /// The brokers' `group.min.session.timeout.ms` (6 s unless set) must allow it.
    pub session_timeout_ms: u32,
}

impl KafkaOptions {
    /// What all clients share.
    fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &self.brokers)
            .set("client.id", &self.prefix)
            // With the default of up to 10 s a client comes back long after a restarted broker did.
            .set("reconnect.backoff.ms", "50")
            .set("reconnect.backoff.max.ms", "500")
            .set("socket.timeout.ms", "4000")
            .set("socket.connection.setup.timeout.ms", "4000")
            .set("socket.keepalive.enable", "true")
            .set("socket.nagle.disable", "true");
        config
    }

    /// For administration.
    pub(super) fn admin(&self) -> ClientConfig {
        self.client()
    }

    /// For the producer. What it says is in the log is in the log, once.
    pub(super) fn producer(&self) -> ClientConfig {
        let mut config = self.client();
        config
            .set("enable.idempotence", "true")
            .set("acks", "all")
            // 0.5 behaves as about 1 ms, and at 0 batches form by themselves while a request is under way.
            .set("linger.ms", "0")
            .set("message.timeout.ms", KEPT.as_millis().to_string())
            .set("request.timeout.ms", "3000")
            .set("retry.backoff.ms", "50")
            .set("retry.backoff.max.ms", "500")
            // The bound that callers meet is ours, see `producer::IN_FLIGHT`.
            .set("queue.buffering.max.messages", "200000")
            .set("queue.buffering.max.kbytes", "1048576")
            .set("message.max.bytes", "1000000");
        config
    }

    /// For reading partitions that are chosen by hand.
    pub(super) fn reader(&self) -> ClientConfig {
        let mut config = self.fetching();
        // Never joined and never committed; librdkafka wants a name.
        config.set("group.id", format!("{}.reader", self.prefix));
        config
    }

    /// For asking what a group committed.
    pub(super) fn committed(&self, group: &str, topic: &str) -> ClientConfig {
        let mut config = self.fetching();
        // A group on the brokers has one topic, so that a rebalance of one lane never stops the other (I8).
        config.set("group.id", format!("{topic}.{group}"));
        config
    }

    /// For a member of a group. Static: a member that is back within the session timeout keeps its partitions, and a
    /// second one of the same name fences the first.
    pub(super) fn member(&self, group: &str, topic: &str, member: &str) -> ClientConfig {
        let mut config = self.committed(group, topic);
        config
            .set("group.instance.id", member)
            .set("partition.assignment.strategy", "cooperative-sticky")
            .set("session.timeout.ms", self.session_timeout_ms.to_string())
            .set("heartbeat.interval.ms", (self.session_timeout_ms / 4).max(100).to_string())
            .set("max.poll.interval.ms", self.session_timeout_ms.max(300_000).to_string());
        config
    }

    fn fetching(&self) -> ClientConfig {
        let mut config = self.client();
        config
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("auto.offset.reset", "earliest")
            // A fetch under way does not know of a partition that was started since: this is what it waits.
            .set("fetch.wait.max.ms", "50")
            .set("fetch.queue.backoff.ms", "10")
            .set("fetch.error.backoff.ms", "50")
            .set("queued.min.messages", "10000")
            .set("queued.max.messages.kbytes", "16384")
            // The topics are fixed; what changes are their leaders.
            .set("topic.metadata.refresh.interval.ms", "30000");
        config
    }
}

/// Whatever Kafka says, a later call may do better: what is stored is checked at start.
pub(super) fn unavailable(error: KafkaError) -> StoreError {
    StoreError::unavailable(STORE, error)
}

/// True when a client cannot be used any more, such as one that another of its name fenced.
pub(super) fn is_fatal(error: &KafkaError) -> bool {
    matches!(error, KafkaError::MessageConsumptionFatal(_))
        || matches!(error.rdkafka_error_code(), Some(RDKafkaErrorCode::Fatal | RDKafkaErrorCode::FencedInstanceId))
}

/// Runs what blocks, for at most [`CALL`] as seen from here. What hangs longer ends by librdkafka's own timeouts.
pub(super) async fn blocking<T: Send + 'static>(
    what: &'static str,
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    match tokio::time::timeout(CALL, tokio::task::spawn_blocking(work)).await {
        Ok(Ok(done)) => done,
        Ok(Err(panicked)) => Err(StoreError::unavailable(STORE, format!("{what}: {panicked}"))),
        Err(_) => Err(StoreError::unavailable(STORE, format!("{what} took longer than {} s", CALL.as_secs()))),
    }
}
