//! A node's side of its stream to the control plane, shared by gateways and workers.
//!
//! The node dials, registers, reports each second and runs by the newest desired state it accepted. That state is kept
//! on its disk and put in force at start, before the first dial: the control plane being down changes nothing else.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;
use domain::Backoff;
use futures_util::{FutureExt as _, StreamExt as _, future::BoxFuture, stream::FuturesUnordered};
use prost::Message as _;
use protocol::node::{
    Ack, Answer, ControlFrame, Desired, Nack, NodeFrame, Question, Register, Report, control_frame, node_frame,
    question,
};
use rand::{Rng as _, SeedableRng as _, rngs::SmallRng};
use tokio::{
    io::AsyncWriteExt as _,
    time::{Duration, Instant, MissedTickBehavior, interval, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::stream::{Dial, Duplex};

/// Time between two reports.
pub const REPORT_INTERVAL: Duration = Duration::from_secs(1);
/// A frame that cannot be sent within this ends the stream.
const SEND_DEADLINE: Duration = Duration::from_secs(3);
/// A dial that takes longer has failed.
const DIAL_DEADLINE: Duration = Duration::from_secs(5);
/// Writing the desired state to disk may take this long, else it is refused.
const KEEP_DEADLINE: Duration = Duration::from_secs(5);
/// An answer to a question may take this long.
const ANSWER_DEADLINE: Duration = Duration::from_secs(8);
/// Questions under way at once; more are refused.
const ANSWERS_MAX: usize = 16;
/// A stream that lasted this long makes the next redial a first one.
const STEADY: Duration = Duration::from_secs(10);
/// Redials come quickly: the control plane calls a node lost after 3 s.
const REDIAL: Backoff = Backoff { base_ms: 200, max_ms: 5_000, jitter_ms: 300 };
/// First line of the file that keeps the desired state.
const MAGIC: &[u8] = b"chatfleet desired 1\n";

/// What a gateway or a worker is to its control plane.
#[async_trait]
pub trait Node: Send + Sync + 'static {
    /// Who it is. `desired_version` is filled in by the agent.
    fn register(&self) -> Register;

    /// How it is.
    fn report(&self) -> Report;

    /// Puts a desired state in force, wholly or not at all. Must be idempotent: a state comes again after a restart.
    fn apply(&self, desired: &Desired) -> Result<(), String>;

    /// Answers a question of the control plane with JSON, or says why not. A node may not know a kind of question.
    async fn answer(&self, question: question::Kind) -> Result<String, String> {
        let _ = question;
        Err("this node does not answer such questions".to_owned())
    }
}

/// Runs a node's side of the stream until `stop`. `address` is one or several, separated by commas: they are dialled in
/// turn, for of several control planes only one serves nodes. `state_file` keeps the last accepted desired state; `None` keeps it
/// in memory only, for simulations.
pub async fn run_node(
    node: Arc<dyn Node>,
    dial: Arc<dyn Dial<NodeFrame, ControlFrame>>,
    address: String,
    state_file: Option<PathBuf>,
    seed: u64,
    stop: CancellationToken,
) {
    let mut agent = Agent { node, state_file, kept: Desired::default() };
    agent.restore().await;
    let mut rng = SmallRng::seed_from_u64(seed);
    let addresses: Vec<&str> = address.split(',').map(str::trim).filter(|address| !address.is_empty()).collect();
    let mut attempt: u32 = 0;
    for address in addresses.iter().cycle() {
        let began = Instant::now();
        let ended = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            ended = agent.session(&*dial, address) => ended,
        };
        if began.elapsed() >= STEADY {
            attempt = 0;
        }
        // The delay grows once all were dialled: one that is down must not keep a node from the others.
        let round = attempt / addresses.len() as u32;
        let delay_ms = REDIAL.delay_ms(round, rng.random());
        tracing::debug!(%address, why = %ended, delay_ms, "no stream to the control plane; going on without it");
        attempt = attempt.saturating_add(1);
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = sleep(Duration::from_millis(delay_ms)) => {}
        }
    }
    tracing::error!("no address of a control plane; going on without it");
}

