//! A question before something dangerous. What is dangerous wants its name typed; what is forced wants a reason and a
//! time. Nothing is done before every field is right.

use crossterm::event::{KeyCode, KeyEvent};
use protocol::admin::DrainPreview;

use super::{
    field::{Field, FieldKind},
    input, plan,
};
use crate::{
    duration::parse_duration,
    output::{Tone, counted, format_span, thousands},
    tui::{event::Act, panes::clean},
};

/// What a key made of the question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// It still stands.
    Stay,
    /// No.
    Cancel,
    /// Yes: do this.
    Go(Act),
    /// Yes, and this is asked next.
    Next(Box<Ask>),
}

/// What follows when every answer is right.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Then {
    /// Something is done.
    Act(Act),
    /// The plan of this runbook is made and asked about.
    Plan(String),
}

/// The question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ask {
    /// What would be done.
    pub(crate) title: String,
    /// What that means.
    pub(crate) says: Vec<(String, Tone)>,
    /// What is to be typed.
    pub(crate) fields: Vec<Field>,
    /// The field that keys go to.
    pub(crate) focus: usize,
    /// What is wrong with an answer.
    pub(crate) error: Option<String>,
    /// The gateway whose drain is to be calculated first.
    pub(super) preview: Option<String>,
    /// The first line shown of what it says.
    pub(super) scroll: usize,
    /// The question before this one: escape leads back to it.
    pub(super) before: Option<Box<Ask>>,
    then: Then,
}

impl Ask {
    /// A question about an act.
    pub(crate) fn new(title: impl Into<String>, act: Act) -> Self {
        Self::leading_to(title.into(), Then::Act(act))
    }

    /// What must be known before the plan of a runbook can be made.
    pub(crate) fn before_plan(title: impl Into<String>, runbook: &str) -> Self {
        Self::leading_to(title.into(), Then::Plan(runbook.to_owned()))
    }

    fn leading_to(title: String, then: Then) -> Self {
        Self {
            title: clean(&title),
            says: Vec::new(),
            fields: Vec::new(),
            focus: 0,
            error: None,
            preview: None,
            scroll: 0,
            before: None,
            then,
        }
    }

    /// Says what it means.
    pub(crate) fn says(self, text: impl Into<String>) -> Self {
        self.says_in(text, Tone::Plain)
    }

    /// Says something in a tone.
    pub(crate) fn says_in(mut self, text: impl Into<String>, tone: Tone) -> Self {
        self.says.push((clean(&text.into()), tone));
        self
    }

    /// Wants a name typed.
    pub(crate) fn typed(self, name: &str) -> Self {
        self.field(FieldKind::Name(name.to_owned()), "")
    }

    /// Wants a scope.
    pub(crate) fn scope(self, scope: &str) -> Self {
        self.field(FieldKind::Scope, scope)
    }

    /// Wants a time.
    pub(crate) fn lasts(self) -> Self {
        self.field(FieldKind::Lasts, "")
    }

    /// Wants a reason.
    pub(crate) fn reason(self, is_required: bool) -> Self {
        self.field(FieldKind::Reason { is_required }, "")
    }

    /// Wants a parameter of a runbook.
    pub(crate) fn param(self, name: &str, about: &str, text: &str) -> Self {
        self.field(FieldKind::Param { name: name.to_owned(), about: clean(about) }, text)
    }

    /// Wants a factor.
    pub(crate) fn factor(self, text: &str) -> Self {
        self.field(FieldKind::Factor, text)
    }

    /// Calculates a drain first.
    pub(crate) fn preview(self, gateway: &str) -> Self {
        Self { preview: Some(gateway.to_owned()), ..self }
    }

    fn field(mut self, kind: FieldKind, text: &str) -> Self {
        self.fields.push(Field { kind, text: text.to_owned() });
        self
    }

