//! From `send` to `accepted`: authorise, look into the dedup cache, append. `accepted` is said when the log has it (I1).

use std::sync::Arc;

use backends::{
    Clock, Stores,
    port::{Lane, Log, Recent, Remembered, StoreResult, Topic},
};
use bytes::Bytes;
use domain::{BodyHash, Bug, ConversationId, Planted, UserId, body_hash, message_id, partition_of};
use futures_util::future::BoxFuture;
use prometheus_client::metrics::histogram::Histogram;
use prost::Message as _;
use protocol::{
    frames::{ErrorCode, ErrorFrame, Kind, SendMessage, ServerFrame},
    log::Intake as IntakeRecord,
};
use tokio::time::{Duration, Instant, timeout};

use crate::{
    config::GatewayConfig,
    figures::{self, Figures},
    gateway::Shared,
};

/// How long the log may take. After it nobody knows whether the log has the message; the retry settles it.
const APPEND_DEADLINE: Duration = Duration::from_secs(5);
/// How long the caches may take before a send goes on without them: the fold dedups as well.
const RECALL_DEADLINE: Duration = Duration::from_millis(500);
/// What `unavailable` tells a client.
const RETRY_AFTER_MS: u64 = 1_000;

/// A send on its way into the log; resolves with the answer.
pub(crate) type Sending = BoxFuture<'static, ServerFrame>;

/// A send that may go into the log, or that was answered before. Those of one connection are prepared side by side and
/// appended in their order.
pub(crate) enum Prepared {
    /// New, as far as is known.
    New(Box<New>),
    /// Its key is known.
    Known(ServerFrame),
}

/// A message whose sender may write here.
pub(crate) struct New {
    lane: Lane,
    conversation: ConversationId,
    sender: UserId,
    send: SendMessage,
}

/// The way into the log.
pub(crate) struct Intake {
    log: Arc<dyn Log>,
    recent: Arc<dyn Recent>,
    clock: Clock,
    planted: Planted,
    append_seconds: Histogram,
    figures: Arc<Figures>,
}

impl Intake {
    pub(crate) fn new(
        config: &GatewayConfig,
        clock: Clock,
        ports: &Stores,
        append_seconds: Histogram,
        figures: Arc<Figures>,
    ) -> Self {
        let (log, recent) = (ports.log.clone(), ports.recent.clone());
        Self { log, recent, clock, planted: config.planted, append_seconds, figures }
    }

    /// What the cache knows of a key. A cache that does not answer knows nothing.
    async fn recall(&self, sender: &UserId, send: &SendMessage) -> Option<BodyHash> {
        let conversation = ConversationId::parse(&send.conversation).ok()?;
        let recalled = self.recent.recall(&conversation, sender, send.key);
        timeout(RECALL_DEADLINE, recalled).await.ok()?.ok().flatten()
    }

    /// Puts a message in order and returns what waits for the log.
    fn append(&self, New { lane, conversation, sender, send }: New) -> Sending {
        let record = IntakeRecord {
            conversation: send.conversation.clone(),
            sender: sender.as_str().to_owned(),
            key: send.key.as_bytes().to_vec(),
            body: send.body,
            sent_at_ms: self.clock.now_ms(),
        };
        let partition = partition_of(&send.conversation, self.log.partitions());
        let hash = body_hash(&record.body);
        let payload: Bytes = record.encode_to_vec().into();
        let appending = self.log.append(Topic::Intake(lane), partition, vec![payload]);
        let accepted = ServerFrame::Accepted {
            idempotency_key: send.key_text.clone(),
            conversation: send.conversation.clone(),
            message_id: message_id(&conversation, &sender, send.key),
            duplicate: false,
            sequence_number: None,
        };
        if self.planted.has(Bug::AcceptBeforeDurable) {
            return Box::pin(std::future::ready(accepted));
        }
        let (recent, append_seconds) = (self.recent.clone(), self.append_seconds.clone());
        let (figures, clock) = (self.figures.clone(), self.clock);
        let began = Instant::now();
        Box::pin(async move {
            let outcome: StoreResult<u64> = match timeout(APPEND_DEADLINE, appending).await {
                Ok(outcome) => outcome,
                Err(_) => Err(backends::port::StoreError::unavailable("log", "it does not answer")),
            };
            if let Err(error) = outcome {
                tracing::debug!(%error, "a send was not accepted");
                return ServerFrame::Error(unavailable(&send.key_text, &send.conversation));
            }
            append_seconds.observe(began.elapsed().as_secs_f64());
            figures.accepted(clock.now_ms(), began.elapsed().as_micros() as u64);
            // Only now: a key remembered before the log has its message would swallow the retry after a crash.
            let key = Remembered { conversation, sender, key: send.key, body_hash: hash };
            let _ = timeout(RECALL_DEADLINE, recent.remember(vec![key])).await;
            accepted
        })
    }
}

