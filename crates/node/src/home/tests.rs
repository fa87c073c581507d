use super::*;
use crate::seal::PassphraseCost;
use std::fs;
use std::os::unix::fs::PermissionsExt;

fn settings() -> Settings {
    let mut settings = Settings::new(
        "Operator \"A\" & Söhne",
        "127.0.0.1:7101".parse().unwrap(),
        "node-a.example:7101",
        "127.0.0.1:7201".parse().unwrap(),
    );
    settings.test_home = true;
    settings.rpc.evm.insert(31337, "http://127.0.0.1:8545".into());
    settings
}

fn options() -> InitOptions {
    let passphrase = Secret::new("open sesame".to_owned());
    let seal = SealWith::Passphrase { passphrase, cost: PassphraseCost::TEST };
    InitOptions { settings: settings(), seal }
}

fn phrase(text: &str) -> Secret<String> {
    Secret::new(text.to_owned())
}

fn code<T>(result: Result<T, HomeError>) -> &'static str {
    result.err().map_or("ok", |error| error.code())
}

fn made() -> (tempfile::TempDir, PathBuf, NodeCard) {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("deep").join("node-a");
    let card = Home::create(&dir, &options()).unwrap();
    (parent, dir, card)
}

#[test]
fn a_new_home_opens_unseals_and_keeps_a_store() {
    let (_parent, dir, card) = made();
    let home = Home::open(&dir).unwrap();
    assert_eq!(home.settings(), &settings());
    assert_eq!((home.node(), home.card()), (card.node, &card));
    assert_eq!(home.seal_kind(), SealKind::Passphrase);
    assert_eq!(home.operator_token().unwrap().expose().len(), 64);
    let unsealed = home.unseal(Some(&phrase("open sesame"))).unwrap();
    assert_eq!(unsealed.node_key.id(), card.node);
    home.open_store(&unsealed).unwrap();
    assert_eq!(code(home.unseal(Some(&phrase("open barley")))), "wrong_passphrase");
    assert_eq!(code(home.unseal(None)), "passphrase_missing");
}

#[test]
fn everything_in_a_home_is_for_its_owner_only() {
    let (_parent, dir, _) = made();
    let home = Home::open(&dir).unwrap();
    home.open_store(&home.unseal(Some(&phrase("open sesame"))).unwrap()).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode(&dir), 0o700);
    for entry in fs::read_dir(&dir).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
}

#[test]
fn no_key_stands_in_a_home_in_clear() {
    let (_parent, dir, _) = made();
    let home = Home::open(&dir).unwrap();
    let unsealed = home.unseal(Some(&phrase("open sesame"))).unwrap();
    home.open_store(&unsealed).unwrap();
    for secret in [unsealed.node_key.seed().expose(), unsealed.data_key.expose()] {
        let text = hex::encode(secret);
        for entry in fs::read_dir(&dir).unwrap() {
            let bytes = fs::read(entry.unwrap().path()).unwrap();
            assert!(!bytes.windows(32).any(|window| window == secret));
            assert!(!bytes.windows(64).any(|window| window == text.as_bytes()));
        }
    }
}

#[test]
fn a_used_directory_is_never_overwritten_and_a_failure_leaves_nothing() {
    let (parent, dir, _) = made();
    assert_eq!(code(Home::create(&dir, &options())), "home_not_empty");
    let file = parent.path().join("file");
    fs::write(&file, "x").unwrap();
    assert_eq!(code(Home::create(&file, &options())), "home_not_empty");
    let empty = parent.path().join("empty");
    fs::create_dir(&empty).unwrap();
    Home::create(&empty, &options()).unwrap();

    let mut strict = options();
    strict.settings.test_home = false;
    let fresh = tempfile::tempdir().unwrap();
    assert_eq!(code(Home::create(&fresh.path().join("n"), &strict)), "seal_cost");
    assert_eq!(fs::read_dir(fresh.path()).unwrap().count(), 0);
}

#[test]
fn a_second_opener_is_refused_by_name_and_a_closed_home_opens_again() {
    let (_parent, dir, _) = made();
    let first = Home::open(&dir).unwrap();
    let Err(HomeError::Locked { pid }) = Home::open(&dir) else { panic!("must be refused") };
    assert_eq!(pid, std::process::id().to_string());
    drop(first);
    Home::open(&dir).unwrap();
}

#[test]
fn files_that_others_may_read_are_refused() {
    for (name, mode) in [("sealed.json", 0o644), ("node.toml", 0o660), (".", 0o755)] {
        let (_parent, dir, _) = made();
        fs::set_permissions(dir.join(name), fs::Permissions::from_mode(mode)).unwrap();
        assert_eq!(code(Home::open(&dir)), "home_permissions", "{name}");
    }
}

