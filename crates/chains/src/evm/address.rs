//! EVM addresses: EIP-55 text, derivation from the vault's ECDSA key, the account key as BIP-32 text.

use crate::{Account, Address, Refusal};
use ::bitcoin::bip32;
use alloy_primitives::keccak256;
use model::curve::{Curve, Secp256k1};
use model::hd::DerivationPath;
use model::keys::{KeyKind, VaultKeys};

/// Twenty bytes of an EVM address.
pub type EvmAddress = [u8; 20];

/// EIP-55 text of an address.
pub fn to_text(address: &EvmAddress) -> String {
    alloy_primitives::Address::from(*address).to_checksum(None)
}

/// EVM-ADDR-2: reads `0x` and 40 hex digits: all lower case, or mixed case with the right EIP-55 checksum.
///
/// A wrong checksum is a typing error that would send funds to nobody, so it is refused.
pub fn parse(field: &'static str, text: &str) -> Result<EvmAddress, Refusal> {
    let invalid = |reason: &str| Refusal::Invalid { field, reason: reason.to_owned() };
    let digits = text.strip_prefix("0x").ok_or_else(|| invalid("an address begins with 0x"))?;
    let bytes = hex::decode(digits).map_err(|_| invalid("an address is 0x and 40 hex digits"))?;
    let address =
        EvmAddress::try_from(bytes).map_err(|_| invalid("an address is 0x and 40 hex digits"))?;
    let lower = !digits.bytes().any(|byte| byte.is_ascii_uppercase());
    match lower || to_text(&address) == text {
        true => Ok(address),
        false => Err(invalid("the EIP-55 checksum (upper and lower case) does not match")),
    }
}

/// EVM-ADDR-1: the address of a compressed secp256k1 key: last 20 bytes of the keccak256 of its coordinates.
pub fn of_public_key(key: &secp256k1::PublicKey) -> EvmAddress {
    let uncompressed = key.serialize_uncompressed();
    let (_, coordinates) = uncompressed.split_at(1);
    let mut address = [0u8; 20];
    for (slot, byte) in address.iter_mut().rev().zip(keccak256(coordinates).iter().rev()) {
        *slot = *byte;
    }
    address
}

fn public_key(keys: &VaultKeys, path: &DerivationPath) -> Result<secp256k1::PublicKey, Refusal> {
    let bytes = keys.public_at(KeyKind::Ecdsa, path)?;
    secp256k1::PublicKey::from_slice(&bytes).map_err(|_| Refusal::Path(model::hd::HdError::Key))
}

/// The twenty bytes of the vault's address at `path`.
pub fn at_path(keys: &VaultKeys, path: &DerivationPath) -> Result<EvmAddress, Refusal> {
    public_key(keys, path).map(|key| of_public_key(&key))
}

/// The vault's address at `path`.
pub fn address(keys: &VaultKeys, path: &DerivationPath) -> Result<Address, Refusal> {
    let key = public_key(keys, path)?;
    Ok(Address {
        text: to_text(&of_public_key(&key)),
        key: KeyKind::Ecdsa,
        public_key: key.serialize().to_vec(),
    })
}

/// EVM-ADDR-3: the account's extended public key at `path` as BIP-32 text (`xpub…`).
pub fn account(keys: &VaultKeys, path: &DerivationPath) -> Result<Account, Refusal> {
    let here = keys.secp256k1_at(KeyKind::Ecdsa, path)?;
    let (parent_fingerprint, number) = match path.parts().split_last() {
        None => (bip32::Fingerprint::default(), 0),
        Some((number, parents)) => {
            let parent = DerivationPath::new(parents.to_vec())?;
            (fingerprint(keys, &parent)?, *number)
        }
    };
    let invalid = |_| Refusal::Path(model::hd::HdError::Key);
    let key = Secp256k1::point_to_bytes(&here.point);
    let extended = bip32::Xpub {
        network: ::bitcoin::NetworkKind::Main,
        depth: u8::try_from(path.parts().len()).unwrap_or(u8::MAX),
        parent_fingerprint,
        child_number: bip32::ChildNumber::from(number),
        public_key: secp256k1::PublicKey::from_slice(&key).map_err(invalid)?,
        chain_code: bip32::ChainCode::from(here.chain_code.0),
    };
    Ok(Account { extended_key: extended.to_string(), descriptors: Vec::new() })
}

/// BIP-32: first four bytes of hash160 of the parent's compressed key.
fn fingerprint(keys: &VaultKeys, path: &DerivationPath) -> Result<bip32::Fingerprint, Refusal> {
    let key = ::bitcoin::CompressedPublicKey(public_key(keys, path)?);
    let hash: [u8; 20] = *AsRef::<[u8; 20]>::as_ref(&key.pubkey_hash());
    let [a, b, c, d, ..] = hash;
    Ok(bip32::Fingerprint::from([a, b, c, d]))
}
