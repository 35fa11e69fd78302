//! Keys: where they lead.

use crossterm::event::{KeyCode, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
use protocol::admin::{OperationEvent, OperationPhase, OperationState, Progress, Role};

use super::{ctrl, fixture, keys, press, shown};
use crate::tui::{
    event::{Action, Data, Event, Load, Need},
    panes,
    state::{Kind, Mode, State, place, tabs},
};

fn operator() -> State {
    fixture::loaded(Role::Operator, 0, (80, 24))
}

fn name(state: &State) -> &'static str {
    state.pane().name()
}

fn popup(state: &State) -> Option<&Kind> {
    state.popup.as_ref().map(|popup| &popup.kind)
}

#[test]
fn digits_commands_tab_and_history_lead_to_panes() {
    let mut state = operator();
    let _ = keys(&mut state, "3");
    assert_eq!(name(&state), "workers");
    let _ = keys(&mut state, ":ops\n");
    assert_eq!(name(&state), "operations");
    let _ = keys(&mut state, ":inc");
    let _ = press(&mut state, KeyCode::Tab);
    let _ = keys(&mut state, "\n");
    assert_eq!(name(&state), "incidents");
    let _ = keys(&mut state, "[[");
    assert_eq!(name(&state), "workers");
    let _ = keys(&mut state, "[");
    assert_eq!(name(&state), "overview");
    let _ = keys(&mut state, "[");
    assert_eq!(name(&state), "overview");
    let _ = keys(&mut state, "]]");
    assert_eq!(name(&state), "operations");
    let _ = keys(&mut state, "8]");
    assert_eq!(name(&state), "audit");
    // Not every pane has a digit; escape goes back.
    let _ = keys(&mut state, "9");
    assert_eq!(name(&state), "runbooks");
    let _ = press(&mut state, KeyCode::Tab);
    assert_eq!(name(&state), "capacity");
    let _ = press(&mut state, KeyCode::Esc);
    let _ = press(&mut state, KeyCode::Esc);
    assert_eq!(name(&state), "audit");
}

#[test]
fn a_command_is_completed_filters_and_is_known_or_not() {
    let mut state = operator();
    let _ = keys(&mut state, ":o");
    let mut seen = Vec::new();
    for _ in 0..4 {
        let _ = press(&mut state, KeyCode::Tab);
        let Mode::Command(line) = &state.mode else { panic!("the command is gone") };
        seen.push(line.text.clone());
    }
    assert_eq!(seen, ["overview", "overrides", "operations", "overview"]);
    let _ = press(&mut state, KeyCode::Esc);
    let _ = keys(&mut state, ":gw gw-2\n");
    assert_eq!((name(&state), shown(&state)), ("gateways", vec!["gw-2".to_owned()]));
    let _ = keys(&mut state, ":pods\n");
    let word = state.word.clone().unwrap().text;
    assert!(word.starts_with("unknown command \"pods\"") && word.contains("gateways"), "{word}");
    assert_eq!(name(&state), "gateways");
    let _ = keys(&mut state, "j");
    assert_eq!(state.word, None, "a complaint goes with the next key");
    assert_eq!(keys(&mut state, ":q\n"), [Action::Quit]);
    assert_eq!(keys(&mut state, "q"), [Action::Quit]);
    let _ = keys(&mut state, ":ov");
    assert_eq!(ctrl(&mut state, 'c'), [Action::Quit]);
}

#[test]
fn a_filter_takes_rows_or_with_a_bang_the_others() {
    let mut state = operator();
    let _ = keys(&mut state, "2/LOST\n");
    assert_eq!(shown(&state), ["gw-3"]);
    let _ = keys(&mut state, "/");
    let _ = ctrl(&mut state, 'u');
    let _ = keys(&mut state, "!lost\n");
    assert_eq!(shown(&state), ["gw-1", "gw-2", "gw-4"]);
    // Escape while typing restores what was; escape afterwards clears.
    let _ = keys(&mut state, "/zzz");
    assert!(shown(&state).is_empty());
    let _ = press(&mut state, KeyCode::Esc);
    assert_eq!(shown(&state).len(), 3);
    let _ = press(&mut state, KeyCode::Esc);
    assert_eq!((name(&state), shown(&state).len()), ("gateways", 4));
    // Another pane has its own.
    let _ = keys(&mut state, "/gw-1\n3");
    assert_eq!(shown(&state), ["worker-1", "worker-2"]);
}

#[test]
fn shift_and_a_letter_sort_and_turn_around() {
    let mut state = operator();
    let _ = keys(&mut state, "2O");
    assert_eq!(shown(&state), ["gw-2", "gw-1", "gw-4", "gw-3"], "numbers begin with the largest");
    let _ = keys(&mut state, "O");
    assert_eq!(shown(&state), ["gw-3", "gw-4", "gw-1", "gw-2"]);
    let _ = keys(&mut state, "N");
    assert_eq!(shown(&state), ["gw-1", "gw-2", "gw-3", "gw-4"]);
    let _ = keys(&mut state, "X");
    assert!(state.word.clone().unwrap().text.contains("no column"));
}

