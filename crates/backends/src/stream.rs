//! Long streams between programs: worker to gateway, node to control plane. In one process they are two channels;
//! between processes they are gRPC (`grpc`). What runs over them cannot tell which.

use std::{collections::HashMap, sync::Arc};

use async_trait::async_trait;
use parking_lot::Mutex;
use protocol::identity::Identity;
use tokio::sync::mpsc;

/// Frames that may wait in one direction of a stream. A full stream makes its sender wait.
pub const STREAM_FRAMES: usize = 256;

/// One end of a stream. Dropping it ends the stream; the other end then reads `None` and cannot send.
#[derive(Debug)]
pub struct Duplex<Out, In> {
    /// To the other end. Waits while [`STREAM_FRAMES`] are under way.
    pub tx: mpsc::Sender<Out>,
    /// From the other end.
    pub rx: mpsc::Receiver<In>,
    /// Who the other end is, where its certificate says so: at the listening end of a stream over TLS.
    pub peer: Option<Identity>,
}

/// Two ends of a stream within the process.
pub fn pair<A, B>() -> (Duplex<A, B>, Duplex<B, A>) {
    let (to_b, from_a) = mpsc::channel(STREAM_FRAMES);
    let (to_a, from_b) = mpsc::channel(STREAM_FRAMES);
    (Duplex { tx: to_b, rx: from_b, peer: None }, Duplex { tx: to_a, rx: from_a, peer: None })
}

/// Why a stream could not be opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot reach {address}: {why}")]
pub struct DialError {
    /// Who was called.
    pub address: String,
    /// What happened.
    pub why: String,
}

/// Opens streams.
#[async_trait]
pub trait Dial<Out, In>: Send + Sync + 'static {
    /// Calls `address`. Gives up by itself within 5 s.
    async fn dial(&self, address: &str) -> Result<Duplex<Out, In>, DialError>;
}

/// The in-process adapter: who listens where. `Out` is what the dialling side sends.
#[derive(Debug)]
pub struct Switchboard<Out, In> {
    listeners: Arc<Mutex<Listeners<Out, In>>>,
}

/// By address: where to hand the far end of a new stream.
type Listeners<Out, In> = HashMap<String, mpsc::Sender<Duplex<In, Out>>>;

impl<Out, In> Clone for Switchboard<Out, In> {
    fn clone(&self) -> Self {
        Self { listeners: self.listeners.clone() }
    }
}

impl<Out, In> Default for Switchboard<Out, In> {
    fn default() -> Self {
        Self { listeners: Arc::default() }
    }
}

impl<Out, In> Switchboard<Out, In> {
    /// Listens at `address`, in place of whoever did before. Dropping the receiver stops it.
    pub fn listen(&self, address: &str) -> mpsc::Receiver<Duplex<In, Out>> {
        let (tx, rx) = mpsc::channel(16);
        self.listeners.lock().insert(address.to_owned(), tx);
        rx
    }
}

#[async_trait]
impl<Out: Send + 'static, In: Send + 'static> Dial<Out, In> for Switchboard<Out, In> {
    async fn dial(&self, address: &str) -> Result<Duplex<Out, In>, DialError> {
        let fail = |why: &str| DialError { address: address.to_owned(), why: why.to_owned() };
        let listener = self.listeners.lock().get(address).cloned().ok_or_else(|| fail("nobody listens"))?;
        let (near, far) = pair();
        listener.try_send(far).map_err(|_| fail("the listener is gone or busy"))?;
        Ok(near)
    }
}
