//! A valid history holds; broken in each way, it does not, and the verdict says what is wrong.

use uuid::Uuid;

use super::*;

/// Alice and Bob in one group; Alice sends two messages, Bob one; both see all of them.
struct Story {
    history: History,
    alice: ClientId,
    bob: ClientId,
    group: ConversationNo,
}

impl Story {
    fn new() -> Self {
        let mut history = History::new();
        let (alice, bob) = (history.names.client("alice", "phone"), history.names.client("bob", "phone"));
        let group = history.names.conversation("group");
        let mut story = Self { history, alice, bob, group };
        for client in [alice, bob] {
            story.push(Fact::Member { client, conversation: group, from: 1 });
            story.push(Fact::Connected { client, session_version: 10 });
        }
        for (client, key) in [(alice, 1), (alice, 2), (bob, 3)] {
            story.send(client, key, "text");
            story.accept(client, key);
        }
        for client in [alice, bob] {
            (1..=3).for_each(|number| story.show(client, number, number.into()));
        }
        for client in [alice, bob] {
            story.push(Fact::Final { client });
        }
        story
    }

    fn push(&mut self, fact: Fact) {
        self.history.push(fact);
    }

    fn sender(&self, key: u128) -> ClientId {
        if key == 3 { self.bob } else { self.alice }
    }

    fn id(&self, client: ClientId, key: u128) -> Uuid {
        let names = &self.history.names;
        names.message_id(self.group, names.user_of(client), Uuid::from_u128(key)).unwrap()
    }

    fn send(&mut self, client: ClientId, key: u128, body: &str) {
        let key = Uuid::from_u128(key);
        self.push(Fact::Sent { client, conversation: self.group, key, body: digest(body) });
    }

    fn accept(&mut self, client: ClientId, key: u128) {
        let message_id = self.id(client, key);
        let key = Uuid::from_u128(key);
        self.push(Fact::Accepted { client, conversation: self.group, key, message_id });
    }

    fn shown(&self, client: ClientId, number: u64, key: u128) -> Fact {
        let sender = self.sender(key);
        Fact::Shown {
            client,
            conversation: self.group,
            number,
            message_id: self.id(sender, key),
            sender: self.history.names.user_of(sender),
            body: digest("text"),
        }
    }

    fn show(&mut self, client: ClientId, number: u64, key: u128) {
        let fact = self.shown(client, number, key);
        self.push(fact);
    }

    /// Takes a fact out.
    fn without(&mut self, fact: Fact) {
        let before = self.history.facts.len();
        self.history.facts.retain(|other| *other != fact);
        assert!(self.history.facts.len() < before, "{fact:?} is not in the story");
    }

    /// Puts another fact in place of one.
    fn instead(&mut self, fact: Fact, other: Fact) {
        let place = self.history.facts.iter_mut().find(|it| **it == fact).expect("the fact is in the story");
        *place = other;
    }
}

/// Breaks the story and checks that exactly this is found.
fn check_broken(break_it: impl FnOnce(&mut Story), expect: &[&str]) -> Verdict {
    let mut story = Story::new();
    break_it(&mut story);
    let verdict = check(&story.history);
    let found: Vec<_> = verdict.violations.iter().map(ToString::to_string).collect();
    assert_eq!(found, expect);
    verdict
}

#[test]
fn a_valid_history_holds() {
    let verdict = check_broken(|_| {}, &[]);
    assert!(verdict.holds());
    assert_eq!((verdict.sent, verdict.accepted, verdict.delivered), (3, 3, 6));
}

#[test]
fn an_accepted_message_that_one_member_never_saw_is_lost() {
    let verdict = check_broken(
        |story| story.without(story.shown(story.bob, 3, 3)),
        &["I1: group: number 3 was accepted and never shown to bob/phone"],
    );
    assert_eq!(verdict.lost, 1);
}

#[test]
fn an_accepted_message_that_nobody_saw_is_lost() {
    let mut id = String::new();
    let verdict = {
        let mut story = Story::new();
        story.send(story.alice, 4, "text");
        story.accept(story.alice, 4);
        id.push_str(&story.id(story.alice, 4).to_string());
        check(&story.history)
    };
    assert_eq!(
        verdict.violations[0].to_string(),
        format!("I1: group: message {id} of alice was accepted and shown to nobody")
    );
    assert_eq!(verdict.lost, 1);
}

#[test]
fn a_view_that_is_not_final_has_lost_nothing() {
    check_broken(
        |story| {
            story.without(story.shown(story.bob, 3, 3));
            story.without(Fact::Final { client: story.bob });
        },
        &[],
    );
}

#[test]
fn a_message_only_some_saw_is_not_the_same_for_everyone() {
    check_broken(
        |story| {
            story.send(story.alice, 4, "text");
            story.show(story.alice, 4, 4);
        },
        &["I3: group: number 4 was shown to others and not to bob/phone"],
    );
}

#[test]
fn two_messages_with_one_number() {
    let story = Story::new();
    let (one, two) = (story.id(story.alice, 2), story.id(story.bob, 3));
    let verdict = check_broken(
        |story| {
            let (old, new) = (story.shown(story.bob, 2, 2), story.shown(story.bob, 2, 3));
            story.instead(old, new);
            let (old, new) = (story.shown(story.bob, 3, 3), story.shown(story.bob, 3, 2));
            story.instead(old, new);
        },
        &[
            &format!("I3: group: number 2 is {two} of bob for bob/phone, and {one} for others"),
            &format!("I4: group: message {two} of bob has number 3 and, for bob/phone, 2"),
            &format!("I3: group: number 3 is {one} of alice for bob/phone, and {two} for others"),
            &format!("I4: group: message {one} of alice has number 2 and, for bob/phone, 3"),
        ],
    );
    assert!(!verdict.holds());
}

