//! Detectors: one for each failure mode. Pure functions over a window of samples, one a second; thresholds and guards
//! are those of the design, section 2.

mod fanout_delay;
mod gateway_crash;
mod lost_ack;
mod presence_storm;
mod split_brain;
mod write_timeouts;

pub use self::{gateway_crash::Loss, write_timeouts::store_is_tired};

/// A second of the fleet. Counters are of that second; gauges as they stood.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FleetSample {
    /// When, ms since the epoch.
    pub at_ms: u64,
    /// The gateways.
    pub gateways: Vec<GatewaySample>,
    /// Gateways that reported their figures.
    pub gateways_measured: u64,
    /// Workers that did.
    pub workers_measured: u64,
    /// Messages accepted.
    pub accepted: u64,
    /// Deliveries.
    pub delivered: u64,
    /// Sends looked up in the dedup cache.
    pub dedup_lookups: u64,
    /// Those that were found: retries.
    pub dedup_hits: u64,
    /// Heartbeats forwarded.
    pub heartbeats: u64,
    /// Those that the presence store did not take.
    pub heartbeat_errors: u64,
    /// Users shown offline while they were connected.
    pub false_offline: u64,
    /// Share of a core that the presence store uses, percent; 0 when it does not tell.
    pub presence_cpu_percent: u64,
    /// p99 of calls of the presence store, ms.
    pub presence_p99_ms: u64,
    /// Registrations found below their own version.
    pub stale_overwrites: u64,
    /// Sessions that came back to a gateway within a minute.
    pub flip_flops: u64,
    /// Group messages fanned out.
    pub fanout_messages: u64,
    /// p99 of direct deliveries, ms.
    pub direct_p99_ms: u64,
    /// p99 of group deliveries, ms; batched groups excepted.
    pub fanout_p99_ms: u64,
    /// Group messages that wait.
    pub fanout_queue: u64,
    /// Writes to the message store.
    pub writes: u64,
    /// Those that failed.
    pub write_errors: u64,
    /// p99 of writes, ms.
    pub write_p99_ms: u64,
    /// Compactions that wait in the store's worst node.
    pub pending_compactions: u64,
    /// Records behind the commit pointers.
    pub lag_records: u64,
    /// Age of the oldest record behind them, ms.
    pub lag_ms: u64,
}

impl FleetSample {
    /// Connections of the gateways that are heard.
    pub fn live_connections(&self) -> u64 {
        self.gateways.iter().filter(|it| it.is_live).map(|it| it.connections).sum()
    }
}

/// A gateway in a sample.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GatewaySample {
    /// Its name.
    pub id: String,
    /// Heard of.
    pub is_live: bool,
    /// Drained, draining, restarting: it is ordered to have no connections.
    pub is_leaving: bool,
    /// As it reported last.
    pub connections: u64,
    /// How long it was not heard, ms.
    pub silent_ms: u64,
    /// Of a lost one: connections that the fleet must have so that its users count as back ([`Loss`]).
    pub needed: u64,
    /// Of a lost one: its users are back elsewhere ([`Loss`]).
    pub is_back: bool,
}

/// How bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Alarm {
    /// Look at it today.
    Warning,
    /// Get up.
    Critical,
}

/// A number, and where the rule begins to hold.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    /// What was measured, in words.
    pub name: &'static str,
    /// The value.
    pub value: f64,
    /// Its unit.
    pub unit: &'static str,
    /// Where the rule begins to hold.
    pub threshold: f64,
    /// Where, when it concerns one node.
    pub of: Option<String>,
}

/// What a detector saw.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// How bad.
    pub alarm: Alarm,
    /// In one line.
    pub summary: String,
    /// The numbers.
    pub evidence: Vec<Figure>,
    /// What it concerns, when that is one thing of several: an incident of its own.
    pub subject: Option<String>,
}

/// A detector's answer to a window of samples.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// The figure that the light shows.
    pub key: Figure,
    /// What was found.
    pub findings: Vec<Finding>,
}

/// The failure modes, in the order of the design.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FailureMode {
    /// A gateway crashed.
    GatewayCrash,
    /// Acks are lost.
    LostAck,
    /// Heartbeats overwhelm the presence store.
    PresenceStorm,
    /// The message store does not keep up.
    WriteTimeouts,
    /// One user on two gateways.
    SplitBrain,
    /// Group messages arrive late.
    FanoutDelay,
}

impl FailureMode {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::GatewayCrash,
        Self::LostAck,
        Self::PresenceStorm,
        Self::WriteTimeouts,
        Self::SplitBrain,
        Self::FanoutDelay,
    ];

    /// How long a rule must not hold before its incident is over, ms: so that nothing flaps.
    pub const fn quiet_ms(self) -> u64 {
        match self {
            Self::GatewayCrash => 30_000,
            _ => 60_000,
        }
    }

    /// The longest window of its rule, ms: after a start, a rule that does not hold says nothing before.
    pub const fn window_ms(self) -> u64 {
        match self {
            // A gateway is lost after 3 s.
            Self::GatewayCrash => 4_000,
            Self::PresenceStorm => 10_000,
            Self::LostAck | Self::SplitBrain | Self::FanoutDelay => 60_000,
            Self::WriteTimeouts => 300_000,
        }
    }

    /// True when the nodes that count what it looks at report it now.
    pub fn is_measured(self, samples: &[FleetSample]) -> bool {
        samples.last().is_some_and(|now| match self {
            Self::GatewayCrash => !now.gateways.is_empty(),
            Self::LostAck | Self::PresenceStorm | Self::SplitBrain => now.gateways_measured > 0,
            Self::WriteTimeouts | Self::FanoutDelay => now.workers_measured > 0,
        })
    }

    /// Looks at a window of samples, oldest first, the last one being now.
    pub fn read(self, samples: &[FleetSample]) -> Reading {
        match self {
            Self::GatewayCrash => gateway_crash::read(samples),
            Self::LostAck => lost_ack::read(samples),
            Self::PresenceStorm => presence_storm::read(samples),
            Self::WriteTimeouts => write_timeouts::read(samples),
            Self::SplitBrain => split_brain::read(samples),
            Self::FanoutDelay => fanout_delay::read(samples),
        }
    }
}

/// The samples of `seconds` that end `ago` seconds before the last one. `None` when they do not reach back so far.
fn window(samples: &[FleetSample], seconds: usize, ago: usize) -> Option<&[FleetSample]> {
    let end = samples.len().checked_sub(ago)?;
    samples.get(end.checked_sub(seconds)?..end)
}

/// The newest samples, at most so many.
fn newest(samples: &[FleetSample], seconds: usize) -> &[FleetSample] {
    &samples[samples.len().saturating_sub(seconds)..]
}

fn sum(samples: &[FleetSample], of: impl Fn(&FleetSample) -> u64) -> u64 {
    samples.iter().map(of).sum()
}

fn percent(part: u64, of: u64) -> f64 {
    if of == 0 { 0.0 } else { part as f64 * 100.0 / of as f64 }
}

fn figure(name: &'static str, value: f64, unit: &'static str, threshold: f64) -> Figure {
    Figure { name, value, unit, threshold, of: None }
}

#[cfg(test)]
mod tests;
