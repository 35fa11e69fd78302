//! One open socket: what waits to be written, and reading frame by frame.

use std::{
    collections::VecDeque,
    sync::Arc,
    task::{Context, Poll, ready},
};

use futures_util::{FutureExt, SinkExt, StreamExt};
use protocol::frames::{ClientFrame, ServerFrame};
use tokio_tungstenite::tungstenite::{
    Error, Message,
    protocol::{CloseFrame, frame::coding::CloseCode},
};

use super::dial::Socket;
use crate::{LinkId, LostReason};

/// A link with this many frames to write is congested: frames that matter only now are dropped.
const CONGESTED_FRAMES: usize = 64;

/// See the module.
pub(super) struct Link {
    pub(super) id: LinkId,
    pub(super) gateway: Arc<str>,
    socket: Socket,
    /// Bounded by what the rules let be under way: the sends of a window, a request a conversation, a heartbeat.
    outgoing: VecDeque<Message>,
}

impl Link {
    pub(super) fn new(id: LinkId, gateway: Arc<str>, socket: Socket) -> Self {
        Self { id, gateway, socket, outgoing: VecDeque::new() }
    }

    pub(super) fn send(&mut self, frame: &ClientFrame) {
        self.outgoing.push_back(Message::text(frame.encode()));
    }

    pub(super) fn send_lossy(&mut self, frame: &ClientFrame) {
        if self.outgoing.len() < CONGESTED_FRAMES {
            self.send(frame);
        }
    }

    /// Says goodbye if that can be done at once; the peer sees the end of the stream in any case.
    pub(super) fn close(mut self) {
        let goodbye = CloseFrame { code: CloseCode::Normal, reason: "".into() };
        let _ = self.socket.close(Some(goodbye)).now_or_never();
    }

    /// Writes what waits, and reads a frame if `read`.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, read: bool) -> Poll<Result<ServerFrame, LostReason>> {
        if let Poll::Ready(Err(error)) = self.poll_write(cx) {
            // A close frame that was read before the write failed says more than the failure.
            if !matches!(error, Error::ConnectionClosed | Error::AlreadyClosed | Error::Io(_)) || !read {
                return Poll::Ready(Err(broken(&error)));
            }
        }
        if !read {
            return Poll::Pending;
        }
        loop {
            let message = match ready!(self.socket.poll_next_unpin(cx)) {
                Some(Ok(message)) => message,
                Some(Err(error)) => return Poll::Ready(Err(broken(&error))),
                None => return Poll::Ready(Err(LostReason::Broken("end of stream".into()))),
            };
            match message {
                Message::Text(text) => {
                    let frame = ServerFrame::decode(&text);
                    return Poll::Ready(frame.map_err(|error| LostReason::Broken(format!("not a frame: {error}"))));
                }
                Message::Close(frame) => {
                    let (code, reason) = frame.map_or((1005, String::new()), |f| (f.code.into(), f.reason.to_string()));
                    return Poll::Ready(Err(LostReason::Closed { code, reason }));
                }
                Message::Ping(_) => {
                    // Its pong was queued by the socket.
                    let _ = self.socket.poll_flush_unpin(cx);
                }
                Message::Binary(_) | Message::Pong(_) | Message::Frame(_) => {}
            }
        }
    }

    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        while !self.outgoing.is_empty() {
            ready!(self.socket.poll_ready_unpin(cx))?;
            if let Some(message) = self.outgoing.pop_front() {
                self.socket.start_send_unpin(message)?;
            }
        }
        self.socket.poll_flush_unpin(cx)
    }
}

fn broken(error: &Error) -> LostReason {
    LostReason::Broken(error.to_string())
}
