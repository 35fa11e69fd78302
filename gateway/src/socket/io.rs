//! A byte stream with frames: a bounded outbound queue, written many frames at a time, and nothing kept while idle.

use std::{
    cell::RefCell,
    collections::VecDeque,
    io::IoSlice,
    pin::Pin,
    task::{Context, Poll, Waker, ready},
};

use bytes::Bytes;
use protocol::frames::CloseCode;
use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};

use super::{
    ByteStream, Incoming,
    decode::{Fragments, decode_one},
    frame::{close_frame, close_frame_raw, ping_frame, pong_frame},
};

/// Bytes read at once.
const READ_BYTES: usize = 16 * 1024;
/// Frames written at once. More than fit a typical send buffer is of no use.
const WRITE_FRAMES: usize = 32;
/// Frames that may wait for one socket, however small.
const QUEUE_FRAMES: usize = 4_096;
/// Below it a connection that was held back goes on: reading requests, sending pages.
const LOW_WATER_BYTES: usize = 128 * 1024;

thread_local! {
    /// The one read buffer of a thread. Nothing stays in it between two polls.
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ_BYTES].into_boxed_slice());
}

/// Reads once and appends to `bytes`: whoever waits owns no buffer. 0 at the end of the stream.
pub(crate) fn poll_append(
    stream: &mut Box<dyn ByteStream>,
    cx: &mut Context<'_>,
    bytes: &mut Vec<u8>,
) -> Poll<std::io::Result<usize>> {
    SCRATCH.with_borrow_mut(|scratch| {
        let mut buffer = ReadBuf::new(scratch);
        ready!(Pin::new(stream).poll_read(cx, &mut buffer))?;
        bytes.extend_from_slice(buffer.filled());
        Poll::Ready(Ok(buffer.filled().len()))
    })
}

/// What reading came to.
#[derive(Debug)]
pub(crate) enum Read {
    /// Frames, in order. Never empty.
    Incoming(Vec<Incoming>),
    /// The client is gone, or everything was said and the socket may be dropped.
    Closed,
}

/// One socket.
pub(crate) struct Io {
    stream: Box<dyn ByteStream>,
    queue: VecDeque<Bytes>,
    /// Bytes of the first frame that are written.
    written: usize,
    queued_bytes: usize,
    queue_bytes_max: usize,
    /// The task that owns the connection; a delivery that cannot be written at once is finished by it.
    owner: Option<Waker>,
    /// Who waits for the queue to fall below the low-water mark.
    waits_for_room: Option<Waker>,
    /// An incomplete frame.
    partial: Vec<u8>,
    fragments: Fragments,
    /// The code the gateway closes with; after it nothing more is queued.
    closing: Option<CloseCode>,
    /// The stream is broken or done.
    closed: bool,
    /// Since when a write makes no progress, in ms since the epoch; 0: it does.
    stalled_since_ms: u64,
    /// Since when a frame is incomplete; 0: none is.
    partial_since_ms: u64,
}

impl Io {
    pub(crate) fn new(stream: Box<dyn ByteStream>, already_read: Vec<u8>, queue_bytes_max: usize) -> Self {
        Self {
            stream,
            queue: VecDeque::new(),
            written: 0,
            queued_bytes: 0,
            queue_bytes_max,
            owner: None,
            waits_for_room: None,
            partial: already_read,
            fragments: None,
            closing: None,
            closed: false,
            stalled_since_ms: 0,
            partial_since_ms: 0,
        }
    }

    /// Queues a frame. True when a flush is due: the queue was empty. Past its bound the queue is dropped and the
    /// client closed with 4008.
    pub(crate) fn push(&mut self, frame: Bytes) -> bool {
        if self.closing.is_some() || self.closed {
            return false;
        }
        if self.queue.len() >= QUEUE_FRAMES || self.queued_bytes + frame.len() > self.queue_bytes_max {
            self.close(CloseCode::Slow);
            return false;
        }
        let was_empty = self.queue.is_empty();
        self.queued_bytes += frame.len();
        self.queue.push_back(frame);
        was_empty
    }

