//! Addresses, descriptors and account keys of a vault.

use crate::{Refusal, bitcoin, evm, solana};
use model::hd::DerivationPath;
use model::intent::Network;
use model::keys::{KeyKind, VaultKeys};

/// An address at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// In the chain's own spelling.
    pub text: String,
    /// Root key it comes from.
    pub key: KeyKind,
    /// Public key at the path: 33 or 32 bytes.
    pub public_key: Vec<u8>,
}

/// Account-level public data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// BIP-32 text form (`xpub…`/`tpub…`); for Ed25519 the hex of the public key alone.
    pub extended_key: String,
    /// Output descriptors with checksum: receive, change (Bitcoin only).
    pub descriptors: Vec<String>,
}

/// The address of `network` at `path`. Bitcoin: purpose 84 gives wpkh, every other path taproot (BIP-86).
pub fn address(
    keys: &VaultKeys,
    network: Network,
    path: &DerivationPath,
) -> Result<Address, Refusal> {
    match network {
        Network::Evm(_) => evm::address(keys, path),
        Network::Bitcoin(bitcoin) => bitcoin::address(keys, bitcoin, path),
        Network::Solana(_) => solana::address(keys, path),
    }
}

/// Extended public key and descriptors of the account at `path`.
pub fn account(
    keys: &VaultKeys,
    network: Network,
    path: &DerivationPath,
) -> Result<Account, Refusal> {
    match network {
        Network::Evm(_) => evm::account(keys, path),
        Network::Bitcoin(bitcoin) => bitcoin::account(keys, bitcoin, path),
        Network::Solana(_) => solana::account(keys, path),
    }
}
