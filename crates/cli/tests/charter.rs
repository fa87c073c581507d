//! `outlast charter` as people and programs call it, with the real `ssh-keygen`: a charter is made from a template, checked,
//! read, signed by governors and nodes, and a stranger's key or a changed byte is refused.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use model::card::NodeCard;
use model::secret::Secret;
use node::home::{Home, InitOptions, Settings};
use node::seal::{PassphraseCost, SealWith};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

const PASSPHRASE: &str = "a passphrase for tests";

struct Desk {
    dir: tempfile::TempDir,
}

impl Desk {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("passphrase"), PASSPHRASE).unwrap();
        Self { dir }
    }
    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }
    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }
    fn outlast(&self, line: &str) -> Output {
        self.run(line.split_whitespace())
    }
    fn run<'a>(&self, words: impl IntoIterator<Item = &'a str>) -> Output {
        Command::new(env!("CARGO_BIN_EXE_outlast"))
            .arg("charter")
            .args(words)
            .current_dir(self.dir.path())
            .env("OUTLAST_PASSPHRASE_FILE", self.path("passphrase"))
            .env_remove("OUTLAST_NODE")
            .env_remove("SSH_AUTH_SOCK")
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }
    fn json(&self, line: &str, exit: i32) -> serde_json::Value {
        let output = self.outlast(&format!("{line} --output json"));
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(exit), "{line}: {told}");
        let bytes = if output.stdout.is_empty() { &output.stderr } else { &output.stdout };
        serde_json::from_slice(bytes).unwrap()
    }
    fn words(&self, line: &str, exit: i32) -> String {
        let output = self.outlast(line);
        let all = [output.stdout, output.stderr].concat();
        let all = String::from_utf8(all).unwrap();
        assert_eq!(output.status.code(), Some(exit), "{line}: {all}");
        all
    }
    fn ssh_key(&self, name: &str) -> String {
        let made = Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-C", name, "-f"])
            .arg(self.path(name))
            .status()
            .unwrap();
        assert!(made.success());
        self.read(&format!("{name}.pub")).trim().to_owned()
    }
    fn node(&self, name: &str) -> NodeCard {
        let address = |port: u16| std::net::SocketAddr::from(([127, 0, 0, 1], port));
        let mut settings = Settings::new("Team Ltd", address(7100), "", address(7111));
        settings.test_home = true;
        let passphrase = Secret::new(PASSPHRASE.to_owned());
        let seal = SealWith::Passphrase { passphrase, cost: PassphraseCost::TEST };
        let card = Home::create(&self.path(name), &InitOptions { settings, seal }).unwrap();
        self.write(&format!("{name}.card"), &card.to_text());
        card
    }
    /// A test vault of one company, signed by nobody.
    fn solo(&self, file: &str) {
        let keys = ["first", "second"].map(|name| format!("ssh:{name}={}", self.ssh_key(name)));
        for name in ["n1", "n2", "n3"] {
            self.node(name);
        }
        let mut words = vec!["new", "--template", "solo-team", "--out", file];
        words.extend(["--cards", "n1.card", "n2.card", "n3.card"]);
        for answer in ["vault=Petty cash", "owner=Team Ltd", "country:team=FI", &keys[0], &keys[1]]
        {
            words.extend(["--set", answer]);
        }
        let output = self.run(words);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn a_charter_is_made_read_and_signed_by_everybody() {
    let desk = Desk::new();
    desk.solo("c.toml");
    let checked = desk.json("check c.toml", 0);
    assert_eq!(checked["holds"], true, "{checked}");
    let id = checked["charter"].as_str().unwrap().to_owned();
    let shown = desk.json("show c.toml", 0);
    assert_eq!(shown["charter"], id.as_str());
    assert_eq!(shown["content"]["name"], "Petty cash");
    assert_eq!(shown["words"].as_str().unwrap().split(' ').count(), 6);
    // The canonical text is a charter file itself, with the same id.
    desk.write("again.toml", shown["text"].as_str().unwrap());
    assert_eq!(desk.json("check again.toml", 0)["charter"], id.as_str());
    assert!(desk.words("review c.toml", 0).contains("One company alone holds enough nodes"));

    let first = desk.json("sign c.toml --ssh-key first --as first", 0);
    assert_eq!(first["signatures"]["complete"], false);
    assert_eq!(first["signatures"]["weight"], 1);
    // The second was sent the signed charter and adds to it; nodes follow.
    desk.json("sign c.toml.signed --ssh-key second --as second", 0);
    desk.json("sign c.toml --node-dir n1", 0);
    desk.json("sign c.toml --node-dir n2", 0);
    let last = desk.json("sign c.toml --node-dir n3", 0);
    assert_eq!(last["signatures"]["complete"], true, "{last}");
    let shown = desk.json("show c.toml.signed", 0);
    assert_eq!(shown["charter"], id.as_str());
    assert_eq!(shown["signatures"]["complete"], true);
    assert_eq!(shown["signatures"]["refused"], serde_json::json!([]));

    let again = desk.json("sign c.toml --ssh-key first --as first", 1);
    assert_eq!(again["error"]["code"], "already_signed");
}

#[test]
fn a_wrong_key_a_stranger_and_a_changed_byte_are_refused() {
    let desk = Desk::new();
    desk.solo("c.toml");
    desk.ssh_key("thief");
    let code = |line: &str| desk.json(line, 1)["error"]["code"].clone();
    assert_eq!(code("sign c.toml --ssh-key thief --as first"), "unknown_credential");
    assert_eq!(code("sign c.toml --ssh-key second --as first"), "unknown_credential");
    assert_eq!(code("sign c.toml --ssh-key thief --as thief"), "not_a_governor");
    assert_eq!(code("sign c.toml --ssh-key nowhere --as first"), "ssh_keygen");
    desk.node("n4");
    assert_eq!(code("sign c.toml --node-dir n4"), "unknown_node");
    assert!(!desk.path("c.toml.signed").exists(), "a refused signature leaves nothing behind");

    desk.json("sign c.toml --ssh-key first --as first", 0);
    // Another version beside the signed one: its signatures are not mixed.
    let text = desk.read("c.toml").replace("Petty cash", "Petty cash 2");
    desk.write("c.toml", &text);
    assert_eq!(code("sign c.toml --ssh-key second --as second"), "other_version");
    // A byte of the signed charter: the signature is for another id, or the file does not read.
    let armor = desk.read("c.toml.signed");
    let at = armor.len() / 2;
    let other = if armor.as_bytes().get(at) == Some(&b'A') { "B" } else { "A" };
    desk.write("c.toml.signed", &format!("{}{other}{}", &armor[..at], &armor[at + 1..]));
    let shown = desk.outlast("show c.toml.signed --output json");
    let told = String::from_utf8_lossy(&shown.stdout);
    assert!(!shown.status.success() || told.contains("\"why\""), "{told}");
}

#[test]
fn every_fault_comes_with_its_line_and_exit_code_1() {
    let desk = Desk::new();
    desk.solo("c.toml");
    let text = desk.read("c.toml").replace("threshold = 2", "threshold = 1\ntreshold = 2");
    desk.write("c.toml", &text);
    let line = text.lines().position(|line| line == "treshold = 2").unwrap() + 1;
    let output = desk.outlast("check c.toml --output json");
    assert_eq!(output.status.code(), Some(1));
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(found["holds"], false);
    assert_eq!(found["faults"][0]["code"], "unknown_key");
    assert_eq!(found["faults"][0]["line"], line);
    assert_eq!(found["faults"][0]["hint"], "did you mean `threshold`?");
    let said = desk.words("check c.toml", 1);
    assert!(said.contains(&format!("c.toml:{line}:1: fault: treshold:")), "{said}");
    assert_eq!(desk.json("review c.toml", 1)["error"]["code"], "charter_refused");
    assert_eq!(desk.json("show nowhere.toml", 1)["error"]["code"], "file");
    desk.words("sign c.toml", 2);
}

#[test]
fn an_open_template_says_what_is_left_and_is_not_written_over() {
    let desk = Desk::new();
    let made = desk.json("new --template three-companies --out c.toml", 0);
    assert_eq!(made["open"].as_array().unwrap().first().unwrap(), "vault");
    let again = desk.json("new --template bridge --out c.toml", 1);
    assert_eq!(again["error"]["code"], "file");
    let output = desk.outlast("check c.toml --output json");
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(found["faults"][0]["code"], "placeholder");
    let asked = desk.json("new --template bridge --questions", 0);
    assert_eq!(asked["cards"], 17);
    assert_eq!(desk.json("new --template bridge --set nobody=x", 1)["error"]["code"], "template");
}

#[test]
fn a_second_version_follows_the_first_and_is_signed_under_it() {
    let desk = Desk::new();
    desk.solo("c1.toml");
    let id = desk.json("check c1.toml", 0)["charter"].as_str().unwrap().to_owned();
    let second = desk
        .read("c1.toml")
        .replace("version = 1", &format!("version = 2\nprevious = \"{id}\""))
        .replace("amount_max = \"5 ETH\"", "amount_max = \"6 ETH\"");
    desk.write("c2.toml", &second);
    let changed = desk.json("diff c1.toml c2.toml", 0);
    assert_eq!(changed["follows"], true);
    let keys: Vec<_> =
        changed["differences"].as_array().unwrap().iter().map(|one| one["key"].clone()).collect();
    assert_eq!(keys, ["version", "previous", "amount_max"], "{changed}");
    assert_eq!(desk.words("diff c1.toml c1.toml", 0).trim(), "no difference");

    let vault = "07".repeat(32);
    let code = |line: &str| desk.json(line, 1)["error"]["code"].clone();
    assert_eq!(code("sign c2.toml --ssh-key first --as first"), "version_chain");
    let wrong =
        format!("sign c2.toml --ssh-key first --as first --vault {vault} --previous c2.toml");
    assert_eq!(code(&wrong), "version_chain");
    let after = format!("--vault {vault} --previous c1.toml");
    assert_eq!(code(&format!("sign c2.toml --node-dir n1 {after}")), "not_theirs");
    desk.json(&format!("sign c2.toml --ssh-key first --as first {after}"), 0);
    let both = desk.json(&format!("sign c2.toml --ssh-key second --as second {after}"), 0);
    assert_eq!(both["signatures"]["complete"], true, "{both}");
}

/// The file stays readable by `ssh-keygen` alone: what a governor signs is the act's id under the namespace.
#[test]
fn open_ssh_itself_verifies_what_was_signed() {
    let desk = Desk::new();
    desk.solo("c.toml");
    desk.json("sign c.toml --ssh-key first --as first", 0);
    let signed = governance::charter::from_armor(&desk.read("c.toml.signed")).unwrap();
    let one = signed.signatures.first().unwrap();
    let model::act::ActSignature::Ssh(blob) = &one.signature else { panic!("no SSH signature") };
    use base64::Engine as _;
    let body = base64::engine::general_purpose::STANDARD.encode(blob);
    let armor = format!("-----BEGIN SSH SIGNATURE-----\n{body}\n-----END SSH SIGNATURE-----\n");
    desk.write("sig", &armor);
    desk.write("allowed", &format!("first {}\n", desk.read("first.pub").trim()));
    let verify = |message: &str| verify(&desk, message);
    assert!(verify(&one.act.id().to_string()));
    assert!(!verify(&signed.charter.id().to_string()));
}

fn verify(desk: &Desk, message: &str) -> bool {
    use std::io::Write;
    let mut child = Command::new("ssh-keygen")
        .args(["-Y", "verify", "-I", "first", "-n", "act@outlast", "-f"])
        .args([desk.path("allowed").as_path(), Path::new("-s"), desk.path("sig").as_path()])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(message.as_bytes()).unwrap();
    child.wait().unwrap().success()
}
