//! What is to be loaded now: once a second what the pane in front and the header need, and nothing else.

use std::collections::{HashMap, HashSet};

use super::{Kind, State};
use crate::tui::event::{Action, Load, Need};

/// Between two loads of the same; a little less than a second, since ticks come four times a second.
const EVERY_MS: u64 = 900;
/// Between two loads of what this control plane does not serve, or what hardly changes.
const RARELY_MS: u64 = 30_000;
/// What finds out whether the control plane is back.
pub(super) const PROBE: Need = Need::WhoAmI;

/// What was asked for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Polls {
    asked: HashMap<Need, u64>,
    open: HashSet<Need>,
}

impl Polls {
    /// An answer came, of whatever kind.
    pub(super) fn answered(&mut self, need: Need) {
        self.open.remove(&need);
    }

    /// Everything is old.
    pub(super) fn forget(&mut self) {
        self.asked.clear();
    }

    /// This is old.
    pub(super) fn expire(&mut self, need: Need) {
        self.asked.remove(&need);
    }

    /// Asks, unless it is asked for already.
    pub(super) fn ask(&mut self, load: Load, now_ms: u64) -> Option<Action> {
        let need = load.need();
        if !self.open.insert(need) {
            return None;
        }
        self.asked.insert(need, now_ms);
        Some(Action::Load(load))
    }

    fn is_due(&self, need: Need, now_ms: u64, every_ms: u64) -> bool {
        self.asked.get(&need).is_none_or(|asked| now_ms.saturating_sub(*asked) >= every_ms)
    }
}

impl State {
    /// What to load now.
    pub(super) fn poll(&mut self) -> Vec<Action> {
        let now = self.store.now_ms;
        if let Some(lost) = &self.link.lost {
            let is_time = now >= lost.next_ms;
            let probe = is_time.then(|| self.polls.ask(Load::Plain(PROBE), now)).flatten();
            return probe.into_iter().collect();
        }
        let mut needs = vec![Need::WhoAmI, Need::Overview];
        for need in self.pane().needs() {
            if !needs.contains(need) {
                needs.push(*need);
            }
        }
        let mut actions = Vec::new();
        for need in needs {
            let meta = self.store.meta(need);
            let is_settled = need == Need::WhoAmI && meta.at_ms.is_some();
            let every = if meta.is_unserved || is_settled { RARELY_MS } else { EVERY_MS };
            if self.polls.is_due(need, now, every)
                && let Some(load) = self.load_of(need)
            {
                actions.extend(self.polls.ask(load, now));
            }
        }
        if let Some(id) = self.events_wanted()
            && self.polls.is_due(Need::Events, now, EVERY_MS)
        {
            let last = self.store.events.value.iter().flatten().last();
            let after = last.map_or(0, |event| event.sequence);
            actions.extend(self.polls.ask(Load::Events(id, after), now));
        }
        actions
    }

    /// How something is loaded. `None` while nothing of its kind is looked up.
    fn load_of(&self, need: Need) -> Option<Load> {
        let looked_up = &self.store.looked_up;
        let named = |word: &String| (!word.is_empty()).then(|| word.clone());
        match need {
            Need::Sessions => named(&looked_up.user).map(Load::Sessions),
            Need::Conversation => named(&looked_up.conversation).map(Load::Conversation),
            Need::Capacity => Some(Load::Capacity(named(&looked_up.factor).unwrap_or_else(|| "1".to_owned()))),
            _ => Some(Load::Plain(need)),
        }
    }

    /// The operation whose events are looked at, while more of them may come.
    fn events_wanted(&self) -> Option<String> {
        let Some(Kind::Events(id)) = self.popup.as_ref().map(|popup| &popup.kind) else { return None };
        let last = self.store.events.value.iter().flatten().last();
        (!last.is_some_and(|event| event.state.is_final())).then(|| id.clone())
    }
}
