//! Steps of our specifications: each tag in a comment stands in `docs/spec`, and each step there in some comment.
//!
//! A tag is capitals, a hyphen and a number (`DKG-3`, `ED-DERIVE-1`). A page defines a step where the tag stands in
//! bold, `**DKG-3**`; elsewhere on a page it is a mention. Tags of other people's standards are no steps of ours.

use super::source;
use super::{Finding, TextFile};
use std::collections::BTreeMap;

/// Prefixes of foreign standards and names that look like tags.
const FOREIGN: &[&str] = &[
    "AES", "ALPN", "ARGON", "BASE", "BIP", "BLAKE", "CAIP", "CVE", "CWE", "EIP", "ERC", "FIPS",
    "GHSA", "HKDF", "HMAC", "IEEE", "ISO", "KMAC", "ML-DSA", "ML-KEM", "NIST", "PBKDF", "PKCS",
    "RFC", "RUSTSEC", "SEC", "SHA", "SLIP", "SP", "TLS", "UTF", "X",
];

#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    file: String,
    line: usize,
}

pub(super) fn check(files: &[TextFile]) -> Vec<Finding> {
    let mut defined: BTreeMap<String, Place> = BTreeMap::new();
    let mut used: BTreeMap<String, Place> = BTreeMap::new();
    let mut findings = Vec::new();
    for file in files.iter().filter(|file| is_spec(&file.path)) {
        for (tag, place) in definitions(file) {
            if let Some(first) = defined.insert(tag.clone(), place.clone()) {
                let text = format!("`{tag}` is defined in {} too", first.file);
                findings.push(finding(&place, &tag, text));
            }
        }
    }
    for file in files.iter().filter(|file| is_code(file)) {
        for (tag, place) in mentions(file) {
            used.entry(tag).or_insert(place);
        }
    }
    for (tag, place) in used.iter().filter(|(tag, _)| !defined.contains_key(*tag)) {
        findings.push(finding(place, tag, format!("`{tag}` is no step of a page in docs/spec")));
    }
    for (tag, place) in defined.iter().filter(|(tag, _)| !used.contains_key(*tag)) {
        findings.push(finding(place, tag, format!("no comment in the code bears `{tag}`")));
    }
    findings
}

fn is_spec(path: &str) -> bool {
    path.starts_with("docs/spec/") && path.ends_with(".md")
}

/// The task runner explains tags and so names some that are no steps.
fn is_code(file: &TextFile) -> bool {
    file.is_rust() && file.room().is_some_and(|room| room != "xtask")
}

fn finding(place: &Place, tag: &str, text: String) -> Finding {
    let Place { file, line } = place.clone();
    Finding { file, line, rule: "tag", subject: tag.to_owned(), text }
}

fn definitions(file: &TextFile) -> Vec<(String, Place)> {
    let mut found = Vec::new();
    for (index, line) in file.text.lines().enumerate() {
        // Every second piece between `**` is bold.
        for bold in line.split("**").skip(1).step_by(2) {
            for tag in tags(bold) {
                found.push((tag, Place { file: file.path.clone(), line: index + 1 }));
            }
        }
    }
    found
}

fn mentions(file: &TextFile) -> Vec<(String, Place)> {
    let comments = source::split(source::without_test_tail(&file.text)).comments;
    let mut found = Vec::new();
    for (index, line) in comments.lines().enumerate() {
        for tag in tags(line) {
            found.push((tag, Place { file: file.path.clone(), line: index + 1 }));
        }
    }
    found
}

/// The tags in a line, without those of foreign standards.
fn tags(line: &str) -> Vec<String> {
    let part = |letter: char| !(letter.is_ascii_alphanumeric() || letter == '-' || letter == '_');
    let own = line.split(part).filter(|word| is_tag(word)).map(str::to_owned);
    own.collect()
}

fn is_tag(word: &str) -> bool {
    let Some((prefix, number)) = word.rsplit_once('-') else { return false };
    let named = prefix.len() > 1
        && prefix.starts_with(|letter: char| letter.is_ascii_uppercase())
        && prefix
            .chars()
            .all(|letter| letter.is_ascii_uppercase() || letter.is_ascii_digit() || letter == '-');
    let numbered = !number.is_empty() && number.chars().all(|letter| letter.is_ascii_digit());
    let family = prefix.trim_end_matches(|letter: char| letter.is_ascii_digit());
    let foreign = FOREIGN
        .iter()
        .any(|name| prefix == *name || family == *name || prefix.starts_with(&format!("{name}-")));
    named && numbered && !foreign
}

#[cfg(test)]
mod tests {
    use super::super::{file, subjects};
    use super::*;

    fn check(code: &str, page: &str, expected: &[&str]) {
        let files = [file("crates/threshold/src/a.rs", code), file("docs/spec/dkg.md", page)];
        assert_eq!(subjects(&super::check(&files)), expected, "{code} / {page}");
    }

    #[test]
    fn code_and_page_name_the_same_steps() {
        check("// DKG-1: commit", "**DKG-1** commit", &[]);
        check("// DKG-1, DKG-2: both", "- **DKG-1** a\n- **DKG-2** b", &[]);
        check("// DKG-1: commit", "", &["DKG-1"]);
        check("", "**DKG-1** commit", &["DKG-1"]);
        check("let a = \"DKG-1\";", "**DKG-1** commit", &["DKG-1"]);
    }

    #[test]
    fn a_step_is_defined_once_and_mentioned_freely() {
        check("// DKG-1", "**DKG-1** commit, see DKG-7 later", &[]);
        check("// DKG-1", "**DKG-1** commit\n**DKG-1** again", &["DKG-1"]);
    }

    #[test]
    fn tags_of_other_standards_are_not_ours() {
        let check = |word, expected| assert_eq!(is_tag(word), expected, "{word}");
        check("ED-DERIVE-1", true);
        check("SIGN-12", true);
        check("BIP-340", false);
        check("EIP-1559", false);
        check("SHA3-256", false);
        check("ML-KEM-768", false);
        check("UTF-8", false);
        check("CVE-2023-33241", false);
        check("two-2", false);
        check("DKG-n", false);
        check("2-3", false);
    }
}
