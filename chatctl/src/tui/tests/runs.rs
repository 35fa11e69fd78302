//! A run of a runbook: parameters, the plan that is read, the words that it waits for.

use crossterm::event::KeyCode;
use protocol::admin::Role;

use super::{acts, at, ctrl, fixture, keys, press};
use crate::{
    runbook,
    tui::{
        event::{Act, Data, Event},
        state::{Kind, Mode, State},
    },
};

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
    let _ = keys(&mut state, "7jj");
    let _ = state.on(Event::Started("op-40".into()));
    assert_eq!((state.pane().name(), state.chosen()), ("operations", None));
    assert!(matches!(state.popup.as_ref().map(|popup| &popup.kind), Some(Kind::Events(id)) if id == "op-40"));
    // From there it is undone, too, whatever row was chosen before and although its own has not come yet.
    let _ = ctrl(&mut state, 'x');
    assert_eq!(state.mode, Mode::Browse, "nothing else is undone");
    let mut operations = vec![fixture::waiting_run()];
    operations.extend(state.store.operations.value.clone().unwrap());
    let _ = state.on(Event::Loaded(Data::Operations(operations)));
    assert_eq!(state.chosen().as_deref(), Some("op-40"));
    let _ = ctrl(&mut state, 'x');
    let cancel = Act::Cancel { operation: "op-40".into(), reason: "no".into() };
    assert_eq!(acts(keys(&mut state, "no\n")), [cancel]);
    assert!(matches!(state.popup.as_ref().map(|popup| &popup.kind), Some(Kind::Events(_))), "its events go on");

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
