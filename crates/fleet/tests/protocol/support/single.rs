//! One gateway on stores in memory, for what a fleet has no switch for: other keys, small limits, simulated time.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
};

use backends::{
    Clock, Stores,
    edge::Dependencies,
    embedded::{Disk, DiskOptions, GroupLog, MemoryPresence, MemoryRecent, MemoryRegistry, SqliteDirectory},
    port::{Conversation, Created},
    stream::Switchboard,
};
use domain::{ConversationId, NodeId, UserId};
use gateway::{Auth, Gateway, GatewayConfig, JwtKey, Limits};
use jsonwebtoken::{EncodingKey, Header, encode};
use protocol::{
    frames::Kind,
    link::{GatewayFrame, WorkerFrame},
};
use serde_json::{Value, json};
use tokio::{
    io::{DuplexStream, duplex},
    net::TcpListener,
    time::{Duration, sleep, timeout},
};
use workers::{Role, Worker, WorkerConfig};

use super::{Client, DEADLINE};

const SECRET: &[u8] = b"the secret of a single gateway";

/// A gateway without workers: enough for everything up to `welcome`.
pub(crate) struct Single {
    pub(crate) gateway: Gateway,
    pub(crate) clock: Clock,
    pub(crate) ports: Stores,
    /// Where a worker would dial it.
    pub(crate) links: Switchboard<WorkerFrame, GatewayFrame>,
    _dir: tempfile::TempDir,
}

impl Single {
    pub(crate) async fn start(clock: Clock, key: Option<JwtKey>, limits: Limits) -> Self {
        Self::start_on(clock, key, limits, |ports| ports).await
    }

    /// With something between it and its stores.
    pub(crate) async fn start_on(
        clock: Clock,
        key: Option<JwtKey>,
        limits: Limits,
        between: impl FnOnce(Stores) -> Stores,
    ) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let disk = Disk::open(&dir.path().join("log"), DiskOptions { partitions: 1, was_clean: true }).unwrap();
        let ports = Stores {
            log: Arc::new(GroupLog::new(disk.clone())),
            messages: disk,
            recent: Arc::new(MemoryRecent::new(clock)),
            registry: Arc::new(MemoryRegistry::default()),
            presence: Arc::new(MemoryPresence::new(clock)),
            directory: Arc::new(SqliteDirectory::open(&dir.path().join("directory")).await.unwrap()),
            dependencies: Dependencies::default(),
        };
        let ports = between(ports);
        let mut config = GatewayConfig::new(NodeId::parse("single").unwrap(), 1, "single".into(), 1);
        config.limits = limits;
        let auth = Auth::new(&key.unwrap_or(JwtKey::Hs256(SECRET.to_vec()))).unwrap();
        let links = Switchboard::<WorkerFrame, GatewayFrame>::default();
        let gateway = Gateway::start(config, clock, auth, ports.clone(), links.listen("single"));
        let registry = ports.registry.clone();
        // A client that came before the lease would be told to come back.
        let leased = async {
            while registry.gateways().await.unwrap().live.is_empty() {
                sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(DEADLINE, leased).await.expect("a lease");
        Self { gateway, clock, ports, links, _dir: dir }
    }

    /// A worker on the same stores.
    pub(crate) fn worker(&self, roles: Vec<Role>) -> Worker {
        let config = WorkerConfig { roles, ..WorkerConfig::new(NodeId::parse("worker").unwrap(), 1, self.clock) };
        let ports = workers::Ports::new(self.ports.clone(), Arc::new(self.links.clone()));
        Worker::start(config, ports)
    }

    /// Makes a conversation.
    pub(crate) async fn make(&self, id: &str, kind: Kind, members: &[&str]) {
        let members = members.iter().map(|name| UserId::parse(name).unwrap()).collect();
        let conversation = Conversation { id: ConversationId::parse(id).unwrap(), kind, members };
        assert_eq!(self.ports.directory.create(&conversation).await.unwrap(), Created::New);
    }

    /// Listens on a port.
    pub(crate) async fn serve(&self) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        self.gateway.serve(listener);
        address
    }

    /// A pipe to the gateway, as long as `capacity` bytes.
    pub(crate) fn pipe(&self, capacity: usize) -> DuplexStream {
        let (near, far) = duplex(capacity);
        self.gateway.accept(Box::new(far), IpAddr::V4(Ipv4Addr::LOCALHOST));
        near
    }

    pub(crate) fn token(&self, user: &str, exp_s: u64) -> String {
        let claims = json!({"sub": user, "exp": exp_s});
        encode(&Header::default(), &claims, &EncodingKey::from_secret(SECRET)).unwrap()
    }

    /// A client on a pipe that was welcomed.
    pub(crate) async fn connect(&self, user: &str, exp_s: u64, capacity: usize) -> Client<DuplexStream> {
        let mut client = self.greet(user, exp_s, capacity, &json!({})).await;
        client.until("synced").await;
        // In simulated time.
        client.patience = Duration::from_secs(200);
        client
    }

    /// A client on a pipe that said hello and reads what comes itself.
    pub(crate) async fn greet(&self, user: &str, exp_s: u64, capacity: usize, resume: &Value) -> Client<DuplexStream> {
        let query = format!("?token={}", self.token(user, exp_s));
        let mut client = Client::upgrade_on(self.pipe(capacity), &query, &[]).await;
        client.say(json!({"type": "hello", "device": "d", "resume": resume})).await;
        client
    }
}
