//! A vault whose root is one plain key: what a quorum would sign is signed here by libsecp256k1 alone.

use model::amount::Amount;
use model::curve::{Curve, Ed25519, Secp256k1};
use model::hd::{ChainCode, DerivationPath, Derive, ExtendedKey};
use model::ids::{ClientId, NodeId, VaultId};
use model::intent::Network;
use model::keys::{KeyKind, VaultKeys};
use model::request::{Ask, Request};
use model::signing::{SignItem, Signature};
use model::time::Timestamp;

/// The key of the example in EIP-155.
pub const SECRET: [u8; 32] = [0x46; 32];

/// A vault over `secret`.
pub fn vault(secret: [u8; 32]) -> VaultKeys {
    let key = secp256k1::SecretKey::from_slice(&secret).expect("a key");
    let point = key.public_key(&secp256k1::Secp256k1::new()).serialize();
    let point = Secp256k1::point_from_bytes(&point).expect("a point");
    let root = ExtendedKey { point, chain_code: ChainCode([7; 32]) };
    let ed25519 = Ed25519::mul_base(&Ed25519::scalar_from_u64(5));
    VaultKeys {
        ecdsa: root,
        bip340: root,
        ed25519: ExtendedKey { point: ed25519, chain_code: ChainCode([8; 32]) },
    }
}

/// Signs an item with the plain key, derived along the item's path.
pub fn sign(secret: [u8; 32], item: &SignItem) -> Signature {
    assert_eq!(item.key, KeyKind::Ecdsa);
    let child = Secp256k1::derive(&vault(secret).ecdsa, &item.path).expect("a child");
    let tweak = Secp256k1::scalar_to_bytes(&child.tweak.0);
    let tweak = secp256k1::Scalar::from_be_bytes(tweak).expect("a scalar");
    let key = secp256k1::SecretKey::from_slice(&secret).expect("a key");
    let key = key.add_tweak(&tweak).expect("a key");
    let digest = item.message.clone().try_into().expect("32 bytes");
    let message = secp256k1::Message::from_digest(digest);
    let signature = secp256k1::Secp256k1::new().sign_ecdsa_recoverable(&message, &key);
    let (id, rs) = signature.serialize_compact();
    Signature::Ecdsa { rs, recovery_id: u8::try_from(id.to_i32()).expect("0 or 1") }
}

/// A request on `network` at `path`.
pub fn request(network: Network, path: &str, ask: Ask, fee_max: Option<u64>) -> Request {
    Request {
        vault: VaultId([1; 32]),
        network,
        path: path.parse::<DerivationPath>().expect("a path"),
        ask,
        fee_max: fee_max.map(Amount::from_u64),
        client: ClientId([2; 16]),
        idempotency_key: String::new(),
        initiator: String::new(),
        entry: NodeId([3; 32]),
        created_at: Timestamp(0),
        expires_at: Timestamp(1),
    }
}
