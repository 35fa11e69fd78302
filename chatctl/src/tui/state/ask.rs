//! A question before something dangerous. What is dangerous wants its name typed; what is forced wants a reason and a
//! time. Nothing is done before every field is right.

use crossterm::event::{KeyCode, KeyEvent};
use protocol::admin::DrainPreview;

use super::input;
use crate::{
    duration::parse_duration,
    output::{Tone, format_span, thousands},
    tui::{event::Act, panes::clean},
};

/// What a field is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum FieldKind {
    /// This name must be typed.
    Name(String),
    /// Where: `fleet`, or a node.
    Scope,
    /// For how long.
    Lasts,
    /// Why.
    Reason { is_required: bool },
    /// A parameter of a runbook, by its name, and what it is.
    Param { name: String, about: String },
    /// So many times the load of now.
    Factor,
}

/// A field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Field {
    /// What it is for.
    pub(crate) kind: FieldKind,
    /// What is typed.
    pub(crate) text: String,
}

impl Field {
    /// What is asked for, in words.
    pub(crate) fn label(&self) -> String {
        match &self.kind {
            FieldKind::Name(name) => format!("type {name} to confirm"),
            FieldKind::Scope => "where (a node, or fleet)".to_owned(),
            FieldKind::Lasts => "for how long (as 30s, 10m)".to_owned(),
            FieldKind::Reason { is_required: true } => "reason".to_owned(),
            FieldKind::Reason { is_required: false } => "reason (may be empty)".to_owned(),
            FieldKind::Param { name, about } => format!("{name}: {about}"),
            FieldKind::Factor => "times the load of now (as 2, 5)".to_owned(),
        }
    }

    fn check(&self) -> Result<(), String> {
        let text = self.text.trim();
        match &self.kind {
            FieldKind::Name(name) if text != name => Err(format!("the name typed is not {name}")),
            FieldKind::Scope if text.is_empty() => Err("say where: a node, or fleet".to_owned()),
            FieldKind::Lasts => parse_duration(text).map(|_| ()).map_err(|why| format!("time: {why}")),
            FieldKind::Reason { is_required: true } if text.is_empty() => Err("a reason is needed".to_owned()),
            FieldKind::Param { name, .. } if text.is_empty() => Err(format!("{name} is needed")),
            FieldKind::Factor => match text.parse::<f64>() {
                Ok(factor) if (1.0..=100.0).contains(&factor) => Ok(()),
                _ => Err("a number from 1 to 100 is needed".to_owned()),
            },
            _ => Ok(()),
        }
    }
}

/// What a key made of the question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// It still stands.
    Stay,
    /// No.
    Cancel,
    /// Yes: do this.
    Go(Act),
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
    act: Act,
}

impl Ask {
    /// A question about an act.
    pub(crate) fn new(title: impl Into<String>, act: Act) -> Self {
        let title = clean(&title.into());
        Self { title, says: Vec::new(), fields: Vec::new(), focus: 0, error: None, preview: None, act }
    }

    /// Says what it means.
    pub(crate) fn says(mut self, text: impl Into<String>) -> Self {
        self.says.push((clean(&text.into()), Tone::Plain));
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
        self.says.push((format!("{} connections move within {within}", thousands(it.connections)), Tone::Plain));
        let (after, capacity) = (thousands(it.survivors_connections), thousands(it.survivors_capacity));
        let others = if it.survivors == 1 { "gateway" } else { "gateways" };
        let others = format!("{} other {others} would hold {after} of {capacity} connections", it.survivors);
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
        let mut act = self.act.clone();
        for field in &self.fields {
            fill(&mut act, field);
        }
        Answer::Go(act)
    }
}

/// Puts what was typed into the act.
fn fill(act: &mut Act, field: &Field) {
    let text = field.text.trim().to_owned();
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
            | Act::Run { reason, .. }
            | Act::Kick { reason, .. }
            | Act::Prescale { reason, .. }
            | Act::Unscale { reason }
            | Act::ForgetEvent { reason, .. }
            | Act::Batch { reason, .. },
        ) => *reason = text,
        (FieldKind::Param { name, .. }, Act::Run { params, .. }) => drop(params.insert(name.clone(), text)),
        (FieldKind::Factor, Act::Prescale { factor, .. }) => *factor = text,
        _ => {}
    }
}