    /// What a drain would do has come.
    pub(super) fn previewed(&mut self, it: &DrainPreview) {
        if self.preview.as_deref() != Some(&it.gateway) {
            return;
        }
        self.preview = None;
        let within = format_span(it.drain.deadline_ms);
        self.says.push((format!("moves {} within {within}", counted(it.connections, "connections")), Tone::Plain));
        let (after, capacity) = (thousands(it.survivors_connections), counted(it.survivors_capacity, "connections"));
        let others = format!("{} would hold {after} of {capacity}", counted(it.survivors, "other gateways"));
        self.says.push((others, Tone::Plain));
        if let Some(why) = &it.refused {
            self.says.push((clean(&format!("it would be refused: {why}")), Tone::Bad));
        }
    }

    /// What a drain would do cannot be said.
    pub(super) fn not_previewed(&mut self, why: &str) {
        self.preview = None;
        self.says.push((clean(why), Tone::Bad));
    }

    /// A key.
    pub(super) fn key(&mut self, key: KeyEvent) -> Answer {
        let last = self.fields.len().saturating_sub(1);
        match key.code {
            KeyCode::Esc => return Answer::Cancel,
            KeyCode::Enter if self.focus >= last => return self.submit(),
            KeyCode::Enter | KeyCode::Tab | KeyCode::Down => self.focus = (self.focus + 1).min(last),
            KeyCode::BackTab | KeyCode::Up => self.focus = self.focus.saturating_sub(1),
            _ => {
                if let Some(field) = self.fields.get_mut(self.focus) {
                    input::edit(&mut field.text, key);
                    self.error = None;
                }
            }
        }
        Answer::Stay
    }

    /// Text was pasted.
    pub(super) fn paste(&mut self, text: &str) {
        if let Some(field) = self.fields.get_mut(self.focus) {
            input::insert(&mut field.text, text);
        }
    }

    fn submit(&mut self) -> Answer {
        for (index, field) in self.fields.iter().enumerate() {
            if let Err(why) = field.check() {
                self.error = Some(why);
                self.focus = index;
                return Answer::Stay;
            }
        }
        match &self.then {
            Then::Act(act) => {
                let mut act = act.clone();
                self.fields.iter().for_each(|field| fill(&mut act, field));
                Answer::Go(act)
            }
            Then::Plan(runbook) => match plan::question(runbook, &self.fields) {
                Ok(next) => Answer::Next(Box::new(next)),
                Err(wrong) => {
                    let is_it = |field: &Field| matches!(&field.kind, FieldKind::Param { name, .. } if Some(name) == wrong.param.as_ref());
                    self.focus = self.fields.iter().position(is_it).unwrap_or(self.focus);
                    self.error = Some(wrong.why);
                    Answer::Stay
                }
            },
        }
    }

    /// What enter does with the last field.
    pub(crate) fn enter_word(&self) -> &'static str {
        match self.then {
            Then::Act(_) => "do it",
            Then::Plan(_) => "see the plan",
        }
    }

    /// What escape does.
    pub(crate) fn escape_word(&self) -> &'static str {
        if self.before.is_some() { "back" } else { "no" }
    }
}

/// Puts what was typed into the act.
fn fill(act: &mut Act, field: &Field) {
    let text = field.typed().to_owned();
    match (&field.kind, act) {
        (FieldKind::Scope, Act::Breaker { scope, .. }) => *scope = text,
        (FieldKind::Lasts, Act::Breaker { for_ms, .. } | Act::Batch { for_ms, .. }) => {
            *for_ms = parse_duration(&text).map_or(0, |lasts| lasts.as_millis() as u64);
        }
        (
            FieldKind::Reason { .. },
            Act::Drain { reason, .. }
            | Act::Undrain { reason, .. }
            | Act::Cancel { reason, .. }
            | Act::Breaker { reason, .. }
            | Act::Revert { reason, .. }
            | Act::Ack { reason, .. }
            | Act::Resolve { reason, .. }
            | Act::Kick { reason, .. }
            | Act::Prescale { reason, .. }
            | Act::Unscale { reason }
            | Act::ForgetEvent { reason, .. }
            | Act::Batch { reason, .. },
        ) => *reason = text,
        (FieldKind::Factor, Act::Prescale { factor, .. }) => *factor = text,
        _ => {}
    }
}
