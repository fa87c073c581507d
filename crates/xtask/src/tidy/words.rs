//! Words that must not stand in code: anywhere, or in the pure rooms.

use super::source;
use super::{Finding, TextFile};

const PURE_ROOMS: &[&str] =
    &["model", "threshold", "governance", "evidence", "tlog", "chains", "backup", "engine"];

/// In no code at all, tests included.
const NOWHERE: &[&str] = &["todo!", "unimplemented!", "dbg!"];

/// Not in a pure room: order that differs between runs, clocks, files, sockets, environment, own randomness.
const NOT_IN_PURE_ROOMS: &[&str] = &[
    "HashMap",
    "HashSet",
    "std::time",
    "Instant::now",
    "SystemTime",
    "std::fs",
    "std::net",
    "std::env",
    "std::io",
    "std::process",
    "std::thread",
    "tokio",
    "tracing",
    "async fn",
    "println!",
    "eprintln!",
    "OsRng",
    "thread_rng",
    "rand::rng",
    "getrandom",
];

pub(super) fn check(file: &TextFile) -> Vec<Finding> {
    let all = source::split(&file.text);
    let mut findings = find(file, &all.code, NOWHERE, "stays out of the tree");
    findings.extend(unnumbered(file, &all.comments));
    findings.extend(examples(file, &all.comments));
    let pure = file.room().is_some_and(|room| PURE_ROOMS.contains(&room));
    if pure && !file.is_test() {
        let code = source::split(source::without_test_tail(&file.text)).code;
        findings.extend(find(file, &code, NOT_IN_PURE_ROOMS, "stays out of pure rooms"));
    }
    findings
}

fn find(file: &TextFile, code: &str, words: &[&str], why: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (index, line) in code.lines().enumerate() {
        for word in words.iter().filter(|word| has_word(line, word)) {
            findings.push(finding(file, index + 1, word, format!("`{word}` {why}")));
        }
    }
    findings
}

/// A note of work to do names its issue, or nobody will find it again.
fn unnumbered(file: &TextFile, comments: &str) -> Vec<Finding> {
    let marks = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("X", "XX")];
    let mut findings = Vec::new();
    for (index, line) in comments.lines().enumerate() {
        let numbered = line.contains(concat!("TO", "DO(#"));
        for mark in marks.iter().filter(|mark| has_word(line, mark) && !numbered) {
            findings.push(finding(file, index + 1, mark, format!("`{mark}` without an issue")));
        }
    }
    findings
}

/// Examples in comments are not compiled (that costs a run of rustdoc for each crate, and again for each gate), so none may
/// look as if it were: what is fenced is text.
fn examples(file: &TextFile, comments: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut inside = false;
    for (index, line) in comments.lines().enumerate() {
        let text = line.trim_start().trim_start_matches(['/', '!']).trim();
        let Some(language) = text.strip_prefix("```") else { continue };
        if !inside && language != "text" {
            let why = "no run compiles an example in a comment: write a test, or fence it as text";
            findings.push(finding(file, index + 1, "example", why.to_owned()));
        }
        inside = !inside;
    }
    findings
}

fn finding(file: &TextFile, line: usize, subject: &str, text: String) -> Finding {
    let (file, subject) = (file.path.clone(), subject.to_owned());
    Finding { file, line, rule: "word", subject, text }
}

fn has_word(line: &str, word: &str) -> bool {
    let joins = |letter: char| letter.is_alphanumeric() || letter == '_';
    line.match_indices(word).any(|(at, _)| {
        let before = line.get(..at).and_then(|text| text.chars().next_back());
        let after = line.get(at + word.len()..).and_then(|text| text.chars().next());
        before.is_none_or(|letter| !joins(letter)) && after.is_none_or(|letter| !joins(letter))
    })
}

#[cfg(test)]
mod tests {
    use super::super::{file, subjects};

    fn check(path: &str, text: &str, expected: &[&str]) {
        assert_eq!(subjects(&super::check(&file(path, text))), expected, "{path}: {text}");
    }

    #[test]
    fn pure_rooms_hold_no_clock_files_or_unordered_maps() {
        check("crates/model/src/a.rs", "use std::collections::HashMap;", &["HashMap"]);
        check(
            "crates/engine/src/a.rs",
            "let t = std::time::Instant::now();",
            &["std::time", "Instant::now"],
        );
        check("crates/node/src/a.rs", "use std::collections::HashMap;", &[]);
        check("crates/model/src/a.rs", "// a HashMap would do\nlet a = \"HashMap\";", &[]);
        check("crates/model/src/a.rs", "struct MyHashMap2;", &[]);
    }

    #[test]
    fn tests_of_pure_rooms_may_use_what_they_like() {
        let tail = "fn a() {}\n#[cfg(test)]\nmod tests {\n    use std::fs;\n}\n";
        check("crates/model/src/a.rs", tail, &[]);
        check("crates/model/tests/a.rs", "use std::fs;", &[]);
    }

    #[test]
    fn an_example_that_nobody_compiles_is_found() {
        check("crates/node/src/a.rs", "//! ```\n//! let a = 1;\n//! ```\n", &["example"]);
        check("crates/node/src/a.rs", "/// ```rust\n/// a()\n/// ```\nfn a() {}", &["example"]);
        check("crates/node/src/a.rs", "//! ```text\n//! a tree\n//! ```\n", &[]);
    }

    #[test]
    fn unfinished_code_is_found_everywhere() {
        check("crates/node/src/a.rs", &format!("fn a() {{ {}!() }}", "todo"), &["todo!"]);
        check("crates/node/src/a.rs", &format!("// {}: later", "TODO"), &["TODO"]);
        check("crates/node/src/a.rs", &format!("// {}(#7): later", "TODO"), &[]);
    }
}
