//! `cargo xtask tidy`: what the house rules ask of the tree and a machine can check.
//!
//! Each rule is a function from texts to findings; this module reads the files, asks every rule and drops what
//! [`exceptions`] lists. An exception that no longer excuses anything is itself a finding.

mod arrows;
mod citations;
mod dependencies;
mod documents;
mod exceptions;
mod manifest;
mod paths;
mod sizes;
mod source;
mod tags;
mod words;

use crate::shell::{self, Failure, Skips, Workspace};
use std::fmt;

/// One breach of one rule at one place.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Finding {
    pub(crate) file: String,
    /// Counted from 1; 0 speaks of the whole file.
    pub(crate) line: usize,
    pub(crate) rule: &'static str,
    /// What [`exceptions`] names: a function, a word, a tag, an arrow.
    pub(crate) subject: String,
    pub(crate) text: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {} [{} {}]", self.file, self.line, self.text, self.rule, self.subject)
    }
}

/// A tracked text file, its path written from the root with `/`.
#[derive(Debug, Clone)]
pub(crate) struct TextFile {
    pub(crate) path: String,
    pub(crate) text: String,
    /// Whether another file declares this one as `#[cfg(test)] mod name;`.
    declared_as_test: bool,
}

impl TextFile {
    fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// The crate folder, for files under `crates/`.
    fn room(&self) -> Option<&str> {
        self.path.strip_prefix("crates/").and_then(|rest| rest.split('/').next())
    }

    /// Whether the file holds tests and nothing else.
    fn is_test(&self) -> bool {
        let folder = |name: &str| self.path.contains(&format!("/{name}/"));
        folder("tests") || folder("benches") || self.declared_as_test
    }
}

pub(crate) fn run(workspace: &Workspace) -> Result<Skips, Failure> {
    let files = tracked_files(workspace)?;
    let findings = exceptions::apply(exceptions::TABLE, check_all(&files));
    for finding in &findings {
        println!("{finding}");
    }
    println!("tidy: {} files, {} findings", files.len(), findings.len());
    if findings.is_empty() {
        Ok(Skips::new())
    } else {
        Err(Failure::new(format!("{} finding(s)", findings.len())))
    }
}

fn check_all(files: &[TextFile]) -> Vec<Finding> {
    let mut findings: Vec<Finding> = Vec::new();
    for file in files.iter().filter(|file| file.is_rust()) {
        findings.extend(sizes::check(file));
        findings.extend(words::check(file));
    }
    findings.extend(files.iter().flat_map(paths::check));
    findings.extend(arrows::check(files));
    findings.extend(citations::check(files));
    findings.extend(dependencies::check(files));
    findings.extend(documents::check(files));
    findings.extend(tags::check(files));
    findings.sort();
    findings
}

/// Every file that git tracks or would add, and that is text.
fn tracked_files(workspace: &Workspace) -> Result<Vec<TextFile>, Failure> {
    let mut list = workspace.command("git");
    // A checkout that another user owns is read all the same: nothing in it is run by this.
    list.args(["-c", "safe.directory=*", "ls-files", "-z"]);
    list.args(["--cached", "--others", "--exclude-standard"]);
    let listed = shell::capture(&mut list)?;
    if !listed.success {
        return Err(Failure::new(format!("git ls-files: {}", listed.stderr.trim())));
    }
    let mut files = Vec::new();
    for path in listed.stdout.split('\0').filter(|path| !path.is_empty()) {
        // A file that is deleted but not committed is listed too; a binary file is no text.
        let Ok(bytes) = std::fs::read(workspace.root.join(path)) else { continue };
        let Ok(text) = String::from_utf8(bytes) else { continue };
        files.push(TextFile { path: path.to_owned(), text, declared_as_test: false });
    }
    mark_test_modules(&mut files);
    Ok(files)
}

/// Follows `#[cfg(test)] mod name;` from its file to `name.rs` or to everything under `name/`.
fn mark_test_modules(files: &mut [TextFile]) {
    let mut modules = Vec::new();
    for file in files.iter().filter(|file| file.is_rust()) {
        let folder = module_folder(&file.path);
        let names = source::test_modules(&file.text);
        modules.extend(names.into_iter().map(|name| format!("{folder}/{name}")));
    }
    for file in files {
        file.declared_as_test = modules.iter().any(|module| {
            let rest = file.path.strip_prefix(module.as_str());
            rest.is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
        });
    }
}

/// Where the modules that a file declares lie.
fn module_folder(path: &str) -> &str {
    let stem = path.strip_suffix(".rs").unwrap_or(path);
    let is_root = |name: &&str| matches!(*name, "lib" | "main" | "mod");
    match stem.rsplit_once('/') {
        Some((folder, name)) if is_root(&name) => folder,
        _ => stem,
    }
}

#[cfg(test)]
pub(crate) fn file(path: &str, text: &str) -> TextFile {
    TextFile { path: path.to_owned(), text: text.to_owned(), declared_as_test: false }
}

/// The subjects of findings, in order: what most tests of rules compare.
#[cfg(test)]
pub(crate) fn subjects(findings: &[Finding]) -> Vec<&str> {
    findings.iter().map(|finding| finding.subject.as_str()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_declared_for_tests_is_a_test_wherever_it_lies() {
        let mut files = [
            file("crates/node/src/lib.rs", "mod store;\n#[cfg(test)]\nmod testing;\n"),
            file("crates/node/src/store/mod.rs", "#[cfg(test)]\npub(crate) mod faults;\n"),
            file("crates/node/src/testing.rs", ""),
            file("crates/node/src/store/faults/disk.rs", ""),
            file("crates/node/src/store/sqlite.rs", ""),
        ];
        mark_test_modules(&mut files);
        let tests: Vec<bool> = files.iter().map(TextFile::is_test).collect();
        assert_eq!(tests, [false, false, true, true, false]);
    }
}
