//! Goal: derivation gives the bytes that the specification names. Method: files made by another implementation
//! (plain affine arithmetic), those of secp256k1 from the extended keys that BIP-32 publishes.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking; its files are ours")]

use model::curve::{Ed25519, Secp256k1};
use model::hd::{ChainCode, DerivationPath, Derive, ExtendedKey};

#[derive(serde::Deserialize)]
struct Vector {
    path: String,
    point: String,
    chain_code: String,
    child_point: String,
    child_chain_code: String,
    tweak: String,
}

fn bytes32(text: &str) -> [u8; 32] {
    hex::decode(text).unwrap().try_into().unwrap()
}

fn check<C: Derive>(file: &str, expected: usize) {
    let vectors: Vec<Vector> = serde_json::from_str(file).unwrap();
    assert_eq!(vectors.len(), expected);
    for vector in vectors {
        let point = C::point_from_bytes(&hex::decode(&vector.point).unwrap()).unwrap();
        let root = ExtendedKey::<C> { point, chain_code: ChainCode(bytes32(&vector.chain_code)) };
        let path: DerivationPath = vector.path.parse().unwrap();
        let child = C::derive(&root, &path).unwrap();
        let child_point = hex::encode(C::point_to_bytes(&child.key.point));
        assert_eq!(child_point, vector.child_point, "{path}");
        assert_eq!(hex::encode(child.key.chain_code.0), vector.child_chain_code, "{path}");
        assert!(child.tweak.0 == C::scalar_from_bytes(&bytes32(&vector.tweak)).unwrap(), "{path}");
    }
}

#[test]
fn ed25519_children_are_those_of_the_vectors() {
    check::<Ed25519>(include_str!("../../../vectors/derivation/1/ed25519.json"), 4);
}

#[test]
fn secp256k1_children_are_those_that_bip_32_publishes() {
    check::<Secp256k1>(include_str!("../../../vectors/derivation/1/secp256k1.json"), 2);
}
