//! Starting a client and speaking to it.

use std::sync::Arc;

use domain::{ConversationId, MAX_BODY_BYTES};
use parking_lot::Mutex;
use protocol::frames::{Receipt, WATCH_MAX};
use tokio::{
    sync::{Semaphore, TryAcquireError, mpsc},
    task::JoinHandle,
};
use tokio_util::sync::DropGuard;
use uuid::Uuid;

use crate::{
    ClientConfig, Command, Connect, Event, Observer,
    driver::{Driver, Ending, Outlet},
    keys::Keys,
};

/// Commands on the way to the client's task; then callers wait.
const COMMANDS_MAX: usize = 16;
/// Events on the way to the program; see `Outlet` for what happens then.
const EVENTS_MAX: usize = 64;

/// Why a request did not reach the client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The client was closed or has stopped with `Fatal`.
    #[error("the client has stopped")]
    Stopped,
    /// As many sends as allowed have no answer yet.
    #[error("too many sends are without an answer: wait for some")]
    Full,
    /// Not a conversation id.
    #[error("conversation {0:?}: {1}")]
    Conversation(String, domain::IdError),
    /// The body is empty or too large.
    #[error("the body must have 1-{MAX_BODY_BYTES} bytes, has {0}")]
    Body(usize),
    /// More users than one `watch` may name.
    #[error("at most {WATCH_MAX} users can be watched, not {0}")]
    Watch(usize),
}

/// A chat client: a task that connects, stays connected, and shows each message once and in order.
pub enum Client {}

impl Client {
    /// Starts a client that tells its events to a channel. A program that does not read it makes the client stop
    /// reading its socket.
    pub fn start(config: ClientConfig, connect: Arc<dyn Connect>) -> (ClientHandle, mpsc::Receiver<Event>) {
        let (tx, rx) = mpsc::channel(EVENTS_MAX);
        (spawn(config, connect, Outlet::channel(tx)), rx)
    }

    /// Starts a client that tells its events to an observer, within its own task.
    pub fn observed(config: ClientConfig, connect: Arc<dyn Connect>, observer: Arc<dyn Observer>) -> ClientHandle {
        spawn(config, connect, Outlet::Observer(observer))
    }
}

fn spawn(config: ClientConfig, connect: Arc<dyn Connect>, outlet: Outlet) -> ClientHandle {
    let (commands, rx) = mpsc::channel(COMMANDS_MAX);
    let ending = Ending::default();
    let permits = Arc::new(Semaphore::new(config.pending_max.max(1)));
    let keys = Keys::new(config.seed);
    let driver = Driver::new(config, connect, permits.clone(), outlet);
    let task = tokio::spawn(driver.run(rx, ending.clone()));
    let dropped = ending.close.clone().drop_guard();
    ClientHandle(Arc::new(Shared { commands, permits, keys, ending, task: Mutex::new(Some(task)), _dropped: dropped }))
}

struct Shared {
    commands: mpsc::Sender<Command>,
    permits: Arc<Semaphore>,
    keys: Keys,
    ending: Ending,
    task: Mutex<Option<JoinHandle<()>>>,
    /// With the last handle the client ends, too.
    _dropped: DropGuard,
}

/// Speaks to a client. Clones speak to the same one; when the last is dropped the client closes by itself.
#[derive(Clone)]
pub struct ClientHandle(Arc<Shared>);

impl ClientHandle {
    /// Sends a message and returns its key: `Accepted` or `Refused` with that key follows, however many connections it
    /// takes. Waits while `pending_max` sends have no answer.
    pub async fn send(&self, conversation: &str, body: impl Into<String>) -> Result<Uuid, SendError> {
        let key = self.new_key();
        self.send_with_key(key, conversation, body).await?;
        Ok(key)
    }

    /// As [`send`](Self::send), under a key of the program's own.
    pub async fn send_with_key(&self, key: Uuid, conversation: &str, body: impl Into<String>) -> Result<(), SendError> {
        let command = send_command(key, conversation, body.into())?;
        let permit = self.0.permits.acquire().await.map_err(|_| SendError::Stopped)?;
        self.command(command).await?;
        // It comes back with the answer.
        permit.forget();
        Ok(())
    }

