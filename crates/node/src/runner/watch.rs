//! Notices that this machine was copied, restored or set aside, or that its clock was set, while the process ran on.
//!
//! A process in a restored image goes on as if nothing had been: with the nonces, sessions and pair state that another
//! copy of it may have used meanwhile. Three signs are looked at before every turn and once more before its effects leave:
//! the kernel's word that the virtual machine's generation changed (a `NEW_VMGENID` uevent, on kernels that give it), the
//! wall clock against the steady clock, and time asleep (`CLOCK_BOOTTIME` against `CLOCK_MONOTONIC`).
//! Absent on purpose: certainty. A restored image shows none of these for a moment, and the steady one not at all on some
//! machines; what a peer saw of this node's journal is what a copy cannot get around (`engine`, `peers.rs`).

use crate::sys;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

/// Difference between two clocks' ways that counts as a jump. A slewed clock stays far below it between two looks.
pub const JUMP: Duration = Duration::from_secs(5);
/// Bytes of one uevent at most.
const UEVENT_BYTES_MAX: usize = 8192;
/// Uevents read at one look at most.
const UEVENTS_MAX: usize = 64;

/// What the machine's clocks say at one moment, milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clocks {
    /// `CLOCK_REALTIME`.
    pub wall: i64,
    /// `CLOCK_BOOTTIME`: goes on while the machine sleeps.
    pub boot: i64,
    /// `CLOCK_MONOTONIC`: does not.
    pub steady: i64,
}

/// Where the signs come from.
pub trait Machine: Send {
    /// The clocks now.
    fn clocks(&mut self) -> Clocks;
    /// True once for each change of the virtual machine's generation.
    fn generation_changed(&mut self) -> bool;
}

/// Compares what the machine says with what it said last.
pub struct Watch {
    machine: Box<dyn Machine>,
    last: Clocks,
}

impl core::fmt::Debug for Watch {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Watch({:?})", self.last)
    }
}

impl Watch {
    /// From now on.
    pub fn new(mut machine: Box<dyn Machine>) -> Self {
        let last = machine.clocks();
        Self { machine, last }
    }

    /// What happened since the last look, in words; `None` when nothing did.
    pub fn noticed(&mut self) -> Option<String> {
        let (before, now) = (self.last, self.machine.clocks());
        self.last = now;
        if self.machine.generation_changed() {
            return Some("the virtual machine was copied or restored".to_owned());
        }
        let steady = now.steady.saturating_sub(before.steady);
        let jump = i64::try_from(JUMP.as_millis()).unwrap_or(i64::MAX);
        let beyond = |from: i64, to: i64| {
            let off = to.saturating_sub(from).saturating_sub(steady);
            (off.saturating_abs() > jump).then_some(off)
        };
        if let Some(off) = beyond(before.boot, now.boot) {
            return Some(format!("the machine slept for {off} ms"));
        }
        let off = beyond(before.wall, now.wall)?;
        Some(format!("the clock jumped by {off} ms"))
    }
}

/// This machine.
#[derive(Debug)]
pub struct ThisMachine {
    uevents: Option<OwnedFd>,
}

impl ThisMachine {
    /// Begins to listen; without the kernel's uevents the clocks alone are watched.
    pub fn new() -> Self {
        let uevents = sys::uevent_socket()
            .inspect_err(|error| {
                tracing::info!(
                    code = "no_uevents", %error,
                    "the kernel's word on a restored virtual machine is not heard; clocks are"
                );
            })
            .ok();
        Self { uevents }
    }
}

impl Default for ThisMachine {
    fn default() -> Self {
        Self::new()
    }
}

impl Machine for ThisMachine {
    fn clocks(&mut self) -> Clocks {
        let read = |clock| sys::clock_ms(clock).unwrap_or_default();
        Clocks {
            wall: read(sys::Clock::Wall),
            boot: read(sys::Clock::Boot),
            steady: read(sys::Clock::Steady),
        }
    }

    fn generation_changed(&mut self) -> bool {
        let Some(socket) = &self.uevents else { return false };
        let mut changed = false;
        let mut buffer = [0u8; UEVENT_BYTES_MAX];
        for _ in 0..UEVENTS_MAX {
            match sys::receive(socket.as_fd(), &mut buffer) {
                Ok(Some(bytes)) => changed |= names_new_generation(bytes),
                Ok(None) => break,
                // Some were lost; which is not known, so stop rather than guess.
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => changed = true,
                Err(_) => break,
            }
        }
        changed
    }
}

/// A uevent is a header and `KEY=VALUE` texts, each ended by a zero byte.
fn names_new_generation(uevent: &[u8]) -> bool {
    uevent.split(|byte| *byte == 0).any(|text| text == b"NEW_VMGENID=1")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;

    struct Script(VecDeque<(Clocks, bool)>, bool);

    impl Machine for Script {
        fn clocks(&mut self) -> Clocks {
            let (clocks, changed) = self.0.pop_front().unwrap();
            self.1 = changed;
            clocks
        }
        fn generation_changed(&mut self) -> bool {
            self.1
        }
    }

    /// Each look: wall, boot and steady clock, and whether the generation changed.
    fn check(looks: &[(i64, i64, i64, bool)], wanted: &[Option<&str>]) {
        let clocks = |(wall, boot, steady, changed): &(i64, i64, i64, bool)| {
            (Clocks { wall: *wall, boot: *boot, steady: *steady }, *changed)
        };
        let script = Script(looks.iter().map(clocks).collect(), false);
        let mut watch = Watch::new(Box::new(script));
        let found: Vec<Option<String>> = wanted.iter().map(|_| watch.noticed()).collect();
        let found: Vec<Option<&str>> = found.iter().map(Option::as_deref).collect();
        assert_eq!(found, wanted, "{looks:?}");
    }

    #[test]
    fn a_jump_is_noticed_once_and_time_that_passes_is_not() {
        let start = (1_000_000, 500, 500, false);
        check(&[start, (1_060_000, 60_500, 60_500, false)], &[None]);
        // A slewed clock: half a second in a minute.
        check(&[start, (1_060_500, 60_500, 60_500, false)], &[None]);
        let forward = (4_600_100, 600, 600, false);
        let after = (4_600_200, 700, 700, false);
        check(&[start, forward, after], &[Some("the clock jumped by 3600000 ms"), None]);
        let back = (400_100, 600, 600, false);
        check(&[start, back], &[Some("the clock jumped by -600000 ms")]);
        let slept = (1_090_100, 90_600, 600, false);
        check(&[start, slept], &[Some("the machine slept for 90000 ms")]);
        let copied = (1_000_100, 600, 600, true);
        let wanted = Some("the virtual machine was copied or restored");
        check(&[start, copied, (1_000_200, 700, 700, false)], &[wanted, None]);
    }

    #[test]
    fn a_uevent_of_a_new_generation_is_told_from_others() {
        let header = b"change@/devices/platform/VMGENCTR:00\0ACTION=change\0";
        let event = [&header[..], b"NEW_VMGENID=1\0SEQNUM=77\0"].concat();
        assert!(names_new_generation(&event));
        assert!(!names_new_generation(&[&header[..], b"XNEW_VMGENID=1\0"].concat()));
        assert!(!names_new_generation(b""));
    }

    #[test]
    fn this_machine_answers_and_did_not_jump() {
        let mut watch = Watch::new(Box::new(ThisMachine::new()));
        assert!(watch.last.wall > 0 && watch.last.boot >= watch.last.steady);
        assert_eq!(watch.noticed(), None);
    }
}
