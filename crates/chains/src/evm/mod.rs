//! EVM chains.

pub mod address;
pub mod calldata;
mod refused_calls;

use crate::{Artefact, Plan, Refusal};
use model::intent::{Intent, Network};
use model::keys::VaultKeys;
use model::request::{Fill, RawKind, Request};
use model::signing::Signature;

pub use address::{account, address};

/// The address that nobody holds.
pub(crate) const ZERO_ADDRESS: address::EvmAddress = [0; 20];

const ABSENT: Refusal =
    Refusal::Forbidden { what: "evm", why: "its decoder is not part of this build" };

/// See [`crate::build`].
pub fn build(_: &VaultKeys, _: &Request, _: u64, _: &Fill) -> Result<Plan, Refusal> {
    Err(ABSENT)
}

/// See [`crate::finish`].
pub fn finish(_: &VaultKeys, _: &Request, _: &Plan, _: &[Signature]) -> Result<Artefact, Refusal> {
    Err(ABSENT)
}

/// See [`crate::decode`].
pub fn decode(_: RawKind, _: Option<Network>, _: &[u8]) -> Result<Intent, Refusal> {
    Err(ABSENT)
}