fn unavailable(key_text: &str, conversation: &str) -> ErrorFrame {
    ErrorFrame::new(ErrorCode::Unavailable, "the message cannot be taken now; nothing was accepted")
        .retry_after(RETRY_AFTER_MS)
        .with_key(key_text)
        .in_conversation(conversation)
}

/// The lane of a kind: a channel lives where its group lived.
pub(crate) fn lane_of(kind: Kind) -> Lane {
    match kind {
        Kind::Direct => Lane::Direct,
        Kind::Group | Kind::Channel => Lane::Group,
    }
}

impl Shared {
    /// May this user say this, and was it said before? Nothing has happened when it returns.
    pub(crate) async fn prepare(&self, sender: &UserId, send: SendMessage) -> Result<Prepared, ErrorFrame> {
        let named = |error: ErrorFrame| error.with_key(send.key_text.clone());
        figures::add(&self.figures.sends, 1);
        // Both at once: each may be a round trip.
        let (authorised, known) =
            tokio::join!(self.authorise(&send.conversation, sender), self.intake.recall(sender, &send));
        let (conversation, kind) = authorised.map_err(named)?;
        if let Some(known) = known {
            self.metrics.duplicates.inc();
            if known != body_hash(&send.body) {
                let why = "idempotency_key: it was used for another body";
                return Err(named(ErrorFrame::new(ErrorCode::Conflict, why)).in_conversation(send.conversation));
            }
            let accepted = ServerFrame::Accepted {
                message_id: message_id(&conversation, sender, send.key),
                idempotency_key: send.key_text,
                conversation: send.conversation,
                duplicate: true,
                sequence_number: None,
            };
            return Ok(Prepared::Known(accepted));
        }
        let new = New { lane: lane_of(kind), conversation, sender: sender.clone(), send };
        Ok(Prepared::New(Box::new(new)))
    }

    /// Takes a send. When it returns, the message is in order in the log's queue; the answer follows from what it
    /// returned.
    pub(crate) fn submit(&self, prepared: Prepared) -> Sending {
        match prepared {
            Prepared::New(new) => self.intake.append(*new),
            Prepared::Known(accepted) => Box::pin(std::future::ready(accepted)),
        }
    }

    /// May this user read and write here? Gives the kind.
    pub(crate) async fn authorise(&self, id: &str, user: &UserId) -> Result<(ConversationId, Kind), ErrorFrame> {
        let refuse = |code, why: &str| ErrorFrame::new(code, why).in_conversation(id);
        let parsed =
            ConversationId::parse(id).map_err(|why| refuse(ErrorCode::Invalid, &format!("conversation: {why}")))?;
        match self.memberships.get(&parsed, user).await {
            Ok(Some(membership)) if membership.member => Ok((parsed, membership.kind)),
            Ok(Some(_)) => Err(refuse(ErrorCode::Forbidden, "not a member of this conversation")),
            Ok(None) => Err(refuse(ErrorCode::NotFound, "no such conversation")),
            Err(error) => {
                tracing::debug!(%error, "cannot tell who is a member");
                Err(refuse(ErrorCode::Unavailable, "memberships cannot be read now").retry_after(RETRY_AFTER_MS))
            }
        }
    }
}
