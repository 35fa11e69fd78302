//! A field of a question: what it is for, what is typed, and whether that will do.

use crate::duration::parse_duration;

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

    /// What was typed, without the room around it.
    pub(super) fn typed(&self) -> &str {
        self.text.trim()
    }

    pub(super) fn check(&self) -> Result<(), String> {
        let text = self.typed();
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