#[test]
fn letters_of_columns_are_unlike_and_leave_the_end_alone() {
    for pane in panes::ALL {
        let letters: Vec<char> = pane.columns().iter().filter_map(panes::Column::letter).collect();
        let mut unlike = letters.clone();
        unlike.sort_unstable();
        unlike.dedup();
        assert_eq!(unlike.len(), letters.len(), "{}: {letters:?}", pane.name());
        assert!(!letters.contains(&'G'), "{}: G is the end", pane.name());
        assert_eq!(letters.len(), pane.columns().len(), "{}: a column without a letter", pane.name());
        let heads = pane.columns().iter().all(|it| it.head.chars().filter(char::is_ascii_uppercase).count() == 1);
        assert!(heads, "{}: one capital each", pane.name());
        // Whatever is shown has its room.
        for width in 80..=400 {
            for placed in place(pane.columns(), width) {
                let column = pane.columns()[placed.index];
                assert!(placed.width >= column.width, "{} of {} at {width}", column.head, pane.name());
            }
        }
        for danger in pane.dangers() {
            assert!(danger.ctrl || !"dyljkgq".contains(danger.letter), "{}: {}", pane.name(), danger.letter);
        }
    }
}

#[test]
fn the_chosen_row_stays_chosen_when_rows_change() {
    let mut state = operator();
    let _ = keys(&mut state, "2jj");
    assert_eq!(state.chosen().as_deref(), Some("gw-3"));
    let _ = state.on(Event::Loaded(Data::Gateways((2..=9).map(fixture::gateway).collect())));
    assert_eq!(state.chosen().as_deref(), Some("gw-3"));
    let _ = state.on(Event::Loaded(Data::Gateways((5..=6).map(fixture::gateway).collect())));
    assert_eq!(state.chosen().as_deref(), Some("gw-6"));
    let _ = keys(&mut state, "g");
    assert_eq!(state.chosen().as_deref(), Some("gw-5"));
}

#[test]
fn enter_goes_in_and_escape_goes_out() {
    let mut state = operator();
    // A worker's partitions are what waits for it.
    let _ = keys(&mut state, "3j\n");
    assert_eq!((name(&state), shown(&state)), ("queues", vec!["group 3".to_owned(), "group 4".to_owned()]));
    for expected in ["queues", "workers", "overview"] {
        let _ = press(&mut state, KeyCode::Esc);
        assert_eq!(name(&state), expected);
    }
    // The first light is a gateway that crashed: its incidents.
    let _ = keys(&mut state, "\n");
    assert_eq!((name(&state), shown(&state)), ("incidents", vec!["inc-7".to_owned()]));
    let _ = keys(&mut state, "\n");
    assert_eq!(popup(&state), Some(&Kind::Describe("inc-7".into())));
    for expected in ["incidents", "incidents", "overview"] {
        let _ = press(&mut state, KeyCode::Esc);
        assert_eq!((name(&state), popup(&state)), (expected, None));
    }
    let _ = keys(&mut state, "y");
    assert_eq!(popup(&state), Some(&Kind::Yaml("gateway_crash".into())));
    let _ = keys(&mut state, "q");
    assert_eq!(popup(&state), None, "q closes first");
    let _ = keys(&mut state, "?");
    assert_eq!(popup(&state), Some(&Kind::Help));
    // What leads elsewhere leads there from a popup, too.
    let _ = keys(&mut state, "3");
    assert_eq!((name(&state), popup(&state)), ("workers", None));
    let _ = keys(&mut state, "d:audit\n");
    assert_eq!((name(&state), popup(&state)), ("audit", None));
}

#[test]
fn events_of_an_operation_are_loaded_while_they_are_looked_at() {
    let mut state = operator();
    let _ = keys(&mut state, "7");
    let asked = |actions: &[Action]| actions.contains(&Action::Load(Load::Events("op-31".into(), 0)));
    assert!(asked(&keys(&mut state, "l")));
    assert_eq!(state.popup.as_ref().unwrap().keys(&state), "c confirm  ctrl-x cancel and undo  ");
    let event = |sequence, state| OperationEvent {
        operation: "op-31".into(),
        sequence,
        at_ms: fixture::NOW,
        state,
        phase: OperationPhase::Draining,
        progress: Progress::default(),
        message: "told 250".into(),
    };
    let _ = state.on(Event::Loaded(Data::Events("op-31".into(), vec![event(1, OperationState::Running)])));
    let next = state.on(Event::Tick(fixture::NOW + 1_000));
    assert!(next.contains(&Action::Load(Load::Events("op-31".into(), 1))), "{next:?}");
    // Those of another operation come too late; after the last, nobody asks.
    let _ = state.on(Event::Loaded(Data::Events("op-9".into(), vec![event(7, OperationState::Running)])));
    let _ = state.on(Event::Loaded(Data::Events("op-31".into(), vec![event(2, OperationState::Succeeded)])));
    assert_eq!(state.store.events.value.as_ref().map(Vec::len), Some(2));
    assert_eq!(state.popup.as_ref().unwrap().keys(&state), "", "it is over");
    let later = state.on(Event::Tick(fixture::NOW + 9_000));
    assert!(!later.iter().any(|it| matches!(it, Action::Load(load) if load.need() == Need::Events)));
}

