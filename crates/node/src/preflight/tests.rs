use super::*;
use crate::home::{InitOptions, Settings};
use crate::seal::testing::software_tpm;
use crate::seal::{PassphraseCost, SealKind, SealWith};
use crate::store::{Batch, Store as _};
use crate::sys::ClockState;
use engine::{Entry, Record};
use model::card::{NodeCard, NodeKey};
use model::secret::Secret;
use model::wire::Wire as _;
use std::io;
use std::net::TcpListener;

/// Everything on loopback: a test never leaves the machine.
fn surroundings(metadata: SocketAddr) -> Surroundings {
    Surroundings {
        metadata: vec![metadata],
        metadata_wait: Duration::from_millis(300),
        tpm_devices: vec!["/nonexistent/tpm".into()],
        tcti: None,
    }
}

fn free_port() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

fn settings(listen: SocketAddr, advertise: &str) -> Settings {
    Settings::new("operator", listen, advertise, free_port())
}

fn verdict(check: &Check) -> (&'static str, Verdict) {
    assert_eq!(check.fix.is_none(), check.verdict == Verdict::Ok, "{check:?}");
    (check.name, check.verdict)
}

fn make_home(dir: &Path, settings: Settings) -> Home {
    let passphrase = Secret::new("open".to_owned());
    let seal = SealWith::Passphrase { passphrase, cost: PassphraseCost::TEST };
    let settings = Settings { test_home: true, ..settings };
    Home::create(dir, &InitOptions { settings, seal }).unwrap();
    Home::open(dir).unwrap()
}

/// The endpoint of a trusted peer goes into the journal, as the engine writes it.
fn trust(home: &Home, endpoint: &str) {
    let unsealed = home.unseal(Some(&Secret::new("open".to_owned()))).unwrap();
    let mut store = home.open_store(&unsealed).unwrap();
    let key = NodeKey::new(Secret::new([7; 32]));
    let card = NodeCard::sign(&key, "Operator B", endpoint);
    let text = include_str!("../../../../vectors/engine/1/records.json");
    let vectors: Vec<serde_json::Value> = serde_json::from_str(text).unwrap();
    let bytes = hex::decode(vectors[0]["bytes"].as_str().unwrap()).unwrap();
    let mut record = Record::from_bytes(&bytes).unwrap();
    record.entry = Entry::PeerTrusted(card.to_bytes());
    let entries = vec![(store.next_sequence(), record.to_bytes())];
    store.commit(&Batch { entries, ..Batch::default() }).unwrap();
}

fn find<'a>(checks: &'a [Check], name: &str) -> &'a Check {
    checks.iter().find(|check| check.name == name).unwrap()
}

#[test]
fn a_fit_machine_fails_no_check_and_each_check_is_there_once() {
    crate::harden::harden_process().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let listen = free_port();
    let home = make_home(&dir.path().join("node"), settings(listen, &listen.to_string()));
    let files = || std::fs::read_dir(home.dir()).unwrap().count();
    let before = files();
    let checks = run(&home, &[], &surroundings(free_port()));
    let names: std::collections::BTreeSet<_> = checks.iter().map(|check| check.name).collect();
    assert_eq!((names.len(), checks.len()), (14, 14));
    let failed: Vec<_> = checks.iter().filter(|check| check.verdict == Verdict::Fail).collect();
    // Other tests share this process, and the room on this disk is not this test's business.
    assert!(failed.iter().all(|check| check.name == "free_space"), "{failed:?}");
    assert_eq!(files(), before, "no probe stays behind");
}

#[test]
fn the_worst_verdict_decides() {
    let [ok, warn, fail] = [Check::ok("a", ""), Check::warn("b", "", ""), Check::fail("c", "", "")];
    for (checks, expected) in [
        (vec![], Verdict::Ok),
        (vec![ok.clone()], Verdict::Ok),
        (vec![ok.clone(), warn.clone(), ok.clone()], Verdict::Warn),
        (vec![warn, fail, ok], Verdict::Fail),
    ] {
        assert_eq!(worst(&checks), expected, "{checks:?}");
    }
}

