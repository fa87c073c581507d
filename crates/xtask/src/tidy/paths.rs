//! No tracked file names a folder of somebody's machine.

use super::{Finding, TextFile};

/// Spelled in two parts, so that this file does not name them either.
const FOLDERS: &[&str] = &[
    concat!("/ho", "me/"),
    concat!("/ro", "ot/"),
    concat!("/Us", "ers/"),
    concat!("/t", "mp/"),
    concat!("/wo", "rk/"),
];

pub(super) fn check(file: &TextFile) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (index, line) in file.text.lines().enumerate() {
        for folder in FOLDERS.iter().filter(|folder| names_folder(line, folder)) {
            findings.push(Finding {
                file: file.path.clone(),
                line: index + 1,
                rule: "path",
                subject: (*folder).to_owned(),
                text: format!("names the machine's folder {folder}"),
            });
        }
    }
    findings
}

/// Whether the folder stands there as an absolute path, not inside an address or a longer path.
fn names_folder(line: &str, folder: &str) -> bool {
    line.match_indices(folder).any(|(at, _)| {
        let before = line.get(..at).and_then(|text| text.chars().next_back());
        before.is_none_or(|letter| !(letter.is_alphanumeric() || "._-~}".contains(letter)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absolute_paths_are_found_and_parts_of_longer_ones_are_not() {
        let check = |line: &str, expected| {
            let found = check(&super::super::file("a.md", &line.replace('!', "/")));
            assert_eq!(found.len(), expected, "{line}");
        };
        check("cd !tmp!x", 1);
        check("\"!home!me!x\"", 1);
        check("https:!!example.org!home!x", 0);
        check("${DIR}!tmp!x", 0);
        check("target!tmp!x", 0);
        check("the tmp folder", 0);
    }
}
