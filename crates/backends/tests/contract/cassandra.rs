//! The contract of the message store against a real Cassandra.

use std::sync::Arc;

use chatfleet_backends::{
    cassandra::{CassandraMessages, CassandraOptions, Credentials},
    port::{CALL_DEADLINE, Head, Messages, StoreError, StoreResult, StoredMessage},
};
use domain::ConversationId;
use futures_util::future::join_all;
use scylla::client::{session::Session, session_builder::SessionBuilder};
use tokio::time::{Duration, Instant, sleep};

use crate::{
    messages, name,
    proxy::{Proxy, Traffic},
    real, row,
};

/// Creating a keyspace and its tables takes seconds.
const PATIENCE: Duration = Duration::from_secs(60);

/// A keyspace of its own, and a session past the adapter.
struct Keyspace {
    options: CassandraOptions,
    session: Session,
}

impl Keyspace {
    /// `None`: skipped.
    async fn new() -> Option<Self> {
        let address = real::address("CHATFLEET_CASSANDRA")?;
        let replication = std::env::var("CHATFLEET_CASSANDRA_REPLICATION").map_or(1, |text| text.parse().unwrap());
        let contact_points: Vec<String> = address.split(',').map(str::to_owned).collect();
        let session = SessionBuilder::new().known_nodes(&contact_points).build().await.unwrap();
        let keyspace = format!("contract_{}", uuid::Uuid::new_v4().simple());
        let options =
            CassandraOptions { contact_points, local_datacenter: None, keyspace, replication, credentials: None };
        Some(Self { options, session })
    }

    async fn connect(&self) -> CassandraMessages {
        let messages = CassandraMessages::connect(self.options.clone()).unwrap();
        messages.connected(PATIENCE).await.unwrap();
        messages
    }

    async fn cql(&self, cql: &str) {
        let cql = cql.replace('$', &format!("{}.", self.options.keyspace));
        let mut statement = scylla::statement::Statement::new(cql);
        statement.set_request_timeout(Some(PATIENCE));
        self.session.query_unpaged(statement, ()).await.unwrap();
    }

