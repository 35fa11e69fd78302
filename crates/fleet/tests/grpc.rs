//! A fleet whose nodes talk over sockets: two gateways, a worker and a control plane, linked by gRPC.

#![allow(clippy::unwrap_used)]

use std::{net::SocketAddr, sync::Arc};

use backends::{
    Clock,
    edge::Dependencies,
    embedded::{Disk, DiskOptions, GroupLog, MemoryPresence, MemoryRecent, MemoryRegistry, SqliteDirectory},
    grpc::{GrpcDial, Serving, listen_links, listen_nodes},
    node::{Node, run_node},
    port::{Conversation, Created, Directory as _},
};
use control_plane::{ControlPlane, ControlPlaneConfig, store::MemoryStore};
use futures_util::{SinkExt as _, StreamExt as _};
use gateway::{Addresses, Auth, Gateway, GatewayConfig, GatewayNode, JwtKey};
use jsonwebtoken::{EncodingKey, Header, encode};
use protocol::frames::Kind;
use serde_json::{Value, json};
use tokio::{
    net::{TcpListener, TcpStream},
    time::{Duration, sleep, timeout},
};
use tokio_tungstenite::{WebSocketStream, client_async, tungstenite::Message};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use workers::{Worker, WorkerConfig, WorkerNode};

const SECRET: &[u8] = b"a secret of 32 bytes, or some more";
/// After this a wait has failed.
const DEADLINE: Duration = Duration::from_secs(10);

/// Everything outside of the nodes: the stores that they share, and where the control plane is.
struct World {
    dir: tempfile::TempDir,
    disk: Arc<Disk>,
    log: Arc<GroupLog<Disk>>,
    recent: Arc<MemoryRecent>,
    registry: Arc<MemoryRegistry>,
    presence: Arc<MemoryPresence>,
    directory: SqliteDirectory,
    control: String,
}

struct RunningGateway {
    gateway: Gateway,
    clients: SocketAddr,
    link: SocketAddr,
    /// Ends the listener of links, and nothing else.
    stop: CancellationToken,
    serving: Serving,
    agent: Agent,
}

/// A node's stream to the control plane.
struct Agent(CancellationToken, TaskTracker);

impl Agent {
    async fn end(self) {
        self.0.cancel();
        self.1.close();
        self.1.wait().await;
    }
}

async fn local() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.unwrap()
}

impl World {
    async fn open(control: String) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let disk = Disk::open(&dir.path().join("log"), DiskOptions { partitions: 4, was_clean: true }).unwrap();
        Self {
            log: Arc::new(GroupLog::new(disk.clone())),
            disk,
            recent: Arc::new(MemoryRecent::new(Clock::System)),
            registry: Arc::new(MemoryRegistry::default()),
            presence: Arc::new(MemoryPresence::new(Clock::System)),
            directory: SqliteDirectory::open(&dir.path().join("directory.sqlite")).await.unwrap(),
            dir,
            control,
        }
    }

    fn agent(&self, node: Arc<dyn Node>) -> Agent {
        let agent = Agent(CancellationToken::new(), TaskTracker::new());
        let dial = Arc::new(GrpcDial::plain());
        agent.1.spawn(run_node(node, dial, self.control.clone(), None, 1, agent.0.clone()));
        agent
    }

    /// Starts a life of a gateway; workers dial it at `link`.
    async fn gateway(&self, name: &str, incarnation: u64, link: TcpListener) -> RunningGateway {
        let stop = CancellationToken::new();
        let address = link.local_addr().unwrap();
        let (links, serving) = listen_links(link, None, stop.clone()).unwrap();
        let config = GatewayConfig::new(name.parse().unwrap(), incarnation, address.to_string(), incarnation);
        let ports = backends::Stores {
            log: self.log.clone(),
            messages: self.disk.clone(),
            recent: self.recent.clone(),
            registry: self.registry.clone(),
            presence: self.presence.clone(),
            directory: Arc::new(self.directory.clone()),
            dependencies: Dependencies::default(),
        };
        let auth = Auth::new(&JwtKey::Hs256(SECRET.to_vec())).unwrap();
        let gateway = Gateway::start(config, Clock::System, auth, ports, links);
        until(name, || gateway.readiness().is_ok()).await;
        let listener = local().await;
        let clients = listener.local_addr().unwrap();
        gateway.serve(listener);
        let agent = self.agent(Arc::new(GatewayNode { gateway: gateway.clone(), addresses: Addresses::default() }));
        RunningGateway { gateway, clients, link: address, stop, serving, agent }
    }

    fn worker(&self, name: &str) -> (Worker, Agent) {
        let config = WorkerConfig::new(name.parse().unwrap(), 1, Clock::System);
        let ports = workers::Ports {
            log: self.log.clone(),
            messages: self.disk.clone(),
            recent: self.recent.clone(),
            registry: self.registry.clone(),
            directory: Arc::new(self.directory.clone()),
            dependencies: Dependencies::default(),
            gateways: Arc::new(GrpcDial::plain()),
        };
        let worker = Worker::start(config, ports);
        let agent = self.agent(Arc::new(WorkerNode::new(&worker)));
        (worker, agent)
    }
}

