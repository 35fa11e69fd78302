//! Duties one by one.

use std::sync::Arc;

use protocol::frames::{Change, ErrorCode, ErrorFrame, Kind, Reconnect, ServerFrame, Welcome};

use super::{view::tests::message, *};
use crate::{Event, Fatal, LostReason, Start};

fn config() -> ClientConfig {
    let mut config = ClientConfig::new("me", "phone", Arc::new(|_: &str| String::new()));
    config.discover = false;
    config
}

fn welcome() -> ServerFrame {
    ServerFrame::Welcome(Welcome {
        user: "me".into(),
        device: "phone".into(),
        session_version: 1,
        gateway: "g".into(),
        heartbeat_interval_ms: 30_000,
        reconnect: Reconnect { base_ms: 200, max_ms: 5_000, jitter_ms: 100, heartbeat_spread_ms: 30_000 },
        server_time_ms: 0,
    })
}

/// A core with a link that stands, its replay done.
fn connected(config: &ClientConfig) -> (Core, LinkId) {
    let mut core = Core::new(config);
    let link = dialed(&core.on(0, Input::Tick));
    core.on(0, Input::Opened(link));
    core.on(0, Input::Frame(link, welcome()));
    core.on(0, Input::Frame(link, ServerFrame::Synced { conversations: Default::default() }));
    (core, link)
}

fn dialed(effects: &[Effect]) -> LinkId {
    let connect = effects.iter().find_map(|effect| match effect {
        Effect::Connect { link, .. } => Some(*link),
        _ => None,
    });
    connect.unwrap_or_else(|| panic!("no attempt in {effects:?}"))
}

fn closed(link: LinkId, code: u16) -> Input {
    Input::Lost(link, LostReason::Closed { code, reason: String::new() })
}

fn retry_in(effects: &[Effect]) -> u64 {
    let retry = effects.iter().find_map(|effect| match effect {
        Effect::Emit(Event::Reconnecting { retry_in_ms, .. }) => Some(*retry_in_ms),
        _ => None,
    });
    retry.unwrap_or_else(|| panic!("no retry in {effects:?}"))
}

#[test]
fn close_codes_that_end_a_client() {
    for (code, fatal) in
        [(4001, Fatal::Superseded), (4004, Fatal::Violation("closed by the gateway with 4004 ".into()))]
    {
        let (mut core, link) = connected(&config());
        let effects = core.on(1, closed(link, code));
        assert_eq!(effects.last(), Some(&Effect::Emit(Event::Fatal(fatal))), "{code}");
        assert_eq!(core.due_ms(), None);
        assert_eq!(core.on(9, Input::Tick), []);
    }
}

#[test]
fn close_codes_that_bring_it_back_by_the_numbers_of_welcome() {
    for code in [1001, 4008, 4010, 1006] {
        let (mut core, link) = connected(&config());
        let retry_in_ms = retry_in(&core.on(1, closed(link, code)));
        assert!((200..300).contains(&retry_in_ms), "{code}: {retry_in_ms}");
    }
}

#[test]
fn a_refused_token_is_replaced_and_then_given_up() {
    let (mut core, mut link) = connected(&config());
    let mut now_ms = 1;
    for _ in 0..4 {
        let retry_in_ms = retry_in(&core.on(now_ms, closed(link, 4003)));
        now_ms += retry_in_ms;
        let effects = core.on(now_ms, Input::Tick);
        assert!(matches!(effects[..], [Effect::Connect { fresh_token: true, .. }]), "{effects:?}");
        link = dialed(&effects);
    }
    let effects = core.on(now_ms, closed(link, 4003));
    assert_eq!(effects.last(), Some(&Effect::Emit(Event::Fatal(Fatal::Unauthorized))));
}

#[test]
fn retry_after_is_waited_for() {
    let mut core = Core::new(&config());
    let link = dialed(&core.on(0, Input::Tick));
    let failure = Failure { status: Some(503), retry_after_ms: Some(7_000), why: "full".into() };
    let retry_in_ms = retry_in(&core.on(0, Input::Failed(link, failure)));
    assert!((7_000..8_000).contains(&retry_in_ms), "{retry_in_ms}");
}

#[test]
fn a_superseded_link_that_is_being_left_is_no_reason_to_stop() {
    let (mut core, old) = connected(&config());
    let new = dialed(&core.on(1, Input::Frame(old, ServerFrame::Migrate { within_ms: 1_000 })));
    core.on(2, Input::Opened(new));
    // The gateway learns of the new session before this client has read its welcome.
    let effects = core.on(3, closed(old, 4001));
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::Emit(Event::Fatal(_)))), "{effects:?}");
    let effects = core.on(4, Input::Frame(new, welcome()));
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Emit(Event::Connected { .. }))));
}

#[test]
fn a_hello_of_our_own_that_is_registered_late_is_no_reason_to_stop() {
    let mut core = Core::new(&config());
    let first = dialed(&core.on(0, Input::Tick));
    core.on(1, Input::Opened(first));
    // Its hello is on the way when the link breaks; the next attempt is welcome, then the first is registered.
    core.on(2, Input::Lost(first, LostReason::Broken("cut".into())));
    let second = dialed(&core.on(core.due_ms().unwrap(), Input::Tick));
    core.on(5_000, Input::Opened(second));
    core.on(5_001, Input::Frame(second, welcome()));
    let stopped = |effects: &[Effect]| effects.iter().any(|effect| matches!(effect, Effect::Emit(Event::Fatal(_))));
    assert!(!stopped(&core.on(5_002, closed(second, 4001))));
    let third = dialed(&core.on(core.due_ms().unwrap(), Input::Tick));
    core.on(9_000, Input::Opened(third));
    core.on(9_001, Input::Frame(third, welcome()));
    assert!(stopped(&core.on(9_002, closed(third, 4001))), "a second time it is somebody else");
}

