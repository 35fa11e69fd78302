//! What callers can ask for: one file a resource. HTTP is one caller, a simulated fleet another.

mod audit;
pub(crate) mod capacity;
pub(crate) mod consistency;
mod forget;
mod gateways;
pub(crate) mod incidents;
mod lever;
pub(crate) mod nodes;
mod operations;
pub(crate) mod overrides;
mod overview;
pub(crate) mod reconciliations;
pub(crate) mod rollouts;
pub(crate) mod runbooks;
mod sessions;
mod tokens;

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use backends::Clock;
use domain::StoreScaling;
use parking_lot::Mutex;
use protocol::admin::{Mode, Role};
use rand::{Rng as _, rngs::StdRng};
use tokio::sync::{Notify, Semaphore, watch};

use self::nodes::Nodes;
pub use self::operations::OperationQuery;
pub(crate) use self::{audit::Deed, operations::Watcher};
use crate::{
    detect::{Hooks, Samples},
    error::AppError,
    leader::Seat,
    provision::Provisioner,
    scale::Rates,
    store::Store,
};

/// Longest reason.
const REASON_CHARS_MAX: usize = 500;
/// Watchers of operations at once; more are refused.
const WATCHERS_MAX: usize = 1_000;

/// Who calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// The name the audit shows.
    pub name: String,
    /// What is allowed.
    pub role: Role,
    /// When the token ends, ms since the epoch.
    pub expires_ms: Option<u64>,
}

impl Actor {
    /// A caller within the program.
    pub fn new(name: &str, role: Role) -> Self {
        Self { name: name.to_owned(), role, expires_ms: None }
    }
}

/// The control plane's resources.
pub struct App {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Clock,
    pub(crate) nodes: Nodes,
    /// Whether this replica leads.
    pub(crate) seat: Arc<Seat>,
    /// Held while operations or desired states are read and written: they have one writer at a time.
    pub(crate) writing: tokio::sync::Mutex<()>,
    /// Wakes the reconcilers.
    pub(crate) nudge: Notify,
    /// Wakes the driver of runbooks.
    pub(crate) runs: Notify,
    /// Wakes the driver of reconciliations.
    pub(crate) checks: Notify,
    /// Wakes the driver of prescales.
    pub(crate) scaling: Notify,
    /// Who adds and removes nodes.
    pub(crate) provisioner: Provisioner,
    /// What nodes bear and cost.
    pub(crate) rates: Rates,
    /// When it asks for a node of the message store by itself.
    pub(crate) autoscale: StoreScaling,
    /// The recent past of the fleet.
    pub(crate) samples: Mutex<Samples>,
    /// Incidents resolved by hand since the last look.
    pub(crate) resolved_by_hand: Mutex<Vec<(Mode, Option<String>)>>,
    /// When the rules of open incidents held last.
    pub(crate) incidents_seen: Mutex<HashMap<String, u64>>,
    /// Who is told of incidents.
    pub(crate) hooks: Arc<Hooks>,
    /// Idempotency keys whose calls are being answered.
    pub(crate) answering: Mutex<HashSet<String>>,
    /// Grows with each change of an operation: wakes the watchers.
    changed: watch::Sender<u64>,
    watchers: Arc<Semaphore>,
    /// For names of operations.
    rng: Mutex<StdRng>,
}

impl App {
    pub(crate) fn new(store: Arc<dyn Store>, clock: Clock, rng: StdRng, nodes: Nodes) -> Self {
        Self {
            store,
            clock,
            nodes,
            seat: Arc::default(),
            writing: tokio::sync::Mutex::default(),
            nudge: Notify::new(),
            runs: Notify::new(),
            checks: Notify::new(),
            scaling: Notify::new(),
            provisioner: Provisioner::None,
            rates: Rates::default(),
            autoscale: StoreScaling::default(),
            samples: Mutex::default(),
            resolved_by_hand: Mutex::default(),
            incidents_seen: Mutex::default(),
            hooks: Arc::default(),
            answering: Mutex::default(),
            changed: watch::channel(0).0,
            watchers: Arc::new(Semaphore::new(WATCHERS_MAX)),
            rng: Mutex::new(rng),
        }
    }
}

impl App {
    /// For the ends of names: they keep a name from coming again when the store is made anew and numbers restart.
    pub(crate) fn random_tail(&self) -> u16 {
        self.rng.lock().random()
    }
}

fn check_reason(reason: &str) -> Result<(), AppError> {
    match reason.chars().count() {
        0..=REASON_CHARS_MAX => Ok(()),
        n => Err(AppError::invalid("reason", format!("has {n} characters, at most {REASON_CHARS_MAX}"))),
    }
}

/// Checks the size of a page.
fn check_limit(limit: Option<usize>) -> Result<usize, AppError> {
    match limit.unwrap_or(100) {
        limit @ 1..=500 => Ok(limit),
        limit => Err(AppError::invalid("limit", format!("is {limit}, must be 1-500"))),
    }
}
