//! The loop of a connection, as one poll.
//!
//! Frames are begun in order, one at a time; only sends that follow each other are prepared side by side, and take their
//! places in the log in their order. What a frame leaves to wait for (the log's word, a page of history) waits beside
//! the others.

use std::{
    collections::VecDeque,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use domain::TokenBucket;
use futures_util::{
    Stream as _,
    future::BoxFuture,
    stream::{FuturesOrdered, FuturesUnordered},
};
use protocol::frames::{ClientFrame, CloseCode, ErrorCode, ErrorFrame, FrameError, ServerFrame};

use super::request::{self, Begun};
use crate::{
    gateway::Shared,
    hub::Conn,
    socket::{Incoming, Read, text_frame},
};

/// What is under way. An idle connection has none of it.
#[derive(Default)]
struct Busy {
    /// Frames that were read and are not begun.
    incoming: VecDeque<Incoming>,
    /// Frames that are being begun: sends, or one other.
    beginning: FuturesOrdered<BoxFuture<'static, Begun>>,
    /// They are sends.
    beginning_sends: bool,
    /// Answers that wait for a store.
    answers: FuturesUnordered<BoxFuture<'static, ServerFrame>>,
    replay: Option<BoxFuture<'static, ()>>,
}

impl Busy {
    fn is_idle(&self) -> bool {
        self.incoming.is_empty() && self.beginning.is_empty() && self.answers.is_empty() && self.replay.is_none()
    }

    /// True when a frame that comes now, this or an unknown one, may be begun.
    fn may_begin(&self, frame: Option<&Incoming>, limit: usize) -> bool {
        let follows = frame.is_none_or(is_send) && self.beginning_sends;
        self.beginning.len() + self.answers.len() < limit && (self.beginning.is_empty() || follows)
    }
}

fn is_send(frame: &Incoming) -> bool {
    matches!(frame, Incoming::Frame(Ok(ClientFrame::Send(_))))
}

/// A connection's loop.
pub(super) struct Turn {
    busy: Option<Box<Busy>>,
    limit: TokenBucket,
}

impl Turn {
    pub(super) fn new(shared: &Shared, more: Vec<Incoming>, replay: BoxFuture<'static, ()>) -> Self {
        let limits = &shared.config.limits;
        let busy = Busy { incoming: more.into(), replay: Some(replay), ..Busy::default() };
        Self {
            busy: Some(Box::new(busy)),
            limit: TokenBucket::new(limits.frames_per_s, limits.frames_burst, shared.now_ms()),
        }
    }

    /// Does what can be done. Ready when the connection is over.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, shared: &Arc<Shared>, conn: &Arc<Conn>) -> Poll<()> {
        loop {
            let may_read = match &mut self.busy {
                Some(busy) => {
                    let ended = poll_busy(busy, &mut self.limit, cx, shared, conn);
                    if ended.is_ready() {
                        return Poll::Ready(());
                    }
                    let may_begin = busy.may_begin(None, shared.config.limits.sends_under_way);
                    let may_read = busy.incoming.is_empty() && may_begin;
                    if busy.is_idle() {
                        self.busy = None;
                    }
                    may_read
                }
                None => true,
            };
            let mut io = conn.io.lock();
            // Written first: what is written below would not be seen by the line after it, and nothing would wake us.
            let _ = io.poll_flush(cx, shared.now_ms());
            // A client that does not take its answers is not read: what it asks would only make the queue longer.
            let may_read = may_read && !io.is_above_low_water();
            match io.poll_read(cx, shared.now_ms(), may_read) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Read::Closed) => return Poll::Ready(()),
                Poll::Ready(Read::Incoming(incoming)) => {
                    drop(io);
                    self.busy.get_or_insert_default().incoming.extend(incoming);
                }
            }
        }
    }
}