    /// Says goodbye: what waits is dropped (but for a frame half written), the close frame is queued. `Slow` alone
    /// drops; other codes let what waits go first.
    pub(crate) fn close(&mut self, code: CloseCode) {
        if self.closing.is_some() || self.closed {
            return;
        }
        self.closing = Some(code);
        if code == CloseCode::Slow {
            self.queue.truncate(usize::from(self.written > 0));
        }
        self.queue.push_back(close_frame(code));
        self.queued_bytes = self.queue.iter().map(Bytes::len).sum();
        self.wake_owner();
    }

    /// The code the gateway closed with, if it did.
    pub(crate) fn closing(&self) -> Option<CloseCode> {
        self.closing
    }

    /// Gives the socket up without another word.
    pub(crate) fn abort(&mut self) {
        self.closed = true;
        self.queue = VecDeque::new();
        self.wake_owner();
    }

    /// Queues a transport keepalive, if nothing else is under way.
    pub(crate) fn ping(&mut self) -> bool {
        self.queue.is_empty() && self.push(ping_frame())
    }

    fn wake_owner(&mut self) {
        if let Some(owner) = &self.owner {
            owner.wake_by_ref();
        }
    }

    /// Bytes that wait to be written.
    pub(crate) fn is_above_low_water(&self) -> bool {
        self.queued_bytes > LOW_WATER_BYTES
    }

    /// Ready when the queue is below the low-water mark or the socket is done.
    pub(crate) fn poll_room(&mut self, cx: &Context<'_>) -> Poll<()> {
        if !self.is_above_low_water() || self.closed || self.closing.is_some() {
            return Poll::Ready(());
        }
        self.waits_for_room = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Since when the client has not taken a byte, or not finished a frame.
    pub(crate) fn stalled_since_ms(&self) -> (u64, u64) {
        (self.stalled_since_ms, self.partial_since_ms)
    }

    /// Writes what it can, on behalf of the owner: what does not fit wakes the owner when it does.
    pub(crate) fn flush_for_owner(&mut self, now_ms: u64) {
        let owner = self.owner.clone().unwrap_or_else(|| Waker::noop().clone());
        let _ = self.poll_flush(&mut Context::from_waker(&owner), now_ms);
    }

    /// Writes the queue. Many frames go in one call.
    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>, now_ms: u64) -> Poll<()> {
        while !self.queue.is_empty() && !self.closed {
            let written = match self.poll_write(cx) {
                Poll::Pending => {
                    if self.stalled_since_ms == 0 {
                        self.stalled_since_ms = now_ms;
                    }
                    return Poll::Pending;
                }
                Poll::Ready(Ok(n)) if n > 0 => n,
                Poll::Ready(_) => {
                    self.abort();
                    break;
                }
            };
            self.stalled_since_ms = 0;
            self.advance(written);
        }
        if self.queue.is_empty() {
            // An idle connection keeps no queue.
            self.queue = VecDeque::new();
        }
        if !self.is_above_low_water()
            && let Some(waiter) = self.waits_for_room.take()
        {
            waiter.wake();
        }
        Poll::Ready(())
    }

    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<std::io::Result<usize>> {
        let stream = Pin::new(&mut self.stream);
        if self.queue.len() == 1 {
            return stream.poll_write(cx, &self.queue[0][self.written..]);
        }
        let mut slices = [IoSlice::new(&[]); WRITE_FRAMES];
        let mut n = 0;
        for (slice, frame) in slices.iter_mut().zip(&self.queue) {
            *slice = IoSlice::new(if n == 0 { &frame[self.written..] } else { frame });
            n += 1;
        }
        stream.poll_write_vectored(cx, &slices[..n])
    }

    fn advance(&mut self, mut written: usize) {
        self.queued_bytes -= written.min(self.queued_bytes);
        while let Some(first) = self.queue.front() {
            let left = first.len() - self.written;
            if written < left {
                self.written += written;
                return;
            }
            written -= left;
            self.written = 0;
            self.queue.pop_front();
        }
    }

