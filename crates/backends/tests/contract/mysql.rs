//! The contract of the directory against a real MySQL or MariaDB.

use std::sync::Arc;

use chatfleet_backends::{
    mysql::{MysqlDirectory, MysqlOptions},
    port::{CALL_DEADLINE, Conversation, Created, Directory, StoreError},
};
use futures_util::future::join_all;
use protocol::frames::Kind;
use sqlx::{Connection as _, Executor as _, MySqlConnection, Row as _};

use tokio::time::{Duration, Instant, sleep};

use crate::{
    directory, name,
    proxy::{Proxy, Traffic},
    real,
};

/// A database of its own, and a connection past the adapter.
struct Database {
    name: String,
    url: String,
    conn: MySqlConnection,
}

impl Database {
    /// `None`: skipped.
    async fn new() -> Option<Self> {
        let address = real::address("CHATFLEET_MYSQL")?;
        let mut conn = MySqlConnection::connect(&address).await.unwrap();
        let name = format!("contract_{}", uuid::Uuid::new_v4().simple());
        conn.execute(sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"))).await.unwrap();
        let url = format!("{}/{name}", address.rsplit_once('/').unwrap().0);
        Some(Self { name, url, conn })
    }

    fn open(&self) -> MysqlDirectory {
        MysqlDirectory::connect(&MysqlOptions { url: self.url.clone(), connections: 4 }).unwrap()
    }

    async fn sql(&mut self, sql: &str) {
        let sql = sql.replace('$', &format!("{}.", self.name));
        self.conn.execute(sqlx::AssertSqlSafe(sql)).await.unwrap();
    }

    /// Ends the connections of others to this database, as a restart does.
    async fn kill_connections(&mut self) -> usize {
        let find = "SELECT id FROM information_schema.processlist WHERE db = ?";
        let rows = sqlx::query(find).bind(&self.name).fetch_all(&mut self.conn).await.unwrap();
        for row in &rows {
            let id: u64 = row.try_get::<i64, _>(0).map_or_else(|_| row.get::<u64, _>(0), i64::unsigned_abs);
            // It may have ended by itself.
            let _ = self.conn.execute(sqlx::AssertSqlSafe(format!("KILL {id}"))).await;
        }
        rows.len()
    }

    async fn drop(mut self) {
        self.sql(&format!("DROP DATABASE {}", self.name.clone())).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn directory_on_mysql() {
    let Some(database) = Database::new().await else { return };
    let store = database.open();
    directory::suite(Arc::new(store.clone())).await;
    directory::full(Arc::new(store.clone())).await;
    store.close().await;
    database.drop().await;
}

fn group() -> Conversation {
    Conversation { id: name("c"), kind: Kind::Group, members: vec![name("alice"), name("bob")] }
}

/// Processes that start at once find one schema; a later one is refused.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn migrations_on_mysql() {
    let Some(mut database) = Database::new().await else { return };
    let stores: Vec<_> = (0..4).map(|_| database.open()).collect();
    for prepared in join_all(stores.iter().map(MysqlDirectory::prepare)).await {
        prepared.unwrap();
    }
    assert_eq!(stores[0].create(&group()).await, Ok(Created::New));
    assert_eq!(database.open().create(&group()).await, Ok(Created::New), "all is there already");
    database.sql("INSERT INTO $directory_migrations (number) VALUES (9)").await;
    let error = database.open().create(&group()).await.unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
    assert!(error.to_string().contains("has schema 9"), "{error}");
    database.drop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn broken_connections_on_mysql() {
    let Some(mut database) = Database::new().await else { return };
    let store = database.open();
    let group = group();
    store.create(&group).await.unwrap();
    for _ in 0..3 {
        let known = join_all((0..4).map(|_| store.get(&group.id))).await;
        assert!(known.iter().all(|known| known.as_ref().unwrap().is_some()));
        assert!(database.kill_connections().await > 0, "it has connections");
    }
    assert_eq!(store.get(&group.id).await.unwrap(), Some(group));
    database.drop().await;
}

/// Nothing listens there: said within the deadline, without the password.
#[tokio::test]
async fn absent_mysql() {
    let url = "mysql://chat:secret@127.0.0.1:1/chat".to_owned();
    let options = MysqlOptions { url, connections: 1 };
    assert!(!format!("{options:?}").contains("secret"));
    let store = MysqlDirectory::connect(&options).unwrap();
    let asked = tokio::time::timeout(chatfleet_backends::port::CALL_DEADLINE, store.get(&name("c"))).await;
    let error = asked.expect("a bounded call").unwrap_err();
    assert!(error.is_retryable() && !format!("{error} {error:?} {store:?}").contains("secret"), "{error}");
    let bad = MysqlOptions { url: "mysql://chat:secret@host:none/chat".to_owned(), connections: 1 };
    let error = MysqlDirectory::connect(&bad).unwrap_err();
    assert!(!error.to_string().contains("secret"), "{error}");
}

/// A server that hangs: calls end in time, and go on by themselves once it is back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silent_mysql() {
    let Some(database) = Database::new().await else { return };
    let (credentials, target) = database.url.rsplit_once('@').unwrap();
    let (target, _) = target.split_once('/').unwrap();
    let proxy = Proxy::start(target.to_owned(), Traffic::Stands).await;
    let url = format!("{credentials}@{}/{}", proxy.address, database.name);
    let store = MysqlDirectory::connect(&MysqlOptions { url, connections: 4 }).unwrap();
    let group = group();
    let mut is_new = true;
    for fault in [Traffic::Stands, Traffic::Breaks, Traffic::Stands] {
        proxy.set(fault);
        let asked_at = Instant::now();
        // More calls than connections.
        for answer in join_all((0..8).map(|_| store.get(&group.id))).await {
            assert!(answer.unwrap_err().is_retryable());
        }
        assert!(asked_at.elapsed() < CALL_DEADLINE, "calls took {:?}", asked_at.elapsed());
        proxy.set(Traffic::Flows);
        let back_at = Instant::now();
        let created = loop {
            match store.create(&group).await {
                Ok(created) => break created,
                Err(error) => assert!(error.is_retryable() && back_at.elapsed() < Duration::from_secs(20), "{error}"),
            }
            sleep(Duration::from_millis(20)).await;
        };
        eprintln!("after {fault:?}: calls went on {} ms after the server was back", back_at.elapsed().as_millis());
        assert_eq!(created, if is_new { Created::New } else { Created::Same(group.id.clone()) });
        is_new = false;
    }
    database.drop().await;
}
