//! Solana: legacy and v0 messages.

use crate::{Account, Address, Artefact, Plan, Refusal};
use model::hd::DerivationPath;
use model::intent::{Intent, Network, SolanaCluster};
use model::keys::VaultKeys;
use model::request::{Fill, Request};
use model::signing::Signature;

/// Builds the bytes of `(request, fill)` and decodes them.
pub fn build(
    _keys: &VaultKeys,
    _request: &Request,
    _cluster: SolanaCluster,
    _fill: &Fill,
) -> Result<Plan, Refusal> {
    Err(Refusal::Missing("solana"))
}
/// Puts the signature before the message.
pub fn finish(
    _keys: &VaultKeys,
    _request: &Request,
    _plan: &Plan,
    _signatures: &[Signature],
) -> Result<Artefact, Refusal> {
    Err(Refusal::Missing("solana"))
}
/// Decodes a message without a vault.
pub fn decode(_network: Option<Network>, _bytes: &[u8]) -> Result<Intent, Refusal> {
    Err(Refusal::Missing("solana"))
}
/// The address at `path`.
pub fn address(_keys: &VaultKeys, _path: &DerivationPath) -> Result<Address, Refusal> {
    Err(Refusal::Missing("solana"))
}
/// Public key of the account at `path`.
pub fn account(_keys: &VaultKeys, _path: &DerivationPath) -> Result<Account, Refusal> {
    Err(Refusal::Missing("solana"))
}
