//! The listening side.

use std::pin::pin;

use async_trait::async_trait;
use protocol::{
    identity::ProgramRole,
    link::{
        GatewayFrame, WorkerFrame,
        link_server::{Link, LinkServer},
    },
    node::{
        ControlFrame, NodeFrame,
        nodes_server::{Nodes, NodesServer},
    },
};
use tokio::{
    net::TcpListener,
    sync::mpsc,
    task::JoinHandle,
    time::{Duration, sleep},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tonic::{
    Request, Response, Status, Streaming,
    service::Routes,
    transport::{Server, server::Router},
};

use super::{
    FRAME_BYTES_MAX, KEEP_ALIVE_INTERVAL, KEEP_ALIVE_TIMEOUT, WINDOW_BYTES,
    bridge::{Answer, bridge},
    identity, socket,
    tls::{Tls, TlsError},
};
use crate::stream::Duplex;

/// New streams that may wait to be taken. Past it they are refused: whoever dialled tries again.
const NEW_STREAMS: usize = 16;
/// Calls at the same time in a connection. A dialler of ours makes one.
const CALLS_A_CONNECTION: u32 = 4;
/// What open streams have to send what is queued once the listener stops; then their connections are cut.
const STOP_PATIENCE: Duration = Duration::from_secs(1);

/// A listener's task. It owns the tasks of its streams and ends after them.
#[derive(Debug)]
pub struct Serving(JoinHandle<()>);

impl Serving {
    /// Waits until the listener and all its streams have ended: within 2 s after its `stop` was cancelled.
    pub async fn ended(self) {
        if let Err(error) = self.0.await {
            tracing::error!(%error, "a listener of streams failed");
        }
    }
}

/// New streams, as [`Switchboard::listen`](crate::stream::Switchboard::listen) gives them.
type NewStreams<Out, In> = mpsc::Receiver<Duplex<Out, In>>;

/// A gateway's side: accepts streams of workers until `stop`, which also ends those that are open. Fails when the
/// certificates are of no use. Dropping the receiver refuses new streams.
pub fn listen_links(
    listener: TcpListener,
    tls: Option<&Tls>,
    stop: CancellationToken,
) -> Result<(NewStreams<GatewayFrame, WorkerFrame>, Serving), TlsError> {
    let (accept, streams) = Accept::new(stop);
    let service = LinkServer::new(accept.clone())
        .max_decoding_message_size(FRAME_BYTES_MAX)
        .max_encoding_message_size(FRAME_BYTES_MAX);
    let serving = serve(listener, Routes::new(service), tls, accept.tasks, accept.stop)?;
    Ok((streams, serving))
}

/// The control plane's side: accepts streams of nodes. Otherwise as [`listen_links`].
pub fn listen_nodes(
    listener: TcpListener,
    tls: Option<&Tls>,
    stop: CancellationToken,
) -> Result<(NewStreams<ControlFrame, NodeFrame>, Serving), TlsError> {
    let (accept, streams) = Accept::new(stop);
    let service = NodesServer::new(accept.clone())
        .max_decoding_message_size(FRAME_BYTES_MAX)
        .max_encoding_message_size(FRAME_BYTES_MAX);
    let serving = serve(listener, Routes::new(service), tls, accept.tasks, accept.stop)?;
    Ok((streams, serving))
}

fn serve(
    listener: TcpListener,
    routes: Routes,
    tls: Option<&Tls>,
    tasks: TaskTracker,
    stop: CancellationToken,
) -> Result<Serving, TlsError> {
    let mut server = Server::builder()
        .http2_keepalive_interval(Some(KEEP_ALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(KEEP_ALIVE_TIMEOUT))
        .initial_stream_window_size(WINDOW_BYTES)
        .initial_connection_window_size(WINDOW_BYTES)
        .max_concurrent_streams(CALLS_A_CONNECTION);
    if let Some(tls) = tls {
        server = tls.server(server)?;
    }
    Ok(Serving(tokio::spawn(run(listener, server.add_routes(routes), tasks, stop))))
}

async fn run(listener: TcpListener, router: Router, tasks: TaskTracker, stop: CancellationToken) {
    let cut = CancellationToken::new();
    let incoming = Box::pin(socket::accept(listener, cut.clone()));
    let mut served = pin!(router.serve_with_incoming_shutdown(incoming, stop.clone().cancelled_owned()));
    let patience = async {
        stop.cancelled().await;
        sleep(STOP_PATIENCE).await;
    };
    let served = tokio::select! {
        biased;
        served = &mut served => served,
        () = patience => {
            // A peer that does not read would otherwise hold it for ever.
            cut.cancel();
            served.await
        }
    };
    if let Err(error) = served {
        tracing::error!(%error, "a listener of streams ended");
    }
    // The streams of a server that failed end with it.
    stop.cancel();
    tasks.close();
    tasks.wait().await;
}

/// Takes calls and hands them on as streams.
#[derive(Debug)]
struct Accept<Out, In> {
    streams: mpsc::Sender<Duplex<Out, In>>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl<Out, In> Clone for Accept<Out, In> {
    fn clone(&self) -> Self {
        Self { streams: self.streams.clone(), tasks: self.tasks.clone(), stop: self.stop.clone() }
    }
}

impl<Out: Send + 'static, In: Send + 'static> Accept<Out, In> {
    fn new(stop: CancellationToken) -> (Self, NewStreams<Out, In>) {
        let (streams, taken) = mpsc::channel(NEW_STREAMS);
        (Self { streams, tasks: TaskTracker::new(), stop: stop.child_token() }, taken)
    }

    fn take(&self, request: Request<Streaming<In>>, allowed: &[ProgramRole]) -> Result<Response<Answer<Out>>, Status> {
        let peer = identity::peer(&request, allowed)?;
        let place = self.streams.try_reserve().map_err(|error| match error {
            mpsc::error::TrySendError::Full(()) => Status::resource_exhausted("the listener is busy"),
            mpsc::error::TrySendError::Closed(()) => Status::unavailable("the listener is gone"),
        })?;
        let (mut end, outbound, inbound) = bridge();
        end.peer = peer;
        self.tasks.spawn(inbound.run(request.into_inner(), "a dialler", self.stop.clone()));
        place.send(end);
        Ok(Response::new(Answer(outbound)))
    }
}

#[async_trait]
impl Link for Accept<GatewayFrame, WorkerFrame> {
    type OpenStream = Answer<GatewayFrame>;

    async fn open(&self, request: Request<Streaming<WorkerFrame>>) -> Result<Response<Self::OpenStream>, Status> {
        self.take(request, &[ProgramRole::Worker])
    }
}

#[async_trait]
impl Nodes for Accept<ControlFrame, NodeFrame> {
    type OpenStream = Answer<ControlFrame>;

    async fn open(&self, request: Request<Streaming<NodeFrame>>) -> Result<Response<Self::OpenStream>, Status> {
        self.take(request, &[ProgramRole::Gateway, ProgramRole::Worker])
    }
}
