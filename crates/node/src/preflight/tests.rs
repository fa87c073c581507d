use super::*;
use std::net::TcpListener;

/// Everything on loopback: a test never leaves the machine.
fn surroundings(metadata: SocketAddr) -> Surroundings {
    Surroundings {
        metadata,
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

#[test]
fn a_fit_machine_fails_no_check_and_each_check_is_there_once() {
    crate::harden::harden_process().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let listen = free_port();
    let settings = settings(listen, &listen.to_string());
    let checks = run(&settings, dir.path(), SealKind::Passphrase, &surroundings(free_port()));
    let names: std::collections::BTreeSet<_> = checks.iter().map(|check| check.name).collect();
    assert_eq!((names.len(), checks.len()), (11, 11));
    let failed: Vec<_> = checks.iter().filter(|check| check.verdict == Verdict::Fail).collect();
    // Other tests share this process, and the room on this disk is not this test's business.
    assert!(failed.iter().all(|check| check.name == "free_space"), "{failed:?}");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "no probe stays behind");
    assert!(worst(&checks) <= Verdict::Fail);
    assert_eq!(worst(&[]), Verdict::Ok);
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
    let reachable = surroundings(service.local_addr().unwrap());
    assert_eq!(verdict(&network::metadata(&reachable)), ("metadata_service", Verdict::Warn));
    let closed = surroundings(free_port());
    assert_eq!(verdict(&network::metadata(&closed)), ("metadata_service", Verdict::Ok));
}

#[test]
fn a_missing_tpm_matters_only_to_a_node_that_is_sealed_to_one() {
    let none = surroundings(free_port());
    let socket = Surroundings { tcti: Some("swtpm:path=/s".into()), ..none.clone() };
    let cases = [
        (SealKind::Tpm2, &none, Verdict::Fail),
        (SealKind::Passphrase, &none, Verdict::Ok),
        (SealKind::SystemdCreds, &none, Verdict::Ok),
        (SealKind::Tpm2, &socket, Verdict::Ok),
    ];
    for (seal, surroundings, expected) in cases {
        assert_eq!(verdict(&machine::tpm(seal, surroundings)), ("tpm", expected));
    }
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
