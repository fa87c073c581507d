//! Goal: the record of a ceremony is the specified bytes, and one with a defect is refused by name. Method: a ceremony under
//! fixed seeds, a traitor that signs twice, and changes of both; files that other implementations can follow.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use engine::CeremonyPlan;
use engine::record::{CeremonyRecord, Finding, verify_record};
use model::card::{NodeKey, SigningUse};
use model::entropy::Entropy;
use model::hash::tagged;
use model::ids::Seat;
use model::keys::Purpose;
use model::secret::Secret;
use model::time::Timestamp;
use model::wire::{Wire, Writer, tags};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use threshold::dkg::{self, Evidence, Mark, Outcome, Running, Step};

/// A record with what a stranger finds in it, or the name of the refusal.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Vector {
    name: String,
    bytes: String,
    finding: String,
}

/// Counting bytes through a hash: repeatable.
struct Counted(u64, u64);

impl Entropy for Counted {
    fn fill(&mut self, out: &mut [u8]) {
        for chunk in out.chunks_mut(32) {
            self.1 += 1;
            let parts = [&self.0.to_be_bytes()[..], &self.1.to_be_bytes()];
            chunk.copy_from_slice(&tagged("outlast/test-entropy/v1", &parts)[..chunk.len()]);
        }
    }
}

fn keys() -> Vec<NodeKey> {
    let mut keys: Vec<NodeKey> = (1..=3).map(|n| NodeKey::new(Secret::new([n; 32]))).collect();
    keys.sort_by_key(NodeKey::id);
    keys
}

fn plan() -> CeremonyPlan {
    let members: Vec<_> = keys().iter().map(NodeKey::id).collect();
    CeremonyPlan {
        name: "treasury".to_owned(),
        purpose: Purpose::Test,
        threshold: 2,
        proposer: members[0],
        members,
        at: Timestamp(1_767_225_600_000),
        nonce: [9; 32],
        charter: None,
    }
}

/// Runs the ceremony among three honest members; returns the first one's outcome.
fn outcome() -> Outcome {
    let (plan, keys) = (Arc::new(plan().dkg_plan().unwrap()), keys());
    let mut running: BTreeMap<Seat, Running> = BTreeMap::new();
    let mut mail: BTreeMap<Seat, BTreeMap<Seat, Vec<u8>>> = BTreeMap::new();
    let mut dice: Vec<Counted> = (1..=3).map(|n| Counted(n, 0)).collect();
    for (n, seat) in (0usize..).zip(plan.members.keys().copied()) {
        let (state, out) = dkg::start(Arc::clone(&plan), seat, &keys[n], &mut dice[n]).unwrap();
        running.insert(seat, state);
        out.into_iter().for_each(|m| drop(mail.entry(m.to).or_default().insert(seat, m.bytes)));
    }
    loop {
        let inboxes = std::mem::take(&mut mail);
        for (n, (seat, inbox)) in (0usize..).zip(inboxes) {
            match running.remove(&seat).unwrap().advance(inbox, &keys[n], &mut dice[n]).unwrap() {
                Step::Continue(state, out) => {
                    running.insert(seat, state);
                    for message in out {
                        mail.entry(message.to).or_default().insert(seat, message.bytes);
                    }
                }
                Step::Done(outcome) => return *outcome,
            }
        }
    }
}

/// A signed digest of a round, as docs/spec/dkg.md has it.
fn mark(key: &NodeKey, round: u8, seat: u16, body: &[u8]) -> Mark {
    let digest = tagged("outlast/dkg/broadcast/v1", &[body]);
    let mut w = Writer::default();
    w.header(tags::DKG_MARK, 1);
    w.fixed(&plan().dkg_plan().unwrap().digest());
    w.u8(round);
    w.u16(seat);
    w.fixed(&digest);
    let signature = key.sign(SigningUse::Ceremony, &w.into_bytes());
    Mark::from_bytes(&[&digest[..], &signature].concat()).unwrap()
}