/// The desired state that a node kept on its disk; none when there is none or it cannot be read.
pub async fn kept(state_file: &Path) -> Desired {
    match timeout(KEEP_DEADLINE, read_kept(state_file)).await {
        Ok(Ok(kept)) => kept.unwrap_or_default(),
        // Whoever restores it says so in the log.
        Ok(Err(_)) | Err(_) => Desired::default(),
    }
}

struct Agent {
    node: Arc<dyn Node>,
    state_file: Option<PathBuf>,
    /// The last accepted desired state. Version 0: none yet.
    kept: Desired,
}

impl Agent {
    /// Puts the kept state in force again.
    async fn restore(&mut self) {
        let Some(path) = &self.state_file else { return };
        match timeout(KEEP_DEADLINE, read_kept(path)).await {
            Ok(Ok(Some(desired))) => match self.node.apply(&desired) {
                Ok(()) => self.kept = desired,
                Err(reason) => tracing::warn!(version = desired.version, %reason, "kept desired state not applied"),
            },
            Ok(Ok(None)) => {}
            Ok(Err(error)) => tracing::warn!(path = %path.display(), %error, "kept desired state cannot be read"),
            Err(_) => tracing::warn!(path = %path.display(), "kept desired state: reading it timed out"),
        }
    }

    /// One stream, from dial to its end. Returns why it ended.
    async fn session(&mut self, dial: &dyn Dial<NodeFrame, ControlFrame>, address: &str) -> String {
        let mut stream = match timeout(DIAL_DEADLINE, dial.dial(address)).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return error.to_string(),
            Err(_) => return format!("dialling {address} timed out"),
        };
        let register = Register { desired_version: self.kept.version, ..self.node.register() };
        if let Err(why) = send(&stream, node_frame::Kind::Register(register)).await {
            return why;
        }
        let mut keeping = Keeping::new();
        let why = self.talk(&mut stream, &mut keeping).await;
        // Whatever became of the stream: what is in force is kept, or taken back.
        while let Some((desired, written)) = keeping.next().await {
            self.written(desired, written);
        }
        why
    }

    /// Reports, and does what it is told, until the stream ends; says why it did. A state that is being written holds up what
    /// follows it, but not the reports: a node whose disk is slow for 3 s would be called lost in the middle of what it was
    /// just ordered.
    async fn talk(&mut self, stream: &mut Duplex<NodeFrame, ControlFrame>, keeping: &mut Keeping) -> String {
        // Answers under way: a slow one must not hold up the reports either.
        let mut answers = FuturesUnordered::new();
        let mut reports = interval(REPORT_INTERVAL);
        reports.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let answer = tokio::select! {
                biased;
                _ = reports.tick() => Some(node_frame::Kind::Report(self.node.report())),
                Some((desired, written)) = keeping.next() => Some(self.written(desired, written)),
                frame = stream.rx.recv(), if keeping.is_empty() => match frame.map(|frame| frame.kind) {
                    None => return "the control plane closed the stream".to_owned(),
                    Some(Some(control_frame::Kind::Refused(refused))) => {
                        tracing::warn!(reason = %refused.reason, "the control plane refused this node");
                        return format!("refused: {}", refused.reason);
                    }
                    Some(Some(control_frame::Kind::Desired(desired))) => match self.desired(desired) {
                        Taken::Ignored => None,
                        Taken::Answered(answer) => Some(*answer),
                        Taken::Keeping(writing) => {
                            keeping.push(writing);
                            None
                        }
                    },
                    Some(Some(control_frame::Kind::Question(question))) if answers.len() < ANSWERS_MAX => {
                        answers.push(answer(self.node.clone(), question));
                        None
                    }
                    Some(Some(control_frame::Kind::Question(Question { number, .. }))) => Some(failed(number, "busy")),
                    // A frame of a later version.
                    Some(None) => None,
                },
                Some(answer) = answers.next() => Some(answer),
            };
            if let Some(answer) = answer
                && let Err(why) = send(stream, answer).await
            {
                return why;
            }
        }
    }

    /// A desired state came: newer ones are applied and kept, the kept one is acknowledged again, older ones are not
    /// answered at all.
    fn desired(&mut self, desired: Desired) -> Taken {
        let version = desired.version;
        if version < self.kept.version {
            tracing::warn!(version, kept = self.kept.version, "older desired state ignored");
            return Taken::Ignored;
        }
        if desired == self.kept {
            return Taken::Answered(Box::new(node_frame::Kind::Ack(Ack { version })));
        }
        if version == self.kept.version {
            let reason = format!("version {version} is already known with another content");
            return Taken::Answered(Box::new(node_frame::Kind::Nack(Nack { version, reason })));
        }
        if let Err(reason) = self.node.apply(&desired) {
            return Taken::Answered(Box::new(refused(version, reason)));
        }
        let Some(path) = self.state_file.clone() else {
            return Taken::Answered(Box::new(self.written(desired, Ok(()))));
        };
        let writing = async move {
            let written = match timeout(KEEP_DEADLINE, write_kept(&path, &desired)).await {
                Ok(written) => written.map_err(|error| error.to_string()),
                Err(_) => Err("timed out".to_owned()),
            };
            (desired, written)
        };
        Taken::Keeping(writing.boxed())
    }

    /// An applied state is kept on disk, or could not be: then it is taken back, so that a restart changes nothing.
    fn written(&mut self, desired: Desired, written: Result<(), String>) -> node_frame::Kind {
        let version = desired.version;
        if let Err(why) = written {
            if let Err(reason) = self.node.apply(&self.kept) {
                tracing::error!(%reason, "cannot go back to the kept desired state");
            }
            return refused(version, format!("cannot keep it on disk: {why}"));
        }
        self.kept = desired;
        node_frame::Kind::Ack(Ack { version })
    }
}

