//! The topics: created when missing, checked always.

use std::sync::Arc;

use rdkafka::{
    admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication},
    client::DefaultClientContext,
    error::RDKafkaErrorCode,
};
use tokio::time::{Duration, Instant, sleep};

use super::client::{CALL, KafkaOptions, STORE, blocking, unavailable};
use crate::port::{StoreError, StoreResult, Topic};

/// A topic that was just created may take so long until the broker that is asked knows it.
const SETTLE: Duration = Duration::from_secs(5);
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// The names of the topics on the brokers.
pub(super) struct Topics {
    names: [(Topic, String); 4],
    epochs: String,
}

impl Topics {
    pub(super) fn new(prefix: &str) -> Self {
        Self { names: Topic::ALL.map(|topic| (topic, format!("{prefix}.{topic}"))), epochs: format!("{prefix}.epochs") }
    }

    pub(super) fn name(&self, topic: Topic) -> &str {
        let found = self.names.iter().find(|(named, _)| *named == topic);
        found.map_or_else(|| unreachable!("all topics have names"), |(_, name)| name)
    }

    /// One partition whose offsets order the owners of partitions, see `consumer`.
    pub(super) fn epochs(&self) -> &str {
        &self.epochs
    }
}

/// Creates what is missing and checks what is there.
pub(super) async fn prepare(options: &KafkaOptions, topics: &Topics) -> StoreResult<()> {
    let admin: AdminClient<DefaultClientContext> = options.admin().create().map_err(unavailable)?;
    let patience = AdminOptions::new().request_timeout(Some(CALL)).operation_timeout(Some(CALL));
    let mut missing: Vec<_> =
        topics.names.iter().map(|(_, name)| new_topic(options, name, options.partitions)).collect();
    let epochs = new_topic(options, topics.epochs(), 1);
    missing.push(epochs.set("retention.bytes", "1048576").set("segment.bytes", "1048576"));
    let created = admin.create_topics(&missing, &patience).await.map_err(unavailable)?;
    for outcome in created {
        match outcome {
            Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((topic, code)) => return Err(StoreError::unavailable(STORE, format!("cannot create {topic}: {code}"))),
        }
    }
    let admin = Arc::new(admin);
    let end = Instant::now() + SETTLE;
    loop {
        match check(&admin, topics, options.partitions, &patience).await {
            // Corrupt is what no time mends.
            Err(StoreError::Unavailable { .. }) if Instant::now() < end => sleep(LOOK_AGAIN).await,
            checked => return checked,
        }
    }
}

/// Are the topics as they must be?
async fn check(
    admin: &Arc<AdminClient<DefaultClientContext>>,
    topics: &Topics,
    partitions: u32,
    patience: &AdminOptions,
) -> StoreResult<()> {
    check_times(admin, topics, patience).await?;
    let names: Vec<_> = topics.names.iter().map(|(_, name)| name.clone()).collect();
    let admin = admin.clone();
    blocking("reading the topics' partitions", move || {
        names.iter().try_for_each(|name| check_partitions(&admin, name, partitions))
    })
    .await
}

fn new_topic<'a>(options: &KafkaOptions, name: &'a str, partitions: u32) -> NewTopic<'a> {
    let replication = TopicReplication::Fixed(options.replication as i32);
    // The times of records are part of what sequence numbers follow from: they are the log's, not the gateways'.
    NewTopic::new(name, partitions as i32, replication).set("message.timestamp.type", "LogAppendTime")
}

async fn check_times(
    admin: &AdminClient<DefaultClientContext>,
    topics: &Topics,
    patience: &AdminOptions,
) -> StoreResult<()> {
    let resources: Vec<_> = topics.names.iter().map(|(_, name)| ResourceSpecifier::Topic(name)).collect();
    let configs = admin.describe_configs(&resources, patience).await.map_err(unavailable)?;
    for (config, (_, name)) in configs.into_iter().zip(&topics.names) {
        let config =
            config.map_err(|code| StoreError::unavailable(STORE, format!("cannot describe {name}: {code}")))?;
        let times = config.get("message.timestamp.type").and_then(|entry| entry.value.clone());
        match times.as_deref() {
            Some("LogAppendTime") => {}
            // Another process has just created it, and this broker does not know it yet.
            None => return Err(StoreError::unavailable(STORE, format!("topic {name} is not described yet"))),
            Some(other) => {
                let why = format!("topic {name} needs message.timestamp.type=LogAppendTime; it has {other}");
                return Err(StoreError::corrupt(STORE, why));
            }
        }
    }
    Ok(())
}

fn check_partitions(admin: &AdminClient<DefaultClientContext>, name: &str, wanted: u32) -> StoreResult<()> {
    let metadata = admin.inner().fetch_metadata(Some(name), CALL).map_err(unavailable)?;
    let has = metadata.topics().iter().find(|topic| topic.name() == name).map_or(0, |topic| topic.partitions().len());
    if has == wanted as usize {
        return Ok(());
    }
    let why = format!(
        "topic {name} has {has} partitions and this fleet is set up for {wanted}: a conversation would change its \
         partition; set the number to {has}"
    );
    // A topic that was just created may have none yet.
    Err(if has == 0 { StoreError::unavailable(STORE, why) } else { StoreError::corrupt(STORE, why) })
}
