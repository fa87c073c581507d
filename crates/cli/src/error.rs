//! Why a command failed: what failed, why, and what to do next, with an exit code per kind.

use model::api;

/// The kind of a failure; each has one exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The input was refused; nothing happened.
    Refused,
    /// The command line makes no sense.
    Usage,
    /// A node or peer is not there, sealed or silent.
    Unavailable,
    /// There is a signature, and the chain node did not take it.
    NotSent,
    /// Ours.
    Bug,
    /// Whoever read the output went away, as `| head` does: nothing to tell, and nobody to tell it to.
    Closed,
}

impl Kind {
    /// 1 refused, 2 usage, 3 unavailable or not sent, 4 bug; 141 as a shell tells of a broken pipe.
    pub(crate) fn exit_code(self) -> u8 {
        match self {
            Self::Refused => 1,
            Self::Usage => 2,
            Self::Unavailable | Self::NotSent => 3,
            Self::Bug => 4,
            Self::Closed => 141,
        }
    }
}

/// A failed command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CommandError {
    /// Kind, for the exit code.
    pub(crate) kind: Kind,
    /// Stable name.
    pub(crate) code: String,
    /// What failed and why.
    pub(crate) message: String,
    /// What to do next.
    pub(crate) hint: Option<String>,
}

impl CommandError {
    /// The input was refused.
    pub(crate) fn refused(code: &str, message: impl Into<String>) -> Self {
        Self::new(Kind::Refused, code, message)
    }
    /// Wrong usage.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Kind::Usage, "usage", message)
    }
    /// Something is not there or took too long.
    pub(crate) fn unavailable(code: &str, message: impl Into<String>) -> Self {
        Self::new(Kind::Unavailable, code, message)
    }
    /// Signed, and not taken by the chain node.
    pub(crate) fn not_sent(problem: api::Problem) -> Self {
        let words = problem.message.split_once(" is signed but not sent: ");
        let message = words.map_or(problem.message.clone(), |(_, why)| why.to_owned());
        Self { kind: Kind::NotSent, code: problem.code, message, hint: problem.hint }
    }
    /// Our own fault.
    pub(crate) fn bug(message: impl Into<String>) -> Self {
        Self::new(Kind::Bug, "bug", message)
    }
    fn new(kind: Kind, code: &str, message: impl Into<String>) -> Self {
        Self { kind, code: code.to_owned(), message: message.into(), hint: None }
    }
    /// Adds the next step.
    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
    /// From a node's answer with its HTTP status.
    pub(crate) fn from_problem(status: u16, problem: api::Problem) -> Self {
        let kind = match status {
            429 | 502..=504 => Kind::Unavailable,
            500.. => Kind::Bug,
            _ => Kind::Refused,
        };
        Self { kind, code: problem.code, message: problem.message, hint: problem.hint }
    }
    /// One JSON document.
    pub(crate) fn to_json(&self) -> String {
        let kind = match self.kind {
            Kind::Refused => "refused",
            Kind::Usage => "usage",
            Kind::Unavailable | Kind::Closed => "unavailable",
            Kind::NotSent => "not_sent",
            Kind::Bug => "bug",
        };
        let mut error = serde_json::json!({
            "kind": kind, "code": self.code, "message": self.message,
        });
        if let (Some(hint), Some(map)) = (&self.hint, error.as_object_mut()) {
            map.insert("hint".to_owned(), hint.clone().into());
        }
        serde_json::json!({ "error": error }).to_string()
    }
}

impl std::fmt::Display for CommandError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let head = match self.kind {
            Kind::Refused => "refused",
            Kind::Usage => "wrong usage",
            Kind::Unavailable | Kind::Closed => "not available",
            Kind::NotSent => "signed, but not sent",
            Kind::Bug => "fault in Outlast (please report it)",
        };
        writeln!(f, "{head}: {} [{}]", self.message, self.code)?;
        match &self.hint {
            Some(hint) => writeln!(f, "  next: {hint}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for CommandError {}

/// An error with its causes, outermost first.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

/// A failed read or write of a file, named.
pub(crate) fn io(what: &str, path: &std::path::Path) -> impl Fn(std::io::Error) -> CommandError {
    let place = format!("{what} {}", path.display());
    move |error| CommandError::refused("file", format!("cannot {place}: {error}"))
}

/// A failed write to the screen or a pipe.
pub(crate) fn screen(error: std::io::Error) -> CommandError {
    let kind = match error.kind() {
        std::io::ErrorKind::BrokenPipe => Kind::Closed,
        _ => Kind::Unavailable,
    };
    CommandError::new(kind, "output", format!("cannot write the output: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_status_of_a_node_has_its_exit_code() {
        let check = |status: u16, exit: u8| {
            let problem =
                api::Problem { code: "c".into(), message: "m".into(), hint: Some("h".into()) };
            assert_eq!(CommandError::from_problem(status, problem).kind.exit_code(), exit);
        };
        check(400, 1);
        check(401, 1);
        check(403, 1);
        check(404, 1);
        check(409, 1);
        check(429, 3);
        check(503, 3);
        check(504, 3);
        check(500, 4);
    }

    #[test]
    fn a_signature_that_was_not_sent_is_not_called_refused() {
        let problem = api::Problem {
            code: "not_broadcast".into(),
            message: "request ab is signed but not sent: no chain node".into(),
            hint: None,
        };
        let error = CommandError::not_sent(problem);
        assert_eq!(error.to_string(), "signed, but not sent: no chain node [not_broadcast]\n");
        assert_eq!(error.kind.exit_code(), 3);
    }

    #[test]
    fn an_error_says_what_why_and_what_next() {
        let error = CommandError::refused("stale_dir", "the directory exists").hint("take another");
        assert_eq!(
            error.to_string(),
            "refused: the directory exists [stale_dir]\n  next: take another\n"
        );
        let json: serde_json::Value = serde_json::from_str(&error.to_json()).unwrap();
        assert_eq!(json["error"]["kind"], "refused");
        assert_eq!(json["error"]["hint"], "take another");
    }
}
