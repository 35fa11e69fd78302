//! From a delivery of a worker to frames; and what members tell each other live: receipts, typing, changes.

use std::{cell::OnceCell, collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use domain::{ConversationId, UserId, message_id};
use parking_lot::Mutex;
use protocol::{
    frames::{Change, CloseCode, ErrorCode, ErrorFrame, MessageFrame, ServerFrame},
    link::{CloseSession, Delivery, Notice, Numbered, Relay, delivery},
};
use tokio::time::{Duration, MissedTickBehavior, interval};
use uuid::Uuid;

use crate::{
    gateway::Shared,
    hub::{Rendered, Touched},
    socket::text_frame,
};

/// At most one receipt and one typing notice in this time for a sender and conversation; the newest wins.
const RELAY_EVERY_MS: u64 = 1_000;
/// How often what was held back is looked at.
const TICK: Duration = Duration::from_millis(100);
/// Relays under way; past it new ones are dropped (they are not stored anyway).
const RELAYS_MAX: usize = 100_000;
/// Groups with more members get no receipts and no typing notices.
const RELAY_MEMBERS_MAX: u32 = 50;

/// What a relay is about: one limit each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum About {
    Receipt,
    Typing,
}

#[derive(Debug)]
struct Throttled {
    sent_ms: u64,
    newest: Option<ServerFrame>,
}

/// Receipts and typing notices on their way.
#[derive(Debug, Default)]
pub(crate) struct Relays {
    throttled: Mutex<BTreeMap<(UserId, ConversationId, About), Throttled>>,
}

impl Relays {
    /// Takes a frame; returns it when it may go at once.
    pub(crate) fn offer(
        &self,
        from: &UserId,
        to: &ConversationId,
        about: About,
        frame: ServerFrame,
        now_ms: u64,
    ) -> Option<ServerFrame> {
        let mut throttled = self.throttled.lock();
        let name = (from.clone(), to.clone(), about);
        if let Some(entry) = throttled.get_mut(&name) {
            entry.newest = Some(frame);
            return None;
        }
        if throttled.len() >= RELAYS_MAX {
            return None;
        }
        throttled.insert(name, Throttled { sent_ms: now_ms, newest: None });
        Some(frame)
    }

    /// What may go now.
    fn due(&self, now_ms: u64) -> Vec<(UserId, ConversationId, ServerFrame)> {
        let mut due = Vec::new();
        self.throttled.lock().retain(|(from, to, _), entry| {
            if now_ms < entry.sent_ms + RELAY_EVERY_MS {
                return true;
            }
            let Some(frame) = entry.newest.take() else { return false };
            entry.sent_ms = now_ms;
            due.push((from.clone(), to.clone(), frame));
            true
        });
        due
    }
}

/// Sends what was held back when its second is over.
pub(crate) async fn run(shared: Arc<Shared>) {
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            () = shared.stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        for (from, to, frame) in shared.relays.due(shared.now_ms()) {
            shared.relay_to_members(&from, &to, &frame);
        }
    }
}

impl Shared {
    /// Receipts and typing notices: to the other members' connections.
    pub(crate) fn relay_to_members(&self, from: &UserId, to: &ConversationId, frame: &ServerFrame) {
        self.workers.relay(Relay {
            notice: Some(notice(to, frame, from.as_str())),
            only_user: String::new(),
            members_max: RELAY_MEMBERS_MAX,
        });
    }

    /// A change of a conversation: to all members, or to one user.
    pub(crate) fn announce(&self, to: &ConversationId, frame: &ServerFrame, only_user: Option<&UserId>) {
        self.workers.relay(Relay {
            notice: Some(notice(to, frame, "")),
            only_user: only_user.map(|user| user.as_str().to_owned()).unwrap_or_default(),
            members_max: 0,
        });
    }
}

fn notice(to: &ConversationId, frame: &ServerFrame, except: &str) -> Notice {
    Notice { conversation: to.as_str().to_owned(), json: frame.encode(), except_user: except.to_owned() }
}

