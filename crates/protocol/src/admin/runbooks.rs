//! Runbooks as the control plane runs them: chatctl reads the Markdown and compiles its commands to calls of this API;
//! the control plane makes the calls, with the rights of whoever started the run. A run is an operation; its `detail`
//! is a [`RunbookDetail`].

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

words!(
    /// What a step is for.
    StepKind {
        /// It only looks.
        Check = "check",
        /// It changes something.
        Action = "action",
    }
);
words!(
    /// How a step of a run stands.
    StepState {
        /// Not begun.
        Waiting = "waiting",
        /// It needs a word typed before it begins.
        Unconfirmed = "unconfirmed",
        /// Its calls are being made.
        Running = "running",
        /// Done.
        Done = "done",
        /// It failed; the result says why.
        Failed = "failed",
        /// It was done, and undone again.
        Undone = "undone",
    }
);
words!(
    /// How a field is compared.
    Comparison {
        /// Equal.
        Is = "is",
        /// Not equal.
        IsNot = "is_not",
        /// Not below.
        AtLeast = "at_least",
        /// Not above.
        AtMost = "at_most",
        /// Above.
        Above = "above",
        /// Below.
        Below = "below",
    }
);

/// Something that must hold of an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Condition {
    /// What to look at: a path of this API. `{id}` stands for the `id` in the answer of the call.
    pub path: String,
    /// The field, with dots between levels.
    pub field: String,
    /// How it is compared.
    pub comparison: Comparison,
    /// With what.
    pub value: String,
}

impl Condition {
    /// Does it hold of this body? With what was found. An error when numbers are wanted and there are none.
    pub fn holds(&self, body: &serde_json::Value) -> Result<(bool, String), String> {
        let mut at = body;
        for level in self.field.split('.') {
            // A field that is left out is one that says nothing.
            at = at.get(level).unwrap_or(&serde_json::Value::Null);
        }
        let found = match at {
            serde_json::Value::String(text) => text.clone(),
            serde_json::Value::Null => String::new(),
            other => other.to_string(),
        };
        let numbers = found.parse::<f64>().ok().zip(self.value.parse::<f64>().ok());
        let holds = match (self.comparison, numbers) {
            (Comparison::Is, Some((a, b))) => a == b,
            (Comparison::IsNot, Some((a, b))) => a != b,
            (Comparison::Is, None) => found == self.value,
            (Comparison::IsNot, None) => found != self.value,
            (Comparison::AtLeast, Some((a, b))) => a >= b,
            (Comparison::AtMost, Some((a, b))) => a <= b,
            (Comparison::Above, Some((a, b))) => a > b,
            (Comparison::Below, Some((a, b))) => a < b,
            (_, None) => return Err(format!("{} is {found:?}, which is no number", self.field)),
        };
        Ok((holds, found))
    }
}

/// A call of this API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Call {
    /// The command it was made from.
    pub command: String,
    /// `GET`, `POST` or `DELETE`.
    pub method: String,
    /// Below `/v1/`.
    pub path: String,
    /// JSON.
    #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    pub body: serde_json::Value,
    /// What must hold afterwards; waited for until the step's timeout.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Condition>,
}

/// A step as it is to be run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// Its name within the runbook.
    pub id: String,
    /// What it is, in a line.
    pub title: String,
    /// What it is for.
    pub kind: StepKind,
    /// The calls, one after another.
    pub calls: Vec<Call>,
    /// What undoes it.
    #[serde(default)]
    pub undo: Vec<Call>,
    /// All of it must be done within this, ms.
    pub timeout_ms: u64,
    /// The word to type before it begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirm: Option<String>,
}

/// `POST /v1/runbooks/runs`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct RunRequest {
    /// The runbook's id.
    pub runbook: String,
    /// Its parameters.
    #[serde(default)]
    pub params: BTreeMap<String, String>,
    /// The steps, in order.
    pub steps: Vec<Step>,
    /// Words typed ahead, by step.
    #[serde(default)]
    pub confirm: BTreeMap<String, String>,
    /// The run to go on with: one that failed. Its finished steps must be the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resume: Option<String>,
    /// Why.
    #[serde(default)]
    pub reason: String,
}

/// `POST /v1/operations/{id}/confirm`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ConfirmRequest {
    /// Which step.
    pub step: String,
    /// The word.
    pub value: String,
    /// The hash of the plan that is approved.
    pub plan_hash: String,
}

/// What belongs to a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RunbookDetail {
    /// The runbook's id.
    pub runbook: String,
    /// Its parameters.
    pub params: BTreeMap<String, String>,
    /// SHA-256 of the steps, in hex: approvals are bound to it.
    pub plan_hash: String,
    /// The role of whoever started it: the calls are made with it.
    pub role: super::Role,
    /// The steps and how they stand.
    pub steps: Vec<StepRun>,
}

/// A step of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct StepRun {
    /// The step.
    pub step: Step,
    /// How it stands.
    pub state: StepState,
    /// When it began, ms since the epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub began_ms: Option<u64>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_ms: Option<u64>,
    /// What came of it, in words.
    #[serde(default)]
    pub result: String,
}
