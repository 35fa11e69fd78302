//! Hears what other adapters published.

use std::sync::Arc;

use domain::UserId;
use futures_util::StreamExt as _;
use redis::{Msg, RedisError};
use tokio::{
    sync::broadcast,
    task::JoinHandle,
    time::{Duration, timeout},
};
use uuid::Uuid;

use super::{link::Link, node::Backoff};

/// A connection, a subscription or an answer that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(2);
/// A channel that is silent for this long is asked whether it is there.
const SILENCE: Duration = Duration::from_secs(10);

/// The task that listens. It ends with this.
pub(super) struct Subscriber {
    channel: String,
    /// Who says it: each adapter skips its own.
    origin: String,
    task: JoinHandle<()>,
}

impl Subscriber {
    pub(super) fn new(link: Arc<Link>, channel: String, changes: broadcast::Sender<UserId>) -> Self {
        let origin = Uuid::new_v4().simple().to_string();
        let task = tokio::spawn(run(link, channel.clone(), origin.clone(), changes));
        Self { channel, origin, task }
    }

    pub(super) fn channel(&self) -> &str {
        &self.channel
    }

    pub(super) fn payload(&self, user: &UserId) -> String {
        format!("{} {user}", self.origin)
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn run(link: Arc<Link>, channel: String, origin: String, changes: broadcast::Sender<UserId>) {
    let mut backoff = Backoff::default();
    for turn in 0.. {
        let mut heard = |message: Msg| {
            backoff = Backoff::default();
            let payload: String = message.get_payload().unwrap_or_default();
            if let Some((from, user)) = payload.split_once(' ')
                && from != origin
                && let Ok(user) = user.parse()
            {
                // No reader is no fault.
                let _ = changes.send(user);
            }
        };
        let why = match listen(&link, turn, &channel, &mut heard).await {
            Ok(()) => "connection closed".to_owned(),
            Err(why) => why,
        };
        tracing::debug!(channel, why, "not subscribed");
        backoff.wait().await;
    }
}

/// Listens until the connection is lost.
async fn listen(link: &Link, turn: usize, channel: &str, heard: &mut impl FnMut(Msg)) -> Result<(), String> {
    let client = link.client(turn).map_err(|error| error.to_string())?;
    let (mut sink, mut stream) = within(client.get_async_pubsub()).await?.split();
    within(sink.subscribe(channel)).await?;
    tracing::debug!(channel, "subscribed");
    loop {
        match timeout(SILENCE, stream.next()).await {
            Ok(Some(message)) => heard(message),
            Ok(None) => return Ok(()),
            Err(_) => within(sink.ping::<redis::Value>()).await.map(drop)?,
        }
    }
}

async fn within<T>(work: impl Future<Output = Result<T, RedisError>>) -> Result<T, String> {
    match timeout(PATIENCE, work).await {
        Ok(done) => done.map_err(|error| error.to_string()),
        Err(_) => Err(format!("no answer within {} s", PATIENCE.as_secs())),
    }
}