#[test]
fn after_welcome_nothing_of_the_old_link_counts() {
    let (mut core, old) = connected(&config());
    let new = dialed(&core.on(1, Input::Frame(old, ServerFrame::Migrate { within_ms: 1_000 })));
    core.on(2, Input::Opened(new));
    // Until then it does.
    let shown = core.on(3, Input::Frame(old, ServerFrame::Message(message("c", 1))));
    assert!(matches!(shown[..], [Effect::Emit(Event::Shown(_))]), "{shown:?}");
    let effects = core.on(4, Input::Frame(new, welcome()));
    assert_eq!(effects.first(), Some(&Effect::Close(old)));
    assert_eq!(core.on(5, Input::Frame(old, ServerFrame::Message(message("c", 2)))), []);
    assert_eq!(core.on(5, closed(old, 1001)), []);
}

#[test]
fn the_first_heartbeat_is_spread() {
    let first = |seed| {
        let mut config = config();
        config.seed = seed;
        let (mut core, _) = connected(&config);
        let mut at_ms = 0;
        while !core.on(at_ms, Input::Tick).iter().any(|e| matches!(e, Effect::Send(_, ClientFrame::Heartbeat))) {
            at_ms = core.due_ms().unwrap();
        }
        at_ms
    };
    let times: Vec<_> = (0..200).map(first).collect();
    assert!(times.iter().all(|ms| *ms <= 30_000));
    let early = times.iter().filter(|ms| **ms < 15_000).count();
    assert!((70..130).contains(&early), "{early} of 200 in the first half");
}

#[test]
fn a_silent_link_is_given_up() {
    let (mut core, link) = connected(&config());
    core.on(0, Input::Command(Command::Send { key: uuid::Uuid::nil(), conversation: "c".into(), body: "x".into() }));
    core.on(14_999, Input::Tick);
    let effects = core.on(15_000, Input::Tick);
    assert_eq!(effects.first(), Some(&Effect::Break(link)), "{effects:?}");
}

#[test]
fn a_conversation_first_seen_in_the_middle() {
    let (mut core, link) = connected(&config());
    let effects = core.on(1, Input::Frame(link, ServerFrame::Message(message("c", 5))));
    let sync = ClientFrame::Sync { conversation: "c".into(), after: 0, limit: 100 };
    assert_eq!(effects, [Effect::Send(link, sync)]);

    let mut config = config();
    config.start = Start::AtFirstSeen;
    let (mut core, link) = connected(&config);
    let effects = core.on(1, Input::Frame(link, ServerFrame::Message(message("c", 5))));
    assert_eq!(effects, [Effect::Emit(Event::Shown(message("c", 5)))]);
}

#[test]
fn more_than_a_thousand_conversations_are_resumed_and_synced() {
    let mut config = config();
    config.resume = (0..1_003).map(|n| (format!("c{n:04}"), 7)).collect();
    let mut core = Core::new(&config);
    let link = dialed(&core.on(0, Input::Tick));
    let hello = core.on(0, Input::Opened(link));
    assert!(matches!(&hello[..], [Effect::Send(_, ClientFrame::Hello { resume, .. })] if resume.len() == 1_000));
    let effects = core.on(0, Input::Frame(link, welcome()));
    let is_sync = |effect: &&Effect| matches!(effect, Effect::Send(_, ClientFrame::Sync { after: 7, .. }));
    assert_eq!(effects.iter().filter(is_sync).count(), 3);
}

#[test]
fn a_forbidden_conversation_is_not_asked_for_again_until_there_is_news() {
    let (mut core, link) = connected(&config());
    core.on(1, Input::Frame(link, ServerFrame::Message(message("c", 5))));
    let error = ErrorFrame::new(ErrorCode::Forbidden, "no").in_conversation("c");
    let effects = core.on(2, Input::Frame(link, ServerFrame::Error(error.clone())));
    assert_eq!(effects, [Effect::Emit(Event::RequestRefused(error))]);
    let joined =
        ServerFrame::Conversation { conversation: "c".into(), kind: Kind::Group, head: 5, change: Change::Joined };
    let effects = core.on(3, Input::Frame(link, joined));
    assert!(matches!(effects[0], Effect::Send(_, ClientFrame::Sync { .. })), "{effects:?}");
}

#[test]
fn on_a_new_link_everything_without_an_answer_is_sent_again_at_once_and_in_order() {
    let sent = |effects: &[Effect]| -> Vec<u128> {
        let key = |effect: &Effect| match effect {
            Effect::Send(_, ClientFrame::Send(send)) => Some(send.key.as_u128()),
            _ => None,
        };
        effects.iter().filter_map(key).collect()
    };
    let (mut core, link) = connected(&config());
    for key in 1..=3 {
        let key = uuid::Uuid::from_u128(key);
        core.on(1, Input::Command(Command::Send { key, conversation: "c".into(), body: "x".into() }));
    }
    core.on(2, closed(link, 1001));
    let link = dialed(&core.on(2_000, Input::Tick));
    core.on(2_000, Input::Opened(link));
    assert_eq!(sent(&core.on(2_001, Input::Frame(link, welcome()))), [1, 2, 3]);
}
