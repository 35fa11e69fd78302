//! The suite over gRPC, and what only a network can do.

use std::{net::SocketAddr, sync::Arc};

use chatfleet_backends::{
    grpc::{GrpcDial, Serving, Tls, WINDOW_BYTES, listen_links, listen_nodes},
    stream::Dial,
};
use protocol::node::{Desired, NodeFrame, Report, control_frame, node_frame};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{DEADLINE, Wire, down, ended, soon, suite, up};

pub(crate) struct Listener {
    pub(crate) wire: Wire,
    pub(crate) serving: Serving,
    pub(crate) stop: CancellationToken,
}

/// A port that nobody listens at.
async fn nobody() -> String {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().to_string()
}

pub(crate) async fn listener(dial: GrpcDial, tls: Option<&Tls>) -> Listener {
    let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = tcp.local_addr().unwrap().to_string();
    let stop = CancellationToken::new();
    let (streams, serving) = listen_links(tcp, tls, stop.clone()).unwrap();
    // The window, and as much again in the buffers of both sides.
    let between = 2 * WINDOW_BYTES as usize / 4_096;
    Listener { wire: Wire { dial: Arc::new(dial), address, nobody: nobody().await, streams, between }, serving, stop }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_grpc() {
    let Listener { wire, serving, stop } = listener(GrpcDial::plain(), None).await;
    suite::run(wire).await;
    stop.cancel();
    soon(serving.ended()).await;
}

#[tokio::test]
async fn nodes_have_a_service_of_their_own() {
    let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = tcp.local_addr().unwrap().to_string();
    let (mut streams, _serving) = listen_nodes(tcp, None, CancellationToken::new()).unwrap();
    let dial: Arc<dyn Dial<NodeFrame, _>> = Arc::new(GrpcDial::plain());
    let mut near = dial.dial(&address).await.unwrap();
    let mut far = soon(streams.recv()).await.unwrap();
    let report = NodeFrame { kind: Some(node_frame::Kind::Report(Report { users: 7, ..Report::default() })) };
    near.tx.send(report.clone()).await.unwrap();
    assert_eq!(soon(far.rx.recv()).await, Some(report));
    let desired = Some(control_frame::Kind::Desired(Desired { version: 9, ..Desired::default() }));
    far.tx.send(protocol::node::ControlFrame { kind: desired.clone() }).await.unwrap();
    assert_eq!(soon(near.rx.recv()).await.unwrap().kind, desired);
    // The service of gateways is not there.
    let links: &dyn Dial<protocol::link::WorkerFrame, _> = &GrpcDial::plain();
    assert!(links.dial(&address).await.is_err());
}

#[tokio::test]
async fn a_stop_ends_open_streams_and_closes_the_port() {
    let Listener { mut wire, serving, stop } = listener(GrpcDial::plain(), None).await;
    let (mut near, mut far) = wire.open().await;
    // One that was full and whose reader hangs must not hold it.
    let (stuck_near, stuck_far) = wire.open().await;
    while timeout(DEADLINE / 10, stuck_far.tx.send(up(0, 4_096))).await.is_ok() {}
    stop.cancel();
    soon(serving.ended()).await;
    ended(&mut near).await;
    ended(&mut far).await;
    soon(stuck_near.tx.closed()).await;
    soon(stuck_far.tx.closed()).await;
    assert!(wire.dial.dial(&wire.address).await.is_err());
    // The port is free at once.
    TcpListener::bind(wire.address.parse::<SocketAddr>().unwrap()).await.unwrap();
}

#[tokio::test]
async fn a_peer_that_never_answers_is_given_up() {
    let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = tcp.local_addr().unwrap().to_string();
    let accepting = async { tcp.accept().await.unwrap() };
    let dial: Arc<dyn Dial<protocol::link::WorkerFrame, _>> = Arc::new(GrpcDial::plain());
    let (dialled, _held) = tokio::join!(soon(dial.dial(&address)), accepting);
    let error = dialled.unwrap_err();
    assert!(error.to_string().contains(&address), "{error}");
}

#[tokio::test]
async fn who_connects_and_says_nothing_is_cut() {
    let Listener { wire, .. } = listener(GrpcDial::plain(), None).await;
    let mut silent = TcpStream::connect(&wire.address).await.unwrap();
    let mut said = Vec::new();
    let read = timeout(2 * DEADLINE, silent.read_to_end(&mut said)).await;
    assert!(read.is_ok(), "it is still open");
}

#[tokio::test]
async fn a_wire_that_goes_silent_is_noticed_at_both_ends() {
    let Listener { mut wire, .. } = listener(GrpcDial::plain(), None).await;
    let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let behind = std::mem::replace(&mut wire.address, tcp.local_addr().unwrap().to_string());
    let silence = CancellationToken::new();
    let proxy = tokio::spawn(forward(tcp, behind, silence.clone()));
    let (mut near, mut far) = wire.open().await;
    near.tx.send(down(1, 0)).await.unwrap();
    assert_eq!(soon(far.rx.recv()).await, Some(down(1, 0)));
    // It is idle and stays open for longer than a dead one would.
    assert!(timeout(DEADLINE, near.rx.recv()).await.is_err(), "an idle stream ended");
    silence.cancel();
    let since = Instant::now();
    tokio::join!(ended(&mut near), ended(&mut far));
    assert!(since.elapsed() < DEADLINE, "noticed after {:?}", since.elapsed());
    proxy.abort();
}

/// Forwards one connection until `silence`; then it holds both sockets and does nothing.
async fn forward(listener: TcpListener, to: String, silence: CancellationToken) {
    let (near, _) = listener.accept().await.unwrap();
    let far = TcpStream::connect(to).await.unwrap();
    let ((near_rx, near_tx), (far_rx, far_tx)) = (near.into_split(), far.into_split());
    tokio::join!(copy(near_rx, far_tx, &silence), copy(far_rx, near_tx, &silence));
}

async fn copy(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, silence: &CancellationToken) {
    let mut bytes = vec![0; 16_384];
    loop {
        let read = tokio::select! {
            biased;
            () = silence.cancelled() => std::future::pending().await,
            read = from.read(&mut bytes) => read.unwrap(),
        };
        to.write_all(&bytes[..read]).await.unwrap();
    }
}
