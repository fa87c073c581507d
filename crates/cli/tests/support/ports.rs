//! Ports of loopback for processes that a test starts, stops and starts again.
//!
//! They lie below the range that the kernel gives to outgoing connections: there, another test's connection could hold
//! the port of a node that is about to start.

#![allow(dead_code, reason = "each test crate uses a part of its own")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::sync::{Mutex, PoisonError};

const FIRST: u16 = 10_000;
/// Linux begins its own range at 32768.
const COUNT: u16 = 20_000;

/// What this process gave out: a port is free until its node listens.
static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());

/// `count` ports that nobody listens at and no other test of this process was given.
pub fn free_ports(count: usize) -> Vec<u16> {
    let mut given = GIVEN.lock().unwrap_or_else(PoisonError::into_inner);
    let mut found = Vec::new();
    for _ in 0..10_000 {
        if found.len() == count {
            return found;
        }
        let mut random = [0; 2];
        getrandom::fill(&mut random).unwrap();
        let port = FIRST + u16::from_be_bytes(random) % COUNT;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() && given.insert(port) {
            found.push(port);
        }
    }
    panic!("no {count} free ports");
}
