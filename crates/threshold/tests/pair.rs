//! Pair state: both ends agree, storage reads back, and every spoiled setup ends in a named error.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // helpers of tests fail loudly
#![allow(clippy::indexing_slicing, clippy::as_conversions)]

mod common;

use common::{Session, Vault, committee, root_item};
use model::ids::{NodeId, PairEpoch, Seat};
use model::keys::KeyKind;
use std::sync::Arc;
use threshold::pair::{PairError, PairSetup, PairState, PairStep};

const ONE: NodeId = NodeId([1; 32]);
const TWO: NodeId = NodeId([2; 32]);
const NONCE: [u8; 32] = [7; 32];

fn begin(me: NodeId, peer: NodeId) -> (PairSetup, Vec<u8>) {
    PairSetup::start(me, peer, PairEpoch(4), NONCE).unwrap()
}

fn second(setup: PairSetup, first: &[u8]) -> (PairSetup, Vec<u8>) {
    match setup.receive(first).unwrap() {
        PairStep::Continue(setup, message) => (setup, message),
        PairStep::Done(..) => panic!("done after one message"),
    }
}

fn fail(setup: PairSetup, message: &[u8]) -> PairError {
    match setup.receive(message) {
        Err(error) => error,
        Ok(step) => panic!("{step:?}"),
    }
}

#[test]
fn both_ends_derive_one_id_and_the_stored_state_signs_like_the_first() {
    let vault = Vault::deal(committee(2, 3), 41);
    let mut session = Session::new(&vault, &[1, 2], root_item(KeyKind::Ecdsa, 1), 1);
    let (one, two) = (&session.mesh[&(Seat(1), Seat(2))], &session.mesh[&(Seat(2), Seat(1))]);
    assert_eq!(one.id(), two.id());
    assert_eq!((one.me(), one.peer(), one.epoch()), (two.peer(), two.me(), PairEpoch(1)));
    let shown = format!("{one:?}");
    assert!(shown.len() < 120, "a pair state prints more than its ends: {shown}");
    let bytes = one.to_bytes();
    let again = PairState::from_bytes(bytes.expose()).unwrap();
    assert_eq!(again.id(), one.id());
    assert_eq!(bytes.expose().len(), 52_443, "docs/spec/signing.md gives the size");
    assert_eq!(again.to_bytes().expose(), bytes.expose());
    for cut in [0, 3, 50, 134, 1000, bytes.expose().len() - 1] {
        let found = PairState::from_bytes(&bytes.expose()[..cut]).map(|_| ());
        assert_eq!(found.map_err(|error| error.code()), Err("pair_stored"), "{cut}");
    }
    let mut long = bytes.expose().clone();
    long.push(0);
    assert_eq!(PairState::from_bytes(&long).unwrap_err().code(), "pair_stored");
    session.mesh.insert((Seat(1), Seat(2)), Arc::new(again));
    session.sign();
}

#[test]
fn a_setup_with_oneself_is_refused() {
    let found = PairSetup::start(ONE, ONE, PairEpoch(1), NONCE).map(|_| ());
    assert_eq!(found, Err(PairError::SameNode));
}

#[test]
fn a_first_message_of_another_setup_or_reflected_is_named() {
    let start =
        |me, peer, epoch, nonce| PairSetup::start(me, peer, PairEpoch(epoch), nonce).unwrap();
    let (_, epoch) = start(TWO, ONE, 5, NONCE);
    let (_, nonce) = start(TWO, ONE, 4, [8; 32]);
    let (_, node) = start(TWO, NodeId([3; 32]), 4, NONCE);
    for other in [epoch, nonce, node] {
        assert_eq!(fail(begin(ONE, TWO).0, &other), PairError::Context);
    }
    // Reflected: the proofs are bound to the direction.
    let (setup, own) = begin(ONE, TWO);
    assert!(matches!(fail(setup, &own), PairError::Engine(_)));
    // A second message where the first is due, and the other way round.
    let ((one, from_one), (two, from_two)) = (begin(ONE, TWO), begin(TWO, ONE));
    let (one, second_one) = second(one, &from_two);
    assert_eq!(fail(two, &second_one).code(), "pair_malformed");
    assert_eq!(fail(one, &from_one).code(), "pair_malformed");
}

#[test]
fn a_tampered_first_message_is_named() {
    let (_, good) = begin(TWO, ONE);
    let length = good.len();
    assert_eq!(length, 143_022, "docs/spec/signing.md gives the size");
    // Tag, version, context, length, proof, gadget nonce, seed, and encryption proofs from first to last.
    let places = [
        0,
        2,
        10,
        68,
        73,
        100,
        3000,
        5000,
        6000,
        length / 2,
        length - 200,
        length - 40,
        length - 1,
    ];
    for at in places {
        let mut bad = good.clone();
        bad[at] ^= 1;
        let code = fail(begin(ONE, TWO).0, &bad).code();
        assert!(["pair_malformed", "pair_context", "pair_engine"].contains(&code), "{at}: {code}");
    }
    for cut in [0, 2, 66, 71, 5000, length - 1] {
        assert_eq!(fail(begin(ONE, TWO).0, &good[..cut]).code(), "pair_malformed");
    }
    let mut long = good.clone();
    long.push(0);
    assert_eq!(fail(begin(ONE, TWO).0, &long).code(), "pair_malformed");
    assert_eq!(fail(begin(ONE, TWO).0, &vec![0; 300_000]).code(), "pair_malformed");
}

/// The commitment to the seed and the gadget nonce have no proof of their own: the second message catches them.
#[test]
fn a_tampered_second_message_or_a_silently_changed_first_one_is_named() {
    let spoiled = |first_edit: usize, second_edit: usize| {
        let ((one, mut from_one), (two, from_two)) = (begin(ONE, TWO), begin(TWO, ONE));
        if first_edit > 0 {
            from_one[first_edit] ^= 1;
        }
        let (one, mut second_one) = second(one, &from_two);
        let (two, second_two) = second(two, &from_one);
        if second_edit > 0 {
            second_one[second_edit] ^= 1;
        }
        (fail(two, &second_one), one.receive(&second_two).map(|_| ()))
    };
    // Byte 40 is inside the commitment: both ends see different first messages.
    let (two, one) = spoiled(40, 0);
    assert_eq!((two, one), (PairError::Transcript, Err(PairError::Transcript)));
    // Tag, context, id, seed, salt.
    for (at, code) in [
        (1, "pair_malformed"),
        (10, "pair_context"),
        (40, "pair_transcript"),
        (70, "pair_commitment"),
        (120, "pair_commitment"),
    ] {
        let (two, one) = spoiled(0, at);
        assert_eq!((two.code(), one), (code, Ok(())), "byte {at}");
    }
}
