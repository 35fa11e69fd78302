//! What each frame of a client does.

use std::sync::{Arc, atomic::Ordering};

use domain::{ConversationId, UserId};
use futures_util::future::BoxFuture;
use protocol::frames::{ClientFrame, ErrorCode, ErrorFrame, Kind, Page, Receipt, ServerFrame};

use crate::{gateway::Shared, hub::Conn, intake::Prepared, relay::About};

/// Channels one connection may be subscribed to.
const SUBSCRIPTIONS_MAX: usize = 1_000;

/// How far a frame has got.
pub(super) enum Begun {
    /// Done, and nothing to say.
    Nothing,
    /// Done.
    Answer(ServerFrame),
    /// Its order is settled; the answer comes when it comes.
    Later(BoxFuture<'static, ServerFrame>),
    /// A send that takes its place in the log when those before it have theirs.
    Prepared(Prepared),
    /// Later frames must wait for it; sends that follow a send only for their place.
    Beginning(BoxFuture<'static, Begun>),
}

/// Begins with a frame.
pub(super) fn begin(shared: &Arc<Shared>, conn: &Arc<Conn>, frame: ClientFrame) -> Begun {
    let (shared, conn) = (shared.clone(), conn.clone());
    match frame {
        ClientFrame::Heartbeat => {
            conn.heard_ms.store(shared.now_ms(), Ordering::Relaxed);
            shared.metrics.heartbeats.inc();
            shared.heartbeats.push(&conn);
            Begun::Answer(ServerFrame::HeartbeatAck)
        }
        ClientFrame::Hello { .. } => {
            Begun::Answer(ServerFrame::Error(ErrorFrame::new(ErrorCode::Invalid, "hello: was said already")))
        }
        ClientFrame::Send(send) => Begun::Beginning(Box::pin(async move {
            match shared.prepare(&conn.user, send).await {
                Ok(prepared) => Begun::Prepared(prepared),
                Err(error) => Begun::Answer(ServerFrame::Error(error)),
            }
        })),
        ClientFrame::List { after, limit } => {
            later(async move { list(&shared, &conn.user, after.as_deref(), limit).await })
        }
        ClientFrame::Sync { conversation, after, limit } => later(async move {
            let (id, kind) = shared.authorise(&conversation, &conn.user).await?;
            let page = shared.page_after(&id, kind, Some(&conn.user), after, limit).await?;
            Ok(ServerFrame::Messages(page))
        }),
        ClientFrame::History { conversation, before, limit } => later(async move {
            let (id, kind) = shared.authorise(&conversation, &conn.user).await?;
            let page: Page = shared.page_before(&id, kind, Some(&conn.user), before, limit).await?;
            Ok(ServerFrame::Messages(page))
        }),
        ClientFrame::Receipt(receipt) => {
            in_order(async move { shared.receipt(&conn.user, receipt).await.map(|()| None) })
        }
        ClientFrame::Typing { conversation } => {
            in_order(async move { shared.typing(&conn.user, conversation).await.map(|()| None) })
        }
        ClientFrame::Watch { users } => in_order(async move {
            // The decoder checked the names.
            let users = users.iter().filter_map(|user| UserId::parse(user).ok()).collect();
            shared.watch(&conn, users).await;
            Ok(None)
        }),
        ClientFrame::Subscribe { conversation } => {
            in_order(async move { subscribe(&shared, &conn, &conversation).await.map(Some) })
        }
        ClientFrame::Unsubscribe { conversation } => {
            if let Ok(id) = ConversationId::parse(&conversation) {
                shared.hub.unsubscribe(&conn, &id);
            }
            Begun::Answer(ServerFrame::Unsubscribed { conversation })
        }
    }
}

fn later(answer: impl Future<Output = Result<ServerFrame, ErrorFrame>> + Send + 'static) -> Begun {
    Begun::Later(Box::pin(async move { answer.await.unwrap_or_else(ServerFrame::Error) }))
}

fn in_order(answer: impl Future<Output = Result<Option<ServerFrame>, ErrorFrame>> + Send + 'static) -> Begun {
    Begun::Beginning(Box::pin(async move {
        match answer.await {
            Ok(None) => Begun::Nothing,
            Ok(Some(frame)) => Begun::Answer(frame),
            Err(error) => Begun::Answer(ServerFrame::Error(error)),
        }
    }))
}

/// Names the request in its refusal.
pub(super) fn name(error: &mut ErrorFrame, frame: &ClientFrame) {
    match frame {
        ClientFrame::Send(send) => {
            error.idempotency_key = Some(send.key_text.clone());
            error.conversation = Some(send.conversation.clone());
        }
        ClientFrame::Sync { conversation, .. }
        | ClientFrame::History { conversation, .. }
        | ClientFrame::Receipt(Receipt { conversation, .. })
        | ClientFrame::Typing { conversation }
        | ClientFrame::Subscribe { conversation }
        | ClientFrame::Unsubscribe { conversation } => error.conversation = Some(conversation.clone()),
        ClientFrame::Hello { .. } | ClientFrame::Heartbeat | ClientFrame::List { .. } | ClientFrame::Watch { .. } => {}
    }
}

async fn list(shared: &Shared, user: &UserId, after: Option<&str>, limit: usize) -> Result<ServerFrame, ErrorFrame> {
    let after = after.and_then(|id| ConversationId::parse(id).ok());
    let mut found = match shared.ports.directory.list(user, after.as_ref(), limit + 1).await {
        Ok(found) => found,
        Err(error) => {
            tracing::debug!(%error, "cannot list conversations");
            let why = "conversations cannot be listed now";
            return Err(ErrorFrame::new(ErrorCode::Unavailable, why).retry_after(1_000));
        }
    };
    let more = found.len() > limit;
    found.truncate(limit);
    let next = found.last().filter(|_| more).map(|(id, _)| id.as_str().to_owned());
    let conversations = shared.with_heads(found).await;
    Ok(ServerFrame::Conversations { conversations, next })
}

async fn subscribe(shared: &Shared, conn: &Arc<Conn>, conversation: &str) -> Result<ServerFrame, ErrorFrame> {
    let (id, kind) = shared.authorise(conversation, &conn.user).await?;
    let refuse = |why: String| ErrorFrame::new(ErrorCode::Invalid, why).in_conversation(conversation);
    if kind != Kind::Channel {
        return Err(refuse("conversation: only channels are subscribed to".into()));
    }
    // Before the head is asked for: what is numbered after the answer is delivered.
    if !shared.hub.subscribe(conn, &id, SUBSCRIPTIONS_MAX) {
        return Err(refuse(format!("conversation: a connection may have {SUBSCRIPTIONS_MAX} subscriptions")));
    }
    match shared.head(&id, kind).await {
        Ok(head) => Ok(ServerFrame::Subscribed { conversation: conversation.to_owned(), head }),
        Err(error) => {
            shared.hub.unsubscribe(conn, &id);
            Err(error)
        }
    }
}

impl Shared {
    /// `receipt`: to the other members, at most one a second.
    async fn receipt(&self, user: &UserId, receipt: Receipt) -> Result<(), ErrorFrame> {
        let frame = ServerFrame::Receipt {
            conversation: receipt.conversation.clone(),
            user: user.as_str().to_owned(),
            delivered: receipt.delivered,
            read: receipt.read,
        };
        self.offer(user, &receipt.conversation, About::Receipt, frame).await
    }

    async fn typing(&self, user: &UserId, conversation: String) -> Result<(), ErrorFrame> {
        let frame = ServerFrame::Typing { conversation: conversation.clone(), user: user.as_str().to_owned() };
        self.offer(user, &conversation, About::Typing, frame).await
    }

    async fn offer(&self, user: &UserId, to: &str, about: About, frame: ServerFrame) -> Result<(), ErrorFrame> {
        let (id, kind) = self.authorise(to, user).await?;
        if kind == Kind::Channel {
            return Ok(());
        }
        if let Some(frame) = self.relays.offer(user, &id, about, frame, self.now_ms()) {
            self.relay_to_members(user, &id, &frame);
        }
        Ok(())
    }
}
