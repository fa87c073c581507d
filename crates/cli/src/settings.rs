//! Where a node listens and with which token to speak to it.
//!
//! `--node DIR` reads `DIR/node.toml` and `DIR/operator.token`; `--url` with `--token-file` (or `OUTLAST_TOKEN`) reaches
//! a node elsewhere. Without either, the demo's first node is used if there is one here.

use crate::args::Global;
use crate::error::{CommandError, io};
use model::secret::Secret;
use std::path::{Path, PathBuf};

/// Marks a directory as made by `outlast demo`; only such a directory is ever deleted.
pub(crate) const DEMO_MARKER: &str = ".outlast-demo";

/// How to reach a node.
pub(crate) struct Access {
    /// Base address, `http://host:port`.
    pub(crate) url: String,
    /// Bearer token, if any.
    pub(crate) token: Option<Secret<String>>,
    /// What a person should know about the choice.
    pub(crate) note: Option<String>,
}

/// Finds the node that the options name.
pub(crate) fn find(global: &Global) -> Result<Access, CommandError> {
    if let Some(url) = &global.url {
        let token = token_from(global)?;
        return Ok(Access { url: url.clone(), token, note: None });
    }
    if let Some(dir) = &global.node {
        return from_directory(dir, global);
    }
    let demo = PathBuf::from("outlast-demo");
    if demo.join(DEMO_MARKER).is_file() {
        let dir = demo.join("a");
        let note = format!("(no --node given: asking node A of the demo, {})", dir.display());
        return Ok(Access { note: Some(note), ..from_directory(&dir, global)? });
    }
    Err(CommandError::usage("which node? neither --node nor --url is given")
        .hint("add --node DIR (the directory of `outlast node init`) or set OUTLAST_NODE"))
}

fn from_directory(dir: &Path, global: &Global) -> Result<Access, CommandError> {
    let url = format!("http://{}", api_address(dir)?);
    let token = match token_from(global)? {
        Some(token) => token,
        None => read_token(&dir.join("operator.token"))?,
    };
    Ok(Access { url, token: Some(token), note: None })
}

/// The API address in `DIR/node.toml`.
pub(crate) fn api_address(dir: &Path) -> Result<String, CommandError> {
    let path = dir.join("node.toml");
    let text = std::fs::read_to_string(&path).map_err(|e| {
        io("read", &path)(e)
            .hint("is this a node's directory? `outlast node init --dir DIR` makes one")
    })?;
    let table: toml::Table = text.parse().map_err(|e| {
        CommandError::refused("settings", format!("{} does not read: {e}", path.display()))
    })?;
    match table.get("api_listen").and_then(toml::Value::as_str) {
        // A node that listens on every address is reached on this machine's own.
        Some(address) => Ok(address.replace("0.0.0.0:", "127.0.0.1:").replace("[::]:", "[::1]:")),
        None => Err(CommandError::refused(
            "settings",
            format!("{} names no API address", path.display()),
        )),
    }
}

fn token_from(global: &Global) -> Result<Option<Secret<String>>, CommandError> {
    match (&global.token_file, std::env::var("OUTLAST_TOKEN")) {
        (Some(path), _) => read_token(path).map(Some),
        (None, Ok(token)) if !token.is_empty() => Ok(Some(Secret::new(token))),
        (None, _) => Ok(None),
    }
}

/// Reads a token file: one line.
pub(crate) fn read_token(path: &Path) -> Result<Secret<String>, CommandError> {
    let text = Secret::new(std::fs::read_to_string(path).map_err(io("read", path))?);
    Ok(Secret::new(text.expose().trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn global() -> Global {
        Global { output: crate::args::OutputFormat::Text, node: None, url: None, token_file: None }
    }

    #[test]
    fn a_directory_gives_address_and_token() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("node.toml"), "api_listen = \"0.0.0.0:7111\"\n").unwrap();
        std::fs::write(dir.path().join("operator.token"), "secret\n").unwrap();
        let access = find(&Global { node: Some(dir.path().into()), ..global() }).unwrap();
        assert_eq!(access.url, "http://127.0.0.1:7111");
        assert_eq!(access.token.unwrap().expose(), "secret");
    }

    #[test]
    fn a_directory_that_is_no_nodes_is_refused_with_a_hint() {
        let dir = tempfile::tempdir().unwrap();
        let found = find(&Global { node: Some(dir.path().into()), ..global() });
        let error = found.err().unwrap();
        assert_eq!(error.kind.exit_code(), 1);
        assert!(error.hint.unwrap().contains("node init"));
    }
}
