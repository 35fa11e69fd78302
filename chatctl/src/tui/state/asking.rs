//! Questions while they stand: who is asked, what keys make of the answers, and what follows.

use crossterm::event::{KeyCode, KeyEvent};

use super::{Ask, Kind, Mode, State, ask::Answer};
use crate::{
    output::Tone,
    tui::{
        event::{Action, Load},
        panes,
    },
};

impl State {
    /// Asks, when there is something to ask and somebody who would hear of it.
    pub(super) fn ask(&mut self, asked: Result<Ask, String>) -> Vec<Action> {
        match asked {
            _ if self.link.lost.is_some() => {
                self.complain("the control plane is lost: nothing can be changed now");
                Vec::new()
            }
            Err(why) => {
                self.complain(why);
                Vec::new()
            }
            // What stands beneath it is there again when it is answered.
            Ok(ask) => {
                self.mode = Mode::Ask(Box::new(ask));
                self.ask_preview()
            }
        }
    }

    /// Asks before the runbook that is read is run.
    pub(super) fn ask_run(&mut self) -> Vec<Action> {
        match self.popup.as_ref().map(|popup| &popup.kind) {
            Some(Kind::Runbook(named)) => self.ask(panes::ask_run(named)),
            _ => Vec::new(),
        }
    }

    /// A key while a question stands.
    pub(super) fn in_ask(&mut self, mut ask: Box<Ask>, key: KeyEvent) -> Vec<Action> {
        if let Some(by) = self.ask_scroll(&ask, key.code) {
            ask.scroll_by(by, self.size, self.above_ask());
            self.mode = Mode::Ask(ask);
            return Vec::new();
        }
        match ask.key(key) {
            Answer::Stay => self.mode = Mode::Ask(ask),
            Answer::Cancel => self.mode = ask.before.map_or(Mode::Browse, Mode::Ask),
            Answer::Next(mut next) => {
                next.before = Some(ask);
                self.mode = Mode::Ask(next);
            }
            Answer::Go(act) => {
                self.say(format!("{}: asked for", ask.title), Tone::Busy);
                return vec![Action::Act(act)];
            }
        }
        Vec::new()
    }

    /// How far a key scrolls what a question says. Arrows do where there is no other field to go to.
    fn ask_scroll(&self, ask: &Ask, code: KeyCode) -> Option<isize> {
        let page = isize::try_from(ask.fit(self.size, self.above_ask()).shown).unwrap_or(1);
        let has_one = ask.fields.len() == 1;
        match code {
            KeyCode::PageDown => Some(page),
            KeyCode::PageUp => Some(-page),
            KeyCode::Down if has_one => Some(1),
            KeyCode::Up if has_one => Some(-1),
            _ => None,
        }
    }

    /// Lines above what a question says.
    pub(super) fn above_ask(&self) -> u16 {
        u16::from(self.warning().is_some())
    }

    /// What stands above every question: what is done is done in production.
    pub(crate) fn warning(&self) -> Option<String> {
        self.setting.is_production.then(|| panes::clean(&format!("PRODUCTION: {}", self.setting.context)))
    }

    /// Asks for what a drain would do, when a question stands that has not said it.
    pub(super) fn ask_preview(&mut self) -> Vec<Action> {
        let Mode::Ask(ask) = &self.mode else { return Vec::new() };
        let load = ask.preview.clone().map(Load::Preview);
        load.and_then(|load| self.polls.ask(load, self.store.now_ms)).into_iter().collect()
    }
}
