//! What every subject needs: one fleet for all of them, sockets, HTTP, tokens and names.

mod http;
mod single;
mod socket;

use std::{
    net::{IpAddr, Ipv4Addr},
    path::PathBuf,
    sync::{
        LazyLock,
        atomic::{AtomicU64, Ordering},
    },
};

use chatfleet_fleet::{FleetOptions, LocalFleet};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};
use tokio::time::Duration;

pub(crate) use self::{
    http::{Answer, http, http_at},
    single::Single,
    socket::{Client, refused_upgrade},
};

/// What takes longer has failed.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);
/// Far away.
pub(crate) const FAR: u64 = 4_000_000_000;

/// The fleet of all subjects, with two gateways. It lives on a runtime of its own, because each test has one that ends.
static FLEET: LazyLock<(tokio::runtime::Runtime, LocalFleet)> = LazyLock::new(|| {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    // A static is never dropped, so a temporary directory would stay behind: this one is used again by the next run.
    let data = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("protocol-fleet");
    let _ = std::fs::remove_dir_all(&data);
    // Whoever asks first may be inside a runtime, where blocking on another is not allowed.
    let started = std::thread::spawn(move || {
        let fleet = runtime.block_on(LocalFleet::start(options(2, Some(data)))).unwrap();
        (runtime, fleet)
    });
    started.join().unwrap()
});

pub(crate) fn options(gateways: usize, data: Option<PathBuf>) -> FleetOptions {
    FleetOptions {
        gateways,
        bind: IpAddr::V4(Ipv4Addr::LOCALHOST),
        port: 0,
        data,
        allow_faults: false,
        limits: gateway::Limits::default(),
    }
}

/// The fleet.
pub(crate) fn fleet() -> &'static LocalFleet {
    &FLEET.1
}

fn number() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// A name that no other test has.
pub(crate) fn name(start: &str) -> String {
    format!("{start}-{}", number())
}

/// Names that no other test has.
pub(crate) fn names<const N: usize>() -> [String; N] {
    std::array::from_fn(|_| name("u"))
}

/// An idempotency key that no other test has.
pub(crate) fn key() -> String {
    format!("00000000-0000-4000-8000-{:012x}", number())
}

/// A token of the fleet with any claims.
pub(crate) fn signed(claims: &Value) -> String {
    let secret = fleet().secrets.jwt_secret.as_bytes();
    encode(&Header::new(Algorithm::HS256), claims, &EncodingKey::from_secret(secret)).unwrap()
}

/// A good token of a user.
pub(crate) fn token(user: &str) -> String {
    signed(&json!({"sub": user, "exp": FAR}))
}

/// A good token of a back end.
pub(crate) fn service() -> String {
    signed(&json!({"sub": "backend", "exp": FAR, "role": "service"}))
}

/// Makes a conversation and returns its id.
pub(crate) async fn conversation(kind: &str, members: &[&str]) -> String {
    let id = name("c");
    let body = json!({"kind": kind, "members": members, "id": id});
    let answer = http("POST", "/v1/conversations", Some(&service()), Some(&body)).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    id
}

/// A `send` frame and its key.
pub(crate) fn send_frame(conversation: &str, body: &str) -> (String, Value) {
    let key = key();
    let frame = json!({"type": "send", "idempotency_key": key, "conversation": conversation, "body": body});
    (key, frame)
}
