//! What is the vault's: scripts at paths, key origins, and the account's border.
//!
//! A PSBT's key origins are hints of strangers. Nothing is believed: a path is used only if the script that this vault
//! derives there is the very script in question.
//! Rule of one address per path: purpose 84 gives wpkh of the ECDSA root, every other path taproot (BIP-86) of the
//! BIP-340 root.

use crate::Refusal;
use bitcoin::bip32::{ChildNumber, Fingerprint, KeySource};
use bitcoin::hashes::{Hash, hash160};
use bitcoin::secp256k1::{PublicKey, Secp256k1, XOnlyPublicKey};
use bitcoin::{CompressedPublicKey, NetworkKind, ScriptBuf};
use model::curve::{Curve, Secp256k1 as ModelCurve};
use model::hd::{DerivationPath, HdError};
use model::intent::BitcoinNetwork;
use model::keys::{KeyKind, VaultKeys};

/// Change or receive numbers above this are refused: coins hidden there would be out of every wallet's sight.
pub(super) const CHILD_NUMBER_MAX: u32 = 1_000_000;

/// The root that serves `path`.
pub(super) fn kind_at(path: &DerivationPath) -> KeyKind {
    match path.parts().first() {
        Some(84) => KeyKind::Ecdsa,
        _ => KeyKind::Bip340,
    }
}

/// Public key at `path`, of the root that serves it.
pub(super) fn key_at(keys: &VaultKeys, path: &DerivationPath) -> Result<PublicKey, Refusal> {
    let bytes = keys.public_at(kind_at(path), path)?;
    PublicKey::from_slice(&bytes).map_err(|_| Refusal::Path(HdError::Key))
}

/// The BIP-86 internal key at `path`.
pub(super) fn internal_key_at(
    keys: &VaultKeys,
    path: &DerivationPath,
) -> Result<XOnlyPublicKey, Refusal> {
    key_at(keys, path).map(|key| key.x_only_public_key().0)
}

/// The script of the address at `path`.
pub(super) fn script_at(keys: &VaultKeys, path: &DerivationPath) -> Result<ScriptBuf, Refusal> {
    let key = key_at(keys, path)?;
    Ok(match kind_at(path) {
        KeyKind::Ecdsa => ScriptBuf::new_p2wpkh(&CompressedPublicKey(key).wpubkey_hash()),
        _ => {
            let (internal, _) = key.x_only_public_key();
            ScriptBuf::new_p2tr(&Secp256k1::verification_only(), internal, None)
        }
    })
}

/// BIP-32 fingerprint of a compressed key.
pub(super) fn fingerprint_of(key: &[u8]) -> Fingerprint {
    let hash = hash160::Hash::hash(key).to_byte_array();
    let [a, b, c, d, ..] = hash;
    Fingerprint::from([a, b, c, d])
}

/// Fingerprint of the root that serves `path`.
pub(super) fn master_fingerprint(keys: &VaultKeys, path: &DerivationPath) -> Fingerprint {
    let root = match kind_at(path) {
        KeyKind::Ecdsa => &keys.ecdsa,
        _ => &keys.bip340,
    };
    fingerprint_of(&ModelCurve::point_to_bytes(&root.point))
}

/// The origin of the key at `path`, as a PSBT carries it.
pub(super) fn origin(keys: &VaultKeys, path: &DerivationPath) -> KeySource {
    let parts: Vec<ChildNumber> = path.parts().iter().map(|n| ChildNumber::from(*n)).collect();
    (master_fingerprint(keys, path), parts.into())
}

/// A key origin of a PSBT: somebody's word.
pub(super) struct Claim {
    pub fingerprint: Fingerprint,
    /// `None` where a part is hardened: never a path of this vault.
    pub path: Option<DerivationPath>,
}

impl Claim {
    pub(super) fn of(source: &KeySource) -> Self {
        let parts = source.1.into_iter().map(|number| u32::from(*number)).collect();
        Self { fingerprint: source.0, path: DerivationPath::new(parts).ok() }
    }
}

/// Chain and number of `path` below `account`.
pub(super) fn below(account: &DerivationPath, path: &DerivationPath) -> Option<(u32, u32)> {
    let rest = path.parts().strip_prefix(account.parts())?;
    match rest {
        [chain @ (0 | 1), number] => Some((*chain, *number)),
        _ => None,
    }
}

/// What the claims about one script come to.
pub(super) enum Found {
    /// The vault's own, inside the account.
    Inside(DerivationPath),
    /// The vault's own, outside the account or too far out.
    Outside(DerivationPath),
    /// A claim names this vault and is false.
    Lie(String),
    /// Nobody claims it for this vault.
    Unclaimed,
}

/// Looks for `script` at every claimed path.
pub(super) fn find(
    keys: &VaultKeys,
    account: &DerivationPath,
    script: &ScriptBuf,
    claims: &[Claim],
) -> Found {
    let mut outside = None;
    let mut lie = None;
    for claim in claims {
        for path in candidates(account, claim) {
            if script_at(keys, &path).ok().as_ref() != Some(script) {
                continue;
            }
            match below(account, &path) {
                Some((_, number)) if number <= CHILD_NUMBER_MAX => return Found::Inside(path),
                _ => outside = Some(path),
            }
        }
        if claim.fingerprint == master_fingerprint(keys, account) {
            let path =
                claim.path.as_ref().map_or("a hardened path".to_owned(), ToString::to_string);
            lie = Some(path);
        }
    }
    match (outside, lie) {
        (Some(path), _) => Found::Outside(path),
        (None, Some(path)) => Found::Lie(path),
        (None, None) => Found::Unclaimed,
    }
}

/// The claimed path, and, where a wallet knows only the account's key, the claim read below the account.
fn candidates(account: &DerivationPath, claim: &Claim) -> Vec<DerivationPath> {
    let Some(path) = &claim.path else { return Vec::new() };
    let relative = match path.parts() {
        [chain @ (0 | 1), number] => account.child(*chain).and_then(|at| at.child(*number)).ok(),
        _ => None,
    };
    [path.clone()].into_iter().chain(relative).collect()
}

/// `rust-bitcoin`'s name of the network.
pub(super) fn network_of(network: BitcoinNetwork) -> bitcoin::Network {
    match network {
        BitcoinNetwork::Main => bitcoin::Network::Bitcoin,
        BitcoinNetwork::Test => bitcoin::Network::Testnet,
        BitcoinNetwork::Signet => bitcoin::Network::Signet,
        BitcoinNetwork::Regtest => bitcoin::Network::Regtest,
    }
}

/// The network's word in spend keys.
pub(super) fn network_word(network: BitcoinNetwork) -> &'static str {
    match network {
        BitcoinNetwork::Main => "main",
        BitcoinNetwork::Test => "test",
        BitcoinNetwork::Signet => "signet",
        BitcoinNetwork::Regtest => "regtest",
    }
}

/// Which version bytes extended keys of the network carry.
pub(super) fn network_kind(network: BitcoinNetwork) -> NetworkKind {
    match network {
        BitcoinNetwork::Main => NetworkKind::Main,
        _ => NetworkKind::Test,
    }
}
