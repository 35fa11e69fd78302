//! The contract of the log against a real Kafka.

use std::sync::Arc;

use chatfleet_backends::{
    kafka::{KafkaLog, KafkaOptions},
    port::{ConsumerEvent, Lane, Log, Topic},
};

use crate::{log, name, real};

fn options(brokers: String) -> KafkaOptions {
    KafkaOptions {
        brokers,
        prefix: name::<domain::NodeId>("contract").to_string(),
        partitions: 4,
        replication: 1,
        session_timeout_ms: 2_000,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn log_on_kafka() {
    let Some(brokers) = real::address("CHATFLEET_KAFKA") else { return };
    let kafka = KafkaLog::connect(options(brokers)).await.unwrap();
    log::suite(Arc::new(kafka.clone())).await;
    log::groups(Arc::new(kafka.clone())).await;
    // A second member of the same name fences the first, as a worker that was started again does to its zombie.
    let expel = async |group: &str, member: &str| {
        let mut other = kafka.join(group, Topic::Intake(Lane::Direct), member).await.unwrap();
        while !matches!(other.next().await.unwrap(), ConsumerEvent::Assigned { .. }) {}
    };
    log::expelled(Arc::new(kafka.clone()), expel).await;
}
