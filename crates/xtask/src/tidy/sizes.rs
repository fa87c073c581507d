//! How long files, functions and lines may be.

use super::source::{self, Split};
use super::{Finding, TextFile};

const FILE_LINES: usize = 500;
const FUNCTION_LINES: usize = 70;
const LINE_COLUMNS: usize = 100;
/// Prose in comments may run to the width that the module heads of this tree use.
const COMMENT_COLUMNS: usize = 130;

/// Files and functions without their tests, and every line.
pub(super) fn check(file: &TextFile) -> Vec<Finding> {
    let mut findings = long_lines(file);
    if file.is_test() {
        return findings;
    }
    let body = source::without_test_tail(&file.text);
    let lines = body.lines().count();
    if lines > FILE_LINES {
        findings.push(finding(file, 0, "file", format!("{lines} lines, limit {FILE_LINES}")));
    }
    for function in functions(&source::split(body).code) {
        if function.lines > FUNCTION_LINES {
            let text =
                format!("fn {}: {} lines, limit {FUNCTION_LINES}", function.name, function.lines);
            findings.push(finding(file, function.line, &function.name, text));
        }
    }
    findings
}

fn finding(file: &TextFile, line: usize, subject: &str, text: String) -> Finding {
    let (file, subject) = (file.path.clone(), subject.to_owned());
    Finding { file, line, rule: "size", subject, text }
}

/// In tests a long literal (a vector, a transaction) may stand on one line; the code around it may not be long.
fn long_lines(file: &TextFile) -> Vec<Finding> {
    let Split { code, .. } = source::split(&file.text);
    let body_lines = source::without_test_tail(&file.text).lines().count();
    let lines = file.text.lines().zip(code.lines()).enumerate();
    let long = lines.filter_map(|(index, (line, code))| {
        let in_test = file.is_test() || index >= body_lines;
        let (columns, limit) = match (code.trim().is_empty(), in_test) {
            (true, _) => (line.chars().count(), COMMENT_COLUMNS),
            (false, true) => (without_gaps(code), LINE_COLUMNS),
            (false, false) => (line.chars().count(), LINE_COLUMNS),
        };
        let text = format!("{columns} columns, limit {limit}");
        (columns > limit).then(|| finding(file, index + 1, "line", text))
    });
    long.collect()
}

/// The width of code whose literals are blank: the indent, and the words with single spaces.
fn without_gaps(code: &str) -> usize {
    let indent = code.len() - code.trim_start().len();
    let words: usize = code.split_whitespace().map(|word| word.chars().count() + 1).sum();
    (indent + words).saturating_sub(1)
}

#[derive(Debug, PartialEq, Eq)]
struct Function {
    name: String,
    line: usize,
    lines: usize,
}

/// Every function with a body, from its `fn` to its closing brace.
fn functions(code: &str) -> Vec<Function> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("fn ") {
        let before = code.get(..at).unwrap_or("");
        if before
            .chars()
            .next_back()
            .is_some_and(|letter| letter.is_alphanumeric() || letter == '_')
        {
            continue;
        }
        let rest = code.get(at..).unwrap_or("");
        let name: String = rest
            .chars()
            .skip(3)
            .take_while(|letter| letter.is_alphanumeric() || *letter == '_')
            .collect();
        if let (false, Some(body)) = (name.is_empty(), body_end(rest)) {
            let lines = rest.get(..body).unwrap_or("").lines().count();
            found.push(Function { name, line: before.matches('\n').count() + 1, lines });
        }
    }
    found
}

/// Where the body that starts in `text` ends; `None` for a declaration without one.
fn body_end(text: &str) -> Option<usize> {
    let mut braces = 0_usize;
    let mut brackets = 0_usize;
    for (at, letter) in text.char_indices() {
        match letter {
            '(' | '[' => brackets += 1,
            ')' | ']' => brackets = brackets.saturating_sub(1),
            ';' if braces == 0 && brackets == 0 => return None,
            '{' => braces += 1,
            '}' => {
                braces = braces.saturating_sub(1);
                if braces == 0 {
                    return Some(at + 1);
                }
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::super::{file, subjects};
    use super::*;

    fn function_of(lines: usize) -> String {
        format!("fn long() {{\n{}}}\n", "    a();\n".repeat(lines - 2))
    }

    #[test]
    fn a_function_over_the_limit_is_named() {
        let check = |lines, expected: &[&str]| {
            let found = check(&file("crates/model/src/a.rs", &function_of(lines)));
            assert_eq!(subjects(&found), expected, "{lines} lines");
        };
        check(FUNCTION_LINES, &[]);
        check(FUNCTION_LINES + 1, &["long"]);
    }

    #[test]
    fn a_file_is_measured_without_its_test_tail() {
        let body = "const A: u8 = 0;\n".repeat(FILE_LINES);
        let tail = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", "// x\n".repeat(200));
        assert!(check(&file("crates/model/src/a.rs", &format!("{body}{tail}"))).is_empty());
        let longer = format!("{body}const B: u8 = 0;\n{tail}");
        assert_eq!(subjects(&check(&file("crates/model/src/a.rs", &longer))), ["file"]);
        assert!(check(&file("crates/model/tests/a.rs", &longer)).is_empty());
    }

    #[test]
    fn code_lines_end_at_100_columns_and_comment_lines_later() {
        let check = |line: &str, expected: usize| {
            let found = check(&file("crates/model/src/a.rs", line));
            assert_eq!(found.len(), expected, "{} columns", line.len());
        };
        check(&format!("let a = {}", "b".repeat(92)), 0);
        check(&format!("let a = {}", "b".repeat(93)), 1);
        check(&format!("/// {}", "b".repeat(126)), 0);
        check(&format!("/// {}", "b".repeat(127)), 1);
    }

    #[test]
    fn a_long_literal_is_let_pass_in_tests_only() {
        let line = format!("let a = \"{}\";", "b".repeat(150));
        let check = |path: &str, text: &str, expected: usize| {
            assert_eq!(check(&file(path, text)).len(), expected, "{path}");
        };
        check("crates/model/src/a.rs", &line, 1);
        check("crates/model/tests/a.rs", &line, 0);
        check("crates/model/src/a.rs", &format!("#[cfg(test)]\nmod t {{\n{line}\n}}\n"), 0);
        check("crates/model/tests/a.rs", &format!("let a = {};", "b".repeat(150)), 1);
    }

    #[test]
    fn a_declaration_without_a_body_does_not_swallow_the_next_function() {
        let code = "trait T { fn a(x: [u8; 2]) -> u8; }\nfn b() {\n}\n";
        let b = Function { name: "b".to_owned(), line: 2, lines: 2 };
        assert_eq!(functions(code), [b]);
        assert_eq!(functions("let f: fn (u8) = g; // no name"), []);
    }
}
