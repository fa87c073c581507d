//! EVM chains: transactions, typed data and personal messages, decoded strictly and signed by the ECDSA key.
//!
//! Spec: `docs/spec/chains.md`, EVM part. What a reader is shown is derived from the same bytes or values that are
//! hashed; what the chain would ignore (padding, trailing bytes, second spellings) is refused.
//! Absent on purpose: ABIs fetched from anywhere, names (ENS), simulation, blobs, code delegation.

pub mod address;
pub mod calldata;
pub mod ceiling;
pub mod message;
mod plan;
mod refused_calls;
pub mod rpc;
mod text;
pub mod transaction;
pub mod typed_data;

pub use address::{account, address};
pub use plan::{build, decode, finish, nonce_and_prices, spend_key};

/// The address that nobody holds.
pub(crate) const ZERO_ADDRESS: address::EvmAddress = [0; 20];
