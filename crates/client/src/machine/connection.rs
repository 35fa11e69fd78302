//! Attempts, backoff, heartbeats and moving house: duties 1, 2, 6 and 7.

use std::collections::BTreeMap;

use domain::Backoff;
use protocol::frames::{ClientFrame, CloseCode, RESUME_MAX, Welcome};
use rand::Rng;

use super::{Core, Effect, Failure, LinkId};
use crate::{Event, Fatal, LostReason};

/// With this many refused tokens in a row the client gives up.
const REFUSALS_MAX: u32 = 5;
/// A replay in which nothing comes for this long is taken over by the client's own syncs.
pub(super) const REPLAY_TIMEOUT_MS: u64 = 30_000;

/// A link that is being made.
pub(super) struct Dialing {
    pub(super) link: LinkId,
    /// `hello` is said; the next thing that counts is `welcome`.
    greeted: bool,
    /// What `hello` asked to be replayed.
    resumed: Vec<std::sync::Arc<str>>,
}

/// How long after an unanswered hello a 4001 is taken for its late registration: a gateway gives a registration 5 s, and
/// a stopped one may be woken later.
const GHOST_MS: u64 = 30_000;

impl Core {
    pub(super) fn connection_tick(&mut self, now_ms: u64) {
        let is_due = |at_ms: Option<u64>| at_ms.is_some_and(|at_ms| at_ms <= now_ms);
        if is_due(self.reconnect_at_ms) {
            self.dial();
        }
        if is_due(self.silence_at_ms)
            && let Some(link) = self.current
        {
            self.effects.push(Effect::Break(link));
            self.lost(now_ms, link, LostReason::Silent(self.limits.silence_timeout_ms));
        }
        if is_due(self.heartbeat_at_ms) {
            self.say(ClientFrame::Heartbeat);
            self.expect_answer(now_ms);
            let share = self.rng.random_range(0.8..1.0);
            self.heartbeat_at_ms = Some(now_ms + ((self.heartbeat_interval_ms as f64 * share) as u64).max(1));
        }
        if is_due(self.replay_until_ms) {
            self.end_replay(now_ms);
        }
    }

    /// Begins an attempt. There is at most one at a time.
    pub(super) fn dial(&mut self) {
        self.reconnect_at_ms = None;
        if self.dialing.is_some() {
            return;
        }
        self.links += 1;
        let link = LinkId(self.links);
        self.dialing = Some(Dialing { link, greeted: false, resumed: Vec::new() });
        let fresh_token = std::mem::take(&mut self.fresh_token);
        self.effects.push(Effect::Connect { link, attempt: self.failures, chance: self.rng.random(), fresh_token });
    }

    /// The upgrade is done: says `hello`. The driver adds the token where it belongs and guards the wait for `welcome`.
    pub(super) fn opened(&mut self, link: LinkId) {
        let Some(dialing) = self.dialing.as_mut().filter(|dialing| dialing.link == link) else { return };
        dialing.greeted = true;
        let ids = self.conversations.iter().filter(|(_, conversation)| !conversation.barred).take(RESUME_MAX);
        let mut resume = BTreeMap::new();
        for (id, conversation) in ids {
            resume.insert(id.to_string(), conversation.view.last());
            dialing.resumed.push(id.clone());
        }
        let hello = ClientFrame::Hello { device: self.device.clone(), token: None, resume };
        self.effects.push(Effect::Send(link, hello));
    }

    /// The new link stands: the old one, if any, no longer counts.
    pub(super) fn welcomed(&mut self, now_ms: u64, welcome: Welcome) {
        let Some(dialing) = self.dialing.take() else { return };
        if let Some(old) = self.current.replace(dialing.link) {
            self.effects.push(Effect::Close(old));
        }
        let reconnect = welcome.reconnect;
        self.backoff = Backoff { base_ms: reconnect.base_ms, max_ms: reconnect.max_ms, jitter_ms: reconnect.jitter_ms };
        (self.failures, self.refusals, self.reconnect_at_ms, self.silence_at_ms) = (0, 0, None, None);
        self.heartbeat_interval_ms = welcome.heartbeat_interval_ms.max(1);
        self.heartbeat_spread_ms = reconnect.heartbeat_spread_ms;
        self.heartbeat_at_ms = Some(now_ms + self.rng.random_range(0..=self.heartbeat_spread_ms));
        self.emit(Event::Connected { session_version: welcome.session_version, gateway: welcome.gateway });
        self.restart_traffic(now_ms, &dialing.resumed);
    }

    pub(super) fn failed(&mut self, now_ms: u64, link: LinkId, failure: Failure) {
        let Some(dialing) = self.dialing.take_if(|dialing| dialing.link == link) else { return };
        self.abandoned(now_ms, &dialing);
        match failure.status {
            Some(400) => self.stop(Fatal::Violation(failure.why)),
            Some(401) => self.token_refused(now_ms, failure.why),
            _ => self.come_back(now_ms, failure.retry_after_ms, failure.why),
        }
    }

