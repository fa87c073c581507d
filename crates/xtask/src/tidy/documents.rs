//! The documents that must be there, and how long the two first ones may be.

use super::{Finding, TextFile};

const REQUIRED: &[&str] = &[
    "README.md",
    "ARCHITECTURE.md",
    "SECURITY.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "deny.toml",
    ".ci/run",
    "docs/audit-scope.md",
    "docs/attacks.md",
    "docs/dependencies.md",
    "docs/testing.md",
    "docs/threat-model.md",
    "docs/operating/incident.md",
    "docs/operating/install.md",
    "docs/operating/recover-without-this-software.md",
    "docs/operating/rotate.md",
];

/// A document that grows past this is no longer read.
const LINES: &[(&str, usize)] = &[("README.md", 150), ("ARCHITECTURE.md", 300)];

pub(super) fn check(files: &[TextFile]) -> Vec<Finding> {
    let find = |path: &str| files.iter().find(|file| file.path == path);
    let finding = |path: &str, text: String| Finding {
        file: path.to_owned(),
        line: 0,
        rule: "document",
        subject: path.to_owned(),
        text,
    };
    let mut findings = Vec::new();
    for path in REQUIRED {
        match find(path) {
            None => findings.push(finding(path, "missing".to_owned())),
            Some(file) if file.text.trim().is_empty() => {
                findings.push(finding(path, "empty".to_owned()));
            }
            Some(_) => {}
        }
    }
    for (path, limit) in LINES {
        let lines = find(path).map_or(0, |file| file.text.lines().count());
        if lines > *limit {
            findings.push(finding(path, format!("{lines} lines, limit {limit}")));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::super::{file, subjects};
    use super::*;

    #[test]
    fn a_missing_an_empty_and_an_overlong_document_are_named() {
        let mut files: Vec<TextFile> = REQUIRED.iter().map(|path| file(path, "text\n")).collect();
        assert_eq!(check(&files), []);
        files.retain(|file| file.path != "SECURITY.md");
        files.push(file("README.md", ""));
        files.retain(|file| !(file.path == "README.md" && file.text == "text\n"));
        files.retain(|file| file.path != "ARCHITECTURE.md");
        files.push(file("ARCHITECTURE.md", &"line\n".repeat(301)));
        assert_eq!(subjects(&check(&files)), ["README.md", "SECURITY.md", "ARCHITECTURE.md"]);
    }
}