/// Queues one delivery of a worker for the sockets it concerns.
pub(crate) fn deliver(shared: &Shared, delivery: Delivery, touched: &mut Touched) {
    match delivery.kind {
        Some(delivery::Kind::Message(numbered)) => {
            let delivered = deliver_message(shared, numbered, &delivery.users, delivery.subscribers, touched);
            shared.metrics.delivered.inc_by(delivered as u64);
        }
        Some(delivery::Kind::Conflict(conflict)) => {
            let key = Uuid::from_slice(&conflict.key).unwrap_or_default();
            let error = ErrorFrame::new(ErrorCode::Conflict, "idempotency_key: it was used for another body")
                .in_conversation(conflict.conversation)
                .with_key(key.to_string());
            let frame = text_frame(&ServerFrame::Error(error).encode());
            shared.hub.push(&frame, &delivery.users, "", touched);
        }
        Some(delivery::Kind::Notice(notice)) => {
            end_subscriptions(shared, &notice, &delivery.users);
            shared.hub.push(&text_frame(&notice.json), &delivery.users, &notice.except_user, touched);
        }
        Some(delivery::Kind::Close(close)) => close_older(shared, &close),
        None => {}
    }
}

fn deliver_message(
    shared: &Shared,
    numbered: Numbered,
    users: &[String],
    subscribers: bool,
    touched: &mut Touched,
) -> usize {
    if shared.faults.drops_delivery(shared.levers.now().drop_frames_percent) {
        return 0;
    }
    let number = numbered.sequence_number;
    let Some(intake) = numbered.message else { return 0 };
    let names = (ConversationId::parse(&intake.conversation), UserId::parse(&intake.sender));
    let ((Ok(conversation), Ok(sender)), Ok(key)) = (names, Uuid::from_slice(&intake.key)) else { return 0 };
    let mut message = MessageFrame {
        message_id: message_id(&conversation, &sender, key),
        conversation: intake.conversation,
        sequence_number: number,
        sender: intake.sender,
        body: Arc::from(intake.body),
        sent_at_ms: intake.sent_at_ms,
        idempotency_key: None,
    };
    let for_others = ServerFrame::Message(message.clone());
    message.idempotency_key = Some(key);
    let for_sender = ServerFrame::Message(message);
    let render = |own: bool| -> Bytes { text_frame(&if own { &for_sender } else { &for_others }.encode()) };
    let rendered = Rendered {
        conversation: &conversation,
        number,
        sender: &sender,
        for_sender: OnceCell::new(),
        for_others: OnceCell::new(),
        render: &render,
    };
    shared.hub.deliver(&rendered, users, subscribers, touched)
}

/// Who left a channel is subscribed to it no more, on whichever gateway: former members may not read.
fn end_subscriptions(shared: &Shared, notice: &Notice, users: &[String]) {
    // Only changes are read, not each receipt and typing notice.
    let is_change = notice.json.contains(r#""type":"conversation""#);
    let Some(ServerFrame::Conversation { conversation, change: Change::Left, .. }) =
        is_change.then(|| serde_json::from_str(&notice.json).ok()).flatten()
    else {
        return;
    };
    let Ok(channel) = ConversationId::parse(&conversation) else { return };
    for conn in users.iter().flat_map(|user| shared.hub.of_user(user)) {
        shared.hub.unsubscribe(&conn, &channel);
    }
}

/// A newer session of a device exists elsewhere: older ones here end with 4001 (I7).
fn close_older(shared: &Shared, close: &CloseSession) {
    for conn in shared.hub.of_user(&close.user) {
        if conn.device.as_str() == close.device && conn.session_version < close.session_version {
            shared.metrics.superseded.inc();
            conn.close(CloseCode::Superseded);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_a_second_and_the_newest_wins() {
        let relays = Relays::default();
        let (from, to) = (UserId::parse("a").unwrap(), ConversationId::parse("c").unwrap());
        let typing = |n: u64| ServerFrame::Receipt {
            conversation: "c".into(),
            user: "a".into(),
            delivered: Some(n),
            read: None,
        };
        let offer = |n, at| relays.offer(&from, &to, About::Receipt, typing(n), at);
        assert!(offer(1, 0).is_some());
        assert!(offer(2, 10).is_none());
        assert!(offer(3, 20).is_none());
        assert!(relays.due(999).is_empty());
        assert_eq!(relays.due(1_000).into_iter().map(|(_, _, frame)| frame).collect::<Vec<_>>(), [typing(3)]);
        assert!(relays.due(1_500).is_empty());
        assert!(relays.due(2_000).is_empty(), "nothing new: the entry is forgotten");
        assert!(offer(4, 2_001).is_some());
    }
}
