//! Dangerous keys: what they ask, and who has them.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use protocol::admin::{BreakerState, DrainOrdered, DrainPreview, Role};

use super::{acts, at, ctrl, fixture, keys, press};
use crate::tui::{
    event::{Act, Action, Data, Event, Load},
    panes,
    state::{Kind, Mode, State},
};

#[test]
fn a_drain_wants_the_name_typed() {
    let mut state = at("gateways", Role::Operator);
    let first = ctrl(&mut state, 'd');
    assert!(first.contains(&Action::Load(Load::Preview("gw-1".into()))), "it is calculated first");
    assert_eq!(acts(keys(&mut state, "\n\n")), [], "nothing typed");
    assert_eq!(acts(keys(&mut state, "gw-2\n\n")), [], "another name");
    let Mode::Ask(ask) = &state.mode else { panic!("the question is gone") };
    assert_eq!((ask.error.as_deref(), ask.focus), (Some("the name typed is not gw-1"), 0));
    let _ = ctrl(&mut state, 'u');
    let drain = Act::Drain { gateway: "gw-1".into(), reason: "new kernel".into() };
    assert_eq!(acts(keys(&mut state, "gw-1\nnew kernel\n")), [drain]);
    assert_eq!(state.mode, Mode::Browse);
    assert_eq!(acts(keys(&mut state, "\n")), [], "once");
}

#[test]
fn a_drain_says_what_it_would_do_and_escape_means_no() {
    let mut state = at("gateways", Role::Operator);
    let _ = ctrl(&mut state, 'd');
    let preview = DrainPreview {
        gateway: "gw-1".into(),
        connections: 4_500,
        drain: DrainOrdered { deadline_ms: 30_000, rate_per_s: 150, forced: false },
        survivors: 1,
        survivors_connections: 9_500,
        survivors_capacity: 10_000,
        refused: Some("the others would pass 80%".into()),
    };
    // That of a question before is not taken for this one's, which is asked for then.
    let other = DrainPreview { gateway: "gw-2".into(), ..preview.clone() };
    let actions = state.on(Event::Loaded(Data::Preview(other)));
    assert!(actions.contains(&Action::Load(Load::Preview("gw-1".into()))), "{actions:?}");
    let _ = state.on(Event::Loaded(Data::Preview(preview)));
    let Mode::Ask(ask) = &state.mode else { panic!("the question is gone") };
    let says: Vec<&str> = ask.says.iter().map(|(text, _)| text.as_str()).collect();
    assert_eq!(says[1], "moves 4,500 connections within 30s");
    assert_eq!((says[3], says.len()), ("it would be refused: the others would pass 80%", 4));
    let _ = keys(&mut state, "gw-1");
    assert_eq!(acts(press(&mut state, KeyCode::Esc)), []);
    assert_eq!(state.mode, Mode::Browse);
}

#[test]
fn a_held_breaker_wants_name_place_time_and_reason() {
    let mut state = at("breakers", Role::Operator);
    let _ = keys(&mut state, "j");
    assert_eq!(state.chosen().as_deref(), Some("presence of gw-1"));
    let _ = keys(&mut state, "c");
    assert_eq!(acts(keys(&mut state, "presence\n\n\n")), [], "no time");
    assert_eq!(acts(keys(&mut state, "10\n\n\n\n")), [], "a time without a unit");
    let Mode::Ask(ask) = &state.mode else { panic!("the question is gone") };
    assert!(ask.error.is_some() || ask.focus == 2, "{ask:?}");
    let _ = press(&mut state, KeyCode::Esc);
    let _ = keys(&mut state, "c");
    let done = acts(keys(&mut state, "presence\n\n10m\nstore is well\n"));
    let (name, scope, reason) = ("presence".into(), "gw-1".into(), "store is well".into());
    assert_eq!(done, [Act::Breaker { name, state: BreakerState::Closed, scope, for_ms: 600_000, reason }]);
    // Let go: the override that holds it ends, with a reason.
    let _ = keys(&mut state, "a");
    assert_eq!(acts(keys(&mut state, "\n")), [], "no reason");
    assert_eq!(acts(keys(&mut state, "over\n")), [Act::Revert { id: "ov-11".into(), reason: "over".into() }]);
    let _ = keys(&mut state, "ja");
    assert!(state.word.clone().unwrap().text.contains("is not held"));
}

