//! Random damage to everything a peer or a disk can hand to signing and pair state: errors, never a panic.
//!
//! The seeds are fixed, so a failure repeats; `tests/negative.rs` says which error each field gives. One pass by default;
//! `OUTLAST_FUZZ_SECS` goes on with further seeds for so long.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test that cannot go on fails, and a long run says where it is"
)]

mod common;

use common::{SeededEntropy, Session, Vault, committee, root_item};
use dkls23_core::utilities::proofs::{DLogProof, EncProof};
use k256::{Scalar, Secp256k1 as K256};
use model::entropy::Entropy;
use model::ids::{NodeId, PairEpoch, Seat};
use model::keys::KeyKind;
use std::time::{Duration, Instant};
use threshold::pair::{PairSetup, PairState};
use threshold::sign::{Head, SignError};

/// A few random edits: flips, cuts, insertions, runs of one byte.
fn damage(bytes: &mut Vec<u8>, entropy: &mut SeededEntropy) {
    let mut below = |n: usize| {
        let random = u64::from_be_bytes(entropy.bytes());
        usize::try_from(random % u64::try_from(n.max(1)).unwrap()).unwrap()
    };
    for _ in 0..=below(3) {
        let at = below(bytes.len());
        match below(5) {
            0 if !bytes.is_empty() => bytes[at] ^= 1 << below(8),
            1 => bytes.truncate(at),
            2 => bytes.insert(at.min(bytes.len()), 0xff),
            3 => {
                let end = (at + below(40)).min(bytes.len());
                bytes[at.min(end)..end].fill([0x00, 0xff][below(2)]);
            }
            _ => bytes.extend_from_slice(&[0; 3]),
        }
    }
}

/// One pass, and further ones with other seeds until `OUTLAST_FUZZ_SECS` are over.
fn for_a_while(first: u64, mut pass: impl FnMut(&mut SeededEntropy)) {
    let secs = std::env::var("OUTLAST_FUZZ_SECS").ok().and_then(|text| text.parse().ok());
    let until = Instant::now() + Duration::from_secs(secs.unwrap_or(0));
    let mut seed = first;
    loop {
        pass(&mut SeededEntropy::new(seed));
        if Instant::now() >= until {
            return;
        }
        seed += 1_000;
        println!("next seed {seed}");
    }
}

#[test]
fn fuzz_damaged_signing_messages_are_errors_and_never_panics() {
    let vault = Vault::deal(committee(2, 3), 51);
    for_a_while(52, |entropy| damaged_signing_messages(&vault, entropy));
}

fn damaged_signing_messages(vault: &Vault, entropy: &mut SeededEntropy) {
    for (key, runs) in [(KeyKind::Ed25519, 240u8), (KeyKind::Bip340, 240), (KeyKind::Ecdsa, 60)] {
        let session = Session::new(vault, &[1, 2], root_item(key, 1), 1);
        let rounds = if key == KeyKind::Ecdsa { 3 } else { 2 };
        for run in 0..runs {
            let mut changed = false;
            let results = session.run_with(|round, from, _, bytes| {
                if (round, from) == (1 + run % rounds, Seat(2)) {
                    let before = bytes.clone();
                    damage(bytes, entropy);
                    changed = before != *bytes;
                }
            });
            match results.get(&Seat(1)) {
                Some(Err(SignError::Misbehaved { culprit, .. })) => {
                    assert!(changed && *culprit != Some(Seat(1)));
                    assert_ne!(
                        results[&Seat(1)].as_ref().unwrap_err().code(),
                        "sign_engine_panicked"
                    );
                }
                Some(Ok(_)) => assert!(!changed, "a damaged message made a signature"),
                other => panic!("{other:?}"),
            }
        }
        session.sign();
    }
}

#[test]
fn fuzz_random_bytes_have_no_head_or_a_head_that_is_not_ours() {
    let vault = Vault::deal(committee(2, 3), 53);
    let session = Session::new(&vault, &[1, 2], root_item(KeyKind::Ed25519, 1), 1);
    let (run, _) = session.start(Seat(1), 1);
    let (_, good) = session.start(Seat(2), 1);
    for_a_while(54, |entropy| {
        for _ in 0..20_000 {
            let mut bytes = good[0].bytes.clone();
            damage(&mut bytes, entropy);
            let same_head = bytes.get(..75) == good[0].bytes.get(..75);
            assert_eq!(run.accepts(Seat(2), &bytes).is_ok(), same_head);
            assert!(
                bytes.len() >= 75 || Head::peek(&bytes).is_err(),
                "a head out of too few bytes"
            );
        }
    });
}

#[test]
fn fuzz_a_damaged_stored_pair_state_is_refused_or_another_state() {
    let vault = Vault::deal(committee(2, 3), 55);
    let session = Session::new(&vault, &[1, 2], root_item(KeyKind::Ecdsa, 1), 1);
    let good = session.mesh[&(Seat(1), Seat(2))].to_bytes();
    for_a_while(56, |entropy| {
        for _ in 0..300 {
            let mut bytes = good.expose().clone();
            damage(&mut bytes, entropy);
            if let Ok(state) = PairState::from_bytes(&bytes) {
                assert_eq!(state.to_bytes().expose().len(), good.expose().len());
            }
        }
    });
}

type Engine = (DLogProof<K256>, Scalar, [u8; 32], Vec<EncProof<K256>>);

/// Lists of the wrong length inside a well-formed message: where an engine that indexes would fall over.
#[test]
fn a_first_pair_message_of_wrong_dimensions_is_named() {
    let (one, two) = (NodeId([1; 32]), NodeId([2; 32]));
    let begin = |me, peer| PairSetup::start(me, peer, PairEpoch(1), [3; 32]).unwrap();
    let (_, good) = begin(two, one);
    let at = 3 + 32 + 32 + 4;
    let edits: [fn(&mut Engine); 8] = [
        |engine| {
            engine.3.pop();
        },
        |engine| engine.3.clear(),
        |engine| engine.3.push(engine.3[0].clone()),
        |engine| engine.3.swap(0, 1),
        |engine| drop(engine.0.proofs.pop()),
        |engine| engine.0.proofs.clear(),
        |engine| engine.0.rand_commitments.truncate(1),
        |engine| engine.0.proofs[0].challenge.resize(100, 7),
    ];
    for (number, edit) in edits.iter().enumerate() {
        let mut engine: Engine = postcard::from_bytes(&good[at..]).unwrap();
        edit(&mut engine);
        let engine = postcard::to_allocvec(&engine).unwrap();
        let mut bad = good[..at - 4].to_vec();
        bad.extend_from_slice(&u32::try_from(engine.len()).unwrap().to_be_bytes());
        bad.extend_from_slice(&engine);
        let found = begin(one, two).0.receive(&bad).map(|_| ()).map_err(|error| error.code());
        assert_eq!(found, Err("pair_engine"), "edit {number}");
    }
}
