//! Every message of every scheme, spoiled in every way: a named error, no panic, and the next signature works.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // helpers of tests fail loudly
#![allow(clippy::indexing_slicing, clippy::as_conversions)]

mod common;

use common::{SeededEntropy, Session, Vault, committee, fresh_pair, pairs_for, root_item};
use model::entropy::Entropy;
use model::ids::{Epoch, Seat, SessionId};
use model::keys::KeyKind;
use model::limits::MESSAGE_BYTES_MAX;
use std::collections::BTreeSet;
use std::sync::Arc;
use threshold::sign::{Reason, SignError};

/// Bytes before a body: the head and the body's length.
const HEAD: usize = 75 + 4;

fn rounds(key: KeyKind) -> u8 {
    if key == KeyKind::Ecdsa { 3 } else { 2 }
}

/// The error that seat 1 ends with when the message of `round` from seat 2 is spoiled.
fn spoil(session: &Session<'_>, round: u8, edit: impl Fn(&mut Vec<u8>)) -> SignError {
    let results = session.run_with(|at, from, to, bytes| {
        if (at, from, to) == (round, Seat(2), Seat(1)) {
            edit(bytes);
        }
    });
    match results.get(&Seat(1)) {
        Some(Err(error)) => {
            assert_ne!(error.code(), "sign_bug", "{error}");
            assert_ne!(error.code(), "sign_engine_panicked", "{error:?}");
            error.clone()
        }
        other => panic!("seat 1 ended with {other:?} in round {round}"),
    }
}

/// Starts of the fields of each ECDSA body, and its length; the pair id first.
fn ecdsa_fields(round: u8) -> Vec<usize> {
    let sizes: &[usize] = match round {
        1 => &[32, 32, 32, 32, 256 * 78, 26, 256 * 26],
        2 => &[32, 33, 33, 33, 33, 32, 64, 4 * 416 * 32, 32, 32, 32, 32, 32, 32],
        _ => &[32, 32],
    };
    let mut at = HEAD;
    let mut starts = vec![at];
    for size in sizes {
        at += size;
        starts.push(at);
    }
    starts
}

/// Bytes to flip: the whole head, all of a short body, the ends and some inside of each field of a long one.
fn places(key: KeyKind, round: u8, length: usize) -> Vec<usize> {
    if length < 1000 {
        return (0..length).collect();
    }
    let mut out: BTreeSet<usize> = (0..HEAD).collect();
    let mut entropy = SeededEntropy::new(u64::from(round));
    for field in ecdsa_fields(round).windows(2) {
        let (start, end) = (field[0], field[1]);
        out.extend([start, end - 1]);
        for _ in 0..6 {
            let random = u64::from_be_bytes(entropy.bytes());
            out.insert(start + usize::try_from(random % (end - start) as u64).unwrap());
        }
    }
    assert_eq!((key, ecdsa_fields(round).last()), (KeyKind::Ecdsa, Some(&length)));
    out.into_iter().collect()
}

/// Flips one bit at each place of each message; returns the codes that were met.
fn flip_everything(key: KeyKind) -> BTreeSet<(u8, &'static str)> {
    let vault = Vault::deal(committee(2, 3), 31);
    let session = Session::new(&vault, &[1, 2], root_item(key, 1), 1);
    let mut lengths = [0; 4];
    session.run_with(|round, from, _, bytes| {
        if from == Seat(2) {
            lengths[usize::from(round)] = bytes.len();
        }
    });
    let mut met = BTreeSet::new();
    for round in 1..=rounds(key) {
        for at in places(key, round, lengths[usize::from(round)]) {
            let error = spoil(&session, round, |bytes| bytes[at] ^= 1 << (at % 8));
            met.insert((round, error.code()));
            if let SignError::Misbehaved { culprit, pair, reason } = &error {
                let named = *culprit == Some(Seat(2)) || culprit.is_none();
                assert!(named, "an honest seat is named for byte {at} of round {round}: {error:?}");
                let engine = matches!(reason, Reason::Check(_));
                assert!(!pair || engine, "only a failed check touches a pair: {error:?}");
                assert!(!pair || culprit.is_some(), "a failed pair has a name");
            }
        }
    }
    // Nobody's pair state was renewed for recoverable errors, and the next signature works.
    session.sign();
    met
}

