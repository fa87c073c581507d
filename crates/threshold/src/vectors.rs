//! Vectors of sharing and of the ceremony: files that other implementations can follow, made and checked here.
//!
//! Randomness: block `i` is `SHA-256(SHA-256(seed) || i)`, seed and `i` as eight big-endian bytes; each draw takes whole
//! blocks from the next one on and cuts the last. `OUTLAST_BLESS=1` writes the files anew, for review.

use crate::dkg::{Plan, verify_transcript};
use crate::shares::{VaultPublic, VaultShare};
use crate::sharing::{additive_share, deal, verify_share};
use crate::testing::{SeededEntropy, ceremony, committee, halves, run_ceremony};
use model::access::AccessTree;
use model::commitment::Commitments;
use model::curve::{Curve, Ed25519, Secp256k1};
use model::ids::Seat;
use model::secret::Secret;
use model::wire::Wire;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// By seat, hex.
type BySeat = BTreeMap<u16, String>;

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct SharingVector {
    name: String,
    seed: u64,
    tree: String,
    secret: String,
    commitments: String,
    shares: BySeat,
    quorum: BTreeSet<u16>,
    additive_shares: BySeat,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct DkgVector {
    name: String,
    plan: String,
    plan_digest: String,
    node_key_seeds: BySeat,
    entropy_seeds: BTreeMap<u16, u64>,
    transcript: String,
    confirmations: BySeat,
    vault: String,
    public: String,
    shares: BySeat,
}

/// Reads a vector file; writes `made` to it first when that was asked for.
fn stored<V: Serialize + for<'a> Deserialize<'a>>(file: &str, made: &[V]) -> Vec<V> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let path = root.join("../../vectors").join(file);
    if std::env::var_os("OUTLAST_BLESS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let text = serde_json::to_string_pretty(made).unwrap();
        std::fs::write(&path, text + "\n").unwrap();
    }
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn bytes(text: &str) -> Vec<u8> {
    hex::decode(text).unwrap()
}

fn bytes32(text: &str) -> [u8; 32] {
    bytes(text).try_into().unwrap()
}

fn trees() -> [(&'static str, AccessTree, &'static [u16]); 4] {
    let any = AccessTree::Any(vec![committee(2, 1..=3), committee(2, 4..=5)]);
    [
        ("3-of-3", committee(3, 1..=3), &[1, 2, 3]),
        ("2-of-3", committee(2, 1..=3), &[1, 3]),
        ("2-of-3 and 2-of-2", halves(), &[2, 3, 4, 5]),
        ("2-of-3 or 2-of-2", any, &[4, 5]),
    ]
}

fn make_sharing<C: Curve>() -> Vec<SharingVector> {
    let make = |(seed, (name, tree, quorum)): (u64, (&str, AccessTree, &[u16]))| {
        let mut entropy = SeededEntropy::new(seed);
        let secret = C::random_scalar(&mut entropy);
        let dealing = deal::<C>(&tree, &secret, &mut entropy);
        let quorum: BTreeSet<Seat> = quorum.iter().copied().map(Seat).collect();
        let additive = quorum.iter().map(|seat| {
            let part = additive_share::<C>(&tree, &quorum, *seat, &dealing.shares[seat]).unwrap();
            (seat.0, hex::encode(part.expose()))
        });
        SharingVector {
            name: name.into(),
            seed,
            secret: hex::encode(C::scalar_to_bytes(&secret)),
            commitments: hex::encode(dealing.commitments.to_bytes()),
            additive_shares: additive.collect(),
            shares: dealing.shares.iter().map(|(s, v)| (s.0, hex::encode(v.expose()))).collect(),
            quorum: quorum.iter().map(|seat| seat.0).collect(),
            tree: hex::encode(tree.to_bytes()),
        }
    };
    (1u64..).zip(trees()).map(make).collect()
}

fn check_sharing<C: Curve>(file: &str) {
    let made = make_sharing::<C>();
    let vectors = stored(file, &made);
    assert_eq!(vectors, made);
    for vector in vectors {
        let name = &vector.name;
        let tree = AccessTree::from_bytes(&bytes(&vector.tree)).unwrap();
        let commitments = Commitments::<C>::from_bytes(&tree, &bytes(&vector.commitments)).unwrap();
        for (seat, share) in &vector.shares {
            assert!(verify_share(&tree, &commitments, Seat(*seat), &bytes32(share)), "{name}");
        }
        let quorum = vector.quorum.iter().copied().map(Seat).collect();
        let mut sum = C::zero();
        for (seat, part) in &vector.additive_shares {
            let share = Secret::new(bytes32(&vector.shares[seat]));
            let found = additive_share::<C>(&tree, &quorum, Seat(*seat), &share).unwrap();
            assert_eq!(found.expose(), &bytes32(part), "{name}");
            sum = sum + C::scalar_from_bytes(&bytes32(part)).unwrap();
        }
        assert_eq!(C::scalar_to_bytes(&sum), bytes32(&vector.secret), "{name}");
        assert_eq!(C::mul_base(&sum), commitments.root(), "{name}");
    }
}

#[test]
fn sharings_are_those_of_the_vectors() {
    check_sharing::<Secp256k1>("sharing/1/secp256k1.json");
    check_sharing::<Ed25519>("sharing/1/ed25519.json");
}

fn make_dkg(name: &str, tree: AccessTree) -> DkgVector {
    let (plan, keys) = ceremony(tree, 1);
    let done = run_ceremony(&plan, &keys);
    let first = &done[&Seat(1)];
    let seeds = keys.iter().map(|(seat, key)| (seat.0, hex::encode(key.seed().expose())));
    let shares =
        done.iter().map(|(seat, outcome)| (seat.0, hex::encode(outcome.share.to_bytes().expose())));
    DkgVector {
        name: name.into(),
        plan: hex::encode(plan.to_bytes()),
        plan_digest: hex::encode(plan.digest()),
        node_key_seeds: seeds.collect(),
        entropy_seeds: keys.keys().map(|seat| (seat.0, seat.0.into())).collect(),
        transcript: hex::encode(&first.transcript),
        confirmations: first.confirmations.iter().map(|(s, b)| (s.0, hex::encode(b))).collect(),
        vault: first.vault.to_string(),
        public: hex::encode(first.public.to_bytes()),
        shares: shares.collect(),
    }
}

#[test]
fn a_ceremony_under_fixed_seeds_gives_the_bytes_of_the_vectors() {
    let made = [
        make_dkg("3-of-3", committee(3, 1..=3)),
        make_dkg("2-of-3", committee(2, 1..=3)),
        make_dkg("2-of-3 and 2-of-2", halves()),
    ];
    let vectors = stored("dkg/1/ceremonies.json", &made);
    assert_eq!(vectors, made);
    for vector in vectors {
        let confirmations = vector.confirmations.iter();
        let confirmations = confirmations.map(|(seat, b)| (Seat(*seat), bytes(b))).collect();
        let verified = verify_transcript(&bytes(&vector.transcript), &confirmations).unwrap();
        let (plan, vault) = (verified.plan, verified.vault);
        assert_eq!(plan, Plan::from_bytes(&bytes(&vector.plan)).unwrap());
        assert_eq!(hex::encode(plan.digest()), vector.plan_digest);
        assert_eq!(vault.to_string(), vector.vault);
        let public = VaultPublic::from_bytes(&bytes(&vector.public)).unwrap();
        for share in vector.shares.values() {
            let share = VaultShare::from_bytes(&bytes(share)).unwrap();
            assert_eq!(public.check_share(&share), Ok(()));
        }
    }
}
