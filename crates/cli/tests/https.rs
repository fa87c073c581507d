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
    let child = run_with_tls(dir);
    let port = node.api.rsplit_once(':').unwrap().1.to_owned();
    (node, child, port)
}

/// Runs a node whose API speaks TLS, and unseals it.
fn run_with_tls(dir: &Path) -> Killed {
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
    child
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

/// A tool with a client certificate, and none but the server's CA to trust.
fn tool_agent() -> ureq::Agent {
    let read = |name: &str| std::fs::read(file(name)).unwrap();
    let certificate = |name: &str| ureq::tls::Certificate::from_pem(&read(name)).unwrap();
    let key = ureq::tls::PrivateKey::from_pem(&read("client.key")).unwrap();
    let shown = ureq::tls::ClientCert::new_with_certs(&[certificate("client.pem")], key);
    let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = ureq::tls::TlsConfig::builder()
        .root_certs(ureq::tls::RootCerts::new_with_certs(&[certificate("ca.pem")]))
        .client_cert(Some(shown))
        .unversioned_rustls_crypto_provider(provider)
        .build();
    let config = ureq::Agent::config_builder().tls_config(tls).proxy(None);
    config.http_status_as_error(false).build().new_agent()
}

/// The door that existing tools use, with no key in its address: the certificate is the key.
#[test]
fn json_rpc_with_a_client_certificate_signs_for_the_vault_of_that_client() {
    let cluster = nodes::Cluster::start(|_| {});
    let node = &cluster.nodes[0];
    let client = json!({ "name": "mtls", "vaults": [cluster.vault], "tls_key": CLIENT_KEY });
    assert_eq!(node.post("/v1/clients", &client).0, 200);
    node.stop();
    let toml = node.dir.join("node.toml");
    let [cert, key, ca] = ["server.pem", "server.key", "ca.pem"].map(file);
    let mut settings = std::fs::read_to_string(&toml).unwrap();
    settings
        .push_str(&format!("\n[api_tls]\ncert = {cert:?}\nkey = {key:?}\nclient_ca = {ca:?}\n"));
    std::fs::write(&toml, settings).unwrap();
    let _child = run_with_tls(&node.dir);
    let agent = tool_agent();
    let port = node.api.rsplit_once(':').unwrap().1;
    let url = format!("https://localhost:{port}/rpc");
    let call = |method: &str, params: Value| -> Value {
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let asked = agent.post(&url).header("content-type", "application/json");
        let text = asked.send(body.to_string()).unwrap().body_mut().read_to_string().unwrap();
        serde_json::from_str(&text).unwrap_or_else(|_| json!(text))
    };
    let accounts = call("eth_accounts", json!([]));
    let account = accounts["result"][0].as_str().unwrap_or_else(|| panic!("{accounts}"));
    let address = cluster.nodes[1]
        .get(&format!("/v1/vaults/{}/address?network=evm:1&path=m/44/60/0/0/0", cluster.vault));
    assert_eq!(address["address"], account);
    assert!(call("health_status", json!([]))["result"].is_string());
    let signature = wait_for("a signature", || {
        let answer = call("personal_sign", json!(["0x68656c6c6f", account]));
        answer["result"].as_str().map(str::to_owned)
    });
    assert_eq!(signer_of(b"hello", &signature), account);
}

/// The address whose key signed a personal message.
fn signer_of(text: &[u8], signature: &str) -> String {
    use secp256k1::ecdsa::{RecoverableSignature, RecoveryId};
    let bytes = hex::decode(signature.trim_start_matches("0x")).unwrap();
    let head = format!("\x19Ethereum Signed Message:\n{}", text.len());
    let digest = alloy_primitives::keccak256([head.as_bytes(), text].concat());
    let id = RecoveryId::from_i32(i32::from(bytes[64]) - 27).unwrap();
    let signature = RecoverableSignature::from_compact(&bytes[..64], id).unwrap();
    let message = secp256k1::Message::from_digest(digest.0);
    let secp = secp256k1::Secp256k1::verification_only();
    let key = secp.recover_ecdsa(&message, &signature).unwrap().serialize_uncompressed();
    alloy_primitives::Address::from_slice(&alloy_primitives::keccak256(&key[1..])[12..]).to_string()
}
