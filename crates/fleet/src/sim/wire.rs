//! Streams of the simulation: delayed by the weather of their ends, and cut.

use std::{
    collections::BTreeMap,
    io,
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
};

use async_trait::async_trait;
use backends::stream::{Dial, DialError, Duplex, Switchboard, pair};
use client::{Attempt, BoxFuture, Connect, ConnectError, Connected};
use gateway::Gateway;
use parking_lot::Mutex;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, duplex, split},
    sync::mpsc,
};
use tokio_util::sync::CancellationToken;

use super::weather::Weather;

/// Bytes a pipe holds in each direction: a small socket buffer.
const PIPE_BYTES: usize = 16 * 1024;

/// A machine on the network.
#[derive(Clone)]
struct Host {
    weather: Weather,
    /// Cancelled to cut every stream of it; replaced at once.
    cut: CancellationToken,
    /// Takes clients, if it is a gateway.
    gateway: Option<Gateway>,
}

/// The network.
#[derive(Clone, Default)]
pub(super) struct Net {
    hosts: Arc<Mutex<BTreeMap<String, Host>>>,
}

impl Net {
    /// A machine comes up (again).
    pub(super) fn up(&self, name: &str, weather: &Weather, gateway: Option<Gateway>) {
        let host = Host { weather: weather.clone(), cut: CancellationToken::new(), gateway };
        if let Some(old) = self.hosts.lock().insert(name.to_owned(), host) {
            old.cut.cancel();
        }
    }

    /// A machine is gone: nobody can call it. Its streams stay as they are until they are cut or found dead.
    pub(super) fn down(&self, name: &str) {
        self.hosts.lock().remove(name);
    }

    /// Cuts every stream of a machine.
    pub(super) fn cut(&self, name: &str) {
        if let Some(host) = self.hosts.lock().get_mut(name) {
            std::mem::take(&mut host.cut).cancel();
        }
    }

    fn find(&self, name: &str) -> Option<Host> {
        self.hosts.lock().get(name).cloned()
    }

    fn gateways(&self) -> Vec<(String, Host)> {
        let hosts = self.hosts.lock();
        hosts
            .iter()
            .filter(|(_, host)| host.gateway.is_some())
            .map(|(name, host)| (name.clone(), host.clone()))
            .collect()
    }
}

/// A switchboard over the network: frames take their time, streams are cut.
pub(super) struct SimDial<Out, In> {
    pub(super) board: Switchboard<Out, In>,
    pub(super) net: Net,
    pub(super) from: String,
}

#[async_trait]
impl<Out: Send + 'static, In: Send + 'static> Dial<Out, In> for SimDial<Out, In> {
    async fn dial(&self, address: &str) -> Result<Duplex<Out, In>, DialError> {
        let fail = |why: &str| DialError { address: address.to_owned(), why: why.to_owned() };
        let (Some(here), Some(there)) = (self.net.find(&self.from), self.net.find(address)) else {
            return Err(fail("no route to host"));
        };
        here.weather.delay().await;
        if there.weather.is_off() {
            return Err(fail("connection refused"));
        }
        let far = self.board.dial(address).await?;
        let (near, middle) = pair();
        tokio::spawn(frames(middle.rx, far.tx, here.clone(), there.clone()));
        tokio::spawn(frames(far.rx, middle.tx, there, here));
        Ok(near)
    }
}

async fn frames<T>(mut from: mpsc::Receiver<T>, to: mpsc::Sender<T>, here: Host, there: Host) {
    let relay = async {
        while let Some(frame) = from.recv().await {
            here.weather.delay().await;
            there.weather.power().await;
            if to.send(frame).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        biased;
        () = here.cut.cancelled() => {}
        () = there.cut.cancelled() => {}
        () = relay => {}
    }
}

/// How a client reaches a gateway.
pub(super) struct SimConnect {
    pub(super) net: Net,
    /// The client's own weather and cut.
    pub(super) name: String,
}

impl Connect for SimConnect {
    fn connect(&self, attempt: Attempt) -> BoxFuture<'static, Result<Connected, ConnectError>> {
        let (net, name) = (self.net.clone(), self.name.clone());
        Box::pin(async move {
            let all = net.gateways();
            let others: Vec<_> =
                all.iter().filter(|(name, _)| Some(name.as_str()) != attempt.avoid.as_deref()).collect();
            let choice = if others.is_empty() { all.iter().collect() } else { others };
            let unreachable = |gateway: &str| ConnectError::Unreachable {
                gateway: Arc::from(gateway),
                source: io::Error::from(io::ErrorKind::ConnectionRefused),
            };
            let Some(here) = net.find(&name) else { return Err(unreachable("anything")) };
            let Some((id, there)) = choice.get(attempt.chance as usize % choice.len().max(1)) else {
                return Err(unreachable("any gateway"));
            };
            here.weather.delay().await;
            let Some(gateway) = there.gateway.as_ref().filter(|_| !there.weather.is_off()) else {
                return Err(unreachable(id));
            };
            let (near, middle) = duplex(PIPE_BYTES);
            let (far, end) = duplex(PIPE_BYTES);
            let ((near_rx, near_tx), (far_rx, far_tx)) = (split(middle), split(far));
            tokio::spawn(bytes(near_rx, far_tx, here.clone(), there.clone()));
            tokio::spawn(bytes(far_rx, near_tx, there.clone(), here));
            gateway.accept(Box::new(end), IpAddr::V4(Ipv4Addr::LOCALHOST));
            Ok(Connected {
                stream: Box::new(near),
                gateway: Arc::from(id.as_str()),
                host: id.clone(),
                path: "/v1/ws".to_owned(),
            })
        })
    }
}

async fn bytes(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, here: Host, there: Host) {
    let relay = async {
        let mut chunk = vec![0; 4_096];
        loop {
            let n = from.read(&mut chunk).await?;
            here.weather.delay().await;
            there.weather.power().await;
            if n == 0 {
                return to.shutdown().await;
            }
            to.write_all(&chunk[..n]).await?;
        }
    };
    // However it ends, both halves are dropped: the ends see it.
    tokio::select! {
        biased;
        () = here.cut.cancelled() => {}
        () = there.cut.cancelled() => {}
        _ = async { relay.await as io::Result<()> } => {}
    }
}