    /// Reads, and remembers the task as the owner. After the gateway's close frame is written, or the client's end,
    /// gives `Closed`.
    pub(crate) fn poll_read(&mut self, cx: &mut Context<'_>, now_ms: u64, may_read: bool) -> Poll<Read> {
        match &mut self.owner {
            Some(owner) => owner.clone_from(cx.waker()),
            None => self.owner = Some(cx.waker().clone()),
        }
        if self.poll_flush(cx, now_ms).is_ready() && self.closing.is_some() {
            // All was said.
            return Poll::Ready(Read::Closed);
        }
        if self.closed {
            return Poll::Ready(Read::Closed);
        }
        if self.closing.is_some() || !may_read {
            return Poll::Pending;
        }
        if !self.partial.is_empty() && self.partial_since_ms == 0 {
            // Bytes that came with the handshake.
            let mut bytes = std::mem::take(&mut self.partial);
            let incoming = self.decode(&mut bytes, now_ms);
            if !incoming.is_empty() {
                return Poll::Ready(Read::Incoming(incoming));
            }
        }
        SCRATCH.with_borrow_mut(|scratch| {
            loop {
                // What decoding queued (a pong) has no other occasion: until the queue is empty nobody flushes for it.
                let _ = self.poll_flush(cx, now_ms);
                let mut buffer = ReadBuf::new(scratch);
                if ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer)).is_err() {
                    return Poll::Ready(Read::Closed);
                }
                let read = buffer.filled_mut();
                if read.is_empty() {
                    return Poll::Ready(Read::Closed);
                }
                let incoming = if self.partial.is_empty() {
                    self.decode(read, now_ms)
                } else {
                    let mut bytes = std::mem::take(&mut self.partial);
                    bytes.extend_from_slice(read);
                    self.decode(&mut bytes, now_ms)
                };
                if !incoming.is_empty() {
                    return Poll::Ready(Read::Incoming(incoming));
                }
            }
        })
    }

    /// After the close frame: ends our side, then throws away what the client still sends until it ends too. Dropping
    /// a socket with unread bytes would reset it, and a reset can overtake the close frame.
    pub(crate) fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.closed || ready!(Pin::new(&mut self.stream).poll_shutdown(cx)).is_err() {
            return Poll::Ready(());
        }
        SCRATCH.with_borrow_mut(|scratch| {
            loop {
                let mut buffer = ReadBuf::new(scratch);
                if ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer)).is_err() || buffer.filled().is_empty()
                {
                    return Poll::Ready(());
                }
            }
        })
    }

    /// Takes all whole frames; keeps what is left.
    fn decode(&mut self, mut bytes: &mut [u8], now_ms: u64) -> Vec<Incoming> {
        let mut all = Vec::new();
        while let Some((taken, incoming)) = decode_one(bytes, &mut self.fragments) {
            bytes = &mut bytes[taken..];
            match incoming {
                Some(Incoming::Ping(payload)) => {
                    self.push(pong_frame(&payload));
                }
                Some(Incoming::Close) => {
                    // Answer as the RFC asks, then let the owner end.
                    self.queue.push_back(close_frame_raw(1000, ""));
                    all.push(Incoming::Close);
                    bytes = &mut [];
                }
                Some(incoming) => {
                    let last = matches!(incoming, Incoming::Violation(_));
                    all.push(incoming);
                    if last {
                        bytes = &mut [];
                    }
                }
                None => {}
            }
        }
        self.partial = bytes.to_vec();
        let incomplete = !self.partial.is_empty() || self.fragments.is_some();
        self.partial_since_ms = match (incomplete, self.partial_since_ms) {
            (false, _) => 0,
            (true, 0) => now_ms.max(1),
            (true, since) => since,
        };
        all
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    /// A ping that comes alone is answered at once, and what is sent after it needs no other word of the client.
    #[tokio::test]
    async fn a_ping_leaves_no_pong_behind_that_would_hold_up_deliveries() {
        let (ours, mut theirs) = tokio::io::duplex(1_024);
        let mut io = Io::new(Box::new(ours), Vec::new(), 1_024);
        let mut cx = Context::from_waker(Waker::noop());
        assert!(io.poll_read(&mut cx, 0, true).is_pending());

        // Masked with zeros.
        theirs.write_all(&[0x89, 0x82, 0, 0, 0, 0, b'h', b'i']).await.unwrap();
        assert!(io.poll_read(&mut cx, 0, true).is_pending());
        let mut pong = [0; 4];
        theirs.read_exact(&mut pong).now_or_never().expect("it is there already").unwrap();
        assert_eq!(pong, [0x8A, 2, b'h', b'i']);

        assert!(io.push(ping_frame()), "the queue is empty: whoever sends flushes");
    }
}
