//! What a swarm reports, meanwhile and at the end. Field names are stable: programs read them.

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::checker::{Verdict, Violation};

/// A distribution of times.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Latency {
    /// Half were at most this.
    pub p50_ms: u64,
    /// 99 of 100 were at most this.
    pub p99_ms: u64,
    /// All were at most this.
    pub max_ms: u64,
}

impl From<&Histogram<u64>> for Latency {
    fn from(histogram: &Histogram<u64>) -> Self {
        Self {
            p50_ms: histogram.value_at_quantile(0.5),
            p99_ms: histogram.value_at_quantile(0.99),
            max_ms: histogram.max(),
        }
    }
}

/// How far a swarm has got.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Progress {
    /// Clients there are to be.
    pub clients: usize,
    /// Clients with a connection.
    pub connected: usize,
    /// Connections after a client's first.
    pub reconnects: u64,
    /// Messages clients were asked to send.
    pub sent: u64,
    /// Of them, accepted.
    pub accepted: u64,
    /// Messages shown, over all clients.
    pub delivered: u64,
    /// Messages to be sent in all, if that is known.
    pub to_send: Option<u64>,
    /// From send to shown at another client.
    pub latency: Latency,
    /// Seconds since the first client started.
    pub seconds: f64,
}

/// How a swarm ended.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Outcome {
    /// Every invariant that clients can see holds, every send was answered, and the swarm was not cut short.
    pub holds: bool,
    /// It was cut short: nothing is said about losses.
    pub cancelled: bool,
    /// Clients.
    pub clients: usize,
    /// Distinct messages clients were asked to send.
    pub sent: u64,
    /// Of them, accepted.
    pub accepted: u64,
    /// Refused for good.
    pub refused: u64,
    /// Neither, by the end.
    pub unanswered: u64,
    /// Messages shown, over all clients.
    pub delivered: u64,
    /// Accepted messages that a member was not shown.
    pub lost: u64,
    /// Messages shown to a client again.
    pub shown_twice: u64,
    /// Messages shown to a client before or after their turn.
    pub out_of_order: u64,
    /// Connections after a client's first.
    pub reconnects: u64,
    /// Clients that had to ask for the end of a conversation: a live message at its very end was not pushed to them.
    pub late_syncs: u64,
    /// Clients that stopped for good: superseded, or their tokens refused.
    pub stopped: u64,
    /// From send to shown at another client.
    pub latency: Latency,
    /// From send to `accepted`.
    pub accept_latency: Latency,
    /// From the first message to the last one shown.
    pub seconds: f64,
    /// Accepted messages a second.
    pub messages_per_s: f64,
    /// Messages shown a second.
    pub deliveries_per_s: f64,
    /// The first violations, in words.
    pub violations: Vec<Violation>,
    /// How many there are.
    pub violations_total: u64,
}

/// What the checker does not know.
pub(super) struct Rest {
    pub(super) cancelled: bool,
    pub(super) clients: usize,
    pub(super) unanswered: u64,
    pub(super) reconnects: u64,
    pub(super) late_syncs: u64,
    pub(super) stopped: u64,
    pub(super) latency: Latency,
    pub(super) accept_latency: Latency,
    pub(super) seconds: f64,
}

impl Outcome {
    pub(super) fn new(verdict: Verdict, rest: Rest) -> Self {
        let per_s = |n: u64| if rest.seconds > 0.0 { n as f64 / rest.seconds } else { 0.0 };
        Self {
            holds: verdict.holds() && !rest.cancelled && rest.unanswered == 0,
            cancelled: rest.cancelled,
            clients: rest.clients,
            sent: verdict.sent,
            accepted: verdict.accepted,
            refused: verdict.refused,
            unanswered: rest.unanswered,
            delivered: verdict.delivered,
            lost: verdict.lost,
            shown_twice: verdict.shown_twice,
            out_of_order: verdict.out_of_order,
            reconnects: rest.reconnects,
            late_syncs: rest.late_syncs,
            stopped: rest.stopped,
            latency: rest.latency,
            accept_latency: rest.accept_latency,
            seconds: rest.seconds,
            messages_per_s: per_s(verdict.accepted),
            deliveries_per_s: per_s(verdict.delivered),
            violations: verdict.violations,
            violations_total: verdict.violations_total,
        }
    }
}