    async fn drop(self) {
        self.cql(&format!("DROP KEYSPACE {}", self.options.keyspace)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_on_cassandra() {
    let Some(keyspace) = Keyspace::new().await else { return };
    // Workers that start together make one schema.
    let store = join_all((0..4).map(|_| keyspace.connect())).await.swap_remove(0);
    messages::suite(Arc::new(store.clone())).await;
    borders(&store).await;
    large(&store).await;
    heads(&store).await;
    health(&store).await;
    schema(&keyspace).await;
    keyspace.drop().await;
}

/// Ranges over the borders of partitions, and a conversation whose first number is far from its last.
async fn borders(store: &CassandraMessages) {
    let conversation: ConversationId = name("c");
    let rows: Vec<_> = (9_990..=10_020).map(|n| row(&conversation, n, 1_000 + n)).collect();
    store.write(&rows).await.unwrap();
    assert_eq!(store.read(&conversation, 0, u64::MAX, usize::MAX).await.unwrap(), rows);
    assert_eq!(store.read(&conversation, 9_995, 10_005, 100).await.unwrap(), rows[5..=15]);
    assert_eq!(store.read(&conversation, 9_995, 10_005, 7).await.unwrap(), rows[5..12]);
    assert_eq!(store.read(&conversation, 10_000, 10_000, 7).await.unwrap(), rows[10..11]);
    assert_eq!(store.read(&conversation, 9_995, u64::MAX, 0).await.unwrap(), []);
    let far = row(&conversation, 55_555, 60_000);
    store.write(std::slice::from_ref(&far)).await.unwrap();
    assert_eq!(store.read(&conversation, 10_020, u64::MAX, 9).await.unwrap(), [rows[30].clone(), far]);
    assert_eq!(store.read(&conversation, 55_556, u64::MAX, 9).await.unwrap(), []);
    // More rows than a page of the driver.
    let many: Vec<_> = (20_000..20_700).map(|n| row(&conversation, n, n)).collect();
    store.write(&many).await.unwrap();
    assert_eq!(store.read(&conversation, 20_000, 29_999, 5_000).await.unwrap(), many);
    assert_eq!(store.read(&conversation, 20_000, 29_999, 600).await.unwrap(), many[..600]);
}

/// Rows of the largest bodies, many at once: more than a server takes in one request.
async fn large(store: &CassandraMessages) {
    let conversation: ConversationId = name("c");
    let body: Arc<str> = "x".repeat(16_384).into();
    let rows: Vec<_> = (1..=300).map(|n| StoredMessage { body: body.clone(), ..row(&conversation, n, n) }).collect();
    store.write(&rows).await.unwrap();
    assert!(store.read(&conversation, 1, 300, 300).await.unwrap() == rows, "all are there as they were");
}

/// The head is the highest number, whatever was written last.
async fn heads(store: &CassandraMessages) {
    let conversation: ConversationId = name("c");
    let is = |number: u64| Ok(Some(Head { sequence_number: number, intake_offset: number + 100 }));
    let rows: Vec<_> = (1..=20).map(|n| row(&conversation, n, 1_000_000 - n)).collect();
    for (write, head) in [(4..7, 7), (0..3, 7), (9..10, 10), (4..7, 10), (7..9, 10), (0..20, 20), (0..1, 20)] {
        store.write(&rows[write]).await.unwrap();
        assert_eq!(store.head(&conversation).await, is(head));
    }
    let mut backwards = rows.clone();
    backwards.reverse();
    // What was written at ONE is the same row when it is written again at quorum.
    store.write_one(&backwards).await.unwrap();
    store.write(&backwards[..5]).await.unwrap();
    assert_eq!(store.head(&conversation).await, is(20));
    assert_eq!(store.read(&conversation, 1, 20, 100).await.unwrap(), rows);
}

/// Nodes say how they are, in us.
async fn health(store: &CassandraMessages) {
    let nodes = store.node_health().await.unwrap();
    assert!(!nodes.is_empty());
    let conversation: ConversationId = name("c");
    let began_at = Instant::now();
    // A node takes its figures together every few seconds.
    let written = loop {
        store.write(&(1..=50).map(|n| row(&conversation, n, n)).collect::<Vec<_>>()).await.unwrap();
        let nodes = store.node_health().await.unwrap();
        if nodes.iter().all(|node| node.write_p99_us.is_some()) || began_at.elapsed() > PATIENCE {
            break nodes;
        }
    };
    for node in written {
        assert!(node.is_answering && node.datacenter.is_some() && node.pending_compactions.is_some());
        let (p50_us, p99_us) = (node.write_p50_us.unwrap(), node.write_p99_us.unwrap());
        // Half of the writes through the network take longer than 20 us, and less than all of this; the slowest may be
        // older than that, as when the node came up on a busy machine. 0 is below what a node tells.
        assert!(p50_us == 0 || (20..began_at.elapsed().as_micros() as u64).contains(&p50_us), "{node:?}");
        assert!(p50_us <= p99_us, "{node:?}");
    }
}

/// Connecting again changes nothing; a schema of a later version is refused.
async fn schema(keyspace: &Keyspace) {
    keyspace.connect().await;
    keyspace.cql("INSERT INTO $schema_versions (scope, number) VALUES ('chatfleet', 9)").await;
    let refused = CassandraMessages::connect(keyspace.options.clone()).unwrap();
    let error = refused.connected(PATIENCE).await.unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
    assert!(error.to_string().contains("has schema 9, and this program knows 2"), "{error}");
    assert_eq!(refused.head(&name("c")).await, Err(error));
}

/// The answer of a call, which came within what a call may take.
async fn in_time<T>(call: impl Future<Output = StoreResult<T>>) -> StoreResult<T> {
    let asked_at = Instant::now();
    let answer = call.await;
    assert!(asked_at.elapsed() < CALL_DEADLINE, "a call took {:?}", asked_at.elapsed());
    answer
}

/// Cassandra is away at the start, falls silent, and breaks its connections: calls end in time, and go on by
/// themselves once it is back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn faults_on_cassandra() {
    let Some(mut keyspace) = Keyspace::new().await else { return };
    let target = keyspace.options.contact_points[0].clone();
    let proxy = Proxy::start(target, Traffic::Stands).await;
    keyspace.options.contact_points = vec![proxy.address.to_string()];
    let store = CassandraMessages::connect(keyspace.options.clone()).unwrap();
    let conversation: ConversationId = name("c");
    let rows: Vec<_> = (1..=200).map(|n| row(&conversation, n, 1_000 + n)).collect();
    assert!(in_time(store.head(&conversation)).await.unwrap_err().is_retryable());
    assert!(in_time(store.write(&rows)).await.unwrap_err().is_retryable());
    proxy.set(Traffic::Flows);
    store.connected(PATIENCE).await.unwrap();
    in_time(store.write(&rows[..10])).await.unwrap();

    let mut expected = 10;
    for fault in [Traffic::Stands, Traffic::Breaks, Traffic::Stands] {
        proxy.set(fault);
        let (read, written) = tokio::join!(
            in_time(store.read(&conversation, 1, 10, 10)),
            in_time(store.write(&rows[expected..expected + 50])),
        );
        assert!(read.unwrap_err().is_retryable() && written.unwrap_err().is_retryable());
        assert!(in_time(store.keys_since(&conversation, 0)).await.unwrap_err().is_retryable());
        proxy.set(Traffic::Flows);
        expected += 50;
        let back_at = Instant::now();
        while let Err(error) = in_time(store.write(&rows[..expected])).await {
            assert!(error.is_retryable() && back_at.elapsed() < PATIENCE, "{error}");
            sleep(Duration::from_millis(20)).await;
        }
        eprintln!("after {fault:?}: writes went on {} ms after the store was back", back_at.elapsed().as_millis());
        assert_eq!(in_time(store.read(&conversation, 1, 1_000, 1_000)).await.unwrap(), rows[..expected]);
        assert_eq!(in_time(store.head(&conversation)).await.unwrap().unwrap().sequence_number, expected as u64);
    }
    keyspace.drop().await;
}

/// What would end up in CQL and does not belong there is refused, and no password is shown.
#[tokio::test]
async fn options_of_cassandra() {
    let options = CassandraOptions {
        contact_points: vec!["127.0.0.1:1".to_owned()],
        local_datacenter: Some("dc-1".to_owned()),
        keyspace: "chat".to_owned(),
        replication: 3,
        credentials: Some(Credentials { user: "chat".to_owned(), password: "secret".to_owned() }),
    };
    assert!(!format!("{options:?}").contains("secret"));
    let refused = |options: CassandraOptions| CassandraMessages::connect(options).is_err();
    assert!(refused(CassandraOptions { keyspace: "chat; DROP".to_owned(), ..options.clone() }));
    assert!(refused(CassandraOptions { keyspace: String::new(), ..options.clone() }));
    assert!(refused(CassandraOptions { local_datacenter: Some("dc' OR".to_owned()), ..options.clone() }));
    assert!(refused(CassandraOptions { contact_points: Vec::new(), ..options.clone() }));
    assert!(refused(CassandraOptions { replication: 0, ..options.clone() }));
    // Nothing listens there: calls say so at once, and why.
    let store = CassandraMessages::connect(options).unwrap();
    let error = store.connected(Duration::from_secs(1)).await.unwrap_err();
    assert!(error.is_retryable() && !error.to_string().contains("secret"), "{error}");
    assert_eq!(store.head(&name("c")).await, Err(error));
}