#[test]
fn the_mouse_chooses_panes_rows_columns_and_scrolls() {
    let mut state = operator();
    let mouse = |state: &mut State, kind, column, row| {
        let _ = state.on(Event::Mouse(MouseEvent { kind, column, row, modifiers: KeyModifiers::NONE }));
    };
    let click = MouseEventKind::Down(MouseButton::Left);
    mouse(&mut state, click, 14, 1);
    assert_eq!(name(&state), "gateways");
    // Header, names, a banner, title, heads: rows begin below.
    mouse(&mut state, click, 5, 7);
    assert_eq!(state.chosen().as_deref(), Some("gw-3"));
    mouse(&mut state, click, 5, 4);
    mouse(&mut state, click, 5, 4);
    assert_eq!(shown(&state)[0], "gw-4");
    mouse(&mut state, MouseEventKind::ScrollUp, 5, 8);
    assert_eq!(state.chosen().as_deref(), Some("gw-4"));
    mouse(&mut state, click, 79, 23);
    mouse(&mut state, click, 79, 20);
    assert_eq!(name(&state), "gateways");
}

#[test]
fn only_what_is_seen_is_loaded_once_a_second() {
    let mut state = operator();
    let _ = state.on(Event::Tick(fixture::NOW + 10_000));
    for need in [Need::Overview, Need::Gateways] {
        state = settle(state, need);
    }
    let mut loads = |at| -> Vec<Need> {
        let actions = state.on(Event::Tick(fixture::NOW + at));
        actions
            .into_iter()
            .filter_map(|it| if let Action::Load(load) = it { Some(load.need()) } else { None })
            .collect()
    };
    assert_eq!(loads(10_250), []);
    assert_eq!(loads(11_000), [Need::Overview, Need::Gateways]);
    assert_eq!(loads(12_000), [], "what is asked for is not asked for again");
}

fn settle(mut state: State, need: Need) -> State {
    let data = fixture::everything(Role::Operator).into_iter().find(|data| data.need() == need).unwrap();
    let _ = state.on(Event::Loaded(data));
    state
}

#[test]
fn what_is_pasted_is_text_and_never_keys() {
    let mut state = operator();
    assert!(!state.on(Event::Paste("q:quit\n".into())).contains(&Action::Quit));
    let _ = keys(&mut state, "2/");
    let _ = state.on(Event::Paste("gw-\n2".into()));
    assert_eq!(shown(&state), ["gw-2"]);
}

#[test]
fn o_opens_the_runbook_of_an_incident_and_nothing_elsewhere() {
    let mut state = operator();
    let _ = keys(&mut state, "3o");
    assert_eq!(popup(&state), None);
    let _ = keys(&mut state, "6o");
    let Some(Kind::Runbook(named)) = popup(&state) else { panic!("{:?}", popup(&state)) };
    assert!(named.command().starts_with(&format!("chatctl runbook run {}", named.id)), "{named:?}");
    let lines = state.popup.as_ref().unwrap().lines(&state, 70);
    assert!(lines[0].text.starts_with("run it: r, or chatctl runbook run"), "{lines:?}");
    assert!(lines.iter().any(|line| line.text.contains("How it looks")), "the text itself");
}

#[test]
fn a_word_after_a_pane_that_looks_things_up_is_what_it_looks_at() {
    let mut state = operator();
    let asked = keys(&mut state, ":sessions zoe\n");
    assert!(asked.contains(&Action::Load(Load::Sessions("zoe".into()))), "{asked:?}");
    assert_eq!(shown(&state), [] as [String; 0], "nothing of the user before");
    let late = Data::Sessions("mia".into(), Vec::new());
    let _ = state.on(Event::Loaded(late));
    assert!(state.store.sessions.value.is_none(), "that was about somebody else");
    let asked = keys(&mut state, ":capacity 5\n");
    assert!(asked.contains(&Action::Load(Load::Capacity("5".into()))), "{asked:?}");
    let asked = keys(&mut state, ":conversations ops\n");
    assert!(asked.contains(&Action::Load(Load::Conversation("ops".into()))), "{asked:?}");
    assert!(state.view().filter.text.is_empty());
}

#[test]
fn the_pane_in_front_is_among_the_names_at_the_top() {
    for width in [40, 80, 120, 160, 400] {
        for at in 0..panes::ALL.len() {
            let tabs = tabs(width, at);
            let tab = tabs.iter().find(|tab| tab.pane == at).unwrap();
            assert!(usize::from(tab.x) + tab.text.len() <= usize::from(width), "{width} {at} {tabs:?}");
        }
    }
}
