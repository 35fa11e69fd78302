//! Measures the log on Kafka beside a bare loop of its driver with the same settings, in one run, in alternating rounds:
//! `cargo run --release -p chatfleet-backends --features kafka --example kafka -- 127.0.0.1:19092`.
//!
//! Records of 200 B from produce to consume: as many as go, and the time from produce to ack at a low rate.

#![allow(clippy::unwrap_used)] // A measurement that fails may as well panic.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use bytes::Bytes;
use chatfleet_backends::{
    kafka::{KafkaLog, KafkaOptions},
    port::{ConsumerEvent, Lane, Log, Topic},
};
use futures_util::{StreamExt as _, stream::FuturesUnordered};
use rdkafka::{
    ClientConfig, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _},
    producer::{FutureProducer, FutureRecord},
};
use tokio::time::{Duration, Instant, interval};

const PARTITIONS: u32 = 8;
const RECORDS: u64 = 400_000;
const WINDOW: usize = 4_096;
const ROUNDS: usize = 5;
const TOPIC: Topic = Topic::Intake(Lane::Direct);

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let brokers = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:19092".to_owned());
    let prefix = format!("bench-{}", std::process::id());
    let options = KafkaOptions {
        brokers: brokers.clone(),
        prefix,
        partitions: PARTITIONS,
        replication: 1,
        session_timeout_ms: 6_000,
    };
    let log = KafkaLog::connect(options).await.unwrap();
    let topic = log.topic_name(TOPIC).to_owned();
    let producer = bare_producer(&brokers);
    let payload = Bytes::from(vec![7; 200]);
    let (mut bare, mut ours) = (Vec::new(), Vec::new());
    let read = consume(&log).await;
    for round in 0..ROUNDS {
        bare.push(bare_round(&brokers, &topic, &producer, &payload).await);
        // What the bare loop wrote is read by our consumer, too, before it is measured.
        while read.load(Ordering::Acquire) < (round as u64 * 2 + 1) * RECORDS {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        ours.push(our_round(&log, &read, (round as u64 * 2 + 2) * RECORDS, &payload).await);
        println!("round {round}: bare {:.0}/s, ours {:.0}/s", bare[round], ours[round]);
    }
    let median = |rates: &mut Vec<f64>| {
        rates.sort_by(f64::total_cmp);
        rates[rates.len() / 2]
    };
    let (bare, ours) = (median(&mut bare), median(&mut ours));
    println!("median, produce to consume: bare {bare:.0}/s, ours {ours:.0}/s, ratio {:.2}", ours / bare);
    let mut acks = hdrhistogram::Histogram::<u64>::new(3).unwrap();
    let mut ticks = interval(Duration::from_millis(3));
    for n in 0..2_000 {
        ticks.tick().await;
        let began = Instant::now();
        log.append(TOPIC, n % PARTITIONS, vec![payload.clone()]).await.unwrap();
        acks.record(began.elapsed().as_micros() as u64).unwrap();
    }
    let at = |part| acks.value_at_quantile(part) as f64 / 1e3;
    println!("produce to ack, one at a time: p50 {:.2} ms, p99 {:.2} ms, max {:.2} ms", at(0.5), at(0.99), at(1.0));
}

fn bare_producer(brokers: &str) -> FutureProducer {
    ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("enable.idempotence", "true")
        .set("acks", "all")
        .set("linger.ms", "0")
        .set("queue.buffering.max.messages", "200000")
        .create()
        .unwrap()
}

/// Records a second from a bare producer to a bare consumer.
async fn bare_round(brokers: &str, topic: &str, producer: &FutureProducer, payload: &Bytes) -> f64 {
    let consumer: BaseConsumer =
        ClientConfig::new().set("bootstrap.servers", brokers).set("group.id", "bench").create().unwrap();
    let mut list = TopicPartitionList::new();
    for partition in 0..PARTITIONS as i32 {
        let (_, end) = consumer.fetch_watermarks(topic, partition, Duration::from_secs(5)).unwrap();
        list.add_partition_offset(topic, partition, Offset::Offset(end)).unwrap();
    }
    consumer.assign(&list).unwrap();
    let reading = std::thread::spawn(move || {
        let mut read = 0;
        while read < RECORDS {
            if let Some(message) = consumer.poll(Duration::from_millis(100)) {
                message.unwrap();
                read += 1;
            }
        }
    });
    let began = Instant::now();
    let mut under_way = FuturesUnordered::new();
    for n in 0..RECORDS {
        let record = FutureRecord::<(), [u8]>::to(topic).partition((n % u64::from(PARTITIONS)) as i32).payload(payload);
        under_way.push(producer.send_result(record).unwrap());
        if under_way.len() >= WINDOW {
            under_way.next().await.unwrap().unwrap().unwrap();
        }
    }
    while let Some(done) = under_way.next().await {
        done.unwrap().unwrap();
    }
    tokio::task::spawn_blocking(move || reading.join().unwrap()).await.unwrap();
    RECORDS as f64 / began.elapsed().as_secs_f64()
}

/// Counts what a consumer of the log reads.
async fn consume(log: &KafkaLog) -> Arc<AtomicU64> {
    let read = Arc::new(AtomicU64::new(0));
    let mut consumer = log.join("bench", TOPIC, "bench").await.unwrap();
    let count = read.clone();
    tokio::spawn(async move {
        loop {
            match consumer.next().await.unwrap() {
                ConsumerEvent::Assigned { partition, .. } => consumer.start(partition, 0),
                ConsumerEvent::Revoked { .. } => {}
                ConsumerEvent::Records { entries, .. } => {
                    count.fetch_add(entries.len() as u64, Ordering::Release);
                }
            }
        }
    });
    read
}

/// Records a second through the log, one append each.
async fn our_round(log: &KafkaLog, read: &AtomicU64, until: u64, payload: &Bytes) -> f64 {
    let began = Instant::now();
    let mut under_way = FuturesUnordered::new();
    for n in 0..RECORDS {
        under_way.push(log.append(TOPIC, (n % u64::from(PARTITIONS)) as u32, vec![payload.clone()]));
        if under_way.len() >= WINDOW {
            under_way.next().await.unwrap().unwrap();
        }
    }
    while let Some(done) = under_way.next().await {
        done.unwrap();
    }
    while read.load(Ordering::Acquire) < until {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    RECORDS as f64 / began.elapsed().as_secs_f64()
}