#[test]
fn every_tampered_ed25519_message_ends_in_a_named_error() {
    let met = flip_everything(KeyKind::Ed25519);
    for code in ["sign_malformed", "sign_package"] {
        assert!(met.iter().any(|(_, found)| *found == code), "{code} was never met: {met:?}");
    }
    assert!(met.contains(&(2, "sign_share_invalid")), "{met:?}");
}

#[test]
fn every_tampered_taproot_message_ends_in_a_named_error() {
    let met = flip_everything(KeyKind::Bip340);
    assert!(met.contains(&(2, "sign_share_invalid")), "{met:?}");
    assert!(met.contains(&(2, "sign_package")), "{met:?}");
}

#[test]
fn every_tampered_ecdsa_message_ends_in_a_named_error_and_a_fresh_pair_signs_again() {
    let met = flip_everything(KeyKind::Ecdsa);
    for wanted in [
        (1, "sign_pair_mismatch"),
        (1, "sign_check"),
        (2, "sign_check"),
        (3, "sign_signature_invalid"),
    ] {
        assert!(met.contains(&wanted), "{wanted:?} was never met: {met:?}");
    }
    // After a named pair failure the operators make a new state of the next epoch; nothing else changes.
    let vault = Vault::deal(committee(2, 3), 31);
    let mut session = Session::new(&vault, &[1, 2], root_item(KeyKind::Ecdsa, 9), 9);
    let (one, two) = (vault.public.members[&Seat(1)], vault.public.members[&Seat(2)]);
    let (one, two) = fresh_pair(one, two, 2);
    session.mesh = [((Seat(1), Seat(2)), one), ((Seat(2), Seat(1)), two)].into();
    session.sign();
}

#[test]
fn a_failed_transfer_check_names_the_peer_and_condemns_the_pair() {
    let vault = Vault::deal(committee(2, 3), 32);
    let session = Session::new(&vault, &[1, 2], root_item(KeyKind::Ecdsa, 1), 1);
    let fields = ecdsa_fields(1);
    for field in [4, 5, 6] {
        let error = spoil(&session, 1, |bytes| bytes[fields[field] + 1] ^= 4);
        let named = matches!(
            error,
            SignError::Misbehaved { culprit: Some(Seat(2)), pair: true, reason: Reason::Check(_) }
        );
        assert!(named, "{error:?}");
        assert!(error.condemns(Seat(2)) && !error.condemns(Seat(3)));
    }
}

#[test]
fn a_wrong_last_ecdsa_message_names_nobody_and_spares_the_pair() {
    let vault = Vault::deal(committee(2, 3), 33);
    let session = Session::new(&vault, &[1, 2], root_item(KeyKind::Ecdsa, 1), 1);
    for at in [HEAD + 31, HEAD + 63] {
        let error = spoil(&session, 3, |bytes| bytes[at] ^= 1);
        let reason = Reason::Signature;
        assert!(!error.condemns(Seat(2)));
        assert_eq!(error, SignError::Misbehaved { culprit: None, pair: false, reason });
    }
    session.sign();
}

