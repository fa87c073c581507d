//! Counting logs and witnesses.

use super::{Check, doubled};
use crate::charter::entities::counting_logs;
use crate::charter::fault::{Code, Fault};

pub(super) fn check(check: &Check<'_>, faults: &mut Vec<Fault>) {
    let log = &check.charter.log;
    let (n, f) = (counting_logs(check.charter).len(), usize::from(log.traitors));
    let needed = f.saturating_mul(3).saturating_add(1);
    if n < needed {
        let what = format!("{n} counting logs, of which {f} may lie; that takes {needed}");
        let hint = "add observers of other legal entities; several nodes of one entity count once";
        faults.push(Fault::new(Code::LogQuorum, "log.traitors", what).hint(hint));
    }
    if f == 0 {
        let fault = Fault::new(Code::LogQuorum, "log.traitors", "no log may lie");
        let hint = "a live vault has at least 4 counting logs and traitors = 1";
        faults.push(fault.hint(hint).warning_unless(check.live));
    }
    witnesses(check, faults);
}

/// Each line is one of C2SP's tlog-policy: `witness NAME KEY [URL]`.
fn witnesses(check: &Check<'_>, faults: &mut Vec<Fault>) {
    let log = &check.charter.log;
    let mut keys = Vec::new();
    for (index, line) in log.witnesses.iter().enumerate() {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["witness", _, key] | ["witness", _, key, _] => keys.push(*key),
            _ => {
                let at = format!("log.witnesses[{index}]");
                let fault = Fault::new(Code::BadValue, at, "no witness line");
                faults.push(fault.hint("write `witness NAME KEY`, as C2SP's tlog-policy has it"));
            }
        }
    }
    doubled("log.witnesses", "witness key", keys.into_iter(), faults);
    let (found, w) = (log.witnesses.len(), usize::from(log.witness_traitors));
    let needed = w.saturating_mul(2).saturating_add(1);
    if found < needed {
        let what = format!("{found} witnesses, of which {w} may lie; that takes {needed}");
        let hint = "name witnesses of other owners: time and history rest on them";
        let fault = Fault::new(Code::LogQuorum, "log.witnesses", what).hint(hint);
        faults.push(fault.warning_unless(check.live || w > 0));
    }
}
