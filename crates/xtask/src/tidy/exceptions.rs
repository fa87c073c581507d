//! The only place where a house rule is set aside, with the reason.

use super::Finding;

/// Sets one rule aside for one subject in one file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Exception {
    pub(super) rule: &'static str,
    pub(super) file: &'static str,
    pub(super) subject: &'static str,
    /// Why the rule does harm here. An empty reason is refused by a test.
    pub(super) reason: &'static str,
}

pub(super) const TABLE: &[Exception] = &[Exception {
    rule: "arrow",
    file: "crates/cli/Cargo.toml",
    subject: "cli -> threshold",
    reason: "`bench sign` measures the bare protocol, the limit that a cluster is held against",
}];

/// Drops excused findings and adds one for each exception that excused nothing.
pub(super) fn apply(table: &[Exception], findings: Vec<Finding>) -> Vec<Finding> {
    let excuses = |exception: &Exception, finding: &Finding| {
        exception.rule == finding.rule
            && exception.file == finding.file
            && exception.subject == finding.subject
    };
    let stale = table.iter().filter(|entry| !findings.iter().any(|one| excuses(entry, one)));
    let stale: Vec<Finding> = stale.map(useless).collect();
    let kept = |one: &Finding| !table.iter().any(|entry| excuses(entry, one));
    findings.into_iter().filter(kept).chain(stale).collect()
}

fn useless(exception: &Exception) -> Finding {
    Finding {
        file: exception.file.to_owned(),
        line: 0,
        rule: "exception",
        subject: exception.subject.to_owned(),
        text: format!(
            "the exception to `{}` excuses nothing: {}",
            exception.rule, exception.reason
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::subjects;
    use super::*;

    fn size(subject: &str) -> Finding {
        let (file, subject) = ("a.rs".to_owned(), subject.to_owned());
        Finding { file, line: 1, rule: "size", subject, text: String::new() }
    }

    const LONG: Exception =
        Exception { rule: "size", file: "a.rs", subject: "long", reason: "a table" };

    #[test]
    fn an_exception_excuses_its_own_subject_only() {
        let left = apply(&[LONG], vec![size("long"), size("other")]);
        assert_eq!(subjects(&left), ["other"]);
    }

    #[test]
    fn an_exception_that_excuses_nothing_is_a_finding() {
        let left = apply(&[LONG], vec![size("other")]);
        assert_eq!(subjects(&left), ["other", "long"]);
        assert_eq!(left.last().map(|one| one.rule), Some("exception"));
    }

    #[test]
    fn every_exception_gives_a_reason() {
        assert!(TABLE.iter().all(|entry| entry.reason.len() > 20));
    }
}