fn broken(first: Mark, second: Mark) -> CeremonyRecord {
    let evidence = Evidence::Equivocation { seat: Seat(2), round: 1, first, second };
    CeremonyRecord::Broken { plan: plan(), evidence: Box::new(evidence) }
}

fn made() -> Vec<Vector> {
    let Outcome { transcript, confirmations, .. } = outcome();
    let make = |plan, transcript: &Vec<u8>, confirmations: &BTreeMap<_, _>| CeremonyRecord::Made {
        plan,
        transcript: transcript.clone(),
        confirmations: confirmations.clone(),
    };
    let good = make(plan(), &transcript, &confirmations);
    let mut fewer = confirmations.clone();
    fewer.remove(&Seat(3));
    let mut unsigned = confirmations.clone();
    *unsigned.get_mut(&Seat(2)).unwrap().last_mut().unwrap() ^= 1;
    let mut changed = transcript.clone();
    let last = changed.len() - 1;
    changed[last] ^= 1;
    let renamed = CeremonyPlan { name: "another name".to_owned(), ..plan() };
    let keys = keys();
    let (one, two) = (mark(&keys[1], 1, 2, b"one"), mark(&keys[1], 1, 2, b"two"));
    let framed = mark(&keys[0], 1, 2, b"two");
    let mut trailing = good.to_bytes();
    trailing.push(0);
    let records = [
        ("a vault was made", good.to_bytes()),
        ("seat 2 signed two broadcasts of round 1", broken(one.clone(), two).to_bytes()),
        ("bad: another name in the plan", make(renamed, &transcript, &confirmations).to_bytes()),
        ("bad: a confirmation is missing", make(plan(), &transcript, &fewer).to_bytes()),
        ("bad: a confirmation's signature", make(plan(), &transcript, &unsigned).to_bytes()),
        ("bad: the transcript's last byte", make(plan(), &changed, &confirmations).to_bytes()),
        ("bad: a byte follows", trailing),
        ("bad: one broadcast twice", broken(one.clone(), one.clone()).to_bytes()),
        ("bad: the other one is not seat 2's", broken(one, framed).to_bytes()),
    ];
    let vector = |(name, bytes): (&str, Vec<u8>)| {
        let finding = finding(&bytes);
        Vector { name: name.to_owned(), bytes: hex::encode(bytes), finding }
    };
    records.into_iter().map(vector).collect()
}

fn finding(bytes: &[u8]) -> String {
    match verify_record(bytes).map(|verified| verified.finding) {
        Ok(Finding::Made { vault, keys, .. }) => {
            let keys: Vec<String> =
                keys.iter().map(|(kind, key)| format!("{kind} {}", hex::encode(key))).collect();
            format!("made: vault {vault}, {}", keys.join(", "))
        }
        Ok(Finding::Broken { seat, culprit, breach }) => {
            format!("broken: seat {}, node {culprit}, {breach}", seat.0)
        }
        Err(refusal) => format!("refused: {}", refusal.code()),
    }
}

#[test]
fn records_are_those_of_the_vectors() {
    let made = made();
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../vectors/ceremony-record/1/records.json");
    if std::env::var_os("OUTLAST_BLESS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, serde_json::to_string_pretty(&made).unwrap() + "\n").unwrap();
    }
    let stored: Vec<Vector> =
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    assert_eq!(stored, made);
    let codes: Vec<&str> = stored.iter().map(|v| v.finding.split(',').next().unwrap()).collect();
    let vault = format!("made: vault {}", outcome().vault);
    let wanted = [
        vault.as_str(),
        "broken: seat 2",
        "refused: record_plan",
        "refused: transcript_confirmation",
        "refused: transcript_confirmation",
        "refused: transcript_malformed",
        "refused: record_malformed",
        "refused: evidence_no_breach",
        "refused: evidence_unsigned",
    ];
    assert_eq!(codes, wanted);
}
