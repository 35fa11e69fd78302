//! A gateway that drains: what it says, what it still does, what it refuses, and how it ends.

use backends::node::Node as _;
use gateway::{Addresses, GatewayNode, Limits};
use protocol::node::{Desired, DrainOrder};
use serde_json::json;
use tokio::{
    net::TcpStream,
    time::{Duration, Instant, sleep},
};
use workers::{Role, Worker};

use crate::support::{Client, DEADLINE, FAR, Single, http_at, refused_upgrade, send_frame};

/// A gateway with a worker, a pair of users connected over TCP, and their conversation `d`.
struct Draining {
    single: Single,
    worker: Worker,
    to: std::net::SocketAddr,
}

impl Draining {
    async fn start() -> (Self, Client, Client) {
        let single = Single::start(backends::Clock::System, None, Limits::default()).await;
        let worker = single.worker(Role::ALL.to_vec());
        single.make("d", protocol::frames::Kind::Direct, &["a", "b"]).await;
        let to = single.serve().await;
        let this = Self { single, worker, to };
        let ready = Instant::now() + DEADLINE;
        while this.readyz().await.0 != 200 {
            assert!(Instant::now() < ready, "the gateway does not get ready");
            sleep(Duration::from_millis(5)).await;
        }
        let (a, b) = (this.connect("a").await, this.connect("b").await);
        (this, a, b)
    }

    fn query(&self, user: &str) -> String {
        format!("?token={}", self.single.token(user, FAR))
    }

    async fn connect(&self, user: &str) -> Client {
        let stream = TcpStream::connect(self.to).await.unwrap();
        let mut client = Client::upgrade_on(stream, &self.query(user), &[]).await;
        client.say(json!({"type": "hello", "device": "d"})).await;
        client.until("synced").await;
        client
    }

    async fn readyz(&self) -> (u16, String) {
        let answer = http_at(self.to, "GET", "/readyz", None, None).await;
        (answer.status, answer.text)
    }

    fn order(&self, drain: Option<DrainOrder>) {
        let node = GatewayNode { gateway: self.single.gateway.clone(), addresses: Addresses::default() };
        node.apply(&Desired { version: 1, drain, ..Desired::default() }).unwrap();
    }

    fn drain(&self, deadline_ms: u64) {
        self.order(Some(DrainOrder { operation: format!("op-{deadline_ms}"), deadline_ms, rate_per_s: 1_000 }));
    }

    async fn stop(self) {
        self.single.gateway.shutdown().await;
        self.worker.shutdown().await;
    }
}

#[tokio::test]
async fn a_draining_gateway_says_migrate_refuses_the_new_and_serves_the_old() {
    let (gateway, mut a, mut b) = Draining::start().await;
    gateway.drain(60_000);
    // All are told within the first 60 % of the window, at an even pace: only the first one soon.
    let mut told = tokio::select! {
        migrate = a.until("migrate") => migrate,
        migrate = b.until("migrate") => migrate,
    };
    let within_ms = told["within_ms"].take().as_u64().expect("an integer");
    assert!((1..60_000).contains(&within_ms), "{within_ms} leaves no time before the deadline");
    assert_eq!(told.as_object().unwrap().keys().collect::<Vec<_>>(), ["type", "within_ms"]);

    // New connections are sent elsewhere, and load balancers are told.
    let refused = refused_upgrade(gateway.to, &gateway.query("c"), &[]).await;
    assert_eq!((refused.status, refused.code().as_str()), (503, "unavailable"));
    let retry_after = refused.head.lines().find_map(|line| line.strip_prefix("retry-after: ")).expect("a time");
    assert!(retry_after.parse::<u32>().unwrap() >= 1);
    assert_eq!(gateway.readyz().await, (503, "draining\n".into()));
    assert_eq!(http_at(gateway.to, "GET", "/healthz", None, None).await.status, 200, "it is well");

    // Who is still there is served as ever.
    let (key, frame) = send_frame("d", "while it drains");
    a.say(frame).await;
    assert_eq!(b.until("message").await["body"], "while it drains");
    let (mut accepted, mut own) = (false, false);
    while !(accepted && own) {
        let frame = a.next().await;
        accepted |= frame["type"] == "accepted" && frame["idempotency_key"] == key.as_str();
        own |= frame["type"] == "message";
    }

    // The drain is called off: it is as before.
    gateway.order(None);
    assert_eq!(gateway.readyz().await, (200, "ok\n".into()));
    gateway.connect("c").await.still_answers().await;
    gateway.stop().await;
}

#[tokio::test]
async fn who_is_left_after_the_deadline_is_closed_with_1001() {
    let (gateway, mut a, mut b) = Draining::start().await;
    let began = Instant::now();
    gateway.drain(1_500);
    for client in [&mut a, &mut b] {
        // Told first, closed only then.
        assert!(client.until("migrate").await["within_ms"].as_u64().unwrap() < 1_500);
    }
    let (first, second) = tokio::join!(a.closed(), b.closed());
    assert_eq!((first, second), (1001, 1001));
    assert!(began.elapsed() >= Duration::from_millis(1_500), "closed after {:?}", began.elapsed());
    // Drained, it goes on refusing.
    let refused = refused_upgrade(gateway.to, &gateway.query("a"), &[]).await;
    assert_eq!(refused.status, 503);
    gateway.stop().await;
}
