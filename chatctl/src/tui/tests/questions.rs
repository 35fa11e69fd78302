//! Dangerous keys: what they ask, and who has them.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use protocol::admin::{BreakerState, DrainOrdered, DrainPreview, Role};

use super::{ctrl, fixture, keys, press};
use crate::{
    runbook,
    tui::{
        event::{Act, Action, Data, Event, Load},
        panes,
        state::{Kind, Mode, State},
    },
};

fn at(pane: &str, role: Role) -> State {
    fixture::loaded(role, panes::find(pane).unwrap(), (80, 24))
}

fn acts(actions: Vec<Action>) -> Vec<Act> {
    actions.into_iter().filter_map(|it| if let Action::Act(act) = it { Some(act) } else { None }).collect()
}

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
    assert_eq!(says[1], "4,500 connections move within 30s");
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

/// Presses keys that end in a plan to read; gives what its question says.
fn plan(state: &mut State, text: &str) -> Vec<String> {
    assert_eq!(acts(keys(state, text)), [], "a plan is read first");
    let Mode::Ask(ask) = &state.mode else { panic!("no question: {:?}", state.word) };
    assert!(ask.title.contains(": plan "), "{ask:?}");
    ask.says.iter().map(|(text, _)| text.trim().to_owned()).collect()
}

#[test]
fn a_runbook_is_read_then_its_plan_and_what_was_read_is_what_runs() {
    let mut state = at("incidents", Role::Operator);
    let _ = keys(&mut state, "o");
    assert!(matches!(state.popup.as_ref().map(|popup| &popup.kind), Some(Kind::Runbook(_))));
    let _ = keys(&mut state, "r");
    let Mode::Ask(ask) = &state.mode else { panic!("no question: {:?}", state.word) };
    assert_eq!(ask.title, "run gateway-crash");
    let labels: Vec<String> = ask.fields.iter().map(|field| field.label()).collect();
    assert!(labels[0].starts_with("gateway: "), "{labels:?}");
    let says = plan(&mut state, "gw-3\n\nit crashed\n");
    assert_eq!(says[0], "5 steps, 1 of which change something; reason: it crashed");
    for line in [
        "3 action  slow: Slow the heartbeats down for ten minutes",
        "chatctl heartbeats limit 2000 --for 10m --wait",
        "undone by: chatctl heartbeats auto",
        "chatctl wait --for 'gateway/gw-3.status==live'",
    ] {
        assert!(says.iter().any(|said| said == line), "{line}: {says:?}");
    }
    let Mode::Ask(ask) = &state.mode else { panic!("the question is gone") };
    let title = ask.title.clone();
    assert_eq!(acts(keys(&mut state, "gw-3\n")), [], "another name");
    let _ = ctrl(&mut state, 'u');
    let done = acts(keys(&mut state, "gateway-crash\n"));
    let [Act::Run { request }] = done.as_slice() else { panic!("{done:?}") };
    assert_eq!((request.runbook.as_str(), request.params["gateway"].as_str()), ("gateway-crash", "gw-3"));
    assert_eq!(
        (request.reason.as_str(), request.steps[2].calls[0].body["reason"].as_str()),
        ("it crashed", Some("it crashed"))
    );
    assert!(title.ends_with(&runbook::plan_hash(&request.steps)[..12]), "{title}");

    // Its events are what is seen then.
    let _ = state.on(Event::Started("op-31".into()));
    assert_eq!(state.pane().name(), "operations");
    assert!(matches!(state.popup.as_ref().map(|popup| &popup.kind), Some(Kind::Events(id)) if id == "op-31"));
    // From there it is undone, too.
    let _ = ctrl(&mut state, 'x');
    let cancel = Act::Cancel { operation: "op-31".into(), reason: "no".into() };
    assert_eq!(acts(keys(&mut state, "no\n")), [cancel]);

    let mut state = at("runbooks", Role::Viewer);
    assert_eq!(acts(keys(&mut state, "r")), []);
    let _ = keys(&mut state, "\nr");
    assert_eq!(state.mode, Mode::Browse, "a viewer only reads");
}

#[test]
fn a_parameter_that_makes_no_plan_is_said_at_its_field() {
    let mut state = at("incidents", Role::Operator);
    let _ = keys(&mut state, "jor");
    let Mode::Ask(ask) = &state.mode else { panic!("no question: {:?}", state.word) };
    assert_eq!((ask.title.as_str(), ask.fields[0].text.as_str()), ("run write-timeouts", "15m"));
    let _ = keys(&mut state, "x\nwhy\n");
    let Mode::Ask(ask) = &state.mode else { panic!("the question is gone") };
    let why = ask.error.clone().unwrap();
    assert_eq!(ask.focus, 0, "{why}");
    assert!(why.starts_with("window: runbook write-timeouts, step lower (line ") && why.contains("'15mx'"), "{why}");
    // What was typed stays, also when the plan is left again.
    let _ = press(&mut state, KeyCode::Backspace);
    let says = plan(&mut state, "\n\n");
    assert!(says.iter().any(|line| line == "asks for the word \"ONE\""), "{says:?}");
    assert_eq!(acts(press(&mut state, KeyCode::Esc)), []);
    let Mode::Ask(ask) = &state.mode else { panic!("the parameters are gone") };
    let texts: Vec<&str> = ask.fields.iter().map(|field| field.text.as_str()).collect();
    assert_eq!(texts, ["15m", "why"]);
    let _ = press(&mut state, KeyCode::Esc);
    assert_eq!(state.mode, Mode::Browse);
}

#[test]
fn a_plan_that_is_longer_than_the_screen_is_scrolled_to_its_end_and_no_further() {
    let mut state = at("runbooks", Role::Operator);
    let _ = keys(&mut state, "/write-timeouts\nr\n");
    let seen = |state: &State| {
        let Mode::Ask(ask) = &state.mode else { panic!("the question is gone") };
        let fit = ask.fit(state.size, 0);
        (fit.first, fit.first + fit.shown, fit.says.len())
    };
    let says = plan(&mut state, "\n");
    let (first, end, all) = seen(&state);
    assert!(first == 0 && end < all && all >= says.len(), "{first} {end} {all}");
    let _ = press(&mut state, KeyCode::Down);
    assert_eq!(seen(&state).0, 1);
    for _ in 0..3 {
        let _ = press(&mut state, KeyCode::PageDown);
    }
    assert_eq!(seen(&state).1, all);
    let _ = press(&mut state, KeyCode::Up);
    assert_eq!(seen(&state).1, all - 1, "the end is the end");
    let _ = state.on(Event::Resize(200, 60));
    assert_eq!(seen(&state), (0, all, all));
}

#[test]
fn a_run_that_waits_gets_its_word_for_this_plan() {
    let mut state = at("operations", Role::Operator);
    let _ = state.on(Event::Loaded(Data::Operations(vec![fixture::waiting_run()])));
    let _ = keys(&mut state, "c");
    assert_eq!(acts(keys(&mut state, "TWO\n")), [], "another word");
    let _ = ctrl(&mut state, 'u');
    let confirm =
        Act::Confirm { run: "op-40".into(), step: "lower".into(), word: "ONE".into(), plan_hash: "ab".repeat(32) };
    assert_eq!(acts(keys(&mut state, "ONE\n")), [confirm]);
    let mut state = at("operations", Role::Operator);
    let _ = keys(&mut state, "c");
    assert_eq!(state.mode, Mode::Browse, "a drain waits for no word");
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