#[test]
fn trusted_and_named_peers_are_dialled() {
    let dir = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (up, down) = (listener.local_addr().unwrap().to_string(), free_port().to_string());
    let home = make_home(&dir.path().join("node"), settings(free_port(), ""));
    let peers = |named: &[String]| {
        let checks = run(&home, named, &surroundings(free_port()));
        assert_eq!(find(&checks, "journal").verdict, Verdict::Ok, "{checks:?}");
        let check = find(&checks, "peers");
        (check.verdict, check.detail.clone())
    };
    assert_eq!(peers(&[]).0, Verdict::Ok, "nobody is known yet");
    assert_eq!(peers(std::slice::from_ref(&down)).0, Verdict::Warn);
    trust(&home, &down);
    let (verdict, detail) = peers(&[]);
    assert_eq!(verdict, Verdict::Warn);
    assert!(detail.contains(&down) && detail.contains("Operator B"), "{detail}");
    trust(&home, &up);
    assert_eq!(peers(&[]), (Verdict::Ok, "1 of 1 answer".to_owned()), "the newest card counts");
    assert_eq!(peers(&[up, down]).0, Verdict::Warn);
}

#[test]
fn a_damaged_store_fails() {
    let dir = tempfile::tempdir().unwrap();
    let home = make_home(&dir.path().join("node"), settings(free_port(), ""));
    trust(&home, "");
    let file = home.dir().join("state.sqlite");
    let mut bytes = std::fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..].fill(0xa5);
    std::fs::write(&file, bytes).unwrap();
    let checks = run(&home, &[], &surroundings(free_port()));
    assert_eq!(verdict(find(&checks, "journal")), ("journal", Verdict::Fail));
    assert_eq!(worst(&checks), Verdict::Fail);
}

#[test]
fn each_clock_and_limit_has_its_verdict() {
    let check = |found: Check, expected| assert_eq!(verdict(&found), expected, "{found:?}");
    let year = 31_556_952;
    check(machine::judge_wall_clock(0), ("clock", Verdict::Fail));
    check(machine::judge_wall_clock(57 * year), ("clock", Verdict::Ok));
    check(machine::judge_wall_clock(200 * year), ("clock", Verdict::Fail));

    let ms = Duration::from_millis;
    check(machine::judge_steps(Some(ms(101)), ms(100)), ("clock_steps", Verdict::Ok));
    check(machine::judge_steps(Some(ms(400)), ms(100)), ("clock_steps", Verdict::Warn));
    check(machine::judge_steps(None, ms(100)), ("clock_steps", Verdict::Fail));

    let state = |synchronised, error_max| Ok(ClockState { synchronised, error_max });
    let denied = || io::Error::from(io::ErrorKind::PermissionDenied);
    check(machine::judge_clock(state(true, ms(3))), ("clock_sync", Verdict::Ok));
    check(machine::judge_clock(state(true, ms(16_000))), ("clock_sync", Verdict::Warn));
    check(machine::judge_clock(state(false, ms(3))), ("clock_sync", Verdict::Warn));
    check(machine::judge_clock(Err(denied())), ("clock_sync", Verdict::Warn));

    check(machine::judge_core_dumps(Ok(0), false), ("core_dumps", Verdict::Ok));
    check(machine::judge_core_dumps(Ok(0), true), ("core_dumps", Verdict::Fail));
    check(machine::judge_core_dumps(Ok(4096), false), ("core_dumps", Verdict::Fail));
    check(machine::judge_core_dumps(Err(denied()), false), ("core_dumps", Verdict::Fail));

    check(machine::judge_locked_memory(Ok(u64::MAX)), ("memlock", Verdict::Ok));
    check(machine::judge_locked_memory(Ok(1 << 40)), ("memlock", Verdict::Warn));
    check(machine::judge_locked_memory(Ok(64 << 10)), ("memlock", Verdict::Warn));
    check(machine::judge_locked_memory(Err(denied())), ("memlock", Verdict::Warn));
}

