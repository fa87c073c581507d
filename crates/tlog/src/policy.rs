//! Trust policies ([tlog-policy](https://c2sp.org/tlog-policy)): which logs are known, and whose cosignatures suffice.

use crate::checkpoint::{Checkpoint, CheckpointError};
use crate::cosignature::{self, WitnessTime};
use crate::note::{Algorithm, Note, NoteError, NoteKey};
use std::collections::{BTreeMap, BTreeSet};

/// Bounds of a policy file; the specification asks for 32 of each at least.
const LINES_MAX: usize = 1_024;
const FILE_BYTES_MAX: usize = 1 << 18;

/// Why a policy is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// The file is too large, or holds bytes that no policy may hold.
    #[error("not a policy file: {0}")]
    File(&'static str),
    /// A line is wrong.
    #[error("line {line}: {text}")]
    Line {
        /// Counted from 1.
        line: usize,
        /// What is wrong.
        text: String,
    },
    /// The line `quorum` is missing.
    #[error("no quorum line; `quorum none` asks for no witness")]
    NoQuorum,
}

/// Why a checkpoint does not meet a policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TrustError {
    /// No listed log signed it.
    #[error("no log of the policy signed this checkpoint")]
    Log(#[source] CheckpointError),
    /// A cosignature of a known witness is wrong: the note is rejected as a whole.
    #[error(transparent)]
    Cosignature(#[from] NoteError),
    /// Too few witnesses.
    #[error("the cosignatures of {} witness(es) do not meet the quorum", witnesses.len())]
    Quorum {
        /// Who did cosign.
        witnesses: Vec<String>,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Member {
    Witness(NoteKey),
    Group { least: usize, members: Vec<String> },
}

/// A policy that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    logs: Vec<NoteKey>,
    names: BTreeMap<String, Member>,
    /// `None`: no witness is asked for.
    quorum: Option<String>,
}

/// A checkpoint that met a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trusted {
    /// Size and root.
    pub checkpoint: Checkpoint,
    /// When each witness of the policy cosigned, by its name in the policy.
    pub times: BTreeMap<String, WitnessTime>,
}

impl Policy {
    /// Reads a policy file.
    pub fn from_text(text: &str) -> Result<Self, PolicyError> {
        if text.len() > FILE_BYTES_MAX || text.lines().count() > LINES_MAX {
            return Err(PolicyError::File("too large"));
        }
        if text.contains(|c: char| c.is_ascii_control() && c != '\t' && c != '\n') {
            return Err(PolicyError::File("a control character"));
        }
        let mut reading = Reading::default();
        for (number, line) in text.split('\n').enumerate() {
            let words: Vec<&str> =
                line.split([' ', '\t']).filter(|word| !word.is_empty()).collect();
            if words.first().is_none_or(|word| word.starts_with('#')) {
                continue;
            }
            let wrong = |text| PolicyError::Line { line: number.saturating_add(1), text };
            reading.line(&words).map_err(wrong)?;
        }
        let quorum = reading.quorum.ok_or(PolicyError::NoQuorum)?;
        Ok(Self { logs: reading.logs, names: reading.names, quorum })
    }

    /// Checks a checkpoint: a listed log signed it, and the quorum of witnesses cosigned it.
    pub fn verify(&self, note: &Note) -> Result<Trusted, TrustError> {
        let unsigned = CheckpointError::Note(NoteError::Unsigned);
        let mut refused = TrustError::Log(unsigned);
        let mut found = None;
        for log in &self.logs {
            match Checkpoint::verify(note, log) {
                Ok(checkpoint) => found = Some(checkpoint),
                Err(error) => refused = TrustError::Log(error),
            }
        }
        let checkpoint = found.ok_or(refused)?;
        let mut times = BTreeMap::new();
        for (name, member) in &self.names {
            let Member::Witness(key) = member else { continue };
            match cosignature::verify(note, key) {
                Ok(time) => {
                    times.insert(name.clone(), time);
                }
                Err(NoteError::Unsigned) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let met = self.quorum.as_ref().is_none_or(|name| self.met(name, &times));
        if met {
            Ok(Trusted { checkpoint, times })
        } else {
            Err(TrustError::Quorum { witnesses: times.into_keys().collect() })
        }
    }

    /// The logs that this policy knows.
    pub fn logs(&self) -> &[NoteKey] {
        &self.logs
    }

    /// Members come before the groups that name them, so this ends.
    fn met(&self, name: &str, times: &BTreeMap<String, WitnessTime>) -> bool {
        match self.names.get(name) {
            Some(Member::Witness(_)) => times.contains_key(name),
            Some(Member::Group { least, members }) => {
                members.iter().filter(|member| self.met(member, times)).count() >= *least
            }
            None => false,
        }
    }
}

#[derive(Default)]
struct Reading {
    logs: Vec<NoteKey>,
    names: BTreeMap<String, Member>,
    /// Names that stand in a group already: each counts in one way only.
    placed: BTreeSet<String>,
    quorum: Option<Option<String>>,
}

impl Reading {
    fn line(&mut self, words: &[&str]) -> Result<(), String> {
        match words {
            ["log", key] | ["log", key, _] => self.log(key),
            ["witness", name, key] | ["witness", name, key, _] => self.witness(name, key),
            ["group", name, least, members @ ..] => self.group(name, least, members),
            ["quorum", name] => self.set_quorum(name),
            [word, ..] => Err(format!("`{word}` does not begin a line of this form")),
            [] => Ok(()),
        }
    }

    fn log(&mut self, key: &str) -> Result<(), String> {
        let key = NoteKey::from_text(key).map_err(|error| error.to_string())?;
        if key.algorithm() != Algorithm::Ed25519 {
            return Err("a log needs a key of type 0x01".into());
        }
        if self.logs.iter().any(|known| known.public() == key.public()) {
            return Err(format!("the key of {} stands here twice", key.name()));
        }
        self.logs.push(key);
        Ok(())
    }

    fn witness(&mut self, name: &str, key: &str) -> Result<(), String> {
        let key = NoteKey::from_text(key).map_err(|error| error.to_string())?;
        if key.algorithm() != Algorithm::Cosignature {
            return Err("a witness needs a key of type 0x04".into());
        }
        let same =
            |member: &Member| matches!(member, Member::Witness(k) if k.public() == key.public());
        if self.names.values().any(same) {
            return Err(format!("the key of {name} stands here twice"));
        }
        self.define(name, Member::Witness(key))
    }

    fn group(&mut self, name: &str, least: &str, members: &[&str]) -> Result<(), String> {
        let count = members.len();
        let least = match least {
            "all" => count,
            "any" => 1,
            number => crate::checkpoint::decimal(number)
                .and_then(|number| usize::try_from(number).ok())
                .ok_or_else(|| format!("`{number}` is neither `all`, `any` nor a number"))?,
        };
        if least == 0 || least > count {
            return Err(format!("{least} of {count} members"));
        }
        for member in members {
            if !self.names.contains_key(*member) {
                return Err(format!("`{member}` is not defined above"));
            }
            if !self.placed.insert((*member).to_owned()) {
                return Err(format!("`{member}` stands in two groups"));
            }
        }
        let members = members.iter().map(|member| (*member).to_owned()).collect();
        self.define(name, Member::Group { least, members })
    }

    fn set_quorum(&mut self, name: &str) -> Result<(), String> {
        if self.quorum.is_some() {
            return Err("a second quorum".into());
        }
        if name != "none" && !self.names.contains_key(name) {
            return Err(format!("`{name}` is not defined above"));
        }
        self.quorum = Some((name != "none").then(|| name.to_owned()));
        Ok(())
    }

    fn define(&mut self, name: &str, member: Member) -> Result<(), String> {
        if name == "none" || self.names.contains_key(name) {
            return Err(format!("`{name}` is taken"));
        }
        self.names.insert(name.to_owned(), member);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ed25519_dalek::{Signer, SigningKey};

    fn secret(seed: u8) -> SigningKey {
        SigningKey::from_bytes(&[seed; 32])
    }
    fn key(name: &str, algorithm: Algorithm, seed: u8) -> NoteKey {
        NoteKey::new(name, algorithm, secret(seed).verifying_key().to_bytes()).unwrap()
    }
    fn policy() -> String {
        let witness = |n: u8| {
            let key = key(&format!("w{n}.example"), Algorithm::Cosignature, 10 + n);
            format!("witness w{n} {}\n", key.to_text())
        };
        format!(
            "# two sets\nlog {} https://log.example/\n{}{}{}\n\
             group X 2 w1 w2\n\tgroup both all X w3\nquorum both\n",
            key("log.example", Algorithm::Ed25519, 1).to_text(),
            witness(1),
            witness(2),
            witness(3)
        )
    }
    fn checkpoint(witnesses: &[u8]) -> Note {
        let log = key("log.example", Algorithm::Ed25519, 1);
        let checkpoint = Checkpoint { origin: "log.example".into(), size: 1, root: [5; 32] };
        let mut note = checkpoint.signed(&log, |m| secret(1).sign(m).to_bytes());
        for n in witnesses {
            let key = key(&format!("w{n}.example"), Algorithm::Cosignature, 10 + n);
            let time = WitnessTime(1_000 + u64::from(*n));
            let line =
                cosignature::cosign(&note.text, &key, time, |m| secret(10 + n).sign(m).to_bytes());
            note.signatures.push(line);
        }
        note
    }

    #[test]
    fn the_quorum_is_met_by_its_groups_and_by_nothing_less() {
        let policy = Policy::from_text(&policy()).unwrap();
        let trusted = policy.verify(&checkpoint(&[1, 2, 3])).unwrap();
        assert_eq!(trusted.checkpoint.size, 1);
        assert_eq!(trusted.times.get("w3"), Some(&WitnessTime(1_003)));
        for witnesses in [&[1, 2][..], &[1, 3], &[3], &[]] {
            let refused = policy.verify(&checkpoint(witnesses));
            assert!(matches!(refused, Err(TrustError::Quorum { .. })), "{witnesses:?}");
        }
        let mut forged = checkpoint(&[1, 2, 3]);
        forged.signatures[3].bytes[20] ^= 1;
        assert!(matches!(policy.verify(&forged), Err(TrustError::Cosignature(_))));
        let mut unsigned = checkpoint(&[1, 2, 3]);
        unsigned.signatures.remove(0);
        assert!(matches!(policy.verify(&unsigned), Err(TrustError::Log(_))));
    }

    #[test]
    fn every_defect_of_a_policy_is_named_with_its_line() {
        let good = policy();
        let check =
            |change: &dyn Fn(&str) -> String, line: usize, part: &str| match Policy::from_text(
                &change(&good),
            ) {
                Err(PolicyError::Line { line: at, text }) => {
                    assert_eq!(at, line, "{text}");
                    assert!(text.contains(part), "{text}");
                }
                other => panic!("{part}: {other:?}"),
            };
        check(&|s| s.replace("group X 2", "group X 3"), 7, "3 of 2");
        check(&|s| s.replace("group X 2", "group X 0"), 7, "0 of 2");
        check(&|s| s.replace("group X 2", "group X two"), 7, "neither");
        check(&|s| s.replace("all X w3", "all X w1 w3"), 8, "two groups");
        check(&|s| s.replace("all X w3", "all X w4"), 8, "not defined");
        check(&|s| s.replace("quorum both", "quorum neither"), 9, "not defined");
        check(&|s| s.replace("quorum both", "quorum both\nquorum both"), 10, "second");
        check(&|s| s.replace("group both", "group none"), 8, "taken");
        check(&|s| s.replace("witness w2", "witness w1"), 4, "taken");
        check(&|s| s.replace("quorum both", "quota both"), 9, "does not begin");
        let twice = |s: &str| {
            let line = s.lines().nth(2).unwrap().to_owned();
            s.replace(&line, &format!("{line}\n{}", line.replace("w1 ", "w9 ")))
        };
        check(&twice, 4, "twice");
        let none = good.replace("quorum both\n", "");
        assert_eq!(Policy::from_text(&none), Err(PolicyError::NoQuorum));
        assert!(matches!(Policy::from_text("quorum\rnone"), Err(PolicyError::File(_))));
        let open = Policy::from_text(&good.replace("quorum both", "quorum none")).unwrap();
        assert!(open.verify(&checkpoint(&[])).is_ok());
    }
}
