use parking_lot::Mutex;
use protocol::node::{DrainOrder, Refused};
use tokio::{sync::mpsc, task::JoinHandle};

use super::*;
use crate::stream::Switchboard;

const ADDRESS: &str = "control";

#[derive(Default)]
struct Fake {
    applied: Mutex<Vec<u64>>,
    refuse: Option<&'static str>,
}

#[async_trait]
impl Node for Fake {
    fn register(&self) -> Register {
        Register { node: "gw-1".into(), incarnation: 7, ..Register::default() }
    }

    fn report(&self) -> Report {
        Report { connections: 3, ..Report::default() }
    }

    fn apply(&self, desired: &Desired) -> Result<(), String> {
        if let (Some(why), Some(_)) = (self.refuse, &desired.drain) {
            return Err(why.to_owned());
        }
        self.applied.lock().push(desired.version);
        Ok(())
    }
}

struct Rig {
    node: Arc<Fake>,
    streams: mpsc::Receiver<Duplex<ControlFrame, NodeFrame>>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Rig {
    fn start(node: Fake, state_file: Option<PathBuf>) -> Self {
        let board = Switchboard::<NodeFrame, ControlFrame>::default();
        let streams = board.listen(ADDRESS);
        let (node, stop) = (Arc::new(node), CancellationToken::new());
        let task = tokio::spawn(run_node(node.clone(), Arc::new(board), ADDRESS.into(), state_file, 1, stop.clone()));
        Self { node, streams, stop, task }
    }

    async fn stream(&mut self) -> (Duplex<ControlFrame, NodeFrame>, Register) {
        let mut stream = timeout(Duration::from_secs(30), self.streams.recv()).await.unwrap().unwrap();
        match next(&mut stream).await {
            node_frame::Kind::Register(register) => (stream, register),
            other => panic!("expected register, got {other:?}"),
        }
    }

    async fn end(self) {
        self.stop.cancel();
        timeout(Duration::from_secs(1), self.task).await.unwrap().unwrap();
    }
}

async fn next(stream: &mut Duplex<ControlFrame, NodeFrame>) -> node_frame::Kind {
    timeout(Duration::from_secs(30), stream.rx.recv()).await.unwrap().unwrap().kind.unwrap()
}

async fn answer(stream: &mut Duplex<ControlFrame, NodeFrame>, desired: Desired) -> node_frame::Kind {
    stream.tx.send(ControlFrame { kind: Some(control_frame::Kind::Desired(desired)) }).await.unwrap();
    loop {
        let frame = next(stream).await;
        if !matches!(frame, node_frame::Kind::Report(_)) {
            return frame;
        }
    }
}

/// What an agent says to a state, once it is written.
async fn said(agent: &mut Agent, desired: Desired) -> Option<node_frame::Kind> {
    match agent.desired(desired) {
        Taken::Ignored => None,
        Taken::Answered(answer) => Some(*answer),
        Taken::Keeping(writing) => {
            let (desired, written) = writing.await;
            Some(agent.written(desired, written))
        }
    }
}

fn drain(version: u64) -> Desired {
    let order = DrainOrder { operation: format!("op-{version}"), deadline_ms: 1, rate_per_s: 1 };
    Desired { version, drain: Some(order), ..Desired::default() }
}

#[tokio::test(start_paused = true)]
async fn it_registers_reports_each_second_and_answers_desired_states() {
    let mut rig = Rig::start(Fake { refuse: Some("not me"), ..Fake::default() }, None);
    let (mut stream, register) = rig.stream().await;
    assert_eq!((register.node.as_str(), register.incarnation, register.desired_version), ("gw-1", 7, 0));
    assert!(matches!(next(&mut stream).await, node_frame::Kind::Report(report) if report.connections == 3));
    let began = Instant::now();
    for _ in 0..3 {
        assert!(matches!(next(&mut stream).await, node_frame::Kind::Report(_)));
    }
    assert_eq!(began.elapsed().as_secs(), 3);

    let two = Desired { version: 2, ..Desired::default() };
    assert_eq!(answer(&mut stream, two.clone()).await, node_frame::Kind::Ack(Ack { version: 2 }));
    let nack = Nack { version: 3, reason: "not me".into() };
    assert_eq!(answer(&mut stream, drain(3)).await, node_frame::Kind::Nack(nack));
    // An older one gets no answer; the kept one is acknowledged again and not applied again.
    stream
        .tx
        .send(ControlFrame { kind: Some(control_frame::Kind::Desired(Desired { version: 1, ..Desired::default() })) })
        .await
        .unwrap();
    assert_eq!(answer(&mut stream, two).await, node_frame::Kind::Ack(Ack { version: 2 }));
    assert_eq!(*rig.node.applied.lock(), [2]);

    drop(stream);
    let (_stream, register) = rig.stream().await;
    assert_eq!(register.desired_version, 2, "it says what it runs by");
    rig.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_refused_node_comes_again_later() {
    let mut rig = Rig::start(Fake::default(), None);
    let (stream, _) = rig.stream().await;
    let refused = control_frame::Kind::Refused(Refused { reason: "older incarnation".into() });
    stream.tx.send(ControlFrame { kind: Some(refused) }).await.unwrap();
    let began = Instant::now();
    rig.stream().await;
    assert!(began.elapsed() >= Duration::from_millis(200));
    rig.end().await;
}

#[tokio::test]
async fn the_accepted_state_outlives_the_node_and_is_applied_without_a_control_plane() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("desired");
    let mut rig = Rig::start(Fake::default(), Some(path.clone()));
    let (mut stream, _) = rig.stream().await;
    assert_eq!(answer(&mut stream, drain(5)).await, node_frame::Kind::Ack(Ack { version: 5 }));
    rig.end().await;

    let mut agent = Agent { node: Arc::new(Fake::default()), state_file: Some(path.clone()), kept: Desired::default() };
    agent.restore().await;
    assert_eq!(agent.kept, drain(5));
    assert_eq!(said(&mut agent, drain(4)).await, None);

    // What cannot be kept is refused.
    agent.state_file = Some(dir.path().join("gone/desired"));
    assert!(matches!(said(&mut agent, drain(6)).await, Some(node_frame::Kind::Nack(nack)) if nack.version == 6));

    std::fs::write(&path, "rubbish").unwrap();
    let mut fresh = Agent { node: Arc::new(Fake::default()), state_file: Some(path), kept: Desired::default() };
    fresh.restore().await;
    assert_eq!(fresh.kept.version, 0, "a foreign file is not applied");
}

#[tokio::test]
async fn it_reports_while_a_state_is_being_written() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("desired");
    // A disk that hangs: who opens it for writing waits for a reader.
    let disk = path.with_extension("new");
    assert!(std::process::Command::new("mkfifo").arg(&disk).status().unwrap().success());
    let mut rig = Rig::start(Fake::default(), Some(path));
    let (mut stream, _) = rig.stream().await;
    stream.tx.send(ControlFrame { kind: Some(control_frame::Kind::Desired(drain(5))) }).await.unwrap();
    for _ in 0..3 {
        assert!(matches!(next(&mut stream).await, node_frame::Kind::Report(_)));
    }
    assert_eq!(*rig.node.applied.lock(), [5], "it is in force meanwhile");
    tokio::task::spawn_blocking(move || std::fs::read(disk)).await.unwrap().unwrap();
    // What is no file cannot be synced.
    let said = loop {
        match next(&mut stream).await {
            node_frame::Kind::Report(_) => {}
            said => break said,
        }
    };
    assert!(matches!(said, node_frame::Kind::Nack(nack) if nack.version == 5));
    rig.end().await;
}
