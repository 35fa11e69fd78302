//! What went wrong: its kind picks the exit code, its hint says what to try.

use protocol::admin::{Problem, ProblemCode};
use serde::Serialize;

/// Kinds of failure, as scripts tell them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// It was tried and did not work.
    Failed,
    /// The command line, or what it names, is wrong.
    Usage,
    /// A guard refused; or a question had no answer.
    Refused,
    /// There is no such thing.
    NotFound,
    /// The control plane (or gateway) cannot be reached.
    Unreachable,
    /// It took longer than allowed.
    TimedOut,
}

impl Kind {
    /// The exit code of the program.
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Refused => 3,
            Self::NotFound => 4,
            Self::Unreachable => 5,
            Self::TimedOut => 6,
        }
    }
}

/// A command that was not done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize)]
#[error("{message}")]
pub struct CommandError {
    /// For programs.
    pub kind: Kind,
    /// What and why.
    pub message: String,
    /// What to try.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The flag that overrides a refusal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub override_flag: Option<String>,
}

impl CommandError {
    /// A failure of some kind.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), hint: None, override_flag: None }
    }

    /// It was tried and did not work.
    pub fn failed(message: impl Into<String>) -> Self {
        Self::new(Kind::Failed, message)
    }

    /// The command line, or what it names, is wrong.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Kind::Usage, message)
    }

    /// Adds what to try.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// A call that did not come through.
    pub(crate) fn from_transport(what: &str, url: &str, error: &reqwest::Error) -> Self {
        let causes = causes(error);
        if error.is_connect() && causes.iter().any(|cause| cause.contains("certificate")) {
            let why = causes.last().map(String::as_str).unwrap_or_default();
            return Self::new(Kind::Unreachable, format!("the {what} at {url} is not believed: {why}"))
                .hint("name the CA that signed its certificate: chatctl context set NAME --ca FILE");
        }
        if error.is_connect() {
            return Self::new(Kind::Unreachable, format!("cannot reach the {what} at {url}"))
                .hint("is the fleet running? start one with `chatctl dev`");
        }
        if error.is_timeout() {
            return Self::new(Kind::TimedOut, format!("the {what} at {url} did not answer in time"));
        }
        // Without the URL: a query may hold what is nobody's business.
        let reason = causes.last().map(|cause| format!(": {cause}")).unwrap_or_default();
        Self::failed(format!("the call to the {what} at {url} broke{reason}"))
    }
}

/// What is behind an error, the deepest last.
fn causes(error: &dyn std::error::Error) -> Vec<String> {
    std::iter::successors(error.source(), |error| error.source()).map(ToString::to_string).collect()
}

impl From<Problem> for CommandError {
    fn from(problem: Problem) -> Self {
        let kind = match problem.code {
            ProblemCode::NotFound => Kind::NotFound,
            ProblemCode::Refused | ProblemCode::Conflict | ProblemCode::PreconditionFailed => Kind::Refused,
            ProblemCode::Invalid | ProblemCode::TooLarge => Kind::Usage,
            ProblemCode::Unauthorized
            | ProblemCode::Forbidden
            | ProblemCode::MethodNotAllowed
            | ProblemCode::Unavailable => Kind::Failed,
        };
        Self { kind, message: problem.message, hint: problem.hint, override_flag: problem.override_flag }
    }
}
