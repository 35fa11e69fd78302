//! A worker: its ports, its roles and the tasks that play them.

use std::{
    fmt,
    str::FromStr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use backends::{
    Clock, Stores,
    edge::Dependencies,
    levers::{LeverRules, Levers},
    port::{Directory, Lane, Log, Messages, Recent, Registry},
    stream::Dial,
};
use domain::{NodeId, Planted};
use protocol::link::{GatewayFrame, OwnedPartition, WorkerFrame};
use tokio::sync::watch;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    delivery::{Deliverer, LinkSet, MemberCache},
    fanout,
    figures::Figures,
    persister, replicas,
    sequencer::{self, Heads},
};

/// What a worker does for one lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Numbers messages; delivers direct ones.
    Sequencer(Lane),
    /// Delivers group messages.
    GroupFanout,
    /// Stores messages.
    Persister(Lane),
}

impl Role {
    /// Every role: one worker can play them all.
    pub const ALL: [Self; 5] = [
        Self::Sequencer(Lane::Direct),
        Self::Sequencer(Lane::Group),
        Self::GroupFanout,
        Self::Persister(Lane::Direct),
        Self::Persister(Lane::Group),
    ];
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sequencer(lane) => write!(f, "sequencer-{}", lane.as_str()),
            Self::GroupFanout => f.write_str("fanout"),
            Self::Persister(lane) => write!(f, "persister-{}", lane.as_str()),
        }
    }
}

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(name: &str) -> Result<Self, UnknownRole> {
        Ok(match name {
            "sequencer-direct" => Self::Sequencer(Lane::Direct),
            "sequencer-group" => Self::Sequencer(Lane::Group),
            "fanout" => Self::GroupFanout,
            "persister-direct" => Self::Persister(Lane::Direct),
            "persister-group" => Self::Persister(Lane::Group),
            _ => return Err(UnknownRole(name.to_owned())),
        })
    }
}

/// No role has this name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "no role is named {0:?}; there are sequencer-direct, sequencer-group, fanout, persister-direct, persister-group \
     and all"
)]
pub struct UnknownRole(String);

/// Roles as a setting names them: separated by commas, or `all`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roles(pub Vec<Role>);

impl FromStr for Roles {
    type Err = UnknownRole;

    fn from_str(names: &str) -> Result<Self, UnknownRole> {
        if names == "all" {
            return Ok(Self(Role::ALL.to_vec()));
        }
        let mut roles = names.split(',').map(|name| name.trim().parse()).collect::<Result<Vec<Role>, _>>()?;
        roles.sort();
        roles.dedup();
        Ok(Self(roles))
    }
}

/// How a worker is set up.
#[derive(Debug, Clone)]
pub struct WorkerConfig {
    /// Its name.
    pub node: NodeId,
    /// Which life of it: higher than that of every earlier one.
    pub incarnation: u64,
    /// What it does.
    pub roles: Vec<Role>,
    /// Tells the time.
    pub clock: Clock,
    /// What may be done to it on purpose.
    pub levers: LeverRules,
    /// Known bugs that a test planted.
    pub planted: Planted,
}

impl WorkerConfig {
    /// Every role, no faults allowed.
    pub fn new(node: NodeId, incarnation: u64, clock: Clock) -> Self {
        Self {
            node,
            incarnation,
            roles: Role::ALL.to_vec(),
            clock,
            levers: LeverRules::default(),
            planted: Planted::default(),
        }
    }
}

/// The systems a worker stands on.
#[derive(Clone)]
pub struct Ports {
    /// Intake and sequenced.
    pub log: Arc<dyn Log>,
    /// Stored messages.
    pub messages: Arc<dyn Messages>,
    /// Tails and versions.
    pub recent: Arc<dyn Recent>,
    /// Routes and gateways.
    pub registry: Arc<dyn Registry>,
    /// Conversations and members.
    pub directory: Arc<dyn Directory>,
    /// Streams to gateways.
    pub gateways: Arc<dyn Dial<WorkerFrame, GatewayFrame>>,
    /// Which of the stores answer. Empty where that is not watched: nothing is ever down then.
    pub dependencies: Dependencies,
}

impl Ports {
    /// What a worker takes of a fleet's stores.
    pub fn new(stores: Stores, gateways: Arc<dyn Dial<WorkerFrame, GatewayFrame>>) -> Self {
        let Stores { log, messages, recent, registry, directory, dependencies, presence: _ } = stores;
        Self { log, messages, recent, registry, directory, gateways, dependencies }
    }
}

