//! Every direct dependency is chosen once, in the root manifest, and `docs/dependencies.md` says why.

use super::{Finding, TextFile, manifest};
use std::collections::BTreeSet;

const REASONS: &str = "docs/dependencies.md";

pub(super) fn check(files: &[TextFile]) -> Vec<Finding> {
    let find = |path: &str| files.iter().find(|file| file.path == path);
    let (Some(root), Some(reasons)) = (find("Cargo.toml"), find(REASONS)) else {
        return Vec::new(); // documents.rs names the missing one
    };
    let mut findings = compare(&root.text, &reasons.text);
    findings.extend(files.iter().filter(|file| is_room(&file.path)).flat_map(versions));
    findings
}

fn is_room(path: &str) -> bool {
    path.starts_with("crates/") && path.ends_with("/Cargo.toml")
}

fn compare(root: &str, reasons: &str) -> Vec<Finding> {
    let ours = |key: &str| root.contains(&format!("\n{key} = {{ path = \"crates/"));
    let used: Vec<(usize, &str)> = manifest::keys(root, "workspace.dependencies")
        .into_iter()
        .filter(|(_, key)| !ours(key))
        .collect();
    let explained: Vec<(usize, &str)> = explained(reasons);
    let names = |list: &[(usize, &str)]| -> BTreeSet<String> {
        list.iter().map(|(_, name)| (*name).to_owned()).collect()
    };
    let (used_names, explained_names) = (names(&used), names(&explained));
    let mut findings = Vec::new();
    for (line, name) in used.into_iter().filter(|(_, name)| !explained_names.contains(*name)) {
        findings.push(finding("Cargo.toml", line, name, format!("no line in {REASONS}")));
    }
    for (line, name) in explained.into_iter().filter(|(_, name)| !used_names.contains(*name)) {
        findings.push(finding(REASONS, line, name, "not in the root manifest".to_owned()));
    }
    findings
}

/// Table rows that begin with a name in backquotes and give all four cells.
fn explained(reasons: &str) -> Vec<(usize, &str)> {
    let rows = reasons.lines().enumerate().filter_map(|(index, line)| {
        let cells: Vec<&str> = line.trim().trim_matches('|').split(" | ").map(str::trim).collect();
        let [name, why, keeper, instead] = cells.as_slice() else { return None };
        let name = name.strip_prefix('`')?.strip_suffix('`')?;
        let full = [why, keeper, instead].iter().all(|cell| !cell.is_empty());
        full.then_some((index + 1, name))
    });
    rows.collect()
}

fn versions(file: &TextFile) -> Vec<Finding> {
    let tables = ["dependencies", "dev-dependencies", "build-dependencies"];
    let keys = tables.iter().flat_map(|table| manifest::keys(&file.text, table));
    let loose = keys.filter(|(line, _)| {
        let text = file.text.lines().nth(line.saturating_sub(1)).unwrap_or("");
        !text.contains("workspace = true")
    });
    let report = |(line, key): (usize, &str)| {
        finding(&file.path, line, key, "take it from the workspace".to_owned())
    };
    loose.map(report).collect()
}

fn finding(file: &str, line: usize, subject: &str, text: String) -> Finding {
    let (file, subject) = (file.to_owned(), subject.to_owned());
    Finding { file, line, rule: "dependency", subject, text }
}

#[cfg(test)]
mod tests {
    use super::super::{file, subjects};
    use super::*;

    const ROOT: &str =
        "[workspace.dependencies]\nmodel = { path = \"crates/model\" }\nsha2 = \"1\"\n";

    #[test]
    fn a_dependency_without_a_reason_and_a_reason_without_a_dependency_are_named() {
        let row = |name: &str| format!("| `{name}` | hashes | RustCrypto | ring |\n");
        assert_eq!(subjects(&compare(ROOT, "")), ["sha2"]);
        assert_eq!(subjects(&compare(ROOT, &row("sha2"))), [""; 0]);
        assert_eq!(subjects(&compare(ROOT, &format!("{}{}", row("sha2"), row("ring")))), ["ring"]);
        assert_eq!(subjects(&compare(ROOT, "| `sha2` | hashes |  | ring |\n")), ["sha2"]);
    }

    #[test]
    fn a_room_does_not_choose_a_version() {
        let text = "[dependencies]\na.workspace = true\nb = \"1\"\nc = { workspace = true }\n";
        assert_eq!(subjects(&versions(&file("crates/model/Cargo.toml", text))), ["b"]);
    }
}