    pub(super) fn lost(&mut self, now_ms: u64, link: LinkId, reason: LostReason) {
        let code = match &reason {
            LostReason::Closed { code, .. } => Some(*code),
            _ => None,
        };
        let is = |expected: CloseCode| code == Some(expected as u16);
        if let Some(dialing) = self.dialing.take_if(|dialing| dialing.link == link) {
            self.abandoned(now_ms, &dialing);
            self.after_loss(now_ms, is, reason);
        } else if self.current.take_if(|current| *current == link).is_some() {
            self.forget_link();
            self.emit(Event::Disconnected { reason: reason.clone() });
            // A greeted successor is what superseded this link: its `welcome` is on the way.
            let moving = self.dialing.as_ref().is_some_and(|dialing| dialing.greeted);
            if !(moving && is(CloseCode::Superseded)) {
                self.after_loss(now_ms, is, reason);
            }
        }
    }

    /// A hello that nobody answered may yet be registered, after the one that replaced it.
    fn abandoned(&mut self, now_ms: u64, dialing: &Dialing) {
        if dialing.greeted {
            self.ghost_until_ms = now_ms + GHOST_MS;
        }
    }

    fn after_loss(&mut self, now_ms: u64, is: impl Fn(CloseCode) -> bool, reason: LostReason) {
        if is(CloseCode::Superseded) && now_ms < std::mem::take(&mut self.ghost_until_ms) {
            // Most likely our own abandoned hello was registered late. Once: a second time it is somebody else.
            self.come_back(now_ms, None, reason.to_string());
        } else if is(CloseCode::Superseded) {
            self.stop(Fatal::Superseded);
        } else if is(CloseCode::Violation) {
            self.stop(Fatal::Violation(reason.to_string()));
        } else if is(CloseCode::Unauthorized) {
            self.token_refused(now_ms, reason.to_string());
        } else if self.dialing.is_none() && self.reconnect_at_ms.is_none() {
            self.come_back(now_ms, None, reason.to_string());
        }
    }

    fn token_refused(&mut self, now_ms: u64, why: String) {
        self.refusals += 1;
        if self.refusals >= REFUSALS_MAX {
            return self.stop(Fatal::Unauthorized);
        }
        self.fresh_token = true;
        if self.dialing.is_none() {
            self.come_back(now_ms, None, why);
        }
    }

    /// Sets the next attempt: backoff with jitter, but not before `Retry-After`, which gets its jitter too.
    fn come_back(&mut self, now_ms: u64, retry_after_ms: Option<u64>, why: String) {
        if !self.wanted {
            return;
        }
        let chance = self.rng.random::<f64>();
        let patience_ms =
            retry_after_ms.map_or(0, |ms| ms.saturating_add((self.backoff.jitter_ms as f64 * chance) as u64));
        let retry_in_ms = self.backoff.delay_ms(self.failures, chance).max(patience_ms);
        self.failures += 1;
        self.reconnect_at_ms = Some(now_ms.saturating_add(retry_in_ms));
        if self.current.is_none() {
            self.emit(Event::Reconnecting { why, retry_in_ms });
        }
    }

    pub(super) fn want_connection(&mut self, now_ms: u64) {
        self.wanted = true;
        if self.current.is_none() && self.dialing.is_none() && self.reconnect_at_ms.is_none() {
            self.reconnect_at_ms = Some(now_ms);
            self.dial();
        }
    }

    pub(super) fn leave(&mut self) {
        self.wanted = false;
        let was_connected = self.current.is_some();
        self.close_links();
        self.forget_link();
        if was_connected {
            self.emit(Event::Disconnected { reason: LostReason::Requested });
        }
    }

    pub(super) fn drop_connection(&mut self, now_ms: u64) {
        if let Some(link) = self.current {
            self.effects.push(Effect::Break(link));
            self.lost(now_ms, link, LostReason::Requested);
        }
    }

    pub(super) fn close_links(&mut self) {
        let dialing = self.dialing.take();
        if dialing.as_ref().is_some_and(|dialing| dialing.greeted) {
            // When it comes back is the program's choice; see `abandoned`.
            self.ghost_until_ms = u64::MAX;
        }
        let links = [self.current.take(), dialing.map(|dialing| dialing.link)];
        self.effects.extend(links.into_iter().flatten().map(Effect::Close));
        self.reconnect_at_ms = None;
    }

    /// Nothing of the lost link is waited for any more.
    fn forget_link(&mut self) {
        (self.heartbeat_at_ms, self.silence_at_ms, self.replay_until_ms) = (None, None, None);
    }

    /// An answer is due: hearing nothing at all from now on means that the link is dead.
    pub(super) fn expect_answer(&mut self, now_ms: u64) {
        self.silence_at_ms.get_or_insert(now_ms + self.limits.silence_timeout_ms);
    }

    /// The gateway drains: connect elsewhere first (duty 7).
    pub(super) fn migrate(&mut self) {
        if self.wanted {
            self.dial();
        }
    }

    /// Whether this is the link whose `welcome` is waited for.
    pub(super) fn is_greeted(&self, link: LinkId) -> bool {
        self.dialing.as_ref().is_some_and(|dialing| dialing.greeted && dialing.link == link)
    }
}