#[test]
fn a_wrong_signature_share_names_its_sender_among_three() {
    let vault = Vault::deal(committee(3, 3), 34);
    for key in [KeyKind::Bip340, KeyKind::Ed25519] {
        let session = Session::new(&vault, &[1, 2, 3], root_item(key, 1), 1);
        for liar in [1, 2, 3] {
            let results = session.run_with(|round, from, _, bytes| {
                if (round, from) == (2, Seat(liar)) {
                    // The low byte of the share in either byte order, so that it stays a scalar.
                    let at = if key == KeyKind::Bip340 { bytes.len() - 1 } else { HEAD + 32 };
                    bytes[at] ^= 1;
                }
            });
            for (seat, result) in results {
                if seat == Seat(liar) {
                    assert!(result.is_ok(), "the liar itself got honest shares");
                    continue;
                }
                let reason = Reason::SignatureShare;
                let culprit = Some(Seat(liar));
                assert_eq!(result, Err(SignError::Misbehaved { culprit, pair: false, reason }));
            }
        }
        session.sign();
    }
}

#[test]
fn a_sender_of_two_commitments_stops_the_session_and_no_honest_seat_is_named() {
    let vault = Vault::deal(committee(3, 3), 35);
    for key in [KeyKind::Bip340, KeyKind::Ed25519] {
        let session = Session::new(&vault, &[1, 2, 3], root_item(key, 1), 1);
        let (_, other) = session.start(Seat(2), 1234);
        let results = session.run_with(|round, from, to, bytes| {
            if (round, from, to) == (1, Seat(2), Seat(3)) {
                *bytes = other[0].bytes.clone();
            }
        });
        for seat in [1, 3] {
            let reason = Reason::Package;
            let wanted = SignError::Misbehaved { culprit: None, pair: false, reason };
            assert_eq!(results[&Seat(seat)], Err(wanted));
        }
        session.sign();
    }
}

/// Each way in which a whole message can be in the wrong place.
fn misplaced(key: KeyKind) {
    let vault = Vault::deal(committee(2, 3), 36);
    let session = Session::new(&vault, &[1, 2], root_item(key, 1), 1);
    let check = |round: u8, edit: &dyn Fn(&mut Vec<u8>), code: &str| {
        let error = spoil(&session, round, edit);
        assert_eq!(error.code(), code, "round {round}: {error:?}");
        let pair = matches!(error, SignError::Misbehaved { pair: true, .. });
        assert!(!pair, "a misplaced message never condemns a pair");
    };
    // Replayed from another session; signed for something else in this one; of another epoch.
    let record = |other: &Session<'_>| {
        let mut seen = vec![vec![]; 4];
        other.run_with(|round, from, _, bytes| {
            if from == Seat(2) {
                seen[usize::from(round)] = bytes.clone();
            }
        });
        seen
    };
    let mine = record(&session);
    let replayed = record(&Session::new(&vault, &[1, 2], root_item(key, 1), 2));
    let other_message = record(&Session::new(&vault, &[1, 2], root_item(key, 2), 1));
    let mut later = Vault::deal(committee(2, 3), 36);
    Arc::make_mut(&mut later.public).epoch = Epoch(2);
    later.shares.values_mut().for_each(|share| share.epoch = Epoch(2));
    let other_epoch = record(&Session::new(&later, &[1, 2], root_item(key, 1), 1));
    for round in 1..=rounds(key) {
        let put = |from: &[Vec<u8>]| {
            let bytes = from[usize::from(round)].clone();
            move |message: &mut Vec<u8>| *message = bytes.clone()
        };
        check(round, &put(&replayed), "sign_other_session");
        check(round, &put(&other_message), "sign_other_context");
        check(round, &put(&other_epoch), "sign_other_epoch");
        // Sent twice: the same message again where the next one is due, and a later one too early.
        let other_round = if round == 1 { 2 } else { round - 1 };
        let bytes = mine[usize::from(other_round)].clone();
        check(round, &|message| *message = bytes.clone(), "sign_other_round");
        // Another round's body under this round's head.
        let body = bytes[75..].to_vec();
        let swapped = |message: &mut Vec<u8>| {
            message.truncate(75);
            message.extend_from_slice(&body);
        };
        if key == KeyKind::Ecdsa || body.len() != mine[usize::from(round)].len() - 75 {
            check(round, &swapped, "sign_malformed");
        }
        // A seat that speaks for another.
        check(round, &|message| message[74] = 3, "sign_other_sender");
        // Short, long, and far too long.
        for cut in [0, 1, 74, HEAD - 1, HEAD, mine[usize::from(round)].len() - 1] {
            check(round, &|message| message.truncate(cut), "sign_malformed");
        }
        check(round, &|message| message.push(0), "sign_malformed");
        check(round, &|message| message.resize(MESSAGE_BYTES_MAX + 1, 0), "sign_malformed");
        let lengthen = |message: &mut Vec<u8>| {
            let length = u32::try_from(message.len() - HEAD + 1).unwrap();
            message[75..HEAD].copy_from_slice(&length.to_be_bytes());
            message.push(0);
        };
        check(round, &lengthen, "sign_malformed");
    }
    session.sign();
}

