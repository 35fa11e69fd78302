//! What a client has seen of one conversation: duties 3 and 4.

use std::collections::BTreeMap;

use protocol::frames::MessageFrame;

/// The contiguous last seen number, and what is held back above a gap.
#[derive(Debug, Default)]
pub(crate) struct View {
    /// Everything up to here was shown.
    last: u64,
    /// The highest number heard of. Above `last` there is something to fetch.
    head: u64,
    /// Messages above a gap, by number; all above `last + 1`.
    held: BTreeMap<u64, MessageFrame>,
}

impl View {
    pub(crate) fn at(last: u64) -> Self {
        Self { last, head: last, held: BTreeMap::new() }
    }

    pub(crate) fn last(&self) -> u64 {
        self.last
    }

    pub(crate) fn head(&self) -> u64 {
        self.head
    }

    /// The server knows of number `head`.
    pub(crate) fn heard_of(&mut self, head: u64) {
        self.head = self.head.max(head);
    }

    /// Something is missing between what was shown and what was heard of.
    pub(crate) fn is_behind(&self) -> bool {
        self.head > self.last
    }

    /// Takes a message in and shows all that is now contiguous. Repeats are dropped. More than `held_max` messages above
    /// a gap are dropped too: `head` remembers that they exist, so they are fetched.
    pub(crate) fn offer(&mut self, message: MessageFrame, held_max: usize, mut show: impl FnMut(MessageFrame)) {
        let number = message.sequence_number;
        self.heard_of(number);
        if number <= self.last {
            return;
        }
        if number > self.last + 1 {
            if self.held.len() >= held_max {
                self.held.clear();
            }
            self.held.insert(number, message);
            return;
        }
        self.last = number;
        show(message);
        // A held repeat of what was just shown, and then what follows it.
        while let Some(entry) = self.held.first_entry() {
            if *entry.key() > self.last + 1 {
                break;
            }
            let message = entry.remove();
            if message.sequence_number == self.last + 1 {
                self.last += 1;
                show(message);
            }
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    pub(crate) fn message(conversation: &str, number: u64) -> MessageFrame {
        MessageFrame {
            conversation: conversation.into(),
            sequence_number: number,
            message_id: Uuid::from_u128(u128::from(number)),
            sender: "someone".into(),
            body: "text".into(),
            sent_at_ms: 0,
            idempotency_key: None,
        }
    }

    fn shown(numbers: &[u64], held_max: usize) -> (Vec<u64>, View) {
        let (mut view, mut shown) = (View::default(), Vec::new());
        for n in numbers {
            view.offer(message("c", *n), held_max, |message| shown.push(message.sequence_number));
        }
        (shown, view)
    }

    #[test]
    fn repeats_are_dropped_and_gaps_hold_back() {
        assert_eq!(shown(&[1, 1, 2, 1], 8).0, [1, 2]);
        assert_eq!(shown(&[1, 3, 4], 8).0, [1]);
        assert_eq!(shown(&[1, 3, 4, 2], 8).0, [1, 2, 3, 4]);
    }

    #[test]
    fn past_the_bound_the_held_are_dropped_but_not_forgotten() {
        let (seen, view) = shown(&[3, 4, 5, 1, 2], 2);
        assert_eq!(seen, [1, 2]);
        assert!(view.is_behind());
        assert_eq!((view.last(), view.head()), (2, 5));
    }

    proptest! {
        #[test]
        fn whatever_comes_is_shown_once_and_in_order(numbers in prop::collection::vec(1_u64..20, 0..60), held_max in 1_usize..8) {
            let (seen, view) = shown(&numbers, held_max);
            prop_assert_eq!(&seen, &(1..=view.last()).collect::<Vec<_>>());
            prop_assert!(view.held.len() <= held_max);
        }
    }
}
