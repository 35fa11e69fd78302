//! Keys, in the grammar of k9s.

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::{
    Kind, Mode, Popup, State,
    command::{Command, CommandLine, Typed},
    input,
};
use crate::tui::{
    event::Action,
    panes::{self, Danger, Row},
};

impl State {
    pub(super) fn on_key(&mut self, key: KeyEvent) -> Vec<Action> {
        if key.kind == KeyEventKind::Release {
            return Vec::new();
        }
        if key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL) {
            return vec![Action::Quit];
        }
        if self.word.as_ref().is_some_and(|word| word.until_ms.is_none()) {
            self.word = None;
        }
        match std::mem::replace(&mut self.mode, Mode::Browse) {
            Mode::Command(line) => self.in_command(line, key),
            Mode::Filter(before) => self.in_filter(before, key),
            Mode::Ask(ask) => self.in_ask(ask, key),
            Mode::Browse if self.popup.is_some() => self.in_popup(key),
            Mode::Browse => self.in_pane(key),
        }
    }

    pub(super) fn on_paste(&mut self, text: &str) -> Vec<Action> {
        match &mut self.mode {
            Mode::Command(line) => line.paste(text),
            Mode::Ask(ask) => ask.paste(text),
            Mode::Filter(_) => input::insert(&mut self.view_mut().filter.text, text),
            Mode::Browse => {}
        }
        Vec::new()
    }

    fn in_command(&mut self, mut line: CommandLine, key: KeyEvent) -> Vec<Action> {
        match line.key(key) {
            Typed::Stay => self.mode = Mode::Command(line),
            Typed::Cancel => {}
            Typed::Unknown(why) => self.complain(why),
            Typed::Run(Command::Quit) => return vec![Action::Quit],
            Typed::Run(Command::Help) => self.popup = Some(Popup::new(Kind::Help)),
            Typed::Run(Command::Go(pane, filter)) => {
                self.go(pane);
                match (filter, self.pane().looks_up()) {
                    (None, _) => {}
                    (Some(word), Some(what)) => {
                        self.store.look_up(what, &word);
                        self.pane().needs().iter().for_each(|need| self.polls.expire(*need));
                    }
                    (Some(text), None) => self.view_mut().filter.text = text,
                }
            }
        }
        Vec::new()
    }

    fn in_filter(&mut self, before: String, key: KeyEvent) -> Vec<Action> {
        match key.code {
            KeyCode::Enter => return Vec::new(),
            KeyCode::Esc => {
                self.view_mut().filter.text = before;
                return Vec::new();
            }
            _ => {}
        }
        input::edit(&mut self.view_mut().filter.text, key);
        self.mode = Mode::Filter(before);
        Vec::new()
    }

    fn in_popup(&mut self, key: KeyEvent) -> Vec<Action> {
        // The word that the run whose events these are waits for, and the way back from it.
        if let (Some(operation), Some(danger)) = (self.events_of(), self.danger(key)) {
            return self.ask((danger.ask)(&self.store, &operation));
        }
        let page = isize::try_from(Popup::height(self.size)).unwrap_or(1);
        match key.code {
            KeyCode::Esc | KeyCode::Enter | KeyCode::Char('q') => self.popup = None,
            // What leads elsewhere leads there from here, too.
            KeyCode::Char(':' | '1'..='9') => {
                self.popup = None;
                return self.in_pane(key);
            }
            KeyCode::Char('r') if self.may_act() => return self.ask_run(),
            KeyCode::Char('?') if self.popup.as_ref().is_some_and(|popup| popup.kind == Kind::Help) => {
                self.popup = None;
            }
            KeyCode::Down | KeyCode::Char('j') => self.scroll(1),
            KeyCode::Up | KeyCode::Char('k') => self.scroll(-1),
            KeyCode::PageDown | KeyCode::Char(' ') => self.scroll(page),
            KeyCode::PageUp => self.scroll(-page),
            KeyCode::Home | KeyCode::Char('g') => self.scroll(isize::MIN),
            KeyCode::End | KeyCode::Char('G') => self.scroll(isize::MAX),
            _ => {}
        }
        Vec::new()
    }

    /// Scrolls a popup by so many lines. At its end it stays at its end.
    pub(super) fn scroll(&mut self, by: isize) {
        let Some(popup) = &self.popup else { return };
        let lines = popup.lines(self, usize::from(Popup::width(self.size))).len();
        let height = usize::from(Popup::height(self.size));
        let to = popup.first(lines, height).saturating_add_signed(by);
        let is_end = to >= lines.saturating_sub(height) && matches!(popup.kind, Kind::Events(_));
        if let Some(popup) = &mut self.popup {
            popup.scroll = (!is_end).then(|| to.min(lines.saturating_sub(height)));
        }
    }

    fn in_pane(&mut self, key: KeyEvent) -> Vec<Action> {
        let has_ctrl = key.modifiers.contains(KeyModifiers::CONTROL);
        if let Some(danger) = self.danger(key) {
            return match self.chosen() {
                Some(row) => self.ask((danger.ask)(&self.store, &row)),
                None => Vec::new(),
            };
        }
        if has_ctrl || key.modifiers.contains(KeyModifiers::ALT) {
            return Vec::new();
        }
        let page = isize::try_from(self.areas().body.height).unwrap_or(1);
        match key.code {
            KeyCode::Char('q') => return vec![Action::Quit],
            KeyCode::Char(':') => self.mode = Mode::Command(CommandLine::default()),
            KeyCode::Char('/') => {
                let before = std::mem::take(&mut self.view_mut().filter.text);
                self.mode = Mode::Filter(before);
            }
            KeyCode::Char('?') => self.popup = Some(Popup::new(Kind::Help)),
            KeyCode::Char('[') => self.walk(true),
            KeyCode::Char(']') => self.walk(false),
            KeyCode::Char(digit @ '1'..='9') => {
                let pane = digit as usize - '1' as usize;
                if pane < panes::ALL.len() {
                    self.go(pane);
                }
            }
            KeyCode::Tab => self.go((self.at + 1) % panes::ALL.len()),
            KeyCode::BackTab => self.go((self.at + panes::ALL.len() - 1) % panes::ALL.len()),
            KeyCode::Down | KeyCode::Char('j') => self.step(1),
            KeyCode::Up | KeyCode::Char('k') => self.step(-1),
            KeyCode::PageDown | KeyCode::Char(' ') => self.step(page),
            KeyCode::PageUp => self.step(-page),
            KeyCode::Home | KeyCode::Char('g') => self.step(isize::MIN),
            KeyCode::End | KeyCode::Char('G') => self.step(isize::MAX),
            KeyCode::Enter => self.enter(),
            KeyCode::Esc => self.escape(),
            KeyCode::Char('d') => self.open(Kind::Describe),
            KeyCode::Char('y') => self.open(Kind::Yaml),
            KeyCode::Char('l') => self.events(),
            KeyCode::Char('o') => self.runbook(),
            KeyCode::Char(letter) if letter.is_ascii_uppercase() => {
                let pane = self.pane();
                if !self.view_mut().sort_by(pane, letter) {
                    self.complain(format!("no column of {} has the letter {letter}", pane.name()));
                }
            }
            _ => {}
        }
        Vec::new()
    }

    /// The operation whose events are read, where operations are.
    fn events_of(&self) -> Option<String> {
        match self.popup.as_ref().map(|popup| &popup.kind) {
            Some(Kind::Events(id)) if self.pane().name() == "operations" => Some(id.clone()),
            _ => None,
        }
    }

    fn danger(&self, key: KeyEvent) -> Option<&'static Danger> {
        let KeyCode::Char(letter) = key.code else { return None };
        let has_ctrl = key.modifiers.contains(KeyModifiers::CONTROL);
        let is_it = |danger: &&Danger| danger.letter == letter && danger.ctrl == has_ctrl;
        // For somebody who may only look, these keys do not exist.
        self.pane().dangers().iter().find(is_it).filter(|_| self.may_act())
    }

    /// The key of the row that is chosen, if it is there.
    pub(crate) fn chosen(&self) -> Option<String> {
        let is_it = |row: &&Row| self.view().key.as_ref() == Some(&row.key);
        self.rows().get(self.view().index).filter(is_it).map(|row| row.key.clone())
    }

    pub(super) fn step(&mut self, by: isize) {
        let rows = self.rows();
        self.view_mut().step(&rows, by);
    }

    fn walk(&mut self, is_back: bool) {
        let to = if is_back { self.history.back() } else { self.history.forth() };
        if let Some(pane) = to {
            self.show(pane);
        }
    }

    fn open(&mut self, kind: impl FnOnce(String) -> Kind) {
        self.popup = self.chosen().map(|key| Popup::new(kind(key)));
    }

    fn enter(&mut self) {
        let Some(key) = self.chosen() else { return };
        if self.pane().enter_opens_runbook() {
            return self.runbook();
        }
        let target = self.pane().leads_to(&key).and_then(|(name, filter)| Some((panes::find(name)?, filter)));
        match target {
            None => self.popup = Some(Popup::new(Kind::Describe(key))),
            Some((pane, filter)) => {
                self.go(pane);
                self.view_mut().filter.text = filter;
            }
        }
    }

    fn escape(&mut self) {
        if self.view().filter.text.is_empty() {
            self.walk(true);
        } else {
            self.view_mut().filter.text.clear();
        }
    }

    /// Opens the runbook that the chosen row names.
    fn runbook(&mut self) {
        let named = self.chosen().and_then(|key| self.pane().runbook(&self.store, &key));
        self.popup = named.map(|named| Popup::new(Kind::Runbook(named)));
    }

    fn events(&mut self) {
        if !self.has_events() {
            return;
        }
        let Some(key) = self.chosen() else { return };
        match self.pane().operation(&self.store, &key) {
            None => self.complain(format!("{key} has no operation")),
            Some(id) => self.show_events(id),
        }
    }
}
