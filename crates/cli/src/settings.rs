//! Where a node listens and with which token to speak to it.
//!
//! Where that node has `[api_tls]`, its certificate is pinned by the file that stands there.
//!
//! `--node DIR` reads `DIR/node.toml` and `DIR/operator.token`; `--url` with `--token-file` (or `OUTLAST_TOKEN`) reaches
//! a node elsewhere. Without either, the demo's first node is used if there is one here.

use crate::args::Global;
use crate::error::{CommandError, io};
use crate::tls::{self, Server, Trust};
use model::secret::Secret;
use std::path::{Path, PathBuf};

/// Marks a directory as made by `outlast demo`; only such a directory is ever deleted.
pub(crate) const DEMO_MARKER: &str = ".outlast-demo";

/// How to reach a node.
pub(crate) struct Access {
    /// Base address, `http://host:port`.
    pub(crate) url: String,
    /// What tells an https node.
    pub(crate) trust: Option<Trust>,
    /// Bearer token, if any.
    pub(crate) token: Option<Secret<String>>,
    /// What a person should know about the choice.
    pub(crate) note: Option<String>,
}

/// Finds the node that the options name.
pub(crate) fn find(global: &Global) -> Result<Access, CommandError> {
    if let Some(url) = &global.url {
        let token = token_from(global)?;
        let server = match (&global.tls_pin, &global.tls_ca) {
            (Some(pin), _) => Some(Server::Pin(tls::fingerprint(pin)?)),
            (None, Some(ca)) => Some(Server::Ca(ca.clone())),
            (None, None) => None,
        };
        let identity = identity(global)?;
        let trust = server.map(|server| Trust { server, identity });
        return Ok(Access { url: url.clone(), trust, token, note: None });
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
    let trust = match api_certificate(dir)? {
        None => None,
        Some(path) => {
            let server = Server::Pin(tls::fingerprint_of_file(&path)?);
            Some(Trust { server, identity: identity(global)? })
        }
    };
    let scheme = if trust.is_some() { "https" } else { "http" };
    let url = format!("{scheme}://{}", api_address(dir)?);
    let token = match token_from(global)? {
        Some(token) => token,
        None => read_token(&dir.join("operator.token"))?,
    };
    Ok(Access { url, trust, token: Some(token), note: None })
}

fn identity(global: &Global) -> Result<Option<(PathBuf, PathBuf)>, CommandError> {
    match (&global.tls_cert, &global.tls_key) {
        (Some(certificate), Some(key)) => Ok(Some((certificate.clone(), key.clone()))),
        (None, None) => Ok(None),
        _ => Err(CommandError::usage("--tls-cert and --tls-key go together")),
    }
}

/// The certificate under `[api_tls]` of `DIR/node.toml`, if the API speaks TLS.
fn api_certificate(dir: &Path) -> Result<Option<PathBuf>, CommandError> {
    let table = node_toml(dir)?;
    let tls = table.get("api_tls").and_then(toml::Value::as_table);
    let path = tls.and_then(|tls| tls.get("cert")).and_then(toml::Value::as_str);
    Ok(path.map(PathBuf::from))
}

/// The API address in `DIR/node.toml`.
pub(crate) fn api_address(dir: &Path) -> Result<String, CommandError> {
    let table = node_toml(dir)?;
    match table.get("api_listen").and_then(toml::Value::as_str) {
        // A node that listens on every address is reached on this machine's own.
        Some(address) => Ok(address.replace("0.0.0.0:", "127.0.0.1:").replace("[::]:", "[::1]:")),
        None => Err(CommandError::refused(
            "settings",
            format!("{} names no API address", dir.join("node.toml").display()),
        )),
    }
}

fn node_toml(dir: &Path) -> Result<toml::Table, CommandError> {
    let path = dir.join("node.toml");
    let text = std::fs::read_to_string(&path).map_err(|e| {
        io("read", &path)(e)
            .hint("is this a node's directory? `outlast node init --dir DIR` makes one")
    })?;
    text.parse().map_err(|e| {
        CommandError::refused("settings", format!("{} does not read: {e}", path.display()))
    })
}

fn token_from(global: &Global) -> Result<Option<Secret<String>>, CommandError> {
    match (&global.token_file, std::env::var("OUTLAST_TOKEN")) {
        (Some(path), _) => read_token(path).map(Some),
        (None, Ok(token)) if !token.is_empty() => Ok(Some(Secret::new(token))),
        (None, _) => Ok(None),
    }
}

/// How a person calls this program: by its name where the shell found it on its path, else by its place.
pub(crate) fn own_name() -> String {
    let called = std::env::args_os().next().unwrap_or_default();
    let place = match called.as_encoded_bytes().contains(&b'/') {
        true => std::env::current_exe().ok(),
        false => None,
    };
    shell_word(&place.unwrap_or_else(|| PathBuf::from("outlast")).display().to_string())
}

/// A word of a command line that a person may paste into a shell.
pub(crate) fn shell_word(text: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "/._-+:,=@%".contains(letter);
    match !text.is_empty() && text.chars().all(plain) {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\'', "'\\''")),
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
        Global {
            output: crate::args::OutputFormat::Text,
            node: None,
            url: None,
            token_file: None,
            tls_pin: None,
            tls_ca: None,
            tls_cert: None,
            tls_key: None,
        }
    }

    #[test]
    fn words_for_a_shell_are_quoted_where_they_must() {
        let check = |text: &str, wanted: &str| assert_eq!(shell_word(text), wanted);
        check("/usr/bin/outlast", "/usr/bin/outlast");
        check("my demo", "'my demo'");
        check("it's; rm", "'it'\\''s; rm'");
        check("", "''");
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
