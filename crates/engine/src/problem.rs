//! Refusals as the API shows them: a stable code, a sentence, a next step, and the HTTP class they belong to.

use model::api;

/// Which kind of failure, for HTTP status codes and exit codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// The caller's input; nothing happened.
    Refused,
    /// No such thing, or not for this caller.
    NotFound,
    /// Not allowed for this caller.
    Forbidden,
    /// Rivals something that exists.
    Conflict,
    /// Too much at once; try later.
    Overloaded,
    /// A peer is silent, absent or held; try later.
    Unavailable,
    /// Ours.
    Bug,
}

/// A refusal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Problem {
    /// Kind.
    pub class: Class,
    /// Stable name.
    pub code: &'static str,
    /// What failed and why.
    pub message: String,
    /// What to do next.
    pub hint: Option<String>,
    /// When the same question may fare better, milliseconds from now.
    pub retry_ms: Option<u64>,
}

/// Makes a refusal.
pub fn refuse(class: Class, code: &'static str, message: impl Into<String>) -> Problem {
    Problem { class, code, message: message.into(), hint: None, retry_ms: None }
}

/// An error and what it came from, in one sentence.
pub(crate) fn with_source(error: &dyn std::error::Error) -> String {
    let source = error.source().map(|source| format!(": {source}"));
    format!("{error}{}", source.unwrap_or_default())
}

impl Problem {
    /// Adds a next step.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds when to try again, in its hint too.
    #[must_use]
    pub fn retry_after_ms(self, ms: u64) -> Self {
        let secs = ms.div_ceil(1_000).max(1);
        Self { retry_ms: Some(ms), ..self.hint(format!("try again in {secs} s")) }
    }

    /// JSON form.
    pub fn to_api(&self) -> api::Problem {
        api::Problem {
            code: self.code.to_owned(),
            message: self.message.clone(),
            hint: self.hint.clone(),
        }
    }
}

impl From<chains::Refusal> for Problem {
    fn from(refusal: chains::Refusal) -> Self {
        refuse(Class::Refused, refusal.code(), with_source(&refusal))
    }
}
