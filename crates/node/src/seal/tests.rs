use super::testing::{SoftwareTpm, installed, skip, software_tpm};
use super::*;
use std::process::Command;

const NODE: NodeId = NodeId([1; 32]);

fn bounds(scratch: &Path) -> Bounds<'_> {
    Bounds { node: NODE, scratch, test_home: true }
}

fn phrase(text: &str) -> Secret<String> {
    Secret::new(text.to_owned())
}

fn with_passphrase(text: &str, cost: PassphraseCost) -> SealWith {
    SealWith::Passphrase { passphrase: phrase(text), cost }
}

fn code<T>(result: Result<T, SealError>) -> &'static str {
    result.err().map_or("ok", |error| error.code())
}

#[test]
fn a_passphrase_opens_what_it_sealed_and_nothing_else_does() {
    let here = Path::new(".");
    let data_key = Secret::new([9; 32]);
    let with = with_passphrase("correct horse", PassphraseCost::TEST);
    let wrapped = Wrapped::wrap(&with, bounds(here), &data_key).unwrap();
    let open = |text: &str, bounds| wrapped.unwrap_key(Some(&phrase(text)), bounds);
    assert_eq!(open("correct horse", bounds(here)).unwrap().expose(), &[9; 32]);
    assert_eq!(code(open("correct horsf", bounds(here))), "wrong_passphrase");
    let other = Bounds { node: NodeId([2; 32]), ..bounds(here) };
    assert_eq!(code(open("correct horse", other)), "wrong_passphrase");
    assert_eq!(code(wrapped.unwrap_key(None, bounds(here))), "passphrase_missing");
}

#[test]
fn a_cheap_passphrase_cost_is_for_test_homes_only() {
    let strict = Bounds { test_home: false, ..bounds(Path::new(".")) };
    let data_key = Secret::new([9; 32]);
    let check = |text: &str, cost, expected| {
        let made = Wrapped::wrap(&with_passphrase(text, cost), strict, &data_key);
        assert_eq!(code(made), expected);
    };
    check("long enough a phrase", PassphraseCost::TEST, "seal_cost");
    check("short", PassphraseCost::STANDARD, "passphrase_short");
    let endless = PassphraseCost { memory_kib: 1 << 30, passes: 3 };
    check("long enough a phrase", endless, "seal_cost");

    // A cheap file that somebody put into a real home is refused before the passphrase is used.
    let with = with_passphrase("long enough a phrase", PassphraseCost::TEST);
    let cheap = Wrapped::wrap(&with, bounds(Path::new(".")), &data_key).unwrap();
    let opened = cheap.unwrap_key(Some(&phrase("long enough a phrase")), strict);
    assert_eq!(code(opened), "seal_cost");
}

#[test]
fn the_standard_cost_seals_and_opens() {
    let strict = Bounds { test_home: false, ..bounds(Path::new(".")) };
    let with = with_passphrase("long enough a phrase", PassphraseCost::STANDARD);
    let wrapped = Wrapped::wrap(&with, strict, &Secret::new([9; 32])).unwrap();
    let opened = wrapped.unwrap_key(Some(&phrase("long enough a phrase")), strict).unwrap();
    assert_eq!(opened.expose(), &[9; 32]);
}

#[test]
fn a_tampered_file_is_refused() {
    let with = with_passphrase("p", PassphraseCost::TEST);
    let wrapped = Wrapped::wrap(&with, bounds(Path::new(".")), &Secret::new([9; 32])).unwrap();
    let json = serde_json::to_value(&wrapped).unwrap();
    let check = |field: &str, change: &dyn Fn(&mut serde_json::Value), expected| {
        let mut changed = json.clone();
        change(&mut changed[field]);
        let outcome = serde_json::from_value::<Wrapped>(changed)
            .map_err(|error| SealError::Malformed(error.to_string()))
            .and_then(|w| w.unwrap_key(Some(&phrase("p")), bounds(Path::new("."))));
        assert_eq!(code(outcome), expected, "{field}");
    };
    let flip = |value: &mut serde_json::Value| {
        let text = value.as_str().unwrap();
        let digit = if text.starts_with('0') { "1" } else { "0" };
        *value = format!("{digit}{}", &text[1..]).into();
    };
    check("salt", &flip, "wrong_passphrase");
    check("sealed", &flip, "wrong_passphrase");
    check("sealed", &|value| *value = "zz".into(), "seal_malformed");
    check("cost", &|value| value["passes"] = 2.into(), "wrong_passphrase");
    check("extra", &|value| *value = 1.into(), "seal_malformed");
}

/// What `systemd-creds` says where the machine has no key of the host that this user may read.
const NO_HOST_KEY: [&str; 4] = [
    "Failed to determine local credential host secret",
    "Failed to acquire local credential host secret",
    "Permission denied",
    "No such file or directory",
];