    /// As [`send`](Self::send), but says [`SendError::Full`] instead of waiting.
    pub fn try_send(&self, conversation: &str, body: impl Into<String>) -> Result<Uuid, SendError> {
        let key = self.new_key();
        let command = send_command(key, conversation, body.into())?;
        let permit = self.0.permits.try_acquire().map_err(|error| match error {
            TryAcquireError::Closed => SendError::Stopped,
            TryAcquireError::NoPermits => SendError::Full,
        })?;
        self.0.commands.try_send(command).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => SendError::Full,
            mpsc::error::TrySendError::Closed(_) => SendError::Stopped,
        })?;
        permit.forget();
        Ok(key)
    }

    /// A key for [`send_with_key`](Self::send_with_key), from the client's seed.
    pub fn new_key(&self) -> Uuid {
        self.0.keys.next()
    }

    /// Catches up with a conversation whether or not it seems behind; [`Event::Synced`] follows.
    pub async fn sync(&self, conversation: &str) -> Result<(), SendError> {
        self.command(Command::Sync { conversation: checked(conversation)? }).await
    }

    /// Reads backwards; [`Event::History`] follows.
    pub async fn history(&self, conversation: &str, before: Option<u64>, limit: usize) -> Result<(), SendError> {
        self.command(Command::History { conversation: checked(conversation)?, before, limit }).await
    }

    /// Lists the user's conversations if there is a connection; [`Event::Conversations`] follows.
    pub async fn list(&self, after: Option<String>, limit: usize) -> Result<(), SendError> {
        self.command(Command::List { after, limit }).await
    }

    /// Tells the other members how far one has got, if there is a connection.
    pub async fn receipt(&self, receipt: Receipt) -> Result<(), SendError> {
        self.command(Command::Receipt(receipt)).await
    }

    /// Tells the other members that one is typing, if there is a connection.
    pub async fn typing(&self, conversation: &str) -> Result<(), SendError> {
        self.command(Command::Typing { conversation: conversation.to_owned() }).await
    }

    /// Whose presence to be told, from now on and on every connection.
    pub async fn watch(&self, users: Vec<String>) -> Result<(), SendError> {
        if users.len() > WATCH_MAX {
            return Err(SendError::Watch(users.len()));
        }
        self.command(Command::Watch { users }).await
    }

    /// Reads a channel live, from now on and on every connection.
    pub async fn subscribe(&self, conversation: &str) -> Result<(), SendError> {
        self.command(Command::Subscribe { conversation: conversation.to_owned() }).await
    }

    /// No longer reads a channel live.
    pub async fn unsubscribe(&self, conversation: &str) -> Result<(), SendError> {
        self.command(Command::Unsubscribe { conversation: conversation.to_owned() }).await
    }

    /// Connects again after [`disconnect`](Self::disconnect).
    pub async fn connect(&self) -> Result<(), SendError> {
        self.command(Command::Connect).await
    }

    /// Goes offline and stays so. What was seen and what waits to be sent is kept.
    pub async fn disconnect(&self) -> Result<(), SendError> {
        self.command(Command::Disconnect).await
    }

    /// Loses the connection as if the network had failed; the client comes back with backoff.
    pub async fn drop_connection(&self) -> Result<(), SendError> {
        self.command(Command::DropConnection).await
    }

    /// Says goodbye and waits for the client's task to end. Sends without an answer stay without.
    pub async fn close(&self) {
        self.0.ending.close.cancel();
        self.join().await;
    }

    /// Ends the client as if its process had died, and waits for its task to end.
    pub async fn kill(&self) {
        self.0.ending.kill.cancel();
        self.join().await;
    }

    async fn join(&self) {
        let task = self.0.task.lock().take();
        if let Some(task) = task
            && let Err(error) = task.await
            && error.is_panic()
        {
            std::panic::resume_unwind(error.into_panic());
        }
    }

    async fn command(&self, command: Command) -> Result<(), SendError> {
        self.0.commands.send(command).await.map_err(|_| SendError::Stopped)
    }
}

fn checked(conversation: &str) -> Result<Arc<str>, SendError> {
    match ConversationId::parse(conversation) {
        Ok(id) => Ok(id.as_str().into()),
        Err(why) => Err(SendError::Conversation(conversation.to_owned(), why)),
    }
}

fn send_command(key: Uuid, conversation: &str, body: String) -> Result<Command, SendError> {
    let conversation = checked(conversation)?;
    if body.is_empty() || body.len() > MAX_BODY_BYTES {
        return Err(SendError::Body(body.len()));
    }
    Ok(Command::Send { key, conversation, body })
}
