//! What the terminal UI knows and how events change it. Nothing here draws, waits, or does IO: [`State::on`] takes an
//! event and gives the actions that follow.

mod ask;
mod asking;
mod command;
mod field;
mod filter;
mod fit;
mod history;
mod input;
mod keys;
mod layout;
mod link;
mod mouse;
mod plan;
mod poll;
mod popup;
mod store;
mod view;
mod wrap;

use protocol::admin::Role;

pub(crate) use self::{
    ask::Ask,
    command::CommandLine,
    field::FieldKind,
    layout::{Areas, LIGHTS_AT, Tab, place, tabs},
    link::{Link, Lost},
    popup::{Kind, Popup},
    store::{Lookup, Store, figure, load_percent, load_tone},
    view::View,
};
use self::{history::History, poll::Polls};
use super::{
    event::{Action, Data, Event, Failure, Need},
    panes::{self, Pane, Row},
};
use crate::output::Tone;

/// How long the word about an action stays.
const WORD_MS: u64 = 8_000;

/// Where this runs, and what it may.
#[derive(Debug, Clone, Default)]
pub(crate) struct Setting {
    /// The context's name.
    pub(crate) context: String,
    /// Where its control plane is.
    pub(crate) url: String,
    /// Red.
    pub(crate) is_production: bool,
    /// Nothing may be changed, whatever the token allows.
    pub(crate) is_read_only: bool,
}

/// Where keys go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Mode {
    /// To the pane.
    Browse,
    /// To the line after `:`.
    Command(CommandLine),
    /// To the filter; what it was before.
    Filter(String),
    /// To a question.
    Ask(Box<Ask>),
}

/// A word at the bottom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Word {
    /// What it says.
    pub(crate) text: String,
    /// What it means.
    pub(crate) tone: Tone,
    /// Until when it stays. None: until a key is pressed.
    until_ms: Option<u64>,
}

/// Everything.
#[derive(Debug, Clone)]
pub(crate) struct State {
    pub(crate) setting: Setting,
    pub(crate) store: Store,
    pub(crate) link: Link,
    pub(crate) mode: Mode,
    pub(crate) popup: Option<Popup>,
    pub(crate) word: Option<Word>,
    pub(crate) size: (u16, u16),
    /// The pane in front.
    pub(crate) at: usize,
    views: Vec<View>,
    history: History,
    polls: Polls,
    is_dirty: bool,
}

impl State {
    /// Begins with a pane in front.
    pub(crate) fn new(setting: Setting, pane: usize, size: (u16, u16), now_ms: u64) -> Self {
        Self {
            setting,
            store: Store { now_ms, ..Store::default() },
            link: Link::default(),
            mode: Mode::Browse,
            popup: None,
            word: None,
            size,
            at: pane,
            views: vec![View::default(); panes::ALL.len()],
            history: History::new(pane),
            polls: Polls::default(),
            is_dirty: true,
        }
    }

    /// Something happened: what follows.
    pub(crate) fn on(&mut self, event: Event) -> Vec<Action> {
        // A second shows; what is shorter does not.
        let second = self.store.now_ms / 1_000;
        let mut actions = match event {
            Event::Key(key) => self.on_key(key),
            Event::Mouse(mouse) => self.on_mouse(mouse),
            Event::Paste(text) => self.on_paste(&text),
            Event::Resize(width, height) => {
                self.size = (width, height);
                Vec::new()
            }
            Event::Tick(now_ms) => {
                self.on_tick(now_ms);
                self.is_dirty |= now_ms / 1_000 != second;
                return self.poll();
            }
            Event::Loaded(data) => self.on_loaded(data),
            Event::Failed(need, failure) => self.on_failed(need, failure),
            Event::Done(result) => self.on_done(result),
            Event::Started(operation) => self.on_started(operation),
        };
        self.settle();
        self.is_dirty = true;
        actions.extend(self.poll());
        actions
    }

    /// True when the screen is to be drawn; once.
    pub(crate) fn take_dirty(&mut self) -> bool {
        std::mem::take(&mut self.is_dirty)
    }