/// Counters since the start, read by the report to the control plane.
#[derive(Debug, Default)]
pub struct WorkerStats {
    /// Messages that got a number.
    pub numbered: AtomicU64,
    /// Records whose key had a number.
    pub repeats: AtomicU64,
    /// Records whose key had another body.
    pub conflicts: AtomicU64,
    /// Records that could not be read and were skipped.
    pub unreadable: AtomicU64,
    /// Records that wait because their conversation cannot be loaded, by [`Lane::number`].
    pub waiting: [AtomicU64; 2],
    /// Rows stored.
    pub stored: AtomicU64,
    /// Delivery calls to gateways.
    pub deliveries: AtomicU64,
    /// Times a gateway was so far behind that its feed was cut.
    pub missed: AtomicU64,
    /// What else the control plane's detectors look at.
    pub(crate) figures: Figures,
}

impl WorkerStats {
    pub(crate) fn add(counter: &AtomicU64, n: usize) {
        counter.fetch_add(n as u64, Ordering::Relaxed);
    }

    /// So many records of a lane wait now.
    pub(crate) fn waits(&self, lane: Lane, records: usize) {
        self.waiting[lane.number() as usize].store(records as u64, Ordering::Relaxed);
    }
}

/// What the roles share.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) config: Arc<WorkerConfig>,
    pub(crate) ports: Ports,
    pub(crate) deliverer: Arc<Deliverer>,
    pub(crate) heads: Arc<Heads>,
    pub(crate) stats: Arc<WorkerStats>,
    /// What an operator forces here for a while.
    pub(crate) levers: Arc<Levers>,
    /// Ends every role.
    pub(crate) stop: CancellationToken,
}

/// A running worker.
pub struct Worker {
    shared: Shared,
    tasks: TaskTracker,
}

impl Worker {
    /// Starts the roles.
    pub fn start(config: WorkerConfig, ports: Ports) -> Self {
        let stop = CancellationToken::new();
        let stats = Arc::new(WorkerStats::default());
        let levers = Levers::new(config.clock, config.incarnation, config.levers, ports.dependencies.clone());
        let tasks = TaskTracker::new();
        let heads = Arc::new(Heads::new(ports.log.clone(), ports.messages.clone()));
        let links = LinkSet::new(config.node.clone(), ports.registry.clone(), ports.gateways.clone(), stats.clone());
        let members = MemberCache::new(ports.directory.clone(), ports.recent.clone());
        let deliverer = Arc::new(Deliverer::new(links, ports.registry.clone(), members, stats.clone(), config.planted));
        let shared = Shared { config: Arc::new(config), ports, deliverer, heads, stats, levers, stop };

        tasks.spawn(shared.levers.clone().run(shared.stop.clone()));
        tasks.spawn(shared.deliverer.clone().run(shared.heads.clone(), shared.stop.clone()));
        for role in &shared.config.roles {
            let shared = shared.clone();
            match *role {
                Role::Sequencer(lane) => tasks.spawn(sequencer::run(shared, lane)),
                Role::GroupFanout => tasks.spawn(fanout::run(shared)),
                Role::Persister(lane) => tasks.spawn(persister::run(shared, lane)),
            };
        }
        if shared.config.roles.iter().any(|role| matches!(role, Role::Persister(_))) {
            tasks.spawn(replicas::run(shared.clone()));
        }
        tasks.close();
        Self { shared, tasks }
    }

    /// Its name.
    pub fn node(&self) -> &NodeId {
        &self.shared.config.node
    }

    /// Counters since the start.
    pub fn stats(&self) -> &Arc<WorkerStats> {
        &self.shared.stats
    }

    /// Which of its stores answer.
    pub(crate) fn dependencies(&self) -> &Dependencies {
        &self.shared.ports.dependencies
    }

    /// What an operator forces on it for a while.
    pub fn levers(&self) -> &Arc<Levers> {
        &self.shared.levers
    }

    /// What its roles share.
    pub(crate) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// How it was set up.
    pub(crate) fn config(&self) -> &Arc<WorkerConfig> {
        &self.shared.config
    }

    /// The intake partitions it sequences.
    pub fn owned(&self) -> watch::Receiver<Vec<OwnedPartition>> {
        self.shared.heads.owned()
    }

    /// Ends the roles and waits for them. What was not committed is read again by the next owner.
    pub async fn shutdown(self) {
        self.shared.stop.cancel();
        self.tasks.wait().await;
    }
}