#[test]
fn damaged_files_are_named() {
    let check = |name: &str, change: &dyn Fn(String) -> String, expected: &str| {
        let (_parent, dir, _) = made();
        let path = dir.join(name);
        fs::write(&path, change(fs::read_to_string(&path).unwrap())).unwrap();
        let outcome = Home::open(&dir).and_then(|home| home.unseal(Some(&phrase("open sesame"))));
        assert_eq!(code(outcome), expected, "{name}");
    };
    check("node.toml", &|text| format!("surprise = 1\n{text}"), "home_malformed");
    check("node.toml", &|text| text.replace("node-a.example:7101", "node-a"), "bad_setting");
    check("node.card", &|text| text.replace("outlast", "outcast"), "home_card");
    check("sealed.json", &|text| text.replace("\"version\": 1", "\"version\": 2"), "home_version");
    check("sealed.json", &|text| text.replace("node_seed", "node_need"), "home_malformed");
    let flip_seed = |text: String| {
        let (head, tail) = text.split_once("\"node_seed\": \"").unwrap();
        let digit = if tail.starts_with('0') { '1' } else { '0' };
        format!("{head}\"node_seed\": \"{digit}{}", &tail[1..])
    };
    check("sealed.json", &flip_seed, "home_seed_tampered");
    let other = made().2;
    check("node.card", &|_| other.to_text(), "home_other_node");
    let missing = tempfile::tempdir().unwrap();
    assert_eq!(code(Home::open(&missing.path().join("none"))), "home_missing");
}

#[test]
fn a_changed_endpoint_gives_a_new_card() {
    let (_parent, dir, old) = made();
    let path = dir.join("node.toml");
    let text = fs::read_to_string(&path).unwrap().replace("node-a.example", "node-b.example");
    fs::write(&path, text).unwrap();
    let mut home = Home::open(&dir).unwrap();
    let unsealed = home.unseal(Some(&phrase("open sesame"))).unwrap();
    let card = home.refresh_card(&unsealed).unwrap().clone();
    assert_eq!((card.node, card.endpoint.as_str()), (old.node, "node-b.example:7101"));
    drop(home);
    assert_eq!(read_card(&dir).unwrap(), card);
}

#[test]
fn another_seal_opens_the_same_keys() {
    let (_parent, dir, card) = made();
    let mut home = Home::open(&dir).unwrap();
    let unsealed = home.unseal(Some(&phrase("open sesame"))).unwrap();
    home.open_store(&unsealed).unwrap();
    let (passphrase, cost) = (phrase("new words"), PassphraseCost::TEST);
    home.reseal(&unsealed, &SealWith::Passphrase { passphrase, cost }).unwrap();
    drop(home);
    let home = Home::open(&dir).unwrap();
    assert_eq!(code(home.unseal(Some(&phrase("open sesame")))), "wrong_passphrase");
    let unsealed = home.unseal(Some(&phrase("new words"))).unwrap();
    assert_eq!(unsealed.node_key.id(), card.node);
    home.open_store(&unsealed).unwrap();
}

#[test]
fn settings_read_back_whatever_they_hold() {
    let mut wide = settings();
    wide.advertise.clear();
    wide.auto_join_test_vaults = true;
    wide.logging = Logging { filter: "node=debug,info".into(), format: LogFormat::Json };
    wide.rpc.bitcoin.insert("regtest".into(), "http://127.0.0.1:18443".into());
    wide.rpc.solana.insert("local test".into(), "http://127.0.0.1:8899".into());
    wide.rpc.pass = ["debug_traceTransaction".to_owned(), "trace_block".to_owned()].into();
    wide.store.pages_max = Some(1000);
    let file = |name: &str| std::path::PathBuf::from(name);
    let (cert, key) = (file("a.pem"), file("a \"key\".pem"));
    wide.api_tls = Some(ApiTlsSettings { cert, key, client_ca: Some(file("ca.pem")) });
    wide.debug.record_one_time = Some("a \"name\"".into());
    wide.debug.tamper_pair = Some(TamperPair::Once);
    for settings in [settings(), wide] {
        assert_eq!(Settings::parse(&settings.to_toml()).unwrap(), settings);
        settings.check().unwrap();
    }
}

#[test]
fn bad_settings_are_named() {
    let check = |change: &dyn Fn(&mut Settings)| {
        let mut settings = settings();
        change(&mut settings);
        assert_eq!(code(settings.check()), "bad_setting");
    };
    check(&|s| s.operator = " ".into());
    check(&|s| s.operator = "a\nb".into());
    check(&|s| s.operator = "x".repeat(TEXT_BYTES));
    check(&|s| s.advertise = "host:0".into());
    check(&|s| s.advertise = ":7101".into());
    check(&|s| s.rpc.evm = [(1, "ftp://x".to_owned())].into());
    // What clients may ask the chain node: a whole name, never what this node answers or refuses itself.
    for name in [
        "",
        "debug_*",
        "debug",
        "debug_trace Transaction",
        "eth_sendTransaction",
        "eth_sign",
        "personal_sign",
        "personal_unlockAccount",
        "admin_addPeer",
        "engine_newPayloadV4",
        &format!("debug_{}", "x".repeat(60)),
    ] {
        check(&|s| s.rpc.pass = [name.to_owned()].into());
    }
    check(&|s| s.rpc.pass = (0..65).map(|n| format!("debug_{n}")).collect());
    // What tests may ask, outside a test home.
    let real = |s: &mut Settings| s.test_home = false;
    check(&|s| (real(s), s.debug.record_one_time = Some("x".into())).1);
    check(&|s| (real(s), s.debug.tamper_pair = Some(TamperPair::Once)).1);
}

const TEXT_BYTES: usize = model::limits::TEXT_BYTES_MAX + 1;
