//! What the gateway says.

use std::sync::Arc;

use protocol::frames::{
    ClientFrame, ConversationHead, ErrorCode, ErrorFrame, MessageFrame, PAGE_LIMIT_MAX, Page, ServerFrame,
};
use uuid::Uuid;

use super::{
    Core, Effect, LinkId,
    connection::REPLAY_TIMEOUT_MS,
    conversation::{Conversation, Request},
};
use crate::{Event, Start};

/// Patience when a gateway asks for some and does not say how much.
const RETRY_AFTER_DEFAULT_MS: u64 = 1_000;

impl Core {
    pub(super) fn frame(&mut self, now_ms: u64, link: LinkId, frame: ServerFrame) {
        if self.current == Some(link) {
            self.silence_at_ms = None;
            self.current_frame(now_ms, frame);
        } else if let ServerFrame::Welcome(welcome) = frame
            && self.is_greeted(link)
        {
            self.welcomed(now_ms, welcome);
        }
        // Anything else comes from a link that no longer counts, or does not count yet (duty 6).
    }

    fn current_frame(&mut self, now_ms: u64, frame: ServerFrame) {
        match frame {
            ServerFrame::Message(message) => self.live(now_ms, vec![message]),
            ServerFrame::Batch { messages, .. } => self.live(now_ms, messages),
            ServerFrame::Messages(page) => self.page(now_ms, page),
            ServerFrame::Accepted { idempotency_key, conversation, message_id, duplicate, sequence_number } => {
                let id = Arc::from(conversation);
                if let Ok(key) = Uuid::try_parse(&idempotency_key)
                    && self.settle(&id, key)
                {
                    self.emit(Event::Accepted {
                        key,
                        conversation: id.clone(),
                        message_id,
                        sequence_number,
                        duplicate,
                    });
                    self.pump(now_ms, &id);
                }
            }
            ServerFrame::Error(error) => self.refused(now_ms, error),
            ServerFrame::Synced { conversations: heads } => {
                for (id, head) in &heads {
                    self.conversation(&Arc::from(id.as_str())).view.heard_of(*head);
                }
                self.emit(Event::Replayed { heads });
                self.end_replay(now_ms);
            }
            ServerFrame::Conversations { conversations, next } => self.listed(now_ms, conversations, next),
            ServerFrame::Subscribed { conversation, head } => {
                self.heard_of(now_ms, &conversation, head);
                self.emit(Event::Subscribed { conversation });
            }
            ServerFrame::Unsubscribed { conversation } => self.emit(Event::Unsubscribed { conversation }),
            ServerFrame::Presence { user, online, last_seen_ms } => {
                self.emit(Event::Presence { user, online, last_seen_ms });
            }
            ServerFrame::Receipt { conversation, user, delivered, read } => {
                self.emit(Event::Receipt { conversation, user, delivered, read });
            }
            ServerFrame::Typing { conversation, user } => self.emit(Event::Typing { conversation, user }),
            ServerFrame::Conversation { conversation, kind, head, change } => {
                if change == protocol::frames::Change::Left {
                    self.bar(now_ms, &Arc::from(conversation.as_str()));
                } else {
                    self.heard_of(now_ms, &conversation, head);
                }
                self.emit(Event::ConversationChanged { conversation, kind, change });
            }
            ServerFrame::Migrate { .. } => self.migrate(),
            ServerFrame::Welcome(_) | ServerFrame::HeartbeatAck | ServerFrame::Unknown => {}
        }
    }

    /// Live messages, ascending.
    fn live(&mut self, now_ms: u64, messages: Vec<MessageFrame>) {
        for message in messages {
            let id: Arc<str> = Arc::from(message.conversation.as_str());
            self.first_seen(&id, message.sequence_number - u64::from(message.sequence_number > 0));
            self.conversation(&id).barred = false;
            self.take_in(&id, message);
            if self.conversation(&id).view.is_behind() {
                self.pump(now_ms, &id);
            }
        }
    }

    /// A page of a replay, of a sync or of the history.
    fn page(&mut self, now_ms: u64, page: Page) {
        let id: Arc<str> = Arc::from(page.conversation.as_str());
        let hole = page.messages.windows(2).find(|pair| pair[1].sequence_number != pair[0].sequence_number + 1);
        if let Some(pair) = hole {
            // What lies above it is held back until the rest came, as after any jump; but no gateway may send this.
            self.emit(Event::PageWithHole { conversation: id.clone(), after: pair[0].sequence_number });
        }
        if self.conversation(&id).replaying {
            self.replay_until_ms = Some(now_ms + REPLAY_TIMEOUT_MS);
            self.take_in_page(&id, page);
            return;
        }
        match self.end_request(now_ms, &id) {
            Some(Request::History { .. }) => self.emit(Event::History(page)),
            // A late page is as good as one that was asked for.
            Some(Request::Sync) | None => {
                let (before, complete) = (self.conversation(&id).view.last(), page.complete);
                self.take_in_page(&id, page);
                let conversation = self.conversation(&id);
                let (last, head) = (conversation.view.last(), conversation.view.head());
                if complete && !conversation.view.is_behind() {
                    conversation.fruitless = 0;
                    if std::mem::take(&mut conversation.sync_wanted) {
                        self.emit(Event::Synced { conversation: id.clone(), head });
                    }
                } else if last > before {
                    (conversation.fruitless, conversation.sync_at_ms) = (0, 0);
                    conversation.sync_wanted |= !complete;
                } else {
                    conversation.sync_wanted |= !complete;
                    self.wait_for_sync(now_ms, &id, 0);
                }
            }
        }
        self.pump(now_ms, &id);
    }

