//! How a gateway is set up.

use backends::levers::LeverRules;
use domain::{NodeId, Planted};
use protocol::frames::Reconnect;

/// What one gateway takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Most connections. Design: 50,000; less where the process may open fewer files.
    pub connections: usize,
    /// Most connections of one address.
    pub connections_per_address: usize,
    /// Most handshakes under way: past it a reconnect storm is shed with 503 and `Retry-After`.
    pub handshakes: usize,
    /// Frames a second that one connection may send, on average.
    pub frames_per_s: u32,
    /// Frames it may send at once.
    pub frames_burst: u32,
    /// Bytes that may wait for one socket; past it the client is closed with 4008.
    pub outbound_bytes: usize,
    /// Appends of one connection under way; past it the connection is not read.
    pub sends_under_way: usize,
    /// Heartbeats forwarded a second (design: 100,000); the excess waits, once a connection.
    pub heartbeats_per_s: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 50_000,
            connections_per_address: 50_000,
            handshakes: 20_000,
            frames_per_s: 500,
            frames_burst: 1_000,
            outbound_bytes: 1 << 20,
            sends_under_way: 64,
            heartbeats_per_s: 100_000,
        }
    }
}

/// How a gateway is set up.
#[derive(Debug, Clone)]
pub struct GatewayConfig {
    /// Its name.
    pub node: NodeId,
    /// Which life of it: higher than that of every earlier one.
    pub incarnation: u64,
    /// Where workers dial it.
    pub link: String,
    /// Its failure domain; empty when there is but one.
    pub zone: String,
    /// What it takes.
    pub limits: Limits,
    /// What `welcome` tells clients.
    pub reconnect: Reconnect,
    /// What `welcome` tells clients: 30,000 ms.
    pub heartbeat_interval_ms: u64,
    /// Seed of what is left to chance: jitter, the order of a drain.
    pub seed: u64,
    /// Known bugs that a test planted.
    pub planted: Planted,
    /// What may be done to it on purpose.
    pub levers: LeverRules,
}

impl GatewayConfig {
    /// The numbers of the design.
    pub fn new(node: NodeId, incarnation: u64, link: String, seed: u64) -> Self {
        let reconnect = Reconnect { base_ms: 1_000, max_ms: 30_000, jitter_ms: 1_000, heartbeat_spread_ms: 30_000 };
        Self {
            node,
            incarnation,
            link,
            zone: String::new(),
            limits: Limits::default(),
            reconnect,
            heartbeat_interval_ms: 30_000,
            seed,
            planted: Planted::default(),
            levers: LeverRules::default(),
        }
    }
}