/// What came of a desired state.
enum Taken {
    /// Nothing is to be said.
    Ignored,
    /// All that is to be said.
    Answered(Box<node_frame::Kind>),
    /// It is in force and being written to disk.
    Keeping(Writing),
}

/// A state that is being written, and then how that went.
type Writing = BoxFuture<'static, (Desired, Result<(), String>)>;
/// At most one.
type Keeping = FuturesUnordered<Writing>;

fn refused(version: u64, reason: String) -> node_frame::Kind {
    tracing::warn!(version, %reason, "desired state refused");
    node_frame::Kind::Nack(Nack { version, reason })
}

async fn answer(node: Arc<dyn Node>, question: Question) -> node_frame::Kind {
    let Question { number, kind } = question;
    let Some(kind) = kind else { return failed(number, "a question of a later version") };
    match timeout(ANSWER_DEADLINE, node.answer(kind)).await {
        Ok(Ok(json)) => node_frame::Kind::Answer(Answer { number, json, error: String::new() }),
        Ok(Err(error)) => failed(number, &error),
        Err(_) => failed(number, "it took too long"),
    }
}

fn failed(number: u64, error: &str) -> node_frame::Kind {
    node_frame::Kind::Answer(Answer { number, error: error.to_owned(), json: String::new() })
}

async fn send(stream: &Duplex<NodeFrame, ControlFrame>, kind: node_frame::Kind) -> Result<(), String> {
    match timeout(SEND_DEADLINE, stream.tx.send(NodeFrame { kind: Some(kind) })).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) => Err("the control plane closed the stream".to_owned()),
        Err(_) => Err("the control plane does not read".to_owned()),
    }
}

async fn read_kept(path: &Path) -> io::Result<Option<Desired>> {
    let bytes = match tokio::fs::read(path).await {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let body = bytes.strip_prefix(MAGIC).ok_or_else(|| io::Error::other("not a kept desired state"))?;
    Desired::decode(body).map(Some).map_err(io::Error::other)
}

/// Whole or not at all: a new file is written, synced, and moved over the old one; then the directory is synced.
async fn write_kept(path: &Path, desired: &Desired) -> io::Result<()> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend(desired.encode_to_vec());
    let new = path.with_extension("new");
    let mut file = tokio::fs::File::create(&new).await?;
    file.write_all(&bytes).await?;
    file.sync_all().await?;
    tokio::fs::rename(&new, path).await?;
    match path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        Some(parent) => tokio::fs::File::open(parent).await?.sync_all().await,
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