#[test]
fn incidents_operations_and_overrides_ask_for_a_reason() {
    let mut state = at("incidents", Role::Admin);
    let _ = keys(&mut state, "a");
    assert_eq!(acts(keys(&mut state, "\n")), [Act::Ack { incident: "inc-7".into(), reason: String::new() }]);
    let _ = keys(&mut state, "r");
    assert_eq!(acts(keys(&mut state, "\n")), []);
    let resolve = Act::Resolve { incident: "inc-7".into(), reason: "back".into() };
    assert_eq!(acts(keys(&mut state, "back\n")), [resolve]);

    let mut state = at("operations", Role::Operator);
    let _ = ctrl(&mut state, 'x');
    let cancel = Act::Cancel { operation: "op-31".into(), reason: "wrong one".into() };
    assert_eq!(acts(keys(&mut state, "wrong one\n")), [cancel]);
    let _ = keys(&mut state, "j");
    let _ = ctrl(&mut state, 'x');
    assert!(state.word.clone().unwrap().text.contains("succeeded already"));

    let mut state = at("overrides", Role::Operator);
    let _ = ctrl(&mut state, 'x');
    assert_eq!(acts(keys(&mut state, "done\n")), [Act::Revert { id: "ov-11".into(), reason: "done".into() }]);
}

#[test]
fn what_came_of_it_is_said() {
    let mut state = at("gateways", Role::Operator);
    let _ = state.on(Event::Done(Ok("gw-1 drains: op-32".into())));
    let _ = keys(&mut state, "j");
    assert_eq!(state.word.clone().unwrap().text, "gw-1 drains: op-32");
    let _ = state.on(Event::Tick(fixture::NOW + 9_000));
    assert_eq!(state.word, None);
    let _ = state.on(Event::Done(Err("refused: the others would pass 80%\n--force overrides this".into())));
    assert!(matches!(state.popup.as_ref().map(|popup| &popup.kind), Some(Kind::Message(_))));
}

/// Everything a keyboard has, in every pane, on every row, with answers that would do.
#[test]
fn a_viewer_can_trigger_no_action_with_any_key_in_any_pane() {
    let codes = (' '..='~').map(KeyCode::Char).chain([
        KeyCode::Enter,
        KeyCode::Delete,
        KeyCode::Backspace,
        KeyCode::Insert,
        KeyCode::F(1),
        KeyCode::Tab,
    ]);
    let codes: Vec<KeyCode> = codes.collect();
    let forbidden = |mut state: State| {
        for code in &codes {
            for modifiers in [KeyModifiers::NONE, KeyModifiers::CONTROL, KeyModifiers::SHIFT, KeyModifiers::ALT] {
                let actions = state.clone().on(Event::Key(KeyEvent::new(*code, modifiers)));
                assert_eq!(acts(actions), []);
                let mut after = state.clone();
                let _ = after.on(Event::Key(KeyEvent::new(*code, modifiers)));
                assert!(!matches!(after.mode, Mode::Ask(_)), "{code:?} {modifiers:?} asks in {}", state.pane().name());
                // Also not from where the key led.
                for text in ["gw-1\nx\n", "presence\n\n10m\nx\n", "x\n"] {
                    assert_eq!(acts(keys(&mut after.clone(), text)), []);
                }
            }
        }
        let _ = keys(&mut state, "j");
    };
    for (index, pane) in panes::ALL.iter().enumerate() {
        forbidden(fixture::loaded(Role::Viewer, index, (80, 24)));
        let mut unknown = fixture::loaded(Role::Admin, index, (80, 24));
        unknown.store.whoami = Default::default();
        let mut read_only = fixture::loaded(Role::Admin, index, (80, 24));
        read_only.setting.is_read_only = true;
        for mut state in [unknown, read_only] {
            for danger in pane.dangers() {
                let modifiers = if danger.ctrl { KeyModifiers::CONTROL } else { KeyModifiers::NONE };
                let _ = state.on(Event::Key(KeyEvent::new(KeyCode::Char(danger.letter), modifiers)));
                assert_eq!(state.mode, Mode::Browse);
            }
        }
    }
}

#[test]
fn what_changes_capacity_sessions_and_conversations_is_asked_first() {
    let mut state = at("capacity", Role::Operator);
    let _ = keys(&mut state, "s");
    assert_eq!(acts(keys(&mut state, "x\nscale\nno\n")), [], "no number");
    let _ = press(&mut state, KeyCode::Esc);
    let _ = keys(&mut state, "s");
    let scaled = Act::Prescale { factor: "3".into(), reason: "cup".into() };
    assert_eq!(acts(keys(&mut state, "3\nscale\ncup\n")), [scaled]);

    let mut state = at("sessions", Role::Operator);
    let _ = ctrl(&mut state, 'k');
    let kicked =
        Act::Kick { user: "mia".into(), device: "phone".into(), gateway: "gw-2".into(), reason: "twice".into() };
    assert_eq!(acts(keys(&mut state, "mia\ntwice\n")), [kicked]);

    let mut state = at("conversations", Role::Operator);
    let _ = keys(&mut state, "b");
    let batched = Act::Batch { conversation: "team".into(), for_ms: 600_000, reason: "busy".into() };
    assert_eq!(acts(keys(&mut state, "10m\nbusy\n")), [batched]);
}
