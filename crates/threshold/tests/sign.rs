//! Signing end to end over committees and trees, all three schemes, child keys, tweaks and parities.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // helpers of tests fail loudly
#![allow(clippy::indexing_slicing, clippy::as_conversions)]

mod common;

use common::{SeededEntropy, Session, Vault, committee, item, root_item, two_halves};
use model::access::AccessTree;
use model::curve::{Curve, Secp256k1};
use model::hd::DerivationPath;
use model::ids::{Epoch, Seat};
use model::keys::KeyKind;
use model::secret::Secret;
use model::signing::{KeyTweak, Signature};
use std::sync::Arc;
use threshold::sign::{Refusal, SignError, Step, start, verify};

/// Signs with every scheme at root and child; verification by the outside library is inside `Done` and repeated here.
fn check(tree: AccessTree, quorums: &[&[u16]]) {
    let vault = Vault::deal(tree, 11);
    for (number, quorum) in (1u8..).zip(quorums) {
        for key in KeyKind::ALL {
            for path in ["m", "m/44/60/0/0/7"] {
                let item = item(key, path, KeyTweak::None, &[number; 32]);
                let signature = Session::new(&vault, quorum, item.clone(), number).sign();
                assert_eq!(verify(&vault.public, &item, &signature), Ok(()));
                let mut other = item.clone();
                other.message[0] ^= 1;
                assert!(verify(&vault.public, &other, &signature).is_err());
            }
        }
    }
}

#[test]
fn three_of_three_sign_with_every_scheme() {
    check(committee(3, 3), &[&[1, 2, 3]]);
}

#[test]
fn every_quorum_of_two_of_three_signs_with_every_scheme() {
    check(committee(2, 3), &[&[1, 2], &[1, 3], &[2, 3]]);
}

#[test]
fn an_and_tree_of_two_halves_signs_with_every_scheme() {
    check(two_halves(), &[&[1, 2, 4, 5]]);
}

#[test]
fn an_ed25519_message_of_any_length_is_signed_whole() {
    let vault = Vault::deal(committee(2, 3), 12);
    for length in [0, 1, 31, 33, 1000, 5000] {
        let item = item(KeyKind::Ed25519, "m/44/501/0", KeyTweak::None, &vec![5; length]);
        let signature = Session::new(&vault, &[1, 3], item.clone(), 1).sign();
        assert!(matches!(signature, Signature::Ed25519(_)));
    }
}

/// One case of each parity of root, child and tweaked key, with and without scripts.
#[test]
fn taproot_signs_for_every_parity_of_root_child_and_output_key() {
    let odd = |point: &<Secp256k1 as Curve>::Point| Secp256k1::point_to_bytes(point)[0] == 3;
    let mut seen = std::collections::BTreeSet::new();
    let script = [0x51; 32];
    for seed in 0..40 {
        let vault = Vault::deal(committee(2, 3), seed);
        for path in ["m", "m/86/0/0/0/0"] {
            for tweak in [KeyTweak::None, KeyTweak::Taproot(None), KeyTweak::Taproot(Some(script))]
            {
                let parsed: DerivationPath = path.parse().unwrap();
                let root = &vault.public.keys.bip340.point;
                let child = vault.public.keys.secp256k1_at(KeyKind::Bip340, &parsed).unwrap();
                let output_odd = output_parity(&child.point, tweak);
                let case = (odd(root), odd(&child.point), output_odd, path, tweak);
                if !seen.insert(case) {
                    continue;
                }
                let item = item(KeyKind::Bip340, path, tweak, &[seed as u8; 32]);
                let signature = Session::new(&vault, &[2, 3], item.clone(), 1).sign();
                assert!(matches!(signature, Signature::Schnorr(_)));
                assert_eq!(verify(&vault.public, &item, &signature), Ok(()));
            }
        }
    }
    // Root: 2 parities, no tweak has no parity of its own, two tweaks have two each: 2 * 5. Child: 2 * 2 * 5.
    assert_eq!(seen.len(), 10 + 20, "a parity was never met: {seen:?}");
}

/// Parity of the output key by libsecp256k1.
fn output_parity(child: &<Secp256k1 as Curve>::Point, tweak: KeyTweak) -> Option<bool> {
    let KeyTweak::Taproot(script) = tweak else { return None };
    let secp = secp256k1::Secp256k1::verification_only();
    let key = secp256k1::PublicKey::from_slice(&Secp256k1::point_to_bytes(child)).unwrap();
    let (internal, _) = key.x_only_public_key();
    let tag = model::hash::sha256(b"TapTweak");
    let script = script.map(|root| root.to_vec()).unwrap_or_default();
    let hash = model::hash::sha256(&[&tag[..], &tag, &internal.serialize(), &script].concat());
    let scalar = secp256k1::Scalar::from_be_bytes(hash).unwrap();
    let (_, parity) = internal.add_tweak(&secp, &scalar).unwrap();
    Some(parity == secp256k1::Parity::Odd)
}

#[test]
fn ecdsa_signatures_are_low_s_and_recover_the_key() {
    let vault = Vault::deal(committee(2, 3), 13);
    for number in 0..8 {
        let Signature::Ecdsa { rs, recovery_id } =
            Session::new(&vault, &[1, 2], root_item(KeyKind::Ecdsa, number), number).sign()
        else {
            panic!("no ECDSA signature")
        };
        assert!(recovery_id <= 1);
        assert!(rs[32] < 0x80, "s is high");
    }
}