#[test]
fn an_endpoint_that_leads_elsewhere_is_found_out() {
    let listen = free_port();
    let check = |advertise: &str| verdict(&network::ports(&settings(listen, advertise)));
    assert_eq!(check(&listen.to_string()), ("ports", Verdict::Ok));
    assert_eq!(check(""), ("ports", Verdict::Ok));
    let stranger = TcpListener::bind("127.0.0.1:0").unwrap();
    let elsewhere = stranger.local_addr().unwrap().to_string();
    assert_eq!(check(&elsewhere), ("ports", Verdict::Warn));
    assert_eq!(check(&free_port().to_string()), ("ports", Verdict::Warn));
    let taken = stranger.local_addr().unwrap();
    assert_eq!(verdict(&network::ports(&settings(taken, ""))), ("ports", Verdict::Warn));
    // An address of the documentation range is on no machine.
    let foreign = settings("192.0.2.1:7101".parse().unwrap(), "");
    assert_eq!(verdict(&network::ports(&foreign)), ("ports", Verdict::Fail));
}

#[test]
fn a_metadata_service_within_reach_is_a_warning() {
    let service = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut reachable = surroundings(service.local_addr().unwrap());
    assert_eq!(verdict(&network::metadata(&reachable)), ("metadata_service", Verdict::Warn));
    // One of several is enough, whichever.
    reachable.metadata.insert(0, free_port());
    assert_eq!(verdict(&network::metadata(&reachable)), ("metadata_service", Verdict::Warn));
    let real = Surroundings::of_this_machine().metadata;
    assert!(real.iter().any(SocketAddr::is_ipv4) && real.iter().any(SocketAddr::is_ipv6));
    let closed = surroundings(free_port());
    assert_eq!(verdict(&network::metadata(&closed)), ("metadata_service", Verdict::Ok));
}

#[test]
fn a_missing_or_dumb_tpm_matters_only_to_a_node_that_is_sealed_to_one() {
    let none = surroundings(free_port());
    let dumb = Surroundings { tcti: Some("swtpm:path=/nonexistent/s".into()), ..none.clone() };
    for (seal, surroundings, expected) in [
        (SealKind::Tpm2, &none, Verdict::Fail),
        (SealKind::Passphrase, &none, Verdict::Ok),
        (SealKind::SystemdCreds, &none, Verdict::Ok),
        // Without tpm2-tools, or with a TPM that does not answer: either way this node could not open.
        (SealKind::Tpm2, &dumb, Verdict::Fail),
    ] {
        assert_eq!(verdict(&machine::tpm(seal, surroundings)), ("tpm", expected));
    }
    let found = machine::tpm(SealKind::Passphrase, &dumb);
    assert!(found.verdict < Verdict::Fail, "{found:?}");
    let Some(swtpm) = software_tpm() else { return };
    let answers = Surroundings { tcti: Some(swtpm.tcti.clone()), ..none };
    assert_eq!(verdict(&machine::tpm(SealKind::Tpm2, &answers)), ("tpm", Verdict::Ok));
    assert_eq!(verdict(&machine::tpm(SealKind::Passphrase, &dumb)), ("tpm", Verdict::Warn));
}

#[test]
fn slow_and_full_disks_are_judged() {
    let slow = vec![Duration::from_millis(30); 5];
    let fast = vec![Duration::from_micros(300); 5];
    assert_eq!(verdict(&storage::judge_fsync(slow, "fix")), ("fsync", Verdict::Warn));
    assert_eq!(verdict(&storage::judge_fsync(fast, "fix")), ("fsync", Verdict::Ok));
    let cases = [(0, Verdict::Fail), (1 << 30, Verdict::Warn), (1 << 40, Verdict::Ok)];
    for (bytes, expected) in cases {
        assert_eq!(verdict(&storage::judge_space(bytes, "fix")), ("free_space", expected));
    }
    let missing = Path::new("/nonexistent/outlast");
    assert_eq!(verdict(&storage::writable(missing)), ("store", Verdict::Fail));
    assert_eq!(verdict(&storage::fsync(missing)), ("fsync", Verdict::Fail));
    assert_eq!(verdict(&storage::free_space(missing)), ("free_space", Verdict::Fail));
}
