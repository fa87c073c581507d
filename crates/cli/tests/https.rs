//! The command line reaches a real node whose API speaks TLS: by the directory, by a pin, by a CA, with and without a client
//! certificate. A wrong certificate, or one side in clear, ends by name before a token leaves.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails"
)]

#[path = "support/nodes.rs"]
mod nodes;

use node::home::{ApiTlsSettings, read_settings};
use nodes::{Node, PASSPHRASE, outlast, wait_for};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

/// `openssl x509 -in server.pem -noout -fingerprint -sha256`.
const PIN: &str = concat!(
    "82:79:E2:E0:52:F4:36:3D:C2:44:D4:DC:CC:77:B1:80:",
    "F0:8D:D7:15:67:08:9D:C8:2F:1D:44:8D:34:24:5F:37"
);
/// SHA-256 of the public key of `client.pem`, by openssl.
const CLIENT_KEY: &str = "680ef9aab61b7fb6575e4bd054a07db06a2b6f088a924b2881e3b23049c90a27";

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../node/testdata/tls").join(name)
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ended_before = self.0.kill();
        let _status = self.0.wait();
    }
}

/// Exit code and JSON of one command.
fn said(args: &[&str]) -> (i32, Value) {
    let output = outlast()
        .env_remove("OUTLAST_TLS_PIN")
        .args(["--output", "json"])
        .args(args)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let shown = if output.stdout.is_empty() { &output.stderr } else { &output.stdout };
    let value = serde_json::from_slice(shown);
    let value = value.unwrap_or_else(|_| json!(String::from_utf8_lossy(shown)));
    (output.status.code().unwrap_or(-1), value)
}

fn refused(args: &[&str], exit: i32, code: &str) {
    let (status, answer) = said(args);
    assert_eq!((status, &answer["error"]["code"]), (exit, &json!(code)), "{args:?}: {answer}");
    assert!(answer["error"]["hint"].is_string(), "no next step: {answer}");
}

/// A node that was unsealed over TLS.
fn start(dir: &Path) -> (Node, Killed, String) {
    let node = Node::create(dir, "tls", |settings| {
        settings.api_tls = Some(ApiTlsSettings {
            cert: file("server.pem"),
            key: file("server.key"),
            client_ca: Some(file("ca.pem")),
        });
    });
    // The file that `init` writes names no TLS: an operator adds the table.
    let path = dir.join("node.toml");
    let mut toml = std::fs::read_to_string(&path).unwrap();
    if read_settings(dir).unwrap().api_tls.is_none() {
        let [cert, key, ca] = ["server.pem", "server.key", "ca.pem"].map(file);
        toml.push_str(&format!(
            "\n[api_tls]\ncert = {:?}\nkey = {:?}\nclient_ca = {:?}\n",
            text(&cert),
            text(&key),
            text(&ca)
        ));
        std::fs::write(&path, toml).unwrap();
    }
    let log = std::fs::File::create(dir.join("node.log")).unwrap();
    let mut command = outlast();
    command.args(["node", "run", "--dir", text(dir)]).stdin(Stdio::null());
    let child = command.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
    let child = Killed(child);
    let place = ["--node", text(dir)];
    wait_for("API", || {
        let (_, answer) = said(&[&place[..], &["node", "status"]].concat());
        (answer["error"]["code"] == "sealed").then_some(())
    });
    let secret = dir.join("passphrase");
    std::fs::write(&secret, PASSPHRASE).unwrap();
    let mut unseal = outlast();
    unseal.args(place).args(["node", "unseal"]).env("OUTLAST_PASSPHRASE_FILE", &secret);
    let unsealed = unseal.stdin(Stdio::null()).output().unwrap();
    assert!(unsealed.status.success(), "{}", String::from_utf8_lossy(&unsealed.stderr));
    let port = node.api.rsplit_once(':').unwrap().1.to_owned();
    (node, child, port)
}

#[test]
fn a_node_with_tls_is_reached_by_its_certificate_alone() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("node");
    let (node, _child, port) = start(&dir);
    let token = dir.join("operator.token");
    let (ca, client, key) = (file("ca.pem"), file("client.pem"), file("client.key"));
    let (ca, client, key, token) = (text(&ca), text(&client), text(&key), text(&token));
    let (by_address, by_name) =
        (format!("https://{}", node.api), format!("https://localhost:{port}"));
    let done = |args: &[&str]| {
        let (status, answer) = said(args);
        assert_eq!(status, 0, "{args:?}: {answer}");
        answer
    };
    let status = ["node", "status"];
    done(&[&["--node", text(&dir)][..], &status].concat());
    let pinned = ["--url", &by_address, "--tls-pin", PIN, "--token-file", token];
    done(&[&pinned[..], &status].concat());
    let by_ca = ["--url", &by_name, "--tls-ca", ca, "--token-file", token];
    done(&[&by_ca[..], &status].concat());

    // A client certificate is a service key.
    let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let root = ureq::tls::Certificate::from_pem(&std::fs::read(ca).unwrap()).unwrap();
    let tls = ureq::tls::TlsConfig::builder()
        .root_certs(ureq::tls::RootCerts::new_with_certs(&[root]))
        .unversioned_rustls_crypto_provider(provider)
        .build();
    let agent = ureq::Agent::config_builder().tls_config(tls).proxy(None).build().new_agent();
    let body = json!({ "name": "shop", "vaults": [], "tls_key": CLIENT_KEY }).to_string();
    let made = agent
        .post(format!("{by_name}/v1/clients"))
        .header("authorization", format!("Bearer {}", node.token))
        .send(body.as_bytes());
    assert_eq!(made.unwrap().status(), 200);
    let vaults = ["vault", "list"];
    let shown = ["--url", &by_address, "--tls-pin", PIN, "--tls-cert", client, "--tls-key", key];
    assert_eq!(done(&[&shown[..], &vaults].concat()), json!([]));
    let nothing_shown = ["--url", &by_address, "--tls-pin", PIN];
    refused(&[&nothing_shown[..], &vaults].concat(), 1, "unauthorized");

    // What is wrong has a name, and nothing is sent.
    let wrong_pin = "11".repeat(32);
    let wrong = ["--url", &by_address, "--tls-pin", &wrong_pin, "--token-file", token];
    refused(&[&wrong[..], &status].concat(), 1, "tls_wrong_certificate");
    let other_host = ["--url", &by_address, "--tls-ca", ca, "--token-file", token];
    refused(&[&other_host[..], &status].concat(), 1, "tls_untrusted");
    let other_ca = ["--url", &by_name, "--tls-ca", client, "--token-file", token];
    refused(&[&other_ca[..], &status].concat(), 1, "tls_untrusted");
    let no_pin = ["--url", &by_address, "--token-file", token];
    refused(&[&no_pin[..], &status].concat(), 2, "usage");
    let plain = format!("http://{}", node.api);
    refused(&[&["--url", &plain, "--token-file", token][..], &status].concat(), 3, "no_http");
}

#[test]
fn https_to_a_port_in_clear_says_so() {
    let home = tempfile::tempdir().unwrap();
    let node = Node::create(&home.path().join("plain"), "plain", |_| {});
    node.start();
    let url = format!("https://{}", node.api);
    refused(&["--url", &url, "--tls-pin", PIN, "node", "status"], 3, "tls_not_spoken");
}