#[test]
fn systemd_creds_opens_for_the_node_it_was_made_for() {
    if !installed("systemd-creds") {
        return skip("systemd-creds", "systemd-creds not installed");
    }
    let with = SealWith::SystemdCreds { with_key: "host".into() };
    let here = bounds(Path::new("."));
    let wrapped = match Wrapped::wrap(&with, here, &Secret::new([9; 32])) {
        // A machine that was not booted by systemd, or a user who may not read its key, has none to wrap with. Anything else
        // is a fault of ours and fails.
        Err(SealError::SystemdRefused(words)) if NO_HOST_KEY.iter().any(|w| words.contains(w)) => {
            return skip("systemd-creds", &words);
        }
        made => made.unwrap(),
    };
    assert_eq!(wrapped.unwrap_key(None, here).unwrap().expose(), &[9; 32]);
    let other = Bounds { node: NodeId([2; 32]), ..here };
    assert_eq!(code(wrapped.unwrap_key(None, other)), "systemd_creds_refused");
    let json = serde_json::to_string(&wrapped).unwrap();
    assert_eq!(serde_json::from_str::<Wrapped>(&json).unwrap(), wrapped);
}

#[test]
fn a_missing_tool_is_named_with_its_package() {
    let nothing = Secret::new(Vec::new());
    let outcome = command::run("outlast-no-such-tool", "some-package", &[], &nothing);
    let error = outcome.err().unwrap();
    assert_eq!(error.code(), "seal_tool_missing");
    assert!(error.to_string().ends_with("apt-get install some-package"), "{error}");
}

#[test]
#[ignore = "started as a child by `a_tpm_opens_its_own_objects_until_a_pcr_changes`"]
fn child_with_a_tpm() {
    let Some(kept) = SoftwareTpm::in_child() else { return };
    let scratch = tempfile::tempdir().unwrap();
    let here = bounds(scratch.path());
    let wrap = |pcrs: Option<&str>| {
        let with = SealWith::Tpm2 { pcrs: pcrs.map(str::to_owned) };
        Wrapped::wrap(&with, here, &Secret::new([9; 32])).unwrap()
    };
    let (free, bound) = (wrap(None), wrap(Some("sha256:16")));
    std::fs::write(kept, serde_json::to_string(&free).unwrap()).unwrap();
    for wrapped in [&free, &bound] {
        let json = serde_json::to_string(wrapped).unwrap();
        let wrapped: Wrapped = serde_json::from_str(&json).unwrap();
        assert_eq!(wrapped.unwrap_key(None, here).unwrap().expose(), &[9; 32]);
    }
    let digest = format!("16:sha256={}", "ab".repeat(32));
    assert!(Command::new("tpm2_pcrextend").arg(digest).status().unwrap().success());
    assert_eq!(free.unwrap_key(None, here).unwrap().expose(), &[9; 32]);
    assert_eq!(code(bound.unwrap_key(None, here)), "tpm_refused");

    // The policy is the only way in: taking the PCR list out of the file does not help.
    let Wrapped::Tpm2(mut bare) = bound else { panic!("a TPM wrap") };
    bare.forget_pcrs_for_tests();
    assert_eq!(code(Wrapped::Tpm2(bare).unwrap_key(None, here)), "tpm_refused");
    assert_eq!(std::fs::read_dir(scratch.path()).unwrap().count(), 0);
    println!("tpm2 seal held");
}

#[test]
fn a_tpm_opens_its_own_objects_until_a_pcr_changes() {
    let Some(first) = software_tpm() else { return };
    let kept = tempfile::NamedTempFile::new().unwrap();
    first.run_child("seal::tests::child_with_a_tpm", kept.path(), "tpm2 seal held");
    assert!(std::fs::metadata(kept.path()).unwrap().len() > 0);
    // Another TPM has another owner's seed: what the first one sealed is noise to it.
    let second = SoftwareTpm::start();
    second.run_child("seal::tests::child_with_another_tpm", kept.path(), "another tpm refused");
}

#[test]
#[ignore = "started as a child by `a_tpm_opens_its_own_objects_until_a_pcr_changes`"]
fn child_with_another_tpm() {
    let Some(kept) = SoftwareTpm::in_child() else { return };
    let scratch = tempfile::tempdir().unwrap();
    let here = bounds(scratch.path());
    let text = std::fs::read_to_string(kept).unwrap();
    let wrapped: Wrapped = serde_json::from_str(&text).unwrap();
    // This TPM works: it opens its own.
    let own = Wrapped::wrap(&SealWith::Tpm2 { pcrs: None }, here, &Secret::new([8; 32])).unwrap();
    assert_eq!(own.unwrap_key(None, here).unwrap().expose(), &[8; 32]);
    assert_eq!(code(wrapped.unwrap_key(None, here)), "tpm_refused");
    println!("another tpm refused");
}
