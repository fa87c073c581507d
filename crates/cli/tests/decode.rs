//! `outlast decode` as a person or a program calls it: words, JSON, names of refusals, exit codes.

#![expect(clippy::expect_used, reason = "a test that cannot go on fails")]

use std::process::{Command, Output, Stdio};

fn outlast(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_outlast"))
        .args(args)
        .env_remove("OUTLAST_NODE")
        .env_remove("OUTLAST_URL")
        .env_remove("OUTLAST_TOKEN")
        .current_dir(std::env::temp_dir())
        .stdin(Stdio::null())
        .output()
        .expect("the command starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

/// The unsigned example of EIP-155: 1 ETH to 0x3535…35, nonce 9, 20 gwei, chain 1.
const EIP155: &str =
    "0xec098504a817c800825208943535353535353535353535353535353535353535880de0b6b3a764000080018080";

#[test]
fn an_ethereum_transfer_is_read_in_words() {
    let out = outlast(&["decode", "evm", EIP155]);
    assert_eq!(out.status.code(), Some(0), "{}", text(&out.stderr));
    let words = text(&out.stdout);
    let to = "0x3535353535353535353535353535353535353535";
    assert!(words.to_lowercase().contains(&format!("send 1 eth to {to}")), "{words}");
    assert!(words.contains("evm:1"), "{words}");
    assert!(words.contains("at most 0.00042 ETH"), "{words}");
}

#[test]
fn json_carries_the_same_intent() {
    let out = outlast(&["decode", "evm", EIP155, "--output", "json"]);
    let json: serde_json::Value = serde_json::from_slice(&out.stdout).expect("JSON");
    let operation = &json["intent"]["operations"][0];
    assert_eq!(operation["operation"], "native_transfer");
    assert_eq!(operation["amount"], "1000000000000000000");
    assert_eq!(json["intent"]["fee"]["at_most"], "420000000000000");
    assert!(out.stderr.is_empty());
}

#[test]
fn what_no_node_would_sign_is_refused_by_name_and_exit_code_1() {
    let digest = format!("0x{}", "ab".repeat(32));
    let trailing = format!("{EIP155}00");
    // A call with a selector that no decoder knows.
    let call = "0xe8098504a817c80082520894353535353535353535353535353535353535353580\
                84deadbeef018080"
        .replace(' ', "");
    for (format, bytes, code) in [
        ("evm", digest.as_str(), "raw_digest"),
        ("evm", "0x02", "malformed"),
        ("evm", "hello", "invalid_field"),
        ("evm", trailing.as_str(), "dirty_bytes"),
        ("evm", call.as_str(), "unknown_call"),
        ("bitcoin", "00", "malformed"),
        ("solana", "00", "malformed"),
        ("typed-data", "{}", "missing_field"),
    ] {
        let out = outlast(&["decode", format, bytes, "--output", "json"]);
        assert_eq!(out.status.code(), Some(1), "{format} {bytes}: {}", text(&out.stdout));
        let json: serde_json::Value = serde_json::from_slice(&out.stdout).expect("JSON");
        let found = json["refused"]["code"].as_str().unwrap_or_default();
        assert_eq!(found, code, "{format} {bytes}");
        let error: serde_json::Value = serde_json::from_slice(&out.stderr).expect("JSON");
        assert_eq!(error["error"]["kind"], "refused");
    }
}

#[test]
fn a_message_is_read_as_text_and_cannot_draw_on_the_screen() {
    let out = outlast(&["decode", "message", "pay\u{1b}[2J me", "--network", "evm:1"]);
    assert_eq!(out.status.code(), Some(0), "{}", text(&out.stderr));
    let words = text(&out.stdout);
    assert!(!words.contains('\u{1b}'), "{words:?}");
}

#[test]
fn exit_codes_tell_what_kind_of_failure_it_was() {
    let check = |args: &[&str], code: i32| {
        let out = outlast(args);
        assert_eq!(out.status.code(), Some(code), "{args:?}: {}", text(&out.stderr));
        text(&out.stderr)
    };
    check(&["version"], 0);
    check(&["--help"], 0);
    check(&["node", "--help"], 0);
    check(&["decode", "dogecoin", "00"], 2);
    check(&["nonsense"], 2);
    let dead = ["node", "status", "--url", "http://127.0.0.1:1"];
    assert!(check(&dead, 3).contains("next:"), "a hint follows");
    let none = check(&["node", "status", "--node", "/nowhere/at/all"], 1);
    assert!(none.contains("node init"), "{none}");
    check(&["request", "send", "--network", "evm:1", "--to", "x", "--amount", "15"], 2);
}

#[test]
fn version_says_that_it_is_not_audited() {
    let out = outlast(&["version", "--output", "json"]);
    let json: serde_json::Value = serde_json::from_slice(&out.stdout).expect("JSON");
    assert_eq!(json["audited"], false);
}

/// As `outlast … | head` does once it has read enough.
#[test]
fn a_reader_that_went_away_ends_it_quietly() {
    let check = |args: &[&str], code: i32| {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let mut command = Command::new(env!("CARGO_BIN_EXE_outlast"));
        command.args(args).stdin(Stdio::null()).stdout(writer).stderr(Stdio::piped());
        let out = command.spawn().expect("the command starts").wait_with_output().expect("its end");
        assert_eq!(out.status.code(), Some(code), "{args:?}");
        assert_eq!(text(&out.stderr), "", "{args:?}");
    };
    check(&["decode", "evm", EIP155], 141);
    check(&["version", "--output", "json"], 141);
    check(&["--help"], 0);
}

/// The example in the README is typed as it stands there.
#[test]
fn the_transaction_in_the_readme_decodes() {
    let readme = include_str!("../../../README.md");
    let line = readme.lines().find(|line| line.starts_with("outlast decode ")).expect("a line");
    let words = line.split(" #").next().unwrap_or_default().split_whitespace().skip(1);
    let out = outlast(&words.collect::<Vec<_>>());
    assert_eq!(out.status.code(), Some(0), "{}", text(&out.stderr));
    let told = text(&out.stdout);
    assert!(told.contains("send 0.1 ETH to 0x") && told.contains("evm:11155111"), "{told}");
}
