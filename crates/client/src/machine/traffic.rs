//! What to ask for and what to send, conversation by conversation.

use std::{cmp::Reverse, sync::Arc};

use protocol::frames::{ClientFrame, LIST_LIMIT_DEFAULT, PAGE_LIMIT_MAX};

use super::{Core, Effect, connection::REPLAY_TIMEOUT_MS, conversation::Request};

/// Most syncs under way at a time; more conversations wait for their turn.
const SYNCS_MAX: usize = 16;
/// A page that has not come by then is asked for again.
const REQUEST_TIMEOUT_MS: u64 = 10_000;
/// Most `history` requests that wait in one conversation; further ones are dropped.
const HISTORIES_MAX: usize = 16;
/// Wait after the first page that brought nothing; doubled up to 64 times that.
const FRUITLESS_MS: u64 = 100;

impl Core {
    pub(super) fn traffic_tick(&mut self, now_ms: u64) {
        while self.current.is_some()
            && let Some(Reverse((at_ms, _))) = self.wakeups.peek()
            && *at_ms <= now_ms
            && let Some(Reverse((at_ms, id))) = self.wakeups.pop()
        {
            let conversation = self.conversation(&id);
            if conversation.armed_ms == Some(at_ms) {
                conversation.armed_ms = None;
            }
            self.pump(now_ms, &id);
        }
    }

    /// Does all that can be done for a conversation now, and sets when to look at it again.
    pub(super) fn pump(&mut self, now_ms: u64, id: &Arc<str>) {
        let Some(link) = self.current else { return };
        let Some(conversation) = self.conversations.get_mut(id) else { return };
        let mut asked = false;
        match conversation.request.take_if(|(_, deadline_ms)| *deadline_ms <= now_ms) {
            Some((Request::Sync, _)) => self.syncs -= 1,
            Some((Request::History { before, limit }, _)) => conversation.histories.push_front((before, limit)),
            None => {}
        }
        if conversation.request.is_none() && !conversation.replaying {
            let mut ask = None;
            if conversation.needs_sync() && conversation.sync_at_ms <= now_ms {
                if self.syncs < SYNCS_MAX {
                    self.syncs += 1;
                    let after = conversation.view.last();
                    let frame = ClientFrame::Sync { conversation: id.to_string(), after, limit: LIST_LIMIT_DEFAULT };
                    ask = Some((Request::Sync, frame));
                } else if !conversation.queued {
                    conversation.queued = true;
                    self.sync_queue.push_back(id.clone());
                }
            } else if let Some((before, limit)) = conversation.histories.pop_front() {
                let limit = limit.clamp(1, PAGE_LIMIT_MAX);
                let frame = ClientFrame::History { conversation: id.to_string(), before, limit };
                ask = Some((Request::History { before, limit }, frame));
            }
            if let Some((request, frame)) = ask {
                conversation.request = Some((request, now_ms + REQUEST_TIMEOUT_MS));
                self.effects.push(Effect::Send(link, frame));
                asked = true;
            }
        }
        for frame in conversation.outbox.due(now_ms, id, self.limits.window, self.limits.accept_timeout_ms) {
            self.effects.push(Effect::Send(link, frame));
            asked = true;
        }
        if let Some(due_ms) = conversation.due_ms(self.limits.window)
            && conversation.armed_ms.is_none_or(|armed_ms| due_ms < armed_ms)
        {
            conversation.armed_ms = Some(due_ms);
            self.wakeups.push(Reverse((due_ms, id.clone())));
        }
        if asked {
            self.expect_answer(now_ms);
        }
    }

    /// The request under way in a conversation is over; whoever waits for a turn gets it.
    pub(super) fn end_request(&mut self, now_ms: u64, id: &Arc<str>) -> Option<Request> {
        let (request, _) = self.conversations.get_mut(id)?.request.take()?;
        if request == Request::Sync {
            self.syncs -= 1;
            if let Some(next) = self.sync_queue.pop_front() {
                self.conversation(&next).queued = false;
                self.pump(now_ms, &next);
            }
        }
        Some(request)
    }

    /// A page or a replay brought nothing: ask again, but later each time.
    pub(super) fn wait_for_sync(&mut self, now_ms: u64, id: &Arc<str>, at_least_ms: u64) {
        let conversation = self.conversation(id);
        let wait_ms = FRUITLESS_MS << conversation.fruitless.min(6);
        conversation.fruitless += 1;
        conversation.sync_at_ms = now_ms + wait_ms.max(at_least_ms);
    }

    pub(super) fn ask_history(&mut self, now_ms: u64, id: &Arc<str>, before: Option<u64>, limit: usize) {
        let conversation = self.conversation(id);
        if conversation.histories.len() < HISTORIES_MAX {
            conversation.histories.push_back((before, limit));
        }
        self.pump(now_ms, id);
    }

    /// A new connection: everything without an answer is asked and sent again.
    pub(super) fn restart_traffic(&mut self, now_ms: u64, resumed: &[Arc<str>]) {
        self.syncs = 0;
        self.sync_queue.clear();
        self.wakeups.clear();
        for conversation in self.conversations.values_mut() {
            if let Some((Request::History { before, limit }, _)) = conversation.request.take() {
                conversation.histories.push_front((before, limit));
            }
            conversation.outbox.restart();
            (conversation.queued, conversation.armed_ms, conversation.replaying) = (false, None, false);
            (conversation.sync_at_ms, conversation.fruitless) = (0, 0);
            // Not part of the replay: whether it is behind only a sync can tell.
            conversation.sync_wanted = true;
        }
        for id in resumed {
            let conversation = self.conversation(id);
            (conversation.replaying, conversation.sync_wanted) = (true, false);
        }
        self.replay_until_ms = Some(now_ms + REPLAY_TIMEOUT_MS);
        if !self.watched.is_empty() {
            self.say(ClientFrame::Watch { users: self.watched.clone() });
        }
        for conversation in self.subscribed.clone() {
            self.say(ClientFrame::Subscribe { conversation });
        }
        if self.discover {
            self.discovering = true;
            self.say(ClientFrame::List { after: None, limit: PAGE_LIMIT_MAX });
        }
        // Sends need not wait for the replay.
        self.pump_all(now_ms);
    }

    /// What the replay left out is synced.
    pub(super) fn end_replay(&mut self, now_ms: u64) {
        self.replay_until_ms = None;
        self.conversations.values_mut().for_each(|conversation| conversation.replaying = false);
        self.pump_all(now_ms);
    }

    fn pump_all(&mut self, now_ms: u64) {
        let ids: Vec<_> = self.conversations.keys().cloned().collect();
        ids.iter().for_each(|id| self.pump(now_ms, id));
    }
}
