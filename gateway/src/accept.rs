//! From a listener to connections: caps, and one task for each.

use std::{
    net::IpAddr,
    sync::{Arc, atomic::Ordering},
};

use tokio::{
    net::TcpListener,
    time::{Duration, sleep},
};

use crate::{connection, gateway::Shared, handshake, socket::ByteStream};

/// After an accept that failed (out of files, mostly): time for some to close.
const BREATHE: Duration = Duration::from_millis(50);

/// Accepts until the shutdown.
pub(crate) async fn run(shared: Arc<Shared>, listener: TcpListener) {
    loop {
        let accepted = tokio::select! {
            biased;
            () = shared.stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                // Without it small frames wait for acknowledgements.
                let _ = stream.set_nodelay(true);
                one(&shared, Box::new(stream), peer.ip());
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept");
                sleep(BREATHE).await;
            }
        }
    }
}

/// Why a stream is answered with 503.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Full {
    Connections,
    Address,
    Handshakes,
}

/// One stream's place among the caps; gives it back when dropped.
pub(crate) struct Place {
    shared: Arc<Shared>,
    peer: IpAddr,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut streams = self.shared.streams.lock();
        if let Some(n) = streams.get_mut(&self.peer) {
            *n -= 1;
            if *n == 0 {
                streams.remove(&self.peer);
            }
        }
    }
}

/// One handshake under way.
pub(crate) struct Shaking(Arc<Shared>);

impl Drop for Shaking {
    fn drop(&mut self) {
        self.0.handshakes.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Takes one stream. Over a cap it still gets an answer: 503 with `Retry-After`; health stays reachable.
pub(crate) fn one(shared: &Arc<Shared>, stream: Box<dyn ByteStream>, peer: IpAddr) {
    let limits = &shared.config.limits;
    let mut full = None;
    {
        let mut streams = shared.streams.lock();
        if shared.hub.connections() >= limits.connections {
            full = Some(Full::Connections);
        }
        let of_address = streams.entry(peer).or_default();
        *of_address += 1;
        if *of_address > limits.connections_per_address {
            full = Some(Full::Address);
        }
    }
    let place = Place { shared: shared.clone(), peer };
    let shaking = Shaking(shared.clone());
    if shared.handshakes.fetch_add(1, Ordering::Relaxed) >= limits.handshakes {
        full = full.or(Some(Full::Handshakes));
    }
    let task_shared = shared.clone();
    shared.tasks.spawn(async move {
        let _place = place;
        // Boxed: what a handshake needs is given back before the connection begins its long idle life.
        let hello = Box::pin(handshake::run(task_shared.clone(), stream, full, shaking)).await;
        if let Some(hello) = hello {
            connection::run(task_shared, hello).await;
        }
    });
}
