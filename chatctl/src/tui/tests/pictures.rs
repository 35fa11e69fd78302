//! Pictures against golden files. `UPDATE=1 cargo test -p chatctl --lib tui` writes them anew.

use std::{env, fs, path::PathBuf};

use crossterm::event::KeyCode;
use protocol::admin::Role;
use ratatui::{
    backend::TestBackend,
    style::{Color, Modifier},
};

use super::{ctrl, fixture, keys, press};
use crate::tui::{
    canvas::Canvas,
    event::{Data, Event, Failure, Need},
    panes,
    state::State,
    theme::Theme,
};

const SIZES: [(u16, u16); 3] = [(80, 24), (120, 40), (200, 50)];

/// The text of a picture.
fn picture(state: &State) -> String {
    let mut canvas = Canvas::new(TestBackend::new(state.size.0, state.size.1), Theme::new(true));
    canvas.show(state).unwrap();
    let buffer = canvas.backend_mut().buffer();
    let lines = buffer.content.chunks(usize::from(buffer.area.width).max(1));
    let line = |cells: &[ratatui::buffer::Cell]| cells.iter().map(|cell| cell.symbol()).collect::<String>();
    lines.map(|cells| line(cells).trim_end().to_owned() + "\n").collect()
}

/// Compares with the golden file of a name.
fn golden(name: &str, picture: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/tui/snapshots").join(format!("{name}.txt"));
    if env::var_os("UPDATE").is_some() {
        fs::write(&path, picture).unwrap();
    }
    let golden = fs::read_to_string(&path).unwrap_or_default();
    assert!(golden == picture, "{name} differs from its golden file (UPDATE=1 writes it anew):\n{picture}");
}

#[test]
fn every_pane_looks_as_it_should() {
    for (index, pane) in panes::ALL.iter().enumerate() {
        for size in SIZES {
            let state = fixture::loaded(Role::Operator, index, size);
            golden(&format!("{}-{}x{}", pane.name(), size.0, size.1), &picture(&state));
        }
    }
}

#[test]
fn what_stands_above_a_pane_looks_as_it_should() {
    let size = (80, 24);
    let mut state = fixture::loaded(Role::Operator, 1, size);
    let _ = keys(&mut state, "?");
    golden("help-80x24", &picture(&state));
    let _ = press(&mut state, KeyCode::Esc);
    let _ = ctrl(&mut state, 'd');
    golden("drain-80x24", &picture(&state));
    let _ = press(&mut state, KeyCode::Esc);
    let _ = keys(&mut state, ":o");
    golden("command-80x24", &picture(&state));
    let mut state = fixture::loaded(Role::Operator, 5, size);
    let _ = keys(&mut state, "d");
    golden("describe-80x24", &picture(&state));
    let mut state = fixture::loaded(Role::Operator, 2, size);
    let _ = keys(&mut state, "jd");
    golden("worker-80x24", &picture(&state));
    let mut state = fixture::loaded(Role::Operator, 3, size);
    let _ = keys(&mut state, "o");
    golden("breaker-80x24", &picture(&state));
}

#[test]
fn the_plan_of_a_run_looks_as_it_should() {
    let runbooks = panes::find("runbooks").unwrap();
    for size in SIZES {
        let mut state = fixture::loaded(Role::Operator, runbooks, size);
        let _ = keys(&mut state, "/write-timeouts\nr\na rack is slow\n");
        golden(&format!("plan-{}x{}", size.0, size.1), &picture(&state));
    }
    let mut state = fixture::loaded(Role::Operator, runbooks, (80, 24));
    state.setting.is_production = true;
    let _ = keys(&mut state, "/write-timeouts\nr");
    golden("run-80x24", &picture(&state));
    let _ = keys(&mut state, "x\n\n");
    golden("run-wrong-80x24", &picture(&state));
}

