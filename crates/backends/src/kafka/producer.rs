//! The producer: idempotent, `acks=all`, in the order of the calls.

use std::sync::{
    Arc,
    atomic::{AtomicU32, AtomicU64, Ordering},
};

use bytes::Bytes;
use futures_util::FutureExt as _;
use parking_lot::{Mutex, RwLock};
use rdkafka::{
    ClientContext, Message as _,
    error::KafkaError,
    producer::{BaseRecord, DeliveryResult, ProducerContext, ThreadedProducer},
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, oneshot},
    time::{Duration, timeout},
};

use super::{
    client::{CALL, KafkaOptions, STORE, is_fatal, unavailable},
    topics::Topics,
};
use crate::port::{Appending, StoreError, StoreResult};

/// Records that may be under way. Past it an append is refused and nothing was taken. Half of librdkafka's own queue,
/// so that a batch never meets that one half way.
const IN_FLIGHT: usize = 100_000;

/// The one producer of a process. Clones share it.
#[derive(Clone)]
pub(super) struct Producer {
    options: Arc<KafkaOptions>,
    client: Arc<RwLock<Client>>,
    room: Arc<Semaphore>,
    topics: Arc<Topics>,
}

type Client = Arc<ThreadedProducer<Deliveries>>;

/// Records of one append.
pub(super) struct Batch {
    missing: AtomicU32,
    /// The highest offset so far.
    last: AtomicU64,
    failed: Mutex<Option<StoreError>>,
    done: Mutex<Option<oneshot::Sender<StoreResult<u64>>>>,
    /// Given back when librdkafka is done with the last record.
    _room: OwnedSemaphorePermit,
}

impl Batch {
    fn settle(&self, records: u32, outcome: StoreResult<u64>) {
        match outcome {
            Ok(offset) => drop(self.last.fetch_max(offset, Ordering::AcqRel)),
            Err(error) => drop(self.failed.lock().get_or_insert(error)),
        }
        if self.missing.fetch_sub(records, Ordering::AcqRel) == records
            && let Some(done) = self.done.lock().take()
        {
            let failed = self.failed.lock().take();
            // Nobody may wait for it any more.
            let _ = done.send(failed.map_or_else(|| Ok(self.last.load(Ordering::Acquire)), Err));
        }
    }
}

struct Deliveries;

impl ClientContext for Deliveries {
    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "kafka producer");
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = Arc<Batch>;

    fn delivery(&self, result: &DeliveryResult<'_>, batch: Arc<Batch>) {
        let outcome = match result {
            Ok(message) => Ok(message.offset().max(0) as u64),
            Err((error, _)) => Err(unavailable(error.clone())),
        };
        batch.settle(1, outcome);
    }
}

impl Producer {
    pub(super) fn new(options: Arc<KafkaOptions>, topics: Arc<Topics>) -> StoreResult<Self> {
        let client = open(&options).map_err(unavailable)?;
        let room = Arc::new(Semaphore::new(IN_FLIGHT));
        Ok(Self { options, client: Arc::new(RwLock::new(client)), room, topics })
    }

    /// Takes a new client where this one broke for good, as one does that the brokers tell of a gap in its sequence after
    /// they lost the end of a log. It refuses every record from then on; what it had taken it has failed.
    fn replace(&self, broken: Client, error: &KafkaError) {
        let mut client = self.client.write();
        if Arc::ptr_eq(&client, &broken) {
            match open(&self.options) {
                Ok(new) => {
                    tracing::error!(%error, "the kafka producer broke for good and is replaced");
                    *client = new;
                }
                Err(why) => tracing::error!(%error, %why, "the kafka producer broke for good and cannot be replaced"),
            }
        }
        drop(client);
        // Closing one joins its thread.
        tokio::task::spawn_blocking(move || drop(broken));
    }

