//! Bitcoin: PSBT version 0 and 2, taproot key path (BIP-86) and wpkh.

use crate::{Account, Address, Artefact, Plan, Refusal};
use model::hd::DerivationPath;
use model::intent::{BitcoinNetwork, Intent, Network};
use model::keys::VaultKeys;
use model::request::{Coin, Fill, Request};
use model::signing::Signature;

/// Builds the bytes of `(request, fill)` and decodes them.
pub fn build(
    _keys: &VaultKeys,
    _request: &Request,
    _network: BitcoinNetwork,
    _fill: &Fill,
) -> Result<Plan, Refusal> {
    Err(Refusal::Missing("bitcoin"))
}
/// Puts verified signatures into the PSBT.
pub fn finish(
    _keys: &VaultKeys,
    _network: BitcoinNetwork,
    _plan: &Plan,
    _signatures: &[Signature],
) -> Result<Artefact, Refusal> {
    Err(Refusal::Missing("bitcoin"))
}
/// Decodes a PSBT without a vault.
pub fn decode(_network: Option<Network>, _bytes: &[u8]) -> Result<Intent, Refusal> {
    Err(Refusal::Missing("bitcoin"))
}
/// The address at `path`.
pub fn address(
    _keys: &VaultKeys,
    _network: BitcoinNetwork,
    _path: &DerivationPath,
) -> Result<Address, Refusal> {
    Err(Refusal::Missing("bitcoin"))
}
/// Extended public key and descriptors of the account at `path`.
pub fn account(
    _keys: &VaultKeys,
    _network: BitcoinNetwork,
    _path: &DerivationPath,
) -> Result<Account, Refusal> {
    Err(Refusal::Missing("bitcoin"))
}
/// Chooses change for `coins` so that the fee is `fee`.
pub fn fill_from_coins(
    _keys: &VaultKeys,
    _network: BitcoinNetwork,
    _account: &DerivationPath,
    _outputs: &[(String, u64)],
    _coins: Vec<Coin>,
    _fee: u64,
    _change_number: u32,
) -> Result<Fill, Refusal> {
    Err(Refusal::Missing("bitcoin"))
}
