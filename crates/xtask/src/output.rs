//! Reads what the test runner prints: which lines a person wants, what was skipped, and the totals.
//!
//! A test that lacks a tool prints `SKIPPED what: why` and passes. The runner hides the output of tests that pass,
//! so it is run with `--show-output`, and this filter hides everything of it but those lines.

use std::collections::BTreeSet;

/// Which part of a test binary's output the next line belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Results,
    PassedOutput(String),
    Failures,
    /// After the output of the failed tests: their names.
    FailedNames,
}

/// The totals of a run and everything that was skipped.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) ignored: u64,
    /// Names of failed tests.
    pub(crate) failures: BTreeSet<String>,
    /// Every `SKIPPED …` line, once.
    pub(crate) skipped: BTreeSet<String>,
    /// Tests that printed such a line; the runner counts them as passed.
    skipping_tests: BTreeSet<(u64, String)>,
    binaries: u64,
}

impl Totals {
    /// The closing line: what only printed SKIPPED does not count as passed.
    pub(crate) fn closing_line(&self) -> String {
        let skipping = u64::try_from(self.skipping_tests.len()).unwrap_or(u64::MAX);
        let passed = self.passed.saturating_sub(skipping);
        let skipped = self.ignored.saturating_add(skipping);
        format!("tests: {passed} passed, {} failed, {skipped} skipped", self.failed)
    }

    /// What failed, in one line that can be the last of a run.
    pub(crate) fn failed_line(&self) -> String {
        let names: Vec<&str> = self.failures.iter().map(String::as_str).collect();
        format!("{} test(s) failed: {}", self.failed, names.join(", "))
    }
}

/// Follows the output of `cargo test -- --show-output` line by line.
#[derive(Debug)]
pub(crate) struct Reader {
    part: Part,
    totals: Totals,
}

impl Reader {
    pub(crate) fn new() -> Self {
        Self { part: Part::Results, totals: Totals::default() }
    }

    /// Takes one line; true when a person should see it.
    pub(crate) fn line(&mut self, line: &str) -> bool {
        if line.starts_with("test result: ") {
            self.part = Part::Results;
            self.totals.binaries = self.totals.binaries.saturating_add(1);
            self.count(line);
            return true;
        }
        match line {
            "successes:" => self.part = Part::PassedOutput(String::new()),
            "failures:" if self.part == Part::Failures => self.part = Part::FailedNames,
            "failures:" => self.part = Part::Failures,
            name if self.part == Part::FailedNames && !name.trim().is_empty() => {
                self.totals.failures.insert(name.trim().to_owned());
            }
            _ => {}
        }
        if let Some(name) = line.strip_prefix("---- ").and_then(|rest| rest.strip_suffix(" ----"))
            && let Part::PassedOutput(test) = &mut self.part
        {
            name.clone_into(test);
        }
        self.skip(line) || !matches!(self.part, Part::PassedOutput(_))
    }

    pub(crate) fn finish(self) -> Totals {
        self.totals
    }

    fn skip(&mut self, line: &str) -> bool {
        if !line.starts_with("SKIPPED ") {
            return false;
        }
        if let Part::PassedOutput(test) = &self.part {
            self.totals.skipping_tests.insert((self.totals.binaries, test.clone()));
        }
        self.totals.skipped.insert(line.to_owned())
    }

    fn count(&mut self, line: &str) {
        for part in line.split([';', '.']) {
            let mut words = part.split_whitespace();
            let (Some(number), Some(what)) = (words.next(), words.next()) else { continue };
            let Ok(number) = number.parse::<u64>() else { continue };
            let total = match what {
                "passed" => &mut self.totals.passed,
                "failed" => &mut self.totals.failed,
                "ignored" => &mut self.totals.ignored,
                _ => continue,
            };
            *total = total.saturating_add(number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = "\
running 3 tests
test a ... ok
test b ... ok
test c ... ignored

successes:

---- a stdout ----
chatter
SKIPPED anvil: OUTLAST_ANVIL is not set
SKIPPED anvil: OUTLAST_ANVIL is not set

successes:
    a
    b

test result: ok. 2 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s

running 1 test
test d ... FAILED

failures:

---- d stdout ----
left is not right

failures:
    d

test result: FAILED. 0 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s
";

    fn read(text: &str) -> (Vec<String>, Totals) {
        let mut reader = Reader::new();
        let shown = text.lines().filter(|line| reader.line(line)).map(str::to_owned).collect();
        (shown, reader.finish())
    }

    #[test]
    fn output_of_passing_tests_is_hidden_and_of_failing_tests_shown() {
        let (shown, _) = read(OUTPUT);
        assert!(!shown.contains(&"chatter".to_owned()));
        assert!(shown.contains(&"left is not right".to_owned()));
        assert!(shown.contains(&"test d ... FAILED".to_owned()));
    }

    #[test]
    fn a_skip_is_shown_once_and_its_test_is_not_counted_as_passed() {
        let (shown, totals) = read(OUTPUT);
        assert_eq!(shown.iter().filter(|line| line.starts_with("SKIPPED")).count(), 1);
        assert_eq!(totals.skipped.len(), 1);
        assert_eq!(totals.closing_line(), "tests: 1 passed, 1 failed, 2 skipped");
    }

    #[test]
    fn totals_add_up_over_binaries() {
        let (_, totals) = read(OUTPUT);
        assert_eq!((totals.passed, totals.failed, totals.ignored), (2, 1, 1));
    }

    #[test]
    fn the_closing_lines_name_what_failed() {
        let second = OUTPUT
            .replace("---- d stdout", "---- rooms::e stdout")
            .replace("    d\n", "    rooms::e\n");
        let (_, totals) = read(&format!("{OUTPUT}{second}"));
        assert_eq!(totals.failed_line(), "2 test(s) failed: d, rooms::e");
    }
}