impl RunningGateway {
    /// Ends it; the port of its links is free then.
    async fn end(self) {
        self.agent.end().await;
        self.gateway.shutdown().await;
        self.stop.cancel();
        timeout(DEADLINE, self.serving.ended()).await.unwrap();
    }
}

async fn until(what: &str, is: impl Fn() -> bool) {
    let wait = async {
        while !is() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(DEADLINE, wait).await.unwrap_or_else(|_| panic!("not within 10 s: {what}"));
}

/// The names of the nodes that the control plane hears.
fn live(control: &ControlPlane) -> Vec<String> {
    let nodes = control.nodes().into_iter().filter(|node| node.status == protocol::admin::NodeStatus::Live);
    let mut names: Vec<_> = nodes.map(|node| node.id).collect();
    names.sort();
    names
}

type Socket = WebSocketStream<TcpStream>;

async fn connect(to: &RunningGateway, user: &str, resume: Value) -> Socket {
    let claims = json!({"sub": user, "exp": 4_000_000_000_u64, "role": "user"});
    let token = encode(&Header::default(), &claims, &EncodingKey::from_secret(SECRET)).unwrap();
    let stream = TcpStream::connect(to.clients).await.unwrap();
    let (mut socket, _) = client_async(format!("ws://{}/v1/ws?token={token}", to.clients), stream).await.unwrap();
    let hello = json!({"type": "hello", "device": "d", "resume": resume});
    socket.send(Message::text(hello.to_string())).await.unwrap();
    read(&mut socket, "synced").await;
    socket
}

/// Reads frames until one of the type comes.
async fn read(socket: &mut Socket, kind: &str) -> Value {
    loop {
        let frame = timeout(DEADLINE, socket.next()).await.expect(kind).unwrap().unwrap();
        let Message::Text(text) = frame else { continue };
        let value: Value = serde_json::from_str(&text).unwrap();
        if value["type"] == kind {
            return value;
        }
        assert_ne!(value["type"], "error", "{value}");
    }
}

/// One says something, the other is shown it, live.
async fn say(from: &mut Socket, to: &mut Socket, body: &str, number: u64) {
    let key = uuid::Uuid::new_v4();
    let send = json!({"type": "send", "idempotency_key": key, "conversation": "tea", "body": body});
    from.send(Message::text(send.to_string())).await.unwrap();
    read(from, "accepted").await;
    // What it said itself was shown to it too.
    let shown = loop {
        let shown = read(to, "message").await;
        if shown["sequence_number"].as_u64() >= Some(number) {
            break shown;
        }
    };
    assert_eq!((&shown["body"], &shown["sequence_number"]), (&json!(body), &json!(number)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fleet_over_sockets_chats_on_after_a_gateway_and_the_worker_were_replaced() {
    let listener = local().await;
    let world = World::open(listener.local_addr().unwrap().to_string()).await;
    let stop = CancellationToken::new();
    let (nodes, serving) = listen_nodes(listener, None, stop.clone()).unwrap();
    let config = ControlPlaneConfig::new("admin".to_owned(), Clock::System, 1);
    let control = ControlPlane::start(config, Arc::new(MemoryStore::default()), nodes).await.unwrap();
    let members = ["alice", "bob"].map(|user| user.parse().unwrap()).to_vec();
    let tea = Conversation { id: "tea".parse().unwrap(), kind: Kind::Group, members };
    assert_eq!(world.directory.create(&tea).await, Ok(Created::New));

    let (worker, worker_agent) = world.worker("worker-1");
    let first = world.gateway("gw-1", 1, local().await).await;
    let second = world.gateway("gw-2", 1, local().await).await;
    until("the control plane hears all", || live(&control) == ["gw-1", "gw-2", "worker-1"]).await;
    let (mut alice, mut bob) = (connect(&first, "alice", json!({})).await, connect(&second, "bob", json!({})).await);
    say(&mut alice, &mut bob, "over sockets", 1).await;
    say(&mut bob, &mut alice, "and back", 2).await;

    // The gateway of one goes and comes back at the same place, in another life.
    let link = second.link;
    second.end().await;
    let second = world.gateway("gw-2", 2, TcpListener::bind(link).await.unwrap()).await;
    let mut bob = connect(&second, "bob", json!({"tea": 2})).await;
    say(&mut alice, &mut bob, "again", 3).await;

    // The worker goes, and another one takes over.
    worker_agent.end().await;
    worker.shutdown().await;
    let (worker, worker_agent) = world.worker("worker-2");
    say(&mut bob, &mut alice, "and again", 4).await;
    until("the control plane hears the new one", || live(&control) == ["gw-1", "gw-2", "worker-2"]).await;

    first.end().await;
    second.end().await;
    worker_agent.end().await;
    worker.shutdown().await;
    control.shutdown().await;
    stop.cancel();
    timeout(DEADLINE, serving.ended()).await.unwrap();
    world.directory.close().await;
    let World { dir, disk, .. } = world;
    tokio::task::spawn_blocking(move || disk.close()).await.unwrap();
    drop(dir);
}