#[test]
fn what_a_node_brings_is_refused_by_name_before_anything_is_computed() {
    let mut vault = Vault::deal(committee(2, 3), 14);
    let other = Vault::deal(committee(2, 3), 15);
    let refuse = |session: &Session<'_>, seat: u16, wanted: Refusal| {
        let found = start(session.input(Seat(seat)), &mut SeededEntropy::new(1));
        assert_eq!(found.map(|_| ()), Err(SignError::Refused(wanted)));
    };
    let eddsa = || root_item(KeyKind::Ed25519, 1);
    refuse(&Session::new(&vault, &[1, 2], eddsa(), 1), 3, Refusal::NotMember(Seat(3)));
    refuse(&Session::new(&vault, &[1, 2, 3], eddsa(), 1), 1, Refusal::Quorum);
    refuse(&Session::new(&vault, &[1], eddsa(), 1), 1, Refusal::Quorum);
    let mut tweaked = eddsa();
    tweaked.tweak = KeyTweak::Taproot(None);
    refuse(&Session::new(&vault, &[1, 2], tweaked, 1), 1, Refusal::Tweak);
    let mut long = root_item(KeyKind::Bip340, 1);
    long.message.push(0);
    refuse(&Session::new(&vault, &[1, 2], long, 1), 1, Refusal::Digest(33));
    let (found, bound) = (131_073, 131_072);
    let long = item(KeyKind::Ed25519, "m", KeyTweak::None, &vec![0; found]);
    refuse(&Session::new(&vault, &[1, 2], long, 1), 1, Refusal::Message { found, bound });
    let mut session = Session::new(&vault, &[1, 2], root_item(KeyKind::Ecdsa, 1), 1);
    let mesh = std::mem::take(&mut session.mesh);
    refuse(&session, 1, Refusal::PairMissing(Seat(2)));
    let (_, back) = mesh.iter().find(|((me, _), _)| *me == Seat(2)).unwrap();
    session.mesh.insert((Seat(1), Seat(2)), Arc::clone(back));
    refuse(&session, 1, Refusal::PairOfOthers(Seat(2)));
    // A share of another vault, and one of another epoch.
    let foreign = other.shares[&Seat(1)].eddsa_copy();
    vault.shares.get_mut(&Seat(1)).unwrap().ed25519 = foreign;
    refuse(&Session::new(&vault, &[1, 2], eddsa(), 1), 1, Refusal::Share);
    vault.shares.get_mut(&Seat(2)).unwrap().epoch = Epoch(2);
    let wanted = Refusal::Epoch { share: Epoch(2), vault: Epoch(1) };
    refuse(&Session::new(&vault, &[1, 2], eddsa(), 1), 2, wanted);
    let alone = Vault::deal(committee(1, 3), 16);
    refuse(&Session::new(&alone, &[1], eddsa(), 1), 1, Refusal::TooFew(1));
}

trait EddsaCopy {
    fn eddsa_copy(&self) -> Secret<[u8; 32]>;
}

impl EddsaCopy for threshold::shares::VaultShare {
    fn eddsa_copy(&self) -> Secret<[u8; 32]> {
        self.ed25519.duplicate()
    }
}

#[test]
fn invariant_k2_two_runs_of_one_message_commit_to_different_nonces_even_with_equal_entropy() {
    let vault = Vault::deal(committee(2, 3), 17);
    for key in [KeyKind::Bip340, KeyKind::Ed25519] {
        let commitment = |message: u8, session: u8| {
            let session = Session::new(&vault, &[1, 2], root_item(key, message), session);
            let (_, out) = session.start(Seat(1), 5);
            out[0].bytes.clone().split_off(out[0].bytes.len() - 64)
        };
        assert_ne!(commitment(1, 1), commitment(2, 1), "another message");
        assert_ne!(commitment(1, 1), commitment(1, 2), "another session");
        assert_eq!(commitment(1, 1), commitment(1, 1), "the fixture itself is deterministic");
    }
}

#[test]
fn the_package_hash_is_shown_before_the_share_leaves_and_all_members_agree() {
    let vault = Vault::deal(committee(2, 3), 18);
    let session = Session::new(&vault, &[1, 2], root_item(KeyKind::Ed25519, 1), 1);
    let (one, from_one) = session.start(Seat(1), 1);
    let (two, from_two) = session.start(Seat(2), 1);
    assert_eq!((one.package_hash(), one.round()), (None, 1));
    assert!(!one.may_be_finished_by_others());
    let deliver = |run: threshold::sign::Running, from: u16, bytes: &[u8]| {
        let inbox = [(Seat(from), bytes.to_vec())].into();
        match run.advance(inbox, &mut SeededEntropy::new(3)) {
            Ok(Step::Continue(run, _)) => run,
            other => panic!("{other:?}"),
        }
    };
    let one = deliver(one, 2, &from_two[0].bytes);
    let two = deliver(two, 1, &from_one[0].bytes);
    assert!(one.package_hash().is_some());
    assert_eq!(one.package_hash(), two.package_hash());
    assert!(one.may_be_finished_by_others());
}

#[test]
fn running_moves_between_threads() {
    fn send<T: Send + 'static>() {}
    send::<threshold::sign::Running>();
    send::<threshold::pair::PairSetup>();
    fn sync<T: Send + Sync + 'static>() {}
    sync::<threshold::pair::PairState>();
}
