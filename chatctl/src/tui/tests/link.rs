//! The control plane is lost, and comes back.

use protocol::admin::{Role, WhoAmI};

use super::{ctrl, fixture};
use crate::tui::{
    event::{Action, Data, Event, Failure, Load, Need},
    state::{Mode, State},
};

fn lost() -> Failure {
    Failure::Lost("cannot reach the control plane".into())
}

fn who() -> Event {
    Event::Loaded(Data::WhoAmI(WhoAmI { name: "ann".into(), role: Role::Operator, expires_ms: None }))
}

/// When it is asked, in ms after the beginning, while nothing answers.
fn probes(state: &mut State, to: u64) -> Vec<u64> {
    let mut at = Vec::new();
    for ms in (0..to).step_by(250) {
        for action in state.on(Event::Tick(fixture::NOW + ms)) {
            assert_eq!(action, Action::Load(Load::Plain(Need::WhoAmI)), "only one thing is asked");
            at.push(ms);
            let _ = state.on(Event::Failed(Need::WhoAmI, lost()));
        }
    }
    at
}

#[test]
fn a_lost_control_plane_is_asked_more_and_more_rarely() {
    let mut state = fixture::loaded(Role::Operator, 1, (80, 24));
    let _ = state.on(Event::Failed(Need::Gateways, lost()));
    assert_eq!(probes(&mut state, 25_000), [500, 1_500, 3_500, 7_500, 12_500, 17_500, 22_500]);
    let banner = &state.banners()[0];
    assert!(banner.starts_with("control plane lost since 12:00:00 (24s), this picture is 24s old"), "{banner}");
}

#[test]
fn it_comes_back_by_itself_and_everything_is_loaded_at_once() {
    let mut state = fixture::loaded(Role::Operator, 1, (80, 24));
    let _ = state.on(Event::Failed(Need::Gateways, lost()));
    let _ = state.on(Event::Failed(Need::Overview, lost()));
    assert_eq!(state.on(Event::Tick(fixture::NOW + 500)).len(), 1);
    let actions = state.on(who());
    assert!(actions.contains(&Action::Load(Load::Plain(Need::Overview))), "{actions:?}");
    assert!(actions.contains(&Action::Load(Load::Plain(Need::Gateways))), "{actions:?}");
    assert_eq!(state.link.lost, None);
    assert_eq!(state.word.clone().unwrap().text, "the control plane is back");
    assert!(state.rows().len() == 4, "the last picture stayed");
}

#[test]
fn nothing_is_asked_for_while_it_is_lost() {
    let mut state = fixture::loaded(Role::Operator, 1, (80, 24));
    let _ = state.on(Event::Failed(Need::Gateways, lost()));
    let _ = ctrl(&mut state, 'd');
    assert_eq!(state.mode, Mode::Browse);
    assert!(state.word.clone().unwrap().text.contains("lost"));
}

#[test]
fn a_control_plane_that_says_no_is_not_lost() {
    let mut state = fixture::loaded(Role::Operator, 5, (80, 24));
    let _ = state.on(Event::Failed(Need::Incidents, Failure::Refused("not now".into())));
    assert_eq!((state.link.lost.clone(), state.rows().len()), (None, 3));
    // What it does not serve is asked for rarely, and the rest goes on.
    let _ = state.on(Event::Failed(Need::Overview, Failure::Unserved));
    let actions = state.on(Event::Tick(fixture::NOW + 2_000));
    assert_eq!(actions, [Action::Load(Load::Plain(Need::Incidents))]);
}

#[test]
fn a_second_is_drawn_and_what_is_shorter_is_not() {
    let mut state = fixture::loaded(Role::Operator, 1, (80, 24));
    assert!(state.take_dirty() && !state.take_dirty());
    let _ = state.on(Event::Tick(fixture::NOW + 250));
    assert!(!state.take_dirty());
    let _ = state.on(Event::Tick(fixture::NOW + 1_000));
    assert!(state.take_dirty());
}

#[test]
fn a_token_that_is_refused_is_said_and_may_do_nothing() {
    let mut state = fixture::loaded(Role::Operator, 1, (80, 24));
    let _ = state.on(Event::Failed(Need::WhoAmI, Failure::Refused("the token is revoked\nmake another".into())));
    assert_eq!(state.banners()[0], "the control plane does not know you: the token is revoked");
    assert!(!state.may_act());
    let _ = state.on(who());
    assert!(state.may_act());
}