    /// Sends until the brokers took one: the first send of an idempotent producer fetches its id, which takes up to a
    /// second, and no client should wait for that.
    pub(super) async fn warm_up(&self, deadline: Duration) -> StoreResult<()> {
        let warm = async {
            while let Err(error) = self.epoch().await {
                tracing::debug!(%error, "the producer is not warm yet");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        let late = |_| StoreError::unavailable(STORE, format!("took no record within {} s", deadline.as_secs()));
        timeout(deadline, warm).await.map_err(late)
    }

    /// A number higher than all that were given out before, by any process.
    pub(super) fn epoch(&self) -> Appending {
        let appending = self.append(self.topics.epochs(), 0, vec![Bytes::from_static(b"epoch")]);
        appending.map(|offset| offset.map(|offset| offset + 1)).boxed()
    }

    pub(super) fn append(&self, topic: &str, partition: u32, payloads: Vec<Bytes>) -> Appending {
        let count = payloads.len() as u32;
        let refused = |why: String| std::future::ready(Err(StoreError::unavailable(STORE, why))).boxed();
        let Ok(room) = self.room.clone().try_acquire_many_owned(count) else {
            return refused(format!("{IN_FLIGHT} records are under way already"));
        };
        if count == 0 {
            return refused("nothing to append".to_owned());
        }
        let (done, outcome) = oneshot::channel();
        let batch = Arc::new(Batch {
            missing: AtomicU32::new(count),
            last: AtomicU64::new(0),
            failed: Mutex::new(None),
            done: Mutex::new(Some(done)),
            _room: room,
        });
        let client = self.client.read().clone();
        for (n, payload) in payloads.iter().enumerate() {
            let record = BaseRecord::<(), [u8], _>::with_opaque_to(topic, batch.clone())
                .partition(partition as i32)
                .payload(payload);
            if let Err((error, _)) = client.send(record) {
                if is_fatal(&error) {
                    self.replace(client, &error);
                }
                // Records before it are under way: the log may have them or not, as after any other late error.
                batch.settle(count - n as u32, Err(unavailable(error)));
                break;
            }
        }
        async move {
            // The producer goes on for longer: nobody knows then whether the log has it, or will.
            match timeout(CALL + Duration::from_millis(500), outcome).await {
                Ok(Ok(outcome)) => outcome,
                Ok(Err(_)) => Err(StoreError::unavailable(STORE, "the producer is gone")),
                Err(_) => Err(StoreError::unavailable(STORE, "an append was not confirmed in time")),
            }
        }
        .boxed()
    }
}

fn open(options: &KafkaOptions) -> Result<Client, KafkaError> {
    options.producer().create_with_context(Deliveries).map(Arc::new)
}

#[cfg(test)]
mod tests {
    use rdkafka::{
        mocking::MockCluster,
        types::{RDKafkaApiKey, RDKafkaRespErr},
    };

    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn a_client_that_broke_for_good_is_replaced() {
        let cluster = MockCluster::new(1).unwrap();
        let topics = Arc::new(Topics::new("t"));
        cluster.create_topic(topics.epochs(), 1, 1).unwrap();
        let options = KafkaOptions {
            brokers: cluster.bootstrap_servers(),
            prefix: "t".to_owned(),
            partitions: 1,
            replication: 1,
            session_timeout_ms: 6_000,
        };
        let producer = Producer::new(Arc::new(options), topics).unwrap();
        producer.warm_up(Duration::from_secs(20)).await.unwrap();
        let first = Arc::as_ptr(&producer.client.read());

        // As a broker answers that has lost the records before.
        let gap = RDKafkaRespErr::RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER;
        cluster.request_errors(RDKafkaApiKey::Produce, &[gap]);
        producer.epoch().await.unwrap_err();
        producer.epoch().await.unwrap_err();
        assert_ne!(first, Arc::as_ptr(&producer.client.read()));
        producer.warm_up(Duration::from_secs(20)).await.unwrap();
    }
}
