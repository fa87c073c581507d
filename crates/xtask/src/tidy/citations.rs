//! Tests that documents cite are there: `crates/room/src/file.rs::name_of_the_test`.
//!
//! A table of attacks and defences is worth what its last column proves, so a renamed test must not leave it behind.

use super::{Finding, TextFile};

pub(super) fn check(files: &[TextFile]) -> Vec<Finding> {
    let documents = files.iter().filter(|file| file.path.ends_with(".md"));
    documents.flat_map(|document| check_document(document, files)).collect()
}

fn check_document(document: &TextFile, files: &[TextFile]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (index, line) in document.text.lines().enumerate() {
        for (path, name) in citations(line).filter(|(path, name)| !exists(files, path, name)) {
            findings.push(Finding {
                file: document.path.clone(),
                line: index + 1,
                rule: "citation",
                subject: name.to_owned(),
                text: format!("no test `{name}` in {path}"),
            });
        }
    }
    findings
}

/// Every second piece between backquotes is code; a citation is a path to a Rust file, `::` and a name.
fn citations(line: &str) -> impl Iterator<Item = (&str, &str)> {
    line.split('`').skip(1).step_by(2).filter_map(|code| {
        let (path, name) = code.split_once("::")?;
        (path.starts_with("crates/") && path.ends_with(".rs")).then_some((path, name))
    })
}

fn exists(files: &[TextFile], path: &str, name: &str) -> bool {
    let function = format!("fn {name}(");
    files.iter().any(|file| file.path == path && file.text.contains(&function))
}

#[cfg(test)]
mod tests {
    use super::super::{file, subjects};

    #[test]
    fn a_cited_test_must_exist_in_the_cited_file() {
        let check = |line: &str, expected: &[&str]| {
            let files =
                [file("docs/attacks.md", line), file("crates/a/src/b.rs", "fn it_holds() {}")];
            assert_eq!(subjects(&super::check(&files)), expected, "{line}");
        };
        check("| x | `crates/a/src/b.rs::it_holds` |", &[]);
        check("| x | `crates/a/src/b.rs::it_held` |", &["it_held"]);
        check("| x | `crates/a/src/c.rs::it_holds` |", &["it_holds"]);
        check("| `a::b` | part 3 |", &[]);
    }
}
