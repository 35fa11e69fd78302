//! Measures a stream between two ends on loopback: `cargo run --release -p chatfleet-backends --features grpc --example
//! stream`. Prints frames per second in one direction, and the time of a round trip with one frame under way.

#![allow(clippy::unwrap_used)] // A measurement that fails may as well panic.

use std::time::Duration;

use chatfleet_backends::{
    grpc::{GrpcDial, listen_links},
    stream::{Dial, Duplex, Switchboard},
};
use protocol::link::{Ack, Deliver, Delivery, GatewayFrame, WorkerFrame, gateway_frame, worker_frame};
use tokio::{net::TcpListener, sync::mpsc, time::Instant};
use tokio_util::sync::CancellationToken;

const FRAMES: u64 = 500_000;
const ROUND_TRIPS: usize = 50_000;

type Far = Duplex<GatewayFrame, WorkerFrame>;

#[tokio::main]
async fn main() {
    let board = Switchboard::default();
    let streams = board.listen("here");
    measure("in process", &board, "here", streams).await;

    let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = tcp.local_addr().unwrap().to_string();
    let stop = CancellationToken::new();
    let (streams, serving) = listen_links(tcp, None, stop.clone()).unwrap();
    measure("gRPC", &GrpcDial::plain(), &address, streams).await;
    stop.cancel();
    serving.ended().await;
}

/// A delivery of about 100 bytes.
fn deliver(sequence: u64) -> WorkerFrame {
    let delivery = Delivery { users: vec!["x".repeat(80)], ..Delivery::default() };
    WorkerFrame { kind: Some(worker_frame::Kind::Deliver(Deliver { sequence, deliveries: vec![delivery] })) }
}

async fn measure(
    name: &str,
    dial: &dyn Dial<WorkerFrame, GatewayFrame>,
    address: &str,
    mut streams: mpsc::Receiver<Far>,
) {
    let mut near = dial.dial(address).await.unwrap();
    let far = streams.recv().await.unwrap();
    // Acknowledges as a gateway does: the last of what came together.
    let gateway = tokio::spawn(async move {
        let Duplex { tx, mut rx, .. } = far;
        let mut frames = Vec::new();
        while rx.recv_many(&mut frames, 64).await > 0 {
            if let Some(WorkerFrame { kind: Some(worker_frame::Kind::Deliver(call)) }) = frames.drain(..).next_back() {
                let ack = GatewayFrame { kind: Some(gateway_frame::Kind::Ack(Ack { sequence: call.sequence })) };
                tx.send(ack).await.unwrap();
            }
        }
    });

    let began = Instant::now();
    let tx = near.tx.clone();
    let send = async {
        for n in 1..=FRAMES {
            tx.send(deliver(n)).await.unwrap();
        }
    };
    tokio::join!(send, acked(&mut near, FRAMES));
    let frames_per_s = FRAMES as f64 / began.elapsed().as_secs_f64();

    let mut times = Vec::with_capacity(ROUND_TRIPS);
    for n in 1..=ROUND_TRIPS as u64 {
        let began = Instant::now();
        tx.send(deliver(n)).await.unwrap();
        acked(&mut near, n).await;
        times.push(began.elapsed());
    }
    times.sort();
    let at = |percent: usize| -> Duration { times[ROUND_TRIPS * percent / 100] };
    println!("{name}: {frames_per_s:.0} frames/s; round trip p50 {:?}, p99 {:?}", at(50), at(99));
    drop((tx, near));
    gateway.await.unwrap();
}

/// Waits until a delivery was acknowledged.
async fn acked(near: &mut Duplex<WorkerFrame, GatewayFrame>, sequence: u64) {
    while let Some(frame) = near.rx.recv().await {
        if matches!(frame.kind, Some(gateway_frame::Kind::Ack(ack)) if ack.sequence == sequence) {
            return;
        }
    }
    panic!("the stream ended");
}
