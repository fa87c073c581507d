//! Which room may use which: `model <- middle rooms <- engine <- { node, sim }`, and what `cli` may see.

use super::{Finding, TextFile, manifest};
use std::collections::BTreeSet;

const MIDDLE: &[&str] = &["threshold", "governance", "evidence", "tlog", "chains", "backup"];

/// The rooms that `room` may name in its `[dependencies]`; `None` for a room that the house rules do not know.
fn allowed(room: &str) -> Option<BTreeSet<&'static str>> {
    let mut rooms = BTreeSet::from(["model"]);
    match room {
        "model" | "osrandom" | "xtask" => rooms.clear(),
        middle if MIDDLE.contains(&middle) => {}
        "engine" => rooms.extend(MIDDLE),
        "node" | "sim" => {
            rooms.extend(MIDDLE);
            rooms.extend(["engine", "osrandom"]);
        }
        "cli" => rooms.extend(["governance", "evidence", "tlog", "chains", "backup", "node"]),
        _ => return None,
    }
    Some(rooms)
}

pub(super) fn check(files: &[TextFile]) -> Vec<Finding> {
    let manifests: Vec<&TextFile> =
        files.iter().filter(|file| is_manifest_of_a_room(&file.path)).collect();
    let rooms: BTreeSet<&str> = manifests.iter().filter_map(|file| file.room()).collect();
    manifests.iter().flat_map(|file| check_room(file, &rooms)).collect()
}

fn is_manifest_of_a_room(path: &str) -> bool {
    let parts: Vec<&str> = path.split('/').collect();
    matches!(parts.as_slice(), ["crates", _, "Cargo.toml"])
}

fn check_room(file: &TextFile, rooms: &BTreeSet<&str>) -> Vec<Finding> {
    let room = file.room().unwrap_or("");
    let finding = |line, subject: String, text: String| {
        let file = file.path.clone();
        Finding { file, line, rule: "arrow", subject, text }
    };
    let Some(allowed) = allowed(room) else {
        let text = format!("`{room}` is no room of the house rules: a new crate needs an ADR");
        return vec![finding(0, room.to_owned(), text)];
    };
    let mut keys = manifest::keys(&file.text, "dependencies");
    keys.extend(manifest::keys(&file.text, "build-dependencies"));
    let wrong = keys.into_iter().filter(|(_, key)| rooms.contains(key) && !allowed.contains(key));
    let report = |(line, key): (usize, &str)| {
        finding(line, format!("{room} -> {key}"), format!("`{room}` may not use `{key}`"))
    };
    wrong.map(report).collect()
}

#[cfg(test)]
mod tests {
    use super::super::{file, subjects};
    use super::*;

    fn check(room: &str, uses: &str, expected: &[&str]) {
        let known = ["model", "threshold", "chains", "engine", "node", "cli", "osrandom"];
        let mut files: Vec<TextFile> = known
            .iter()
            .filter(|name| **name != room)
            .map(|name| file(&format!("crates/{name}/Cargo.toml"), "[dependencies]\n"))
            .collect();
        let text = format!("[dependencies]\nserde.workspace = true\n{uses}.workspace = true\n");
        files.push(file(&format!("crates/{room}/Cargo.toml"), &text));
        assert_eq!(subjects(&super::check(&files)), expected, "{room} uses {uses}");
    }

    #[test]
    fn arrows_point_down_only() {
        check("chains", "model", &[]);
        check("chains", "threshold", &["chains -> threshold"]);
        check("model", "chains", &["model -> chains"]);
        check("engine", "threshold", &[]);
        check("engine", "node", &["engine -> node"]);
        check("threshold", "osrandom", &["threshold -> osrandom"]);
        check("node", "engine", &[]);
        check("cli", "node", &[]);
        check("cli", "engine", &["cli -> engine"]);
        check("xtask", "model", &["xtask -> model"]);
        check("helpers", "model", &["helpers"]);
    }

    #[test]
    fn tests_may_look_anywhere() {
        let text = "[dependencies]\n[dev-dependencies]\nmodel.workspace = true\n";
        let files = [file("crates/xtask/Cargo.toml", text), file("crates/model/Cargo.toml", "")];
        assert_eq!(super::check(&files), []);
    }
}
