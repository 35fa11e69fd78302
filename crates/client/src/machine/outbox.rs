//! The sends of one conversation that have no answer yet, in the order in which they were asked for: duty 5.
//!
//! Order: sends leave in their order, on every connection again, and nothing leaves before what is ahead of it has
//! left. What cannot be kept with a window above 1: if a send is refused for a while (`unavailable`) or lost while the
//! ones behind it are already under way, those get the lower numbers.

use std::collections::VecDeque;

use protocol::frames::{ClientFrame, SendMessage};
use uuid::Uuid;

#[derive(Debug)]
struct Pending {
    key: Uuid,
    body: String,
    /// Times it was sent on this connection.
    sent: u32,
    /// When it is due to be sent (again).
    due_ms: u64,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    queue: VecDeque<Pending>,
    /// The gateway asked for patience until then.
    paused_until_ms: u64,
}

impl Outbox {
    pub(crate) fn push(&mut self, key: Uuid, body: String) {
        self.queue.push_back(Pending { key, body, sent: 0, due_ms: 0 });
    }

    /// The send with `key` is answered for good. False if it was not waiting.
    pub(crate) fn settle(&mut self, key: Uuid) -> bool {
        let index = self.queue.iter().position(|pending| pending.key == key);
        index.and_then(|index| self.queue.remove(index)).is_some()
    }

    /// The send with `key` was refused for a while. False if it was not waiting.
    pub(crate) fn postpone(&mut self, key: Uuid, until_ms: u64) -> bool {
        let Some(pending) = self.queue.iter_mut().find(|pending| pending.key == key) else { return false };
        (pending.sent, pending.due_ms) = (0, 0);
        self.pause(until_ms);
        true
    }

    /// Sends nothing before `until_ms`.
    pub(crate) fn pause(&mut self, until_ms: u64) {
        self.paused_until_ms = self.paused_until_ms.max(until_ms);
    }

    /// There is a new connection: everything is sent again, and nothing of the old one's patience counts.
    pub(crate) fn restart(&mut self) {
        self.paused_until_ms = 0;
        for pending in &mut self.queue {
            (pending.sent, pending.due_ms) = (0, 0);
        }
    }

    /// The frames to send now.
    pub(crate) fn due(&mut self, now_ms: u64, conversation: &str, window: usize, timeout_ms: u64) -> Vec<ClientFrame> {
        if now_ms < self.paused_until_ms {
            return Vec::new();
        }
        let mut frames = Vec::new();
        for pending in self.queue.iter_mut().take(window).filter(|pending| pending.due_ms <= now_ms) {
            // Doubled each time: a fleet that is late is not helped by a second copy of everything each 3 s.
            pending.due_ms = now_ms + (timeout_ms << pending.sent.min(3));
            pending.sent += 1;
            frames.push(ClientFrame::Send(SendMessage::new(pending.key, conversation, pending.body.as_str())));
        }
        frames
    }

    /// When something is due next.
    pub(crate) fn due_ms(&self, window: usize) -> Option<u64> {
        let first = self.queue.iter().take(window).map(|pending| pending.due_ms).min()?;
        Some(first.max(self.paused_until_ms))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(frames: &[ClientFrame]) -> Vec<u128> {
        let key = |frame: &ClientFrame| match frame {
            ClientFrame::Send(send) => send.key.as_u128(),
            other => panic!("{other:?}"),
        };
        frames.iter().map(key).collect()
    }

    fn outbox(n: u128) -> Outbox {
        let mut outbox = Outbox::default();
        (1..=n).for_each(|key| outbox.push(Uuid::from_u128(key), "text".into()));
        outbox
    }

    #[test]
    fn only_the_window_is_under_way() {
        let mut outbox = outbox(5);
        assert_eq!(keys(&outbox.due(0, "c", 2, 3_000)), [1, 2]);
        assert_eq!(keys(&outbox.due(0, "c", 2, 3_000)), [0_u128; 0]);
        assert!(outbox.settle(Uuid::from_u128(1)));
        assert!(!outbox.settle(Uuid::from_u128(1)));
        assert_eq!(keys(&outbox.due(0, "c", 2, 3_000)), [3]);
    }

    #[test]
    fn an_unanswered_send_is_due_after_three_seconds_then_six() {
        let mut outbox = outbox(1);
        outbox.due(0, "c", 2, 3_000);
        assert_eq!(outbox.due_ms(2), Some(3_000));
        assert_eq!(keys(&outbox.due(3_000, "c", 2, 3_000)), [1]);
        assert_eq!(outbox.due_ms(2), Some(9_000));
    }

    #[test]
    fn a_new_connection_sends_everything_again_in_order() {
        let mut outbox = outbox(3);
        outbox.due(0, "c", 3, 3_000);
        outbox.settle(Uuid::from_u128(2));
        outbox.restart();
        assert_eq!(keys(&outbox.due(1, "c", 3, 3_000)), [1, 3]);
    }

    #[test]
    fn patience_holds_back_what_follows() {
        let mut outbox = outbox(3);
        outbox.due(0, "c", 1, 3_000);
        assert!(outbox.postpone(Uuid::from_u128(1), 500));
        assert_eq!(keys(&outbox.due(499, "c", 1, 3_000)), [0_u128; 0]);
        assert_eq!(outbox.due_ms(1), Some(500));
        assert_eq!(keys(&outbox.due(500, "c", 1, 3_000)), [1]);
    }
}