    fn take_in_page(&mut self, id: &Arc<str>, page: Page) {
        self.conversation(id).view.heard_of(page.head);
        page.messages.into_iter().for_each(|message| self.take_in(id, message));
    }

    fn take_in(&mut self, id: &Arc<str>, message: MessageFrame) {
        let held_max = self.limits.held_max;
        let conversation = self.conversations.entry(id.clone()).or_default();
        let effects = &mut self.effects;
        conversation.view.offer(message, held_max, |message| effects.push(Effect::Emit(Event::Shown(message))));
    }

    /// A conversation that nothing is known of begins where the program wants it to.
    fn first_seen(&mut self, id: &Arc<str>, before: u64) {
        if !self.conversations.contains_key(id) {
            let last = if self.start == Start::AtFirstSeen { before } else { 0 };
            self.conversations.insert(id.clone(), Conversation::at(last));
        }
    }

    fn heard_of(&mut self, now_ms: u64, conversation: &str, head: u64) {
        let id: Arc<str> = Arc::from(conversation);
        self.first_seen(&id, head);
        let entry = self.conversation(&id);
        entry.view.heard_of(head);
        entry.barred = false;
        self.pump(now_ms, &id);
    }

    fn listed(&mut self, now_ms: u64, conversations: Vec<ConversationHead>, next: Option<String>) {
        for entry in &conversations {
            // Channels are read when the program subscribes.
            if entry.kind != protocol::frames::Kind::Channel {
                self.heard_of(now_ms, &entry.conversation, entry.head);
            }
        }
        if self.discovering {
            match &next {
                Some(after) => self.say(ClientFrame::List { after: Some(after.clone()), limit: PAGE_LIMIT_MAX }),
                None => self.discovering = false,
            }
        }
        self.emit(Event::Conversations { conversations, next });
    }

    /// Whether a send was waiting for this answer.
    fn settle(&mut self, id: &Arc<str>, key: Uuid) -> bool {
        let settled = self.conversations.get_mut(id).is_some_and(|conversation| conversation.outbox.settle(key));
        self.pending -= usize::from(settled);
        settled
    }

    fn refused(&mut self, now_ms: u64, error: ErrorFrame) {
        let key = error.idempotency_key.as_deref().and_then(|key| Uuid::try_parse(key).ok());
        match key {
            Some(key) => self.send_refused(now_ms, key, error),
            None => self.request_refused(now_ms, error),
        }
    }

    fn send_refused(&mut self, now_ms: u64, key: Uuid, error: ErrorFrame) {
        if let Some(wait_ms) = patience_ms(&error) {
            let until_ms = now_ms + wait_ms;
            let of = self
                .conversations
                .iter_mut()
                .find_map(|(id, conversation)| conversation.outbox.postpone(key, until_ms).then(|| id.clone()));
            if let Some(id) = of {
                self.pump(now_ms, &id);
            }
            return;
        }
        let of = self
            .conversations
            .iter_mut()
            .find_map(|(id, conversation)| conversation.outbox.settle(key).then(|| id.clone()));
        self.pending -= usize::from(of.is_some());
        // A late refusal of a copy says nothing new, but a late conflict does.
        if of.is_some() || error.code == ErrorCode::Conflict {
            self.emit(Event::Refused { key, error });
        }
        if let Some(id) = of {
            self.pump(now_ms, &id);
        }
    }

    fn request_refused(&mut self, now_ms: u64, error: ErrorFrame) {
        if let Some(id) = error.conversation.as_deref().map(Arc::<str>::from)
            && self.conversations.contains_key(&id)
        {
            self.conversation(&id).replaying = false;
            let request = self.end_request(now_ms, &id);
            match patience_ms(&error) {
                // The program hears of it and may ask again.
                Some(_) if matches!(request, Some(Request::History { .. })) => {}
                Some(wait_ms) => {
                    self.conversation(&id).sync_wanted = true;
                    self.wait_for_sync(now_ms, &id, wait_ms);
                }
                None if matches!(error.code, ErrorCode::Forbidden | ErrorCode::NotFound) => self.bar(now_ms, &id),
                None => {}
            }
            self.pump(now_ms, &id);
        }
        self.emit(Event::RequestRefused(error));
    }

    /// The user may not read it: do not ask again until there is news of it.
    fn bar(&mut self, now_ms: u64, id: &Arc<str>) {
        self.end_request(now_ms, id);
        let conversation = self.conversation(id);
        (conversation.barred, conversation.sync_wanted, conversation.replaying) = (true, false, false);
    }
}

/// How long to wait before the same again; none when the refusal is final.
fn patience_ms(error: &ErrorFrame) -> Option<u64> {
    match error.code {
        ErrorCode::RateLimited | ErrorCode::Unavailable => {
            Some(error.retry_after_ms.unwrap_or(RETRY_AFTER_DEFAULT_MS).max(1))
        }
        ErrorCode::Unauthorized
        | ErrorCode::Forbidden
        | ErrorCode::NotFound
        | ErrorCode::Invalid
        | ErrorCode::Conflict
        | ErrorCode::TooLarge
        | ErrorCode::UnknownType
        | ErrorCode::GroupFull => None,
    }
}