#[test]
fn a_lost_control_plane_and_a_missing_endpoint_are_said() {
    let mut state = fixture::loaded(Role::Viewer, 1, (80, 24));
    let _ = state.on(Event::Failed(Need::Overview, Failure::Lost("cannot reach it".into())));
    let _ = state.on(Event::Tick(fixture::NOW + 12_000));
    golden("lost-80x24", &picture(&state));
    let mut state = fixture::empty(5, (80, 24));
    let _ = state.on(Event::Failed(Need::Incidents, Failure::Unserved));
    golden("unserved-80x24", &picture(&state));
}

#[test]
fn every_size_draws_every_pane_and_popup() {
    for size in [(0, 0), (1, 1), (10, 3), (40, 10), (53, 12), (80, 24), (95, 30), (110, 24), (400, 100)] {
        for index in 0..panes::ALL.len() {
            let mut state = fixture::loaded(Role::Admin, index, size);
            let _ = picture(&state);
            for key in ["?", "d", "y", ":x", "/x", "l", "o", "a", "u"] {
                let _ = keys(&mut state, key);
                let _ = picture(&state);
                let _ = press(&mut state, KeyCode::Esc);
            }
            let _ = ctrl(&mut state, 'd');
            let _ = picture(&state);
        }
    }
}

#[test]
fn another_size_is_drawn_over_without_clearing() {
    let mut state = fixture::loaded(Role::Operator, 1, (80, 24));
    let mut canvas = Canvas::new(TestBackend::new(80, 24), Theme::new(true));
    canvas.show(&state).unwrap();
    // The terminal keeps what it had, wherever it puts it.
    canvas.backend_mut().resize(120, 40);
    let _ = state.on(Event::Resize(120, 40));
    canvas.show(&state).unwrap();
    let shown = canvas.shown().clone();
    canvas.backend_mut().assert_buffer(&shown);
}

#[test]
fn five_hundred_gateways_have_their_places() {
    let all = (1..=500).map(fixture::gateway).collect::<Vec<_>>();
    let mut state = fixture::loaded(Role::Operator, 1, (80, 24));
    let _ = state.on(Event::Loaded(Data::Gateways(all)));
    let _ = keys(&mut state, "G");
    assert!(picture(&state).contains("gw-500 "));
    assert!(picture(&state).contains("gateways (500)  rows 483-500"), "{}", picture(&state));
    let _ = keys(&mut state, "1");
    assert!(picture(&state).contains("of 500"), "{}", picture(&state));
    let _ = state.on(Event::Resize(200, 50));
    assert!(picture(&state).contains('X'));
}

#[test]
fn a_head_says_by_which_letter_and_how_it_is_sorted() {
    let mut state = fixture::loaded(Role::Operator, 1, (80, 24));
    let _ = keys(&mut state, "O");
    assert!(picture(&state).contains(" cOnns↓ "), "{}", picture(&state));
    let _ = keys(&mut state, "OS");
    assert!(!picture(&state).contains("cOnns↑") && picture(&state).contains(" Status↑ "), "{}", picture(&state));
    let mut canvas = Canvas::new(TestBackend::new(80, 24), Theme::new(false));
    canvas.show(&state).unwrap();
    assert!(canvas.shown()[(1, 4)].modifier.contains(Modifier::UNDERLINED), "the letter");
}

#[test]
fn no_color_is_no_color_and_production_is_red() {
    let mut state = fixture::loaded(Role::Operator, 0, (120, 40));
    state.setting.is_production = true;
    let colors = |state: &State, has_color| {
        let mut canvas = Canvas::new(TestBackend::new(120, 40), Theme::new(has_color));
        canvas.show(state).unwrap();
        canvas.shown().clone()
    };
    let plain = colors(&state, false);
    assert!(plain.content.iter().all(|cell| cell.fg == Color::Reset && cell.bg == Color::Reset));
    assert_eq!(colors(&state, true)[(1, 0)].bg, Color::Red);
    assert!(picture(&state).starts_with(" PRODUCTION"));
}

#[test]
fn what_somebody_wrote_does_not_move_the_cursor() {
    for index in 0..panes::ALL.len() {
        let state = fixture::loaded(Role::Operator, index, (200, 50));
        assert!(!picture(&state).contains('\u{1b}'));
    }
}
