//! The dialling side.

use std::{error::Error, fmt, future::Future};

use async_trait::async_trait;
use protocol::{
    link::{GatewayFrame, WorkerFrame, link_client::LinkClient},
    node::{ControlFrame, NodeFrame, nodes_client::NodesClient},
};
use tokio::time::{Duration, timeout};
use tokio_util::sync::CancellationToken;
use tonic::{
    Response, Status, Streaming,
    transport::{Channel, ClientTlsConfig, Endpoint},
};

use super::{
    FRAME_BYTES_MAX, KEEP_ALIVE_INTERVAL, KEEP_ALIVE_TIMEOUT, WINDOW_BYTES,
    bridge::{Outbound, bridge},
    tls::{Tls, TlsError},
};
use crate::stream::{Dial, DialError, Duplex};

/// For all of a dial: less than the 5 s that [`Dial`] promises.
const DIAL_DEADLINE: Duration = Duration::from_millis(4_500);
/// For the connection with its TLS, so that the error says what it was that took so long.
const CONNECT_DEADLINE: Duration = Duration::from_secs(3);

/// Opens streams over gRPC to `host:port`: [`listen_links`](super::listen_links) or
/// [`listen_nodes`](super::listen_nodes) must be there. Each stream has a connection of its own.
///
/// A stream has two tasks, the connection's and one that hands on what comes in. Nobody joins them: both end when
/// either end of the stream is dropped and the other side has read what was sent, or when the connection is lost.
#[derive(Clone, Default)]
pub struct GrpcDial {
    tls: Option<ClientTlsConfig>,
}

impl fmt::Debug for GrpcDial {
    /// Without the configuration: the one of the library shows the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GrpcDial").field("tls", &self.tls.is_some()).finish()
    }
}

impl GrpcDial {
    /// Dials without TLS.
    pub fn plain() -> Self {
        Self::default()
    }

    /// Dials with mutual TLS: shows a certificate and wants one of the same CA for `server_name`, or for the host that
    /// is dialled when there is none.
    pub fn tls(tls: &Tls, server_name: Option<&str>) -> Result<Self, TlsError> {
        let config = tls.client(server_name)?;
        Ok(Self { tls: Some(config) })
    }

    async fn connect(&self, address: &str) -> Result<Channel, tonic::transport::Error> {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let mut endpoint = Endpoint::from_shared(format!("{scheme}://{address}"))?
            .connect_timeout(CONNECT_DEADLINE)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(KEEP_ALIVE_INTERVAL)
            .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
            .keep_alive_while_idle(true)
            .initial_stream_window_size(WINDOW_BYTES)
            .initial_connection_window_size(WINDOW_BYTES);
        if let Some(tls) = &self.tls {
            endpoint = endpoint.tls_config(tls.clone())?;
        }
        endpoint.connect().await
    }

    /// Connects, and opens the call of a service. `open` is that service's client.
    async fn stream<Out, In, Opening>(
        &self,
        address: &str,
        open: impl FnOnce(Channel, Outbound<Out>) -> Opening + Send,
    ) -> Result<Duplex<Out, In>, DialError>
    where
        Out: Send + 'static,
        In: Send + 'static,
        Opening: Future<Output = Result<Response<Streaming<In>>, Status>> + Send,
    {
        let fail = |why: String| DialError { address: address.to_owned(), why };
        let (end, outbound, inbound) = bridge();
        let opening = async {
            let channel = self.connect(address).await.map_err(|error| fail(reasons(&error)))?;
            let opened = open(channel, outbound).await;
            opened.map_err(|status| match status.source() {
                Some(source) => fail(format!("{}: {}", status.message(), reasons(source))),
                None => fail(format!("{}: {}", status.code(), status.message())),
            })
        };
        let call = timeout(DIAL_DEADLINE, opening).await.map_err(|_| fail("no answer within 4.5 s".to_owned()))??;
        tokio::spawn(inbound.run(call.into_inner(), address.to_owned(), CancellationToken::new()));
        Ok(end)
    }
}

/// An error with its causes: the outermost says only that it is one of the transport.
fn reasons(error: &dyn Error) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !words.ends_with(&more) {
            words = format!("{words}: {more}");
        }
        cause = error.source();
    }
    words
}

#[async_trait]
impl Dial<WorkerFrame, GatewayFrame> for GrpcDial {
    async fn dial(&self, address: &str) -> Result<Duplex<WorkerFrame, GatewayFrame>, DialError> {
        let open = |channel, frames| async move {
            let client = LinkClient::new(channel).max_decoding_message_size(FRAME_BYTES_MAX);
            client.max_encoding_message_size(FRAME_BYTES_MAX).open(frames).await
        };
        self.stream(address, open).await
    }
}

#[async_trait]
impl Dial<NodeFrame, ControlFrame> for GrpcDial {
    async fn dial(&self, address: &str) -> Result<Duplex<NodeFrame, ControlFrame>, DialError> {
        let open = |channel, frames| async move {
            let client = NodesClient::new(channel).max_decoding_message_size(FRAME_BYTES_MAX);
            client.max_encoding_message_size(FRAME_BYTES_MAX).open(frames).await
        };
        self.stream(address, open).await
    }
}
