//! With an operating system whose generator is stuck, ECDSA's one-time scalars still differ by session and message.
//!
//! The engine draws by itself, so the stuck generator is put under the whole test process (`osrandom`). Each case runs
//! twice: with the hedge lent, as the node does, and without, to see that the stuck generator alone does repeat.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // helpers of tests fail loudly
#![allow(clippy::indexing_slicing, clippy::as_conversions)]

mod common;

use common::*;
use model::entropy::{Entropy, Lent};
use model::ids::{Seat, SessionId};
use model::keys::KeyKind;
use model::signing::Signature;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use threshold::sign::{Input, Running, Step, engine_draws_what_is_lent, shown, start};

/// The same bytes for ever; lends or does not.
struct Stuck {
    lends: bool,
}

impl Entropy for Stuck {
    fn fill(&mut self, out: &mut [u8]) {
        out.fill(7);
    }
    fn lend(&mut self, source: Lent) -> bool {
        if self.lends {
            osrandom::lend(source);
        }
        self.lends
    }
    fn take_back(&mut self) -> bool {
        osrandom::take_back()
    }
}

/// What the world sees of one signature: first messages, instance points, and the signature.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    first: Vec<Vec<u8>>,
    points: BTreeSet<Vec<u8>>,
    signature: Signature,
}

fn signs_on_a_stuck_machine(lends: bool, session: u8, message: u8) -> Seen {
    let vault = Vault::deal(committee(2, 3), 5);
    let quorum = seats(&[1, 2]);
    let pairs = pairs_for(&vault.public, &quorum);
    // A thread of its own: the engine's generator is seeded with the thread's first draw.
    std::thread::spawn(move || {
        osrandom::lend(Box::new(|out| out.fill(7)));
        let seen = run(lends, &vault, &quorum, &pairs, session, message);
        osrandom::take_back();
        seen
    })
    .join()
    .unwrap()
}

fn run(
    lends: bool,
    vault: &Vault,
    quorum: &BTreeSet<Seat>,
    pairs: &Mesh,
    session: u8,
    message: u8,
) -> Seen {
    let mut entropy = Stuck { lends };
    let mut running: BTreeMap<Seat, Running> = BTreeMap::new();
    let mut inboxes: BTreeMap<Seat, BTreeMap<Seat, Vec<u8>>> = BTreeMap::new();
    let mut seen = (Vec::new(), BTreeSet::new());
    for seat in quorum {
        let own = pairs.iter().filter(|((a, _), _)| a == seat);
        let input = Input {
            session: SessionId([session; 32]),
            public: Arc::clone(&vault.public),
            share: &vault.shares[seat],
            quorum: quorum.clone(),
            item: root_item(KeyKind::Ecdsa, message),
            pairs: own.map(|((_, b), pair)| (*b, Arc::clone(pair))).collect(),
        };
        let Step::Continue(next, out) = start(input, &mut entropy).unwrap() else { panic!() };
        running.insert(*seat, next);
        for message in out {
            seen.0.push(message.bytes.clone());
            inboxes.entry(message.to).or_default().insert(*seat, message.bytes);
        }
    }
    loop {
        let mut next_inboxes: BTreeMap<Seat, BTreeMap<Seat, Vec<u8>>> = BTreeMap::new();
        let mut done = None;
        for (seat, run) in std::mem::take(&mut running) {
            match run.advance(inboxes.remove(&seat).unwrap(), &mut entropy).unwrap() {
                Step::Continue(next, out) => {
                    running.insert(seat, next);
                    for message in out {
                        seen.1.extend(shown(&message.bytes).unwrap().points);
                        next_inboxes.entry(message.to).or_default().insert(seat, message.bytes);
                    }
                }
                Step::Done(signature) => done = Some(signature),
            }
        }
        if let Some(signature) = done {
            return Seen { first: seen.0, points: seen.1, signature };
        }
        inboxes = next_inboxes;
    }
}

fn r_of(seen: &Seen) -> [u8; 32] {
    let Signature::Ecdsa { rs, .. } = &seen.signature else { panic!("not ECDSA") };
    rs[..32].try_into().unwrap()
}

#[test]
fn invariant_k2_a_stuck_machine_gives_each_ecdsa_message_and_session_its_own_instance_point() {
    let hedged = |session, message| signs_on_a_stuck_machine(true, session, message);
    let one = hedged(1, 1);
    assert_eq!(one.points.len(), 2, "each signer shows one point, and they differ");
    for (session, message, what) in [(1, 2, "another message"), (2, 1, "another session")] {
        let other = hedged(session, message);
        assert!(one.points.is_disjoint(&other.points), "{what}: another instance point");
        assert_ne!(r_of(&one), r_of(&other), "{what}: another nonce");
        let first: BTreeSet<_> =
            one.first.iter().map(|bytes| bytes[bytes.len() - 64..].to_vec()).collect();
        assert!(
            other.first.iter().all(|bytes| !first.contains(&bytes[bytes.len() - 64..])),
            "{what}"
        );
    }
    // Nothing but share, context and stuck bytes went in.
    assert_eq!(one, hedged(1, 1), "the same signature again, byte for byte");
}

#[test]
fn without_the_hedge_the_same_stuck_machine_uses_an_instance_point_twice() {
    let bare = |session, message| signs_on_a_stuck_machine(false, session, message);
    let one = bare(1, 1);
    assert!(!one.points.is_disjoint(&bare(1, 2).points), "the test above could fail");
    assert!(!one.points.is_disjoint(&bare(2, 1).points), "the test above could fail");
}

#[test]
fn a_source_that_cannot_lend_is_told_from_one_that_can() {
    assert!(engine_draws_what_is_lent(&mut Stuck { lends: true }));
    assert!(!engine_draws_what_is_lent(&mut Stuck { lends: false }));
}

#[test]
fn after_a_phase_the_engines_generator_is_seeded_anew_from_the_system() {
    let after = |seed: u8| {
        std::thread::spawn(move || {
            osrandom::lend(Box::new(move |out| out.fill(seed)));
            let hedged = engine_draws_what_is_lent(&mut Stuck { lends: true });
            let (salt, asked) =
                (dkls23_core::utilities::commits::commit(&[]).1, osrandom::take_back());
            assert!(hedged && asked, "the system was asked after the hedge was taken back");
            salt
        })
        .join()
        .unwrap()
    };
    assert_ne!(after(1), after(2), "what comes after a phase does not come from its hedge");
}
