//! The nodes of the fleet: who is known, who is heard, what each should do and has acknowledged.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use parking_lot::Mutex;
use protocol::{
    admin::{NackDetail, Node, NodeRole, NodeStatus},
    node::{Answer, Desired, DrainOrder, DrainPhase, Question, Register, Report, Role, question},
};
use tokio::{
    sync::{Notify, mpsc, oneshot},
    time::{Duration, Instant, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{App, lever};
use crate::{
    error::AppError,
    store::{Change, DesiredRecord, NodeRecord},
};

/// A node not heard for this long is lost.
pub(crate) const LOST_AFTER: Duration = Duration::from_secs(3);
/// After its own start a control plane waits this long before it gives a node up: nodes redial with backoff.
const START_GRACE: Duration = Duration::from_secs(10);
/// Questions to one node at once; more are refused.
const QUESTIONS_MAX: usize = 64;
/// An answer takes at most this: longer than the node's own deadline.
const ANSWER_DEADLINE: Duration = Duration::from_secs(10);
/// Known nodes; more are refused.
const NODES_MAX: usize = 10_000;

/// All known nodes.
pub(crate) struct Nodes {
    /// When this replica began to listen to them.
    started: Mutex<Instant>,
    entries: Mutex<BTreeMap<String, Entry>>,
    /// Questions asked so far.
    asked: AtomicU64,
}

/// Why a node did not answer a question.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AskError {
    /// It has no stream, or said nothing in time.
    #[error("it cannot be asked now")]
    Unreachable,
    /// It said why.
    #[error("{0}")]
    Refused(String),
}

struct Entry {
    record: NodeRecord,
    report: Report,
    heard: Instant,
    desired: DesiredRecord,
    acked: u64,
    nack: Option<NackDetail>,
    /// The stream in force, if any.
    session: Option<Session>,
    /// Questions on their way to it.
    asking: Option<mpsc::Sender<Question>>,
    /// Who waits for which answer. Bounded by [`QUESTIONS_MAX`].
    waiting: HashMap<u64, oneshot::Sender<Answer>>,
}

/// A node's stream, as the registry knows it.
#[derive(Clone)]
pub(crate) struct Session {
    /// Ends the stream when another takes its place.
    pub(crate) replaced: CancellationToken,
    /// The desired state changed: send it.
    pub(crate) desired: Arc<Notify>,
}

/// What a reconciler sees of a node.
#[derive(Debug, Clone)]
pub(crate) struct NodeView {
    pub(crate) record: NodeRecord,
    /// Not heard for [`LOST_AFTER`].
    pub(crate) lost: bool,
    /// Lost, and had time to come back after the control plane's own start.
    pub(crate) given_up: bool,
    pub(crate) heard_ms_ago: u64,
    pub(crate) report: Report,
    pub(crate) desired: DesiredRecord,
    pub(crate) acked: u64,
    pub(crate) nack: Option<NackDetail>,
}

impl NodeView {
    /// The phase of the drain, as the gateway reports it.
    pub(crate) fn phase(&self) -> DrainPhase {
        self.report.drain.as_ref().map_or(DrainPhase::Active, |drain| drain.phase())
    }

    /// Why the node refused the desired state in force, if it did.
    pub(crate) fn refusal(&self) -> Option<&str> {
        self.nack.as_ref().filter(|nack| nack.version == self.desired.version).map(|nack| nack.reason.as_str())
    }

    /// True when the node acknowledged the desired state in force.
    pub(crate) fn is_settled(&self) -> bool {
        self.acked >= self.desired.version
    }

    fn status(&self) -> NodeStatus {
        if self.lost { NodeStatus::Lost } else { NodeStatus::Live }
    }

    pub(super) fn to_node(&self) -> Node {
        Node {
            id: self.record.id.clone(),
            role: self.record.role,
            roles: self.record.roles.clone(),
            status: self.status(),
            incarnation: self.record.incarnation,
            software: self.record.software.clone(),
            zone: self.record.zone.clone(),
            desired_version: self.desired.version,
            acked_version: self.acked,
            nack: self.nack.clone(),
            heard_ms_ago: self.heard_ms_ago,
            connections: self.report.connections,
            partitions: self.report.partitions,
            lag_records: self.report.lag_records,
            lag_ms: self.report.lag_ms,
            fanout_queue: self.report.figures.as_ref().map_or(0, |figures| figures.fanout_queue),
            trouble: self.report.trouble.clone(),
        }
    }
}

impl Entry {
    fn new(record: NodeRecord, report: Report, desired: DesiredRecord, session: Option<Session>) -> Self {
        Self {
            record,
            report,
            heard: Instant::now(),
            desired,
            acked: 0,
            nack: None,
            session,
            asking: None,
            waiting: HashMap::new(),
        }
    }

    fn view(&self, started: Instant) -> NodeView {
        let silent = self.heard.elapsed();
        let lost = silent >= LOST_AFTER;
        NodeView {
            record: self.record.clone(),
            lost,
            given_up: lost && started.elapsed() >= START_GRACE,
            heard_ms_ago: silent.as_millis() as u64,
            report: self.report.clone(),
            desired: self.desired.clone(),
            acked: self.acked,
            nack: self.nack.clone(),
        }
    }

    fn is_session(&self, session: &Session) -> bool {
        self.session.as_ref().is_some_and(|current| Arc::ptr_eq(&current.desired, &session.desired))
    }
}

impl Nodes {
    /// The nodes known from before; they have [`START_GRACE`] to be heard.
    pub(crate) fn new(records: Vec<NodeRecord>, desired: Vec<DesiredRecord>) -> Self {
        let nodes = Self { started: Mutex::new(Instant::now()), entries: Mutex::default(), asked: AtomicU64::new(0) };
        nodes.reload(records, desired);
        nodes
    }

    /// Forgets what is known of the nodes, but for what the store has: another control plane listened to them.
    pub(crate) fn reload(&self, records: Vec<NodeRecord>, desired: Vec<DesiredRecord>) {
        let mut desired: BTreeMap<_, _> = desired.into_iter().map(|record| (record.node.clone(), record)).collect();
        let entries = records.into_iter().map(|record| {
            let id = record.id.clone();
            let desired = desired.remove(&id).unwrap_or_else(|| none_desired(&id));
            (id, Entry::new(record, Report::default(), desired, None))
        });
        let entries = entries.collect();
        *self.started.lock() = Instant::now();
        *self.entries.lock() = entries;
    }

    /// True once every node that lives has had time to be heard by this replica.
    pub(crate) fn had_time(&self) -> bool {
        self.started.lock().elapsed() >= START_GRACE
    }

    pub(crate) fn view(&self, id: &str) -> Option<NodeView> {
        let started = *self.started.lock();
        self.entries.lock().get(id).map(|entry| entry.view(started))
    }

    pub(crate) fn views(&self) -> Vec<NodeView> {
        let started = *self.started.lock();
        self.entries.lock().values().map(|entry| entry.view(started)).collect()
    }

    /// Puts a committed desired state in force and has it sent.
    pub(crate) fn desire(&self, desired: DesiredRecord) {
        let mut entries = self.entries.lock();
        let Some(entry) = entries.get_mut(&desired.node) else { return };
        entry.desired = desired;
        if let Some(session) = &entry.session {
            session.desired.notify_one();
        }
    }

    /// What to send to a node now; `None` when its stream is no longer the one in force.
    pub(crate) fn desired_for(&self, id: &str, session: &Session) -> Option<Desired> {
        let entries = self.entries.lock();
        let entry = entries.get(id).filter(|entry| entry.is_session(session))?;
        let drain = entry.desired.drain.clone().map(|drain| DrainOrder {
            operation: drain.operation,
            deadline_ms: drain.deadline_ms,
            rate_per_s: drain.rate_per_s,
        });
        Some(Desired {
            version: entry.desired.version,
            drain,
            overrides: entry.desired.overrides.iter().map(lever::to_wire).collect(),
            restart_incarnation: entry.desired.restart_incarnation,
        })
    }

    /// Takes in what a node said; false when its stream is no longer the one in force.
    fn hear(&self, id: &str, session: &Session, change: impl FnOnce(&mut Entry)) -> bool {
        let mut entries = self.entries.lock();
        let Some(entry) = entries.get_mut(id).filter(|entry| entry.is_session(session)) else { return false };
        entry.heard = Instant::now();
        change(entry);
        true
    }

    /// A report came.
    pub(crate) fn reported(&self, id: &str, session: &Session, report: Report) -> bool {
        self.hear(id, session, |entry| entry.report = report)
    }

    /// A version was acknowledged.
    pub(crate) fn acked(&self, id: &str, session: &Session, version: u64) -> bool {
        self.hear(id, session, |entry| {
            entry.acked = entry.acked.max(version.min(entry.desired.version));
            entry.nack.take_if(|nack| nack.version <= version);
        })
    }

    /// A version was refused.
    pub(crate) fn nacked(&self, id: &str, session: &Session, version: u64, reason: String) -> bool {
        let reason = reason.chars().take(super::REASON_CHARS_MAX).collect();
        self.hear(id, session, |entry| entry.nack = Some(NackDetail { version, reason }))
    }

    /// The questions that a stream carries to its node; `None` when it is no longer the one in force.
    pub(crate) fn questions_of(&self, id: &str, session: &Session) -> Option<mpsc::Receiver<Question>> {
        let (asking, questions) = mpsc::channel(QUESTIONS_MAX);
        let mut entries = self.entries.lock();
        entries.get_mut(id).filter(|entry| entry.is_session(session))?.asking = Some(asking);
        Some(questions)
    }

    /// Asks a node something and waits for its answer, at most [`ANSWER_DEADLINE`].
    pub(crate) async fn ask(&self, id: &str, kind: question::Kind) -> Result<String, AskError> {
        let number = self.asked.fetch_add(1, Ordering::Relaxed) + 1;
        let (told, answer) = oneshot::channel();
        {
            let mut entries = self.entries.lock();
            let entry = entries.get_mut(id).ok_or(AskError::Unreachable)?;
            let asking = entry.asking.as_ref().ok_or(AskError::Unreachable)?;
            entry.waiting.retain(|_, waiting| !waiting.is_closed());
            asking.try_send(Question { number, kind: Some(kind) }).map_err(|_| AskError::Unreachable)?;
            entry.waiting.insert(number, told);
        }
        match timeout(ANSWER_DEADLINE, answer).await {
            Ok(Ok(answer)) if answer.error.is_empty() => Ok(answer.json),
            Ok(Ok(answer)) => Err(AskError::Refused(answer.error)),
            Ok(Err(_)) | Err(_) => Err(AskError::Unreachable),
        }
    }

    /// An answer came.
    pub(crate) fn answered(&self, id: &str, session: &Session, answer: Answer) -> bool {
        self.hear(id, session, |entry| {
            // Whoever asked may have given up.
            let _ = entry.waiting.remove(&answer.number).map(|waiting| waiting.send(answer));
        })
    }

    /// Nodes that the store does not know any more.
    pub(super) fn forget(&self, ids: &[String]) {
        self.entries.lock().retain(|id, _| !ids.contains(id));
    }

    /// A stream ended.
    pub(crate) fn closed(&self, id: &str, session: &Session) {
        if let Some(entry) = self.entries.lock().get_mut(id).filter(|entry| entry.is_session(session)) {
            entry.session = None;
            entry.asking = None;
            entry.waiting.clear();
        }
    }
}

fn none_desired(id: &str) -> DesiredRecord {
    DesiredRecord { node: id.to_owned(), ..DesiredRecord::default() }
}

fn record_of(register: &Register) -> Result<NodeRecord, String> {
    domain::NodeId::parse(&register.node).map_err(|error| format!("node name {error}"))?;
    let role = match register.role() {
        Role::Gateway => NodeRole::Gateway,
        Role::Worker => NodeRole::Worker,
        Role::Unspecified => return Err("unknown role".to_owned()),
    };
    Ok(NodeRecord {
        id: register.node.clone(),
        role,
        roles: register.roles.clone(),
        incarnation: register.incarnation,
        client_url: register.client_url.clone(),
        http_url: register.http_url.clone(),
        software: register.software.clone(),
        capacity: register.capacity,
        zone: register.zone.clone(),
    })
}

impl App {
    /// All nodes, by name.
    pub fn nodes(&self) -> Vec<Node> {
        self.nodes.views().iter().map(NodeView::to_node).collect()
    }

    /// One node.
    pub fn node(&self, id: &str) -> Result<Node, AppError> {
        self.nodes.view(id).map(|view| view.to_node()).ok_or_else(|| AppError::not_found("node", id))
    }

    /// A node came: its stream takes the place of an older one, unless a later life of the node is live.
    pub(crate) async fn node_register(&self, register: &Register) -> Result<Session, String> {
        let record = record_of(register)?;
        let _writing = self.writing.lock().await;
        let known = self.nodes.view(&record.id);
        if let Some(live) = known.as_ref().filter(|view| !view.lost && view.record.incarnation > record.incarnation) {
            return Err(format!("incarnation {} of this node is live", live.record.incarnation));
        }
        let mut desired = known.as_ref().map_or_else(|| none_desired(&record.id), |view| view.desired.clone());
        let mut changes = Vec::new();
        if register.desired_version > desired.version {
            // It runs by a state that this store never saw: go past it, or nothing sent would be applied.
            let previous = desired.previous.clone();
            desired = DesiredRecord { version: register.desired_version, ..desired };
            desired = DesiredRecord { previous, ..desired.next(desired.drain.clone()) };
            changes.push(Change::Desired(desired.clone()));
        }
        if known.as_ref().is_none_or(|view| view.record != record) {
            changes.push(Change::Node(record.clone()));
        }
        if known.is_none() && self.nodes.entries.lock().len() >= NODES_MAX {
            return Err(format!("{NODES_MAX} nodes are known already"));
        }
        if !changes.is_empty() {
            self.store.commit(changes).await.map_err(|_| "the control plane's store cannot answer".to_owned())?;
        }
        let session = Session { replaced: CancellationToken::new(), desired: Arc::default() };
        let same_life = known.as_ref().is_some_and(|view| view.record.incarnation == record.incarnation);
        let report = known.filter(|_| same_life).map(|view| view.report).unwrap_or_default();
        let entry = Entry::new(record.clone(), report, desired, Some(session.clone()));
        let replaced = self.nodes.entries.lock().insert(record.id, entry);
        if let Some(older) = replaced.and_then(|entry| entry.session) {
            older.replaced.cancel();
        }
        Ok(session)
    }
}
