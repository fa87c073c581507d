//! A vault whose root private keys the tests know: signs what a plan asks for, with other code than the plan's.

use bitcoin::key::TapTweak;
use bitcoin::secp256k1::{Keypair, Message, Secp256k1 as Context, SecretKey};
use model::amount::Amount;
use model::curve::{Curve, Ed25519, Secp256k1};
use model::hd::{DerivationPath, Derive, ExtendedKey};
use model::ids::{ClientId, NodeId, VaultId};
use model::intent::Network;
use model::keys::{KeyKind, VaultKeys};
use model::request::{Ask, Request};
use model::signing::{KeyTweak, SignItem, Signature};
use model::time::Timestamp;
use sha2::{Digest, Sha512};

pub(crate) struct TestVault {
    seed: u64,
    pub keys: VaultKeys,
}

fn private<C: Derive>(root: &ExtendedKey<C>, number: u64, path: &DerivationPath) -> C::Scalar {
    C::scalar_from_u64(number) + C::derive(root, path).unwrap().tweak.0
}

impl TestVault {
    pub(crate) fn new(seed: u64) -> Self {
        let keys = crate::fuzz::keys(seed);
        Self { seed, keys }
    }

    pub(crate) fn sign(&self, item: &SignItem) -> Signature {
        match item.key {
            KeyKind::Ed25519 => self.ed25519(item),
            KeyKind::Ecdsa => {
                let key = private(&self.keys.ecdsa, self.seed, &item.path);
                let key = SecretKey::from_slice(&Secp256k1::scalar_to_bytes(&key)).unwrap();
                let message = Message::from_digest_slice(&item.message).unwrap();
                let rs = Context::new().sign_ecdsa(&message, &key).serialize_compact();
                Signature::Ecdsa { rs, recovery_id: 0 }
            }
            KeyKind::Bip340 => {
                assert_eq!(item.tweak, KeyTweak::Taproot(None));
                let context = Context::new();
                let key = private(&self.keys.bip340, self.seed + 1, &item.path);
                let key = Secp256k1::scalar_to_bytes(&key);
                let pair = Keypair::from_seckey_slice(&context, &key).unwrap();
                let pair = pair.tap_tweak(&context, None).to_keypair();
                let message = Message::from_digest_slice(&item.message).unwrap();
                let signature = context.sign_schnorr_no_aux_rand(&message, &pair);
                Signature::Schnorr(signature.serialize())
            }
        }
    }

    fn ed25519(&self, item: &SignItem) -> Signature {
        let key = private(&self.keys.ed25519, self.seed + 2, &item.path);
        let public = Ed25519::point_to_bytes(&Ed25519::mul_base(&key));
        // RFC 8032 with a scalar instead of a seed; the nonce only has to be unguessable outside of tests.
        let hash = |parts: [&[u8]; 3]| {
            let mut hasher = Sha512::new();
            parts.into_iter().for_each(|part| hasher.update(part));
            Ed25519::scalar_from_wide(&hasher.finalize().into())
        };
        let nonce = hash([b"nonce", &Ed25519::scalar_to_bytes(&key), &item.message]);
        let commitment = Ed25519::point_to_bytes(&Ed25519::mul_base(&nonce));
        let challenge = hash([&commitment, &public, &item.message]);
        let response = Ed25519::scalar_to_bytes(&(nonce + challenge * key));
        Signature::Ed25519([commitment, response.to_vec()].concat().try_into().unwrap())
    }
}

pub(crate) fn request(network: &str, path: &str, ask: Ask) -> Request {
    let network: Network = network.parse().unwrap();
    Request {
        vault: VaultId([1; 32]),
        network,
        path: path.parse().unwrap(),
        ask,
        fee_max: Some(Amount::from_u64(50_000_000)),
        client: ClientId([2; 16]),
        idempotency_key: String::new(),
        initiator: String::new(),
        entry: NodeId([3; 32]),
        created_at: Timestamp(1),
        expires_at: Timestamp(2),
    }
}