    /// The pane in front.
    pub(crate) fn pane(&self) -> &'static dyn Pane {
        panes::ALL[self.at]
    }

    /// Its view.
    pub(crate) fn view(&self) -> &View {
        &self.views[self.at]
    }

    fn view_mut(&mut self) -> &mut View {
        &mut self.views[self.at]
    }

    /// Its rows, as they are shown.
    pub(crate) fn rows(&self) -> Vec<Row> {
        self.view().order(self.pane().rows(&self.store))
    }

    /// The places on the screen.
    pub(crate) fn areas(&self) -> Areas {
        Areas::of(self.size, u16::try_from(self.banners().len()).unwrap_or(1), !self.pane().columns().is_empty())
    }

    /// What is wrong now, a line each.
    pub(crate) fn banners(&self) -> Vec<String> {
        let mut all = Vec::new();
        if let Some(lost) = &self.link.lost {
            all.push(self.lost_banner(lost));
        } else if let Some(why) = &self.store.meta(Need::WhoAmI).error {
            let why = why.lines().next().unwrap_or_default();
            all.push(panes::clean(&format!("the control plane does not know you: {why}")));
        }
        if let Some(consistency) = self.store.overview.value.as_ref().map(|overview| &overview.consistency)
            && consistency.level != "LOCAL_QUORUM"
        {
            let left = crate::output::format_span(consistency.left_ms);
            let id = consistency.override_id.as_deref().unwrap_or("no override");
            all.push(panes::clean(&format!("messages are stored at {}, {left} left ({id})", consistency.level)));
        }
        all
    }

    fn lost_banner(&self, lost: &Lost) -> String {
        let now = self.store.now_ms;
        let span = |ms: u64| crate::output::format_span(ms / 1_000 * 1_000).replace(".0s", "s");
        let since = crate::output::time_of_day(lost.since_ms);
        let seen = match self.pane().needs().first().and_then(|need| self.store.meta(*need).at_ms) {
            Some(at) => format!(", this picture is {} old", span(now.saturating_sub(at))),
            None => String::new(),
        };
        let ago = span(now.saturating_sub(lost.since_ms));
        panes::clean(&format!("control plane lost since {since} ({ago}){seen}: {}", lost.why))
    }

    /// True when the token may change the fleet. While that is not known, it may not.
    pub(crate) fn may_act(&self) -> bool {
        let role = self.store.whoami.value.as_ref().map(|it| it.role);
        !self.setting.is_read_only && role.is_some_and(|role| role >= Role::Operator)
    }

    /// Why it may not.
    pub(crate) fn why_not(&self) -> String {
        match &self.store.whoami.value {
            _ if self.setting.is_read_only => "--read-only was given".to_owned(),
            Some(it) => format!("your role is {}", it.role),
            None => "your role is not known yet".to_owned(),
        }
    }

    /// True when `l` means something here.
    pub(crate) fn has_events(&self) -> bool {
        matches!(self.pane().name(), "operations" | "gateways" | "runbooks" | "capacity")
    }

    fn on_tick(&mut self, now_ms: u64) {
        self.store.now_ms = now_ms;
        let is_over = self.word.as_ref().and_then(|word| word.until_ms).is_some_and(|until| now_ms >= until);
        if is_over {
            self.word = None;
            self.is_dirty = true;
        }
    }

    fn came(&mut self) {
        if self.link.came() {
            self.polls.forget();
            self.say("the control plane is back", Tone::Good);
        }
    }

    fn on_loaded(&mut self, data: Data) -> Vec<Action> {
        self.polls.answered(data.need());
        self.came();
        match &data {
            // Somebody looks at another operation by now.
            Data::Events(id, _) if !self.shows_events_of(id) => return Vec::new(),
            // What they tell of is to be seen in its row as well: it may wait for a word.
            Data::Events(_, new) if !new.is_empty() => self.polls.expire(Need::Operations),
            Data::Preview(preview) => {
                if let Mode::Ask(ask) = &mut self.mode {
                    ask.previewed(preview);
                }
            }
            _ => {}
        }
        let is_preview = data.need() == Need::Preview;
        self.store.put(data);
        // It may have been that of the question before.
        if is_preview { self.ask_preview() } else { Vec::new() }
    }

    fn shows_events_of(&self, id: &str) -> bool {
        matches!(self.popup.as_ref().map(|popup| &popup.kind), Some(Kind::Events(shown)) if shown == id)
    }

    fn on_failed(&mut self, need: Need, failure: Failure) -> Vec<Action> {
        self.polls.answered(need);
        match &failure {
            Failure::Lost(why) => self.link.failed(self.store.now_ms, why.clone(), need == poll::PROBE),
            Failure::Unserved | Failure::Refused(_) => self.came(),
        }
        if let (Need::Preview, Failure::Refused(why), Mode::Ask(ask)) = (need, &failure, &mut self.mode) {
            ask.not_previewed(why.lines().next().unwrap_or_default());
        }
        if need == Need::WhoAmI && matches!(failure, Failure::Refused(_)) {
            // Whoever this was, it is nobody now.
            self.store.whoami = Default::default();
        }
        self.store.fail(need, failure);
        Vec::new()
    }

    fn on_done(&mut self, result: Result<String, String>) -> Vec<Action> {
        for need in self.pane().needs() {
            self.polls.expire(*need);
        }
        match result {
            Ok(text) => self.say(text, Tone::Good),
            // A refusal has a reason and a way out: too long for a line. A question that stands is not covered.
            Err(why) if matches!(self.mode, Mode::Browse) => self.popup = Some(Popup::new(Kind::Message(why))),
            Err(why) => self.say(why, Tone::Bad),
        }
        Vec::new()
    }

    /// What was begun is watched where operations are.
    fn on_started(&mut self, operation: String) -> Vec<Action> {
        self.polls.expire(Need::Operations);
        self.say(format!("{operation} has begun"), Tone::Good);
        if let Some(pane) = panes::find("operations") {
            self.go(pane);
            self.view_mut().filter.text.clear();
            self.view_mut().await_row(operation.clone());
            self.show_events(operation);
        }
        Vec::new()
    }

    fn show_events(&mut self, operation: String) {
        self.store.events = Default::default();
        self.polls.expire(Need::Events);
        self.popup = Some(Popup::new(Kind::Events(operation)));
    }

    /// Says something that stays a while.
    fn say(&mut self, text: impl Into<String>, tone: Tone) {
        let until_ms = Some(self.store.now_ms + WORD_MS);
        self.word = Some(Word { text: panes::clean(&text.into()), tone, until_ms });
    }

    /// Says something that stays until a key is pressed.
    fn complain(&mut self, text: impl Into<String>) {
        self.word = Some(Word { text: panes::clean(&text.into()), tone: Tone::Bad, until_ms: None });
    }

    /// Another pane comes to the front.
    fn go(&mut self, pane: usize) {
        self.history.visit(pane);
        self.show(pane);
    }

    fn show(&mut self, pane: usize) {
        self.at = pane;
        self.popup = None;
    }

    /// Keeps the chosen row on the screen.
    fn settle(&mut self) {
        let rows = self.rows();
        let areas = self.areas();
        let height = if self.pane().columns().is_empty() { rows.len() } else { usize::from(areas.body.height) };
        self.view_mut().settle(&rows, height);
    }
}
