//! Between a [`Duplex`] and the two halves of a gRPC call. The same for both sides and both services.

use std::{
    fmt::Display,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use futures_util::Stream;
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tonic::Streaming;

use crate::stream::{Duplex, STREAM_FRAMES};

/// Frames on their way out. Shared, since either half of the call closes it: no lock is held across a wait.
#[derive(Debug)]
struct Queue<Out> {
    frames: mpsc::Receiver<Out>,
    /// Of the outgoing half. A channel does not wake its own reader when it is closed by it.
    waker: Option<Waker>,
}

impl<Out> Queue<Out> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Out>> {
        let polled = self.frames.poll_recv(cx);
        if polled.is_pending() && !self.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            self.waker = Some(cx.waker().clone());
        }
        polled
    }

    /// Nothing more goes in; what is there still goes out.
    fn close(&mut self) {
        self.frames.close();
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

/// The outgoing half of a call, as its body. Ends when its queue is closed and empty.
#[derive(Debug)]
pub(super) struct Outbound<Out>(Arc<Mutex<Queue<Out>>>);

/// The incoming half of a call, not yet connected.
#[derive(Debug)]
pub(super) struct Inbound<Out, In> {
    frames: mpsc::Sender<In>,
    queue: Arc<Mutex<Queue<Out>>>,
}

/// An end of a stream, and the two halves of the call that are to carry it.
pub(super) fn bridge<Out, In>() -> (Duplex<Out, In>, Outbound<Out>, Inbound<Out, In>) {
    // Full queues make the sender wait: the program on the way out, HTTP/2 flow control on the way in.
    let (tx, out) = mpsc::channel(STREAM_FRAMES);
    let (frames, rx) = mpsc::channel(STREAM_FRAMES);
    let queue = Arc::new(Mutex::new(Queue { frames: out, waker: None }));
    (Duplex { tx, rx, peer: None }, Outbound(queue.clone()), Inbound { frames, queue })
}

impl<Out> Outbound<Out> {
    fn poll(&self, cx: &mut Context<'_>) -> Poll<Option<Out>> {
        self.0.lock().poll(cx)
    }
}

/// The body of the dialling side.
impl<Out> Stream for Outbound<Out> {
    type Item = Out;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Out>> {
        self.poll(cx)
    }
}

impl<Out> Drop for Outbound<Out> {
    /// The call is over, whoever ended it: who sends must not wait for it.
    fn drop(&mut self) {
        self.0.lock().close();
    }
}

/// The body of the listening side: the same, in the form that a server wants.
#[derive(Debug)]
pub(super) struct Answer<Out>(pub(super) Outbound<Out>);

impl<Out> Stream for Answer<Out> {
    type Item = Result<Out, tonic::Status>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll(cx).map(|frame| frame.map(Ok))
    }
}

/// Why nothing more is handed on.
enum Ended {
    /// By this side, and the call is still open.
    Here(&'static str),
    There(String),
}

impl<Out, In> Inbound<Out, In> {
    /// Hands on what comes in, until the call or the end of the stream is over or `stop`; then lets the outgoing half
    /// end as soon as what is queued has been sent.
    pub(super) async fn run(self, mut call: Streaming<In>, peer: impl Display, stop: CancellationToken) {
        let ended = self.hand_on(&mut call, &stop).await;
        let Self { frames, queue } = self;
        drop(frames);
        queue.lock().close();
        match ended {
            Ended::There(why) => tracing::debug!(%peer, why, "stream ended"),
            Ended::Here(why) => {
                tracing::debug!(%peer, why, "stream ended");
                // To let go of the call now would reset it, and lose what is queued. The other side ends its half when
                // it has read this one; what it sends until then is for nobody.
                let rest = async { while let Ok(Some(_)) = call.message().await {} };
                tokio::select! {
                    biased;
                    () = stop.cancelled() => {}
                    () = rest => {}
                }
            }
        }
    }

    async fn hand_on(&self, call: &mut Streaming<In>, stop: &CancellationToken) -> Ended {
        loop {
            let frame = tokio::select! {
                biased;
                () = stop.cancelled() => return Ended::Here("the listener stops"),
                () = self.frames.closed() => return Ended::Here("it was dropped"),
                frame = call.message() => frame,
            };
            let frame = match frame {
                Ok(Some(frame)) => frame,
                Ok(None) => return Ended::There("the other side dropped it".to_owned()),
                Err(status) => return Ended::There(format!("{}: {}", status.code(), status.message())),
            };
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ended::Here("the listener stops"),
                sent = self.frames.send(frame) => if sent.is_err() {
                    return Ended::Here("it was dropped");
                },
            }
        }
    }
}
