//! The contract of streams between programs, as one suite that every adapter runs.

#![allow(clippy::unwrap_used)] // All of it is test code; clippy sees only the test functions as such.

#[cfg(feature = "grpc")]
mod grpc;
mod suite;
#[cfg(feature = "grpc")]
mod tls;

use std::sync::Arc;

use chatfleet_backends::stream::{Dial, Duplex, Switchboard};
use protocol::link::{GatewayFrame, Notice, Relay, WorkerFrame, WorkerHello, gateway_frame, worker_frame};
use tokio::{
    sync::mpsc,
    time::{Duration, timeout},
};

/// After this a wait has failed. The end of a stream must be noticed by then.
const DEADLINE: Duration = Duration::from_secs(5);

type Near = Duplex<WorkerFrame, GatewayFrame>;
type Far = Duplex<GatewayFrame, WorkerFrame>;

/// An adapter, listening.
struct Wire {
    dial: Arc<dyn Dial<WorkerFrame, GatewayFrame>>,
    address: String,
    /// Where nobody listens.
    nobody: String,
    streams: mpsc::Receiver<Far>,
    /// Frames of 4 KiB that may be under way beside those in the queues.
    between: usize,
}

impl Wire {
    /// A new stream: the end that dialled and the other one.
    async fn open(&mut self) -> (Near, Far) {
        let near = self.dial.dial(&self.address).await.unwrap();
        (near, soon(self.streams.recv()).await.unwrap())
    }
}

async fn soon<T>(what: impl Future<Output = T>) -> T {
    timeout(DEADLINE, what).await.expect("it took longer than 5 s")
}

fn down(n: usize, padding: usize) -> WorkerFrame {
    let worker = format!("{n}:{}", "x".repeat(padding));
    WorkerFrame { kind: Some(worker_frame::Kind::Hello(WorkerHello { worker, missed: false })) }
}

fn up(n: usize, padding: usize) -> GatewayFrame {
    let json = format!("{n}:{}", "x".repeat(padding));
    let notice = Some(Notice { conversation: "c".to_owned(), json, except_user: String::new() });
    let relay = Relay { notice, only_user: String::new(), members_max: 0 };
    GatewayFrame { kind: Some(gateway_frame::Kind::Relay(relay)) }
}

/// Waits until an end knows that its stream has ended: nothing more comes, and nothing can be sent.
async fn ended<Out, In: std::fmt::Debug>(end: &mut Duplex<Out, In>) {
    assert!(soon(end.rx.recv()).await.is_none(), "a frame came");
    soon(end.tx.closed()).await;
}

#[tokio::test]
async fn in_process() {
    let board = Switchboard::default();
    let streams = board.listen("here");
    let dial = Arc::new(board);
    suite::run(Wire { dial, address: "here".to_owned(), nobody: "nowhere".to_owned(), streams, between: 0 }).await;
}
