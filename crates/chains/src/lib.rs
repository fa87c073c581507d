//! Chains: from a request to the bytes that will be signed, and from bytes back to what they mean.
//!
//! Every node builds the unsigned bytes from `(request, fill)` by itself, decodes them again with the same code that
//! decodes bytes of strangers, checks that they are this request's intent, and rebuilds each sighash. What does not
//! decode to words is refused by name ([`Refusal`]); nothing is signed blind.
//!
//! Spec: `docs/spec/chains.md`. Absent on purpose: network access, prices, policy beyond the built-in fee ceiling.

mod address;
mod ask;
pub mod bitcoin;
pub mod evm;
pub mod fuzz;
mod plan;
mod refusal;
mod replace;
pub mod solana;
#[cfg(test)]
mod test_vault;
mod wanted;

pub use address::{Account, Address, account, address};
pub use ask::{FillDraft, parse_ask, parse_fill, parse_raw, raw_kind};
pub use plan::{Artefact, Plan, SpendKey, build, decode, finish};
pub use refusal::Refusal;
pub use replace::{check_replacement, is_cancel};
pub use wanted::{Wanted, wanted};
