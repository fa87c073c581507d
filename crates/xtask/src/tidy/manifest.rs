//! The few lines of a `Cargo.toml` that tidy reads: the keys of a table.

/// The keys of `[table]` with their line numbers, counted from 1.
pub(super) fn keys<'a>(manifest: &'a str, table: &str) -> Vec<(usize, &'a str)> {
    let mut inside = false;
    let mut keys = Vec::new();
    for (index, line) in manifest.lines().enumerate() {
        let line = line.trim();
        if let Some(name) = line.strip_prefix('[') {
            inside = name.strip_suffix(']') == Some(table);
            continue;
        }
        let key = line.split(['=', '.', ' ']).next().unwrap_or("").trim_matches('"');
        if inside && !key.is_empty() && !line.starts_with('#') && line.contains('=') {
            keys.push((index + 1, key));
        }
    }
    keys
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_keys_of_the_asked_table_are_listed() {
        let text =
            "[a]\nx = 1\n\n[b]\n# c = 2\ny.workspace = true\n\"z\" = { v = 1 }\n[b.c]\nw = 1\n";
        assert_eq!(keys(text, "b"), [(6, "y"), (7, "z")]);
        assert_eq!(keys(text, "a"), [(2, "x")]);
        assert_eq!(keys(text, "c"), []);
    }
}
