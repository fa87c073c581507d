//! Addresses, extended keys and output descriptors (BIP-32, 84, 86, 380, 386).

use super::ours;
use crate::{Account, Address, Refusal};
use bitcoin::bip32::{ChainCode, ChildNumber, Fingerprint, Xpub};
use bitcoin::secp256k1::PublicKey;
use miniscript::{Descriptor, DescriptorPublicKey};
use model::curve::{Curve, Secp256k1};
use model::hd::{DerivationPath, HdError};
use model::intent::BitcoinNetwork;
use model::keys::{KeyKind, VaultKeys};

/// The address at `path`.
pub(super) fn address(
    keys: &VaultKeys,
    network: BitcoinNetwork,
    path: &DerivationPath,
) -> Result<Address, Refusal> {
    let script = ours::script_at(keys, path)?;
    let address =
        bitcoin::Address::from_script(&script, ours::network_of(network)).map_err(|e| {
            Refusal::Invalid { field: "path", reason: format!("no address stands there: {e}") }
        })?;
    let key = ours::kind_at(path);
    Ok(Address { text: address.to_string(), key, public_key: keys.public_at(key, path)? })
}

/// Extended public key and descriptors of the account at `path`.
pub(super) fn account(
    keys: &VaultKeys,
    network: BitcoinNetwork,
    path: &DerivationPath,
) -> Result<Account, Refusal> {
    let kind = ours::kind_at(path);
    let xpub = xpub(keys, network, kind, path)?;
    let fingerprint = ours::master_fingerprint(keys, path);
    let steps: String = path.parts().iter().map(|number| format!("/{number}")).collect();
    let wrapper = if kind == KeyKind::Ecdsa { "wpkh" } else { "tr" };
    let descriptors = [0, 1]
        .into_iter()
        .map(|chain| with_checksum(&format!("{wrapper}([{fingerprint}{steps}]{xpub}/{chain}/*)")))
        .collect::<Result<_, _>>()?;
    Ok(Account { extended_key: xpub.to_string(), descriptors })
}

fn with_checksum(text: &str) -> Result<String, Refusal> {
    let descriptor: Descriptor<DescriptorPublicKey> =
        text.parse().map_err(|e: miniscript::Error| Refusal::Invalid {
            field: "descriptor",
            reason: e.to_string(),
        })?;
    Ok(descriptor.to_string())
}

fn xpub(
    keys: &VaultKeys,
    network: BitcoinNetwork,
    kind: KeyKind,
    path: &DerivationPath,
) -> Result<Xpub, Refusal> {
    let key = keys.secp256k1_at(kind, path)?;
    let bytes = Secp256k1::point_to_bytes(&key.point);
    let public_key = PublicKey::from_slice(&bytes).map_err(|_| Refusal::Path(HdError::Key))?;
    let (parent_fingerprint, child_number) = match path.parts().split_last() {
        None => (Fingerprint::default(), ChildNumber::from(0)),
        Some((last, parents)) => {
            let parent = DerivationPath::new(parents.to_vec())?;
            let parent = keys.public_at(kind, &parent)?;
            (ours::fingerprint_of(&parent), ChildNumber::from(*last))
        }
    };
    Ok(Xpub {
        network: ours::network_kind(network),
        depth: u8::try_from(path.parts().len()).unwrap_or(u8::MAX),
        parent_fingerprint,
        child_number,
        public_key,
        chain_code: ChainCode::from(key.chain_code.0),
    })
}