#[test]
fn a_misplaced_ecdsa_message_has_its_own_name() {
    misplaced(KeyKind::Ecdsa);
}

#[test]
fn a_misplaced_taproot_message_has_its_own_name() {
    misplaced(KeyKind::Bip340);
}

#[test]
fn a_misplaced_ed25519_message_has_its_own_name() {
    misplaced(KeyKind::Ed25519);
}

#[test]
fn a_message_can_be_judged_by_its_head_without_spending_the_session() {
    let vault = Vault::deal(committee(2, 3), 37);
    let session = Session::new(&vault, &[1, 2], root_item(KeyKind::Ed25519, 1), 1);
    let (one, _) = session.start(Seat(1), 1);
    let (_, from_two) = session.start(Seat(2), 1);
    assert_eq!(one.accepts(Seat(2), &from_two[0].bytes), Ok(()));
    let named = one.accepts(Seat(3), &from_two[0].bytes);
    assert_eq!(named, Err(Reason::Sender { found: Seat(2), wanted: Seat(3) }));
    let mut other = from_two[0].bytes.clone();
    other[3] ^= 1;
    let mut id = [1u8; 32];
    id[0] ^= 1;
    let wanted = Reason::Session { found: SessionId(id), wanted: SessionId([1; 32]) };
    assert_eq!(one.accepts(Seat(2), &other), Err(wanted));
}

#[test]
fn an_inbox_of_the_wrong_members_is_refused() {
    let vault = Vault::deal(committee(3, 3), 38);
    let session = Session::new(&vault, &[1, 2, 3], root_item(KeyKind::Ed25519, 1), 1);
    for members in [vec![], vec![2], vec![2, 4], vec![1, 2, 3]] {
        let (run, _) = session.start(Seat(1), 1);
        let inbox = members.iter().map(|seat| (Seat(*seat), vec![])).collect();
        let found = run.advance(inbox, &mut SeededEntropy::new(1)).map(|_| ());
        assert_eq!(found.map_err(|error| error.code()), Err("sign_inbox"));
    }
}

#[test]
fn a_member_with_a_renewed_or_restored_pair_state_is_told_apart_and_not_banned() {
    let vault = Vault::deal(committee(2, 3), 39);
    let mut session = Session::new(&vault, &[1, 2], root_item(KeyKind::Ecdsa, 1), 1);
    let (one, two) = (vault.public.members[&Seat(1)], vault.public.members[&Seat(2)]);
    let (new_one, new_two) = fresh_pair(one, two, 3);
    session.mesh.insert((Seat(2), Seat(1)), Arc::clone(&new_two));
    let results = session.run();
    for (seat, peer) in [(1, 2), (2, 1)] {
        let reason = Reason::PairMismatch;
        let wanted = SignError::Misbehaved { culprit: Some(Seat(peer)), pair: false, reason };
        assert_eq!(results[&Seat(seat)], Err(wanted));
    }
    session.mesh.insert((Seat(1), Seat(2)), new_one);
    session.sign();
    session.mesh = pairs_for(&vault.public, &session.quorum);
    session.sign();
}
