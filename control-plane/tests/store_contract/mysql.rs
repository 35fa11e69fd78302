//! The store in MySQL, on a real server.

use chat_control_plane::store::MysqlStore;
use futures_util::future::join_all;
use sqlx::{Connection as _, Executor as _, MySqlConnection};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    time::{Duration, Instant, sleep, timeout},
};

use super::*;

/// A database of its own.
struct Database {
    name: String,
    url: String,
    conn: MySqlConnection,
}

impl Database {
    /// `None`: said loudly, and the test counts as skipped. In CI a skip is a failure.
    async fn new() -> Option<Self> {
        const VARIABLES: [&str; 2] = ["CHATFLEET_MYSQL_URL", "CHATFLEET_MYSQL"];
        let set = |variable: &str| std::env::var(variable).ok().filter(|address| !address.is_empty());
        let Some(address) = VARIABLES.into_iter().find_map(set) else {
            let is_required = std::env::var_os("CHATFLEET_REAL_REQUIRED").is_some();
            assert!(!is_required, "{VARIABLES:?} are not set, and a skip is a failure");
            eprintln!(
                "SKIPPED: {VARIABLES:?} are not set; `deploy/local/stack up` and `eval $(deploy/local/stack env)`"
            );
            return None;
        };
        let mut conn = MySqlConnection::connect(&address).await.unwrap();
        let name = format!("contract_{}", uuid::Uuid::new_v4().simple());
        conn.execute(sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"))).await.unwrap();
        let url = format!("{}/{name}", address.rsplit_once('/').unwrap().0);
        Some(Self { name, url, conn })
    }

    async fn sql(&mut self, sql: &str) {
        let sql = sql.replace('$', &format!("{}.", self.name));
        self.conn.execute(sqlx::AssertSqlSafe(sql)).await.unwrap();
    }

    async fn drop(mut self) {
        self.sql(&format!("DROP DATABASE {}", self.name.clone())).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keeps_the_contract() {
    let Some(mut database) = Database::new().await else { return };
    // Replicas that start at once find one schema.
    let stores = join_all((0..4).map(|_| MysqlStore::open(&database.url))).await;
    let stores: Vec<_> = stores.into_iter().map(Result::unwrap).collect();
    contract(Arc::new(stores[0].clone())).await;
    assert_eq!(stores[1].operations_head().await, Ok(3), "another replica sees it");

    // Replicas that write at once: each over connections of its own.
    let before = stores[0].audit_from(0, 1_000).await.unwrap().len();
    let appended = stores.iter().flat_map(|store| (0..10).map(move |_| store.commit(vec![audit("at once")])));
    join_all(appended).await.into_iter().for_each(Result::unwrap);
    let entries = stores[3].audit_from(0, 1_000).await.unwrap();
    let mut chain = AuditChain::default();
    entries.iter().for_each(|entry| chain.check(entry));
    assert!(chain.verdict().intact);
    assert_eq!(entries.len(), before + 40);
    let asked = stores.iter().enumerate().map(|(n, store)| async move {
        store.lead(&format!("late-{n} http://r"), 900_000, 6_000).await.unwrap().is_leader
    });
    assert_eq!(join_all(asked).await.into_iter().filter(|leads| *leads).count(), 1);

    // A database of a later version is left alone.
    database.sql("INSERT INTO $control_migrations (number) VALUES (99)").await;
    let error = MysqlStore::open(&database.url).await.unwrap_err();
    assert!(matches!(&error, StoreError::Corrupt(why) if why.contains("99 migrations")), "{error}");
    for store in &stores {
        store.close().await;
    }
    database.drop().await;
}

/// Nothing listens there: said within the deadline, without the password.
#[tokio::test]
async fn absent() {
    let opened = timeout(Duration::from_secs(6), async {
        let absent = MysqlStore::open("mysql://chat:secret@127.0.0.1:1/chat").await;
        [absent, MysqlStore::open("mysql://chat:secret@host:none/chat").await]
    });
    for opened in opened.await.unwrap() {
        let error = opened.unwrap_err();
        assert!(!format!("{error} {error:?}").contains("secret"), "{error}");
    }
}

/// A way to the server that is stuck for good once a statement with this text was executed, as is a replica that is stopped
/// in the middle of a transaction. Gives its port.
async fn stuck_after(server: String, text: &'static str) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let server = TcpStream::connect(&server).await.unwrap();
            let ((mut from, mut back), (mut answers, mut to)) = (client.into_split(), server.into_split());
            tokio::spawn(async move { tokio::io::copy(&mut answers, &mut back).await });
            tokio::spawn(async move {
                let mut bytes = vec![0; 65_536];
                let mut is_last = false;
                while let Ok(n @ 1..) = from.read(&mut bytes).await {
                    to.write_all(&bytes[..n]).await.unwrap();
                    if is_last {
                        return std::future::pending().await;
                    }
                    // The text is in what prepares the statement; what executes it comes next.
                    is_last = bytes[..n].windows(text.len()).any(|part| part == text.as_bytes());
                }
            });
        }
    });
    port
}

/// A leader that hangs in the middle of a renewal holds the row of leadership: the server takes it away in time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_hangs_in_a_transaction_is_replaced() {
    let Some(database) = Database::new().await else { return };
    let server = database.url.rsplit('@').next().unwrap().split('/').next().unwrap().to_owned();
    let port = stuck_after(server.clone(), "FROM leader WHERE one = 1 FOR UPDATE").await;
    let hangs = MysqlStore::open(&database.url.replace(&server, &format!("127.0.0.1:{port}"))).await.unwrap();
    let waits = MysqlStore::open(&database.url).await.unwrap();
    let stuck = hangs.lead("one http://r", 1_000, 6_000).await.unwrap_err();
    // We give up after 5 s, and so does the server: whichever comes first.
    let why = stuck.to_string();
    assert!(why.contains("longer than 5 s") || why.contains("at EOF"), "{why}");
    let began = Instant::now();
    while !waits.lead("two http://r", 900_000, 6_000).await.is_ok_and(|it| it.is_leader) {
        assert!(began.elapsed() < Duration::from_secs(10), "the row is still locked");
        sleep(Duration::from_millis(100)).await;
    }
    waits.close().await;
    database.drop().await;
}
