//! What the bench programs share. The clients run in a child of the same program: a process may open only so many
//! files, and what the gateway's process uses must be told apart from what the clients use.

#![allow(dead_code)] // Each program uses a part of it.

pub(crate) mod child;
pub(crate) mod crowd;
pub(crate) mod raw;

use std::{
    fs,
    net::{IpAddr, Ipv4Addr, SocketAddr},
};

use chatfleet_fleet::{FleetOptions, LocalFleet};
use gateway::Limits;
use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// What ends a bench program early.
pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

/// How many clients a crowd has.
#[derive(Debug, clap::Args)]
pub(crate) struct Crowd {
    /// How many clients.
    #[arg(long, default_value_t = 18_000)]
    pub(crate) clients: usize,
}

/// A fleet with one gateway in a temporary directory.
pub(crate) async fn fleet(limits: Limits) -> Result<LocalFleet, Failure> {
    let bind = IpAddr::V4(Ipv4Addr::LOCALHOST);
    Ok(LocalFleet::start(FleetOptions { gateways: 1, bind, port: 0, data: None, allow_faults: false, limits }).await?)
}

/// A token of a user or a back end.
pub(crate) fn token(secret: &str, user: &str, role: &str) -> Result<String, Failure> {
    let claims = json!({"sub": user, "exp": 4_000_000_000_u64, "role": role});
    Ok(encode(&Header::default(), &claims, &EncodingKey::from_secret(secret.as_bytes()))?)
}

/// A call of a back end; fails unless it succeeds.
pub(crate) async fn post(fleet: &LocalFleet, path: &str, body: &Value) -> Result<(), Failure> {
    post_to(fleet.gateways[0].address, &fleet.secrets.jwt_secret, path, body).await
}

/// The same for any gateway.
pub(crate) async fn post_to(to: SocketAddr, secret: &str, path: &str, body: &Value) -> Result<(), Failure> {
    let body = body.to_string();
    let token = token(secret, "bench", "service")?;
    let request = format!(
        "POST {path} HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {token}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut stream = TcpStream::connect(to).await?;
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    if answer.starts_with("HTTP/1.1 2") { Ok(()) } else { Err(answer.into()) }
}

/// Bytes of this process in memory.
pub(crate) fn rss_bytes() -> Result<u64, Failure> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).ok_or("no VmRSS")?;
    let kib: u64 = line.split_whitespace().nth(1).ok_or("no VmRSS")?.parse()?;
    Ok(kib * 1_024)
}

/// Seconds of processor time that this process has used, user and system.
pub(crate) fn cpu_s() -> Result<f64, Failure> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    // After the name, which may have spaces: the 12th and 13th of the rest, in hundredths.
    let rest = stat.rsplit_once(')').ok_or("no stat")?.1;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let ticks = fields[11].parse::<f64>()? + fields[12].parse::<f64>()?;
    Ok(ticks / 100.0)
}

/// Where a client connects from: one address has too few ports for a crowd that comes again and again.
pub(crate) fn source(n: usize) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 2 + (n % 16) as u8], 0))
}
