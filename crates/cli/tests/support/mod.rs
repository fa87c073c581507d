//! What the tests with real parts share: a cluster of three real node processes and the tools that talk to it.
//!
//! Spec: `docs/testing.md`. Everything listens on loopback and lies in a temporary directory; every process is known by
//! its handle and ended when its owner is dropped. Every wait has an end. Absent on purpose: any way into a node beside
//! its command line and its HTTP API.

#![allow(dead_code, reason = "each test crate uses a part of its own")]

pub mod anvil;
pub mod bitcoind;
pub mod cluster;
pub mod ports;
pub mod tools;

pub use ports::free_ports;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// A child that does not outlive its owner.
pub struct Owned(pub Child);

impl Drop for Owned {
    fn drop(&mut self) {
        let _ended_before = self.0.kill();
        let _status = self.0.wait();
    }
}

/// Sends a signal to one process that a test owns.
pub fn signal(pid: u32, name: &str) {
    let sent = Command::new("kill").args([&format!("-{name}"), &pid.to_string()]).status();
    assert!(sent.unwrap().success(), "{name} to {pid}");
}

/// Asks again and again until there is an answer; panics when there is none in time.
pub fn wait_for<T>(what: &str, patience: Duration, mut ask: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + patience;
    loop {
        if let Some(found) = ask() {
            return found;
        }
        assert!(Instant::now() < end, "over {} s for {what}", patience.as_secs());
        std::thread::sleep(Duration::from_millis(25));
    }
}

/// Runs a command to its end, or kills it: no test waits for ever.
pub fn run(command: &mut Command, patience: Duration) -> Output {
    let named = format!("{:?}", command.get_program());
    let out = tempfile::NamedTempFile::new().unwrap();
    let err = tempfile::NamedTempFile::new().unwrap();
    command.stdin(Stdio::null());
    command.stdout(out.reopen().unwrap()).stderr(err.reopen().unwrap());
    let mut child = Owned(command.spawn().unwrap_or_else(|e| panic!("{named}: {e}")));
    let end = Instant::now() + patience;
    let read = |file: &tempfile::NamedTempFile| std::fs::read(file.path()).unwrap();
    loop {
        if let Some(status) = child.0.try_wait().unwrap() {
            return Output { status, stdout: read(&out), stderr: read(&err) };
        }
        if Instant::now() > end {
            let told = String::from_utf8_lossy(&read(&err)).into_owned();
            panic!("{named} took over {} s: {told}", patience.as_secs());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// What a command that must succeed printed.
pub fn stdout_of(output: &Output) -> String {
    let told = String::from_utf8_lossy(&output.stderr);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{}: {said}{told}", output.status);
    said
}