/// Goes on with what is under way. Ready when the client said goodbye.
fn poll_busy(
    busy: &mut Busy,
    limit: &mut TokenBucket,
    cx: &mut Context<'_>,
    shared: &Arc<Shared>,
    conn: &Arc<Conn>,
) -> Poll<()> {
    if let Some(replay) = &mut busy.replay
        && replay.as_mut().poll(cx).is_ready()
    {
        busy.replay = None;
    }
    loop {
        while let Poll::Ready(Some(begun)) = Pin::new(&mut busy.beginning).poll_next(cx) {
            take(begun, busy, shared, conn);
        }
        // Before the limit is looked at: an answer that ends here wakes nobody, and the frames behind it would wait.
        while let Poll::Ready(Some(frame)) = Pin::new(&mut busy.answers).poll_next(cx) {
            answer(shared, conn, frame);
        }
        if !busy.may_begin(busy.incoming.front(), shared.config.limits.sends_under_way) {
            return Poll::Pending;
        }
        let Some(incoming) = busy.incoming.pop_front() else { return Poll::Pending };
        match incoming {
            Incoming::Close => {
                busy.incoming.clear();
                return flush_and_end(cx, shared, conn);
            }
            Incoming::Violation(why) => {
                tracing::debug!(user = %conn.user, why, "protocol violation");
                conn.close(CloseCode::Violation);
            }
            Incoming::Ping(_) => {}
            Incoming::Frame(Err(FrameError::Violation(why))) => {
                tracing::debug!(user = %conn.user, why, "protocol violation");
                conn.close(CloseCode::Violation);
            }
            Incoming::Frame(frame) => match limited(limit, &frame, shared) {
                Some(error) => answer(shared, conn, ServerFrame::Error(error)),
                None => match frame {
                    Ok(frame) => {
                        busy.beginning_sends = matches!(frame, ClientFrame::Send(_));
                        take(request::begin(shared, conn, frame), busy, shared, conn);
                    }
                    Err(FrameError::Refused(error)) => answer(shared, conn, ServerFrame::Error(error)),
                    Err(FrameError::Violation(_)) => {}
                },
            },
        }
    }
}

fn take(begun: Begun, busy: &mut Busy, shared: &Shared, conn: &Conn) {
    match begun {
        Begun::Nothing => {}
        Begun::Answer(frame) => answer(shared, conn, frame),
        Begun::Later(future) => busy.answers.push(future),
        Begun::Prepared(prepared) => busy.answers.push(shared.submit(prepared)),
        Begun::Beginning(future) => busy.beginning.push_back(future),
    }
}

/// Queues an answer; the poll that follows writes it together with others.
fn answer(shared: &Shared, conn: &Conn, frame: ServerFrame) {
    match &frame {
        ServerFrame::Error(_) => {
            shared.metrics.refused.inc();
        }
        ServerFrame::Accepted { .. } => {
            shared.metrics.accepted.inc();
            let percent = shared.levers.now().drop_acks_percent;
            if shared.faults.drops_ack(percent) {
                return;
            }
        }
        _ => {}
    }
    conn.io.lock().push(text_frame(&frame.encode()));
}

/// A frame over the rate is refused; nothing of it is done.
fn limited(
    limit: &mut TokenBucket,
    frame: &Result<protocol::frames::ClientFrame, FrameError>,
    shared: &Shared,
) -> Option<ErrorFrame> {
    let retry_after_ms = limit.take(shared.now_ms()).err()?;
    let per_s = shared.config.limits.frames_per_s;
    let mut error = ErrorFrame::new(ErrorCode::RateLimited, format!("more than {per_s} frames a second"))
        .retry_after(retry_after_ms.max(100));
    match frame {
        Ok(frame) => request::name(&mut error, frame),
        Err(FrameError::Refused(refused)) => {
            error.idempotency_key.clone_from(&refused.idempotency_key);
            error.conversation.clone_from(&refused.conversation);
        }
        Err(FrameError::Violation(_)) => {}
    }
    Some(error)
}

/// The client closes: its close frame is answered, then it is over.
fn flush_and_end(cx: &mut Context<'_>, shared: &Shared, conn: &Conn) -> Poll<()> {
    // What does not fit the socket now is not waited for: the client is leaving.
    let _ = conn.io.lock().poll_flush(cx, shared.now_ms());
    Poll::Ready(())
}
