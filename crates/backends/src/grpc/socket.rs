//! A connection that a listener accepted: counted, cut when it is silent, cut when the listener is through.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use futures_util::{Stream, stream};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Duration, Instant, Sleep, sleep},
};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::transport::server::Connected;

/// Connections at the same time: each node of a large fleet, twice over. Past it new ones wait to be accepted.
const CONNECTIONS_MAX: usize = 1_024;
/// A connection that brings no byte for so long is dead: its peer answers a ping each second. It is what ends those
/// that never began to speak HTTP/2, where pings do not reach.
const SILENCE_MAX: Duration = Duration::from_secs(5);
/// After a connection could not be accepted, as there are no files left. Others close meanwhile.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What a listener accepts. Never ends, never fails.
pub(super) fn accept(listener: TcpListener, cut: CancellationToken) -> impl Stream<Item = io::Result<Socket>> {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    stream::unfold((listener, places, cut), async |(listener, places, cut)| {
        loop {
            // The semaphore is never closed.
            let place = places.clone().acquire_owned().await.ok()?;
            match listener.accept().await {
                Ok((tcp, _)) => {
                    // A socket that refuses it is slower, and works.
                    let _ = tcp.set_nodelay(true);
                    let socket = Socket::new(tcp, place, cut.clone());
                    return Some((Ok(socket), (listener, places, cut)));
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a stream");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    })
}

pub(super) struct Socket {
    tcp: TcpStream,
    cut: Pin<Box<WaitForCancellationFutureOwned>>,
    silence: Pin<Box<Sleep>>,
    _place: OwnedSemaphorePermit,
}

impl Socket {
    fn new(tcp: TcpStream, place: OwnedSemaphorePermit, cut: CancellationToken) -> Self {
        let silence = Box::pin(sleep(SILENCE_MAX));
        Self { tcp, cut: Box::pin(cut.cancelled_owned()), silence, _place: place }
    }
}

impl Connected for Socket {
    type ConnectInfo = ();

    fn connect_info(&self) {}
}

impl AsyncRead for Socket {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.cut.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        let read = Pin::new(&mut self.tcp).poll_read(cx, buf);
        if read.is_ready() {
            self.silence.as_mut().reset(Instant::now() + SILENCE_MAX);
            return read;
        }
        self.silence.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }
}