#[test]
fn a_message_with_two_numbers() {
    let verdict = check_broken(
        |story| {
            for client in [story.alice, story.bob] {
                story.show(client, 4, 1);
            }
        },
        &[
            &format!("I4: group: message {0} of alice has number 1 and, for alice/phone, 4", first_id()),
            &format!("I4: group: message {0} of alice has number 1 and, for bob/phone, 4", first_id()),
        ],
    );
    assert_eq!(verdict.shown_twice, 0);
}

fn first_id() -> Uuid {
    let story = Story::new();
    story.id(story.alice, 1)
}

#[test]
fn a_message_shown_twice() {
    let verdict = check_broken(|story| story.show(story.bob, 2, 2), &["I5: group: bob/phone was shown number 2 twice"]);
    assert_eq!(verdict.shown_twice, 1);
}

#[test]
fn messages_out_of_order() {
    let verdict = check_broken(
        |story| {
            let (two, three) = (story.shown(story.bob, 2, 2), story.shown(story.bob, 3, 3));
            story.without(two);
            story.push(two);
            let _ = three;
        },
        &["I5: group: bob/phone was shown number 3 right after 1", "I5: group: bob/phone was shown number 2 after 3"],
    );
    assert_eq!((verdict.out_of_order, verdict.lost), (2, 0));
}

#[test]
fn a_number_nobody_saw() {
    check_broken(
        |story| {
            story.send(story.alice, 5, "text");
            for client in [story.alice, story.bob] {
                story.show(client, 5, 5);
            }
        },
        &[
            "I5: group: alice/phone was shown number 5 right after 3",
            "I5: group: bob/phone was shown number 5 right after 3",
            "I3: group: nobody was shown number 4",
        ],
    );
}

#[test]
fn another_message_id_for_a_retry() {
    check_broken(
        |story| {
            let (key, message_id) = (Uuid::from_u128(1), Uuid::nil());
            story.push(Fact::Accepted { client: story.alice, conversation: story.group, key, message_id });
        },
        &[&format!(
            "I4: group: alice/phone sent key {} and got message id {} instead of {}",
            Uuid::from_u128(1),
            Uuid::nil(),
            first_id()
        )],
    );
}

#[test]
fn another_body_without_a_conflict() {
    let second = |story: &mut Story| {
        story.send(story.alice, 1, "another text");
        story.accept(story.alice, 1);
    };
    check_broken(
        second,
        &[&format!("I4: group: two bodies of alice under one key ({}) were both accepted", first_id())],
    );
    // With the conflict, late as it may come, all is well.
    check_broken(
        |story| {
            second(story);
            let key = Uuid::from_u128(1);
            story.push(Fact::Conflict { client: story.alice, conversation: story.group, key });
        },
        &[],
    );
}

#[test]
fn a_conflict_out_of_nowhere() {
    check_broken(
        |story| {
            let key = Uuid::from_u128(1);
            story.push(Fact::Conflict { client: story.alice, conversation: story.group, key });
        },
        &[&format!("I4: group: message {} of alice has one body and got a conflict", first_id())],
    );
}

#[test]
fn a_text_that_was_not_sent() {
    check_broken(
        |story| {
            for client in [story.alice, story.bob] {
                let fact = story.shown(client, 1, 1);
                let Fact::Shown { conversation, number, message_id, sender, .. } = fact else { unreachable!() };
                let body = digest("forged");
                story.instead(fact, Fact::Shown { client, conversation, number, message_id, sender, body });
            }
        },
        &[
            "I4: group: number 1, as alice/phone was shown it, is not what alice sent",
            "I4: group: number 1, as bob/phone was shown it, is not what alice sent",
        ],
    );
}

#[test]
fn a_message_that_was_never_sent() {
    check_broken(
        |story| {
            for client in [story.alice, story.bob] {
                story.show(client, 4, 9);
            }
        },
        &[
            "I3: group: alice/phone was shown number 4, which alice never sent",
            "I3: group: bob/phone was shown number 4, which alice never sent",
        ],
    );
}

#[test]
fn session_versions_that_do_not_grow() {
    check_broken(
        |story| story.push(Fact::Connected { client: story.bob, session_version: 10 }),
        &["I7: bob/phone got session version 10 after version 10"],
    );
}

#[test]
fn two_readings_of_the_log_that_differ() {
    let (one, two) = (first_id(), Uuid::nil());
    check_broken(
        |story| {
            let conversation = story.group;
            for message_id in [one, two] {
                story.push(Fact::Numbered { conversation, number: 1, message_id });
            }
        },
        &[&format!("I2: group: number 1 is {one} in one reading of the log and {two} in another")],
    );
}

#[test]
fn an_accepted_message_that_is_not_in_the_log() {
    let story = Story::new();
    let missing = story.id(story.bob, 3);
    check_broken(
        |story| {
            for key in [1, 2] {
                let message_id = story.id(story.alice, key);
                story.push(Fact::Logged { conversation: story.group, message_id });
            }
        },
        &[&format!("I1: group: message {missing} of bob was accepted and is not in the log")],
    );
}

#[test]
fn many_violations_are_counted_and_the_first_are_kept() {
    let mut story = Story::new();
    (0..500).for_each(|_| story.show(story.bob, 1, 1));
    let verdict = check(&story.history);
    assert_eq!((verdict.violations.len(), verdict.violations_total), (Verdict::KEPT, 500));
}
