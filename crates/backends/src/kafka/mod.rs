//! The log on Kafka.
//!
//! Every client of librdkafka blocks, so each lives on a thread of its own or is used in a blocking task under a
//! deadline. One idempotent producer serves all topics; each consumer has its own client, so direct messages never
//! wait for group messages (I8).

mod client;
mod consumer;
mod group;
mod poll;
mod producer;
mod reader;
mod topics;

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::time::Duration;

pub use client::KafkaOptions;

use self::{
    client::STORE, consumer::KafkaConsumer, group::Groups, producer::Producer, reader::Readers, topics::Topics,
};
use crate::port::{Appending, Consumer, Entry, Log, StoreError, StoreResult, Topic};

/// Creating topics and warming the producer up may take this long: the first send of an idempotent producer was
/// measured at up to 1 s, and a broker that has just started elects leaders first.
const CONNECT_DEADLINE: Duration = Duration::from_secs(20);

/// The log on Kafka. Clones share one producer.
#[derive(Clone)]
pub struct KafkaLog {
    options: Arc<KafkaOptions>,
    topics: Arc<Topics>,
    producer: Producer,
    readers: Arc<Readers>,
    groups: Arc<Groups>,
}

impl KafkaLog {
    /// Connects: creates the topics that are missing, refuses those that are not as they must be, and warms the
    /// producer up. Takes at most 20 s.
    pub async fn connect(options: KafkaOptions) -> StoreResult<Self> {
        let topics = Topics::new(&options.prefix);
        let prepare = topics::prepare(&options, &topics);
        match tokio::time::timeout(CONNECT_DEADLINE, prepare).await {
            Ok(prepared) => prepared?,
            Err(_) => return Err(StoreError::unavailable(STORE, format!("{} does not answer", options.brokers))),
        }
        let (options, topics) = (Arc::new(options), Arc::new(topics));
        let producer = Producer::new(options.clone(), topics.clone())?;
        producer.warm_up(CONNECT_DEADLINE).await?;
        let readers = Arc::new(Readers::new(options.clone(), topics.clone()));
        let groups = Arc::new(Groups::new(options.clone()));
        Ok(Self { options, topics, producer, readers, groups })
    }

    /// The name of a topic on the brokers.
    pub fn topic_name(&self, topic: Topic) -> &str {
        self.topics.name(topic)
    }
}

#[async_trait]
impl Log for KafkaLog {
    fn partitions(&self) -> u32 {
        self.options.partitions
    }

    fn append(&self, topic: Topic, partition: u32, payloads: Vec<Bytes>) -> Appending {
        self.producer.append(self.topics.name(topic), partition, payloads)
    }

    async fn read(&self, topic: Topic, partition: u32, from: u64, max: usize) -> StoreResult<Vec<Entry>> {
        self.readers.read(topic, partition, from, max).await
    }

    async fn end(&self, topic: Topic, partition: u32) -> StoreResult<u64> {
        self.readers.end(topic, partition).await
    }

    async fn committed(&self, group: &str, topic: Topic, partition: u32) -> StoreResult<Option<u64>> {
        self.groups.committed(group, self.topics.name(topic), partition).await
    }

    async fn join(&self, group: &str, topic: Topic, member: &str) -> StoreResult<Box<dyn Consumer>> {
        let topic = self.topics.name(topic).to_owned();
        let consumer = KafkaConsumer::join(&self.options, self.producer.clone(), group, topic, member).await?;
        Ok(Box::new(consumer))
    }
}
