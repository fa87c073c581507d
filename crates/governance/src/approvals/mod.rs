//! Who said what: signatures of people and nodes over acts, checked before an act counts.
//!
//! Spec: `docs/spec/acts.md`. [`verify_act`] is the only door to a [`Verified`] act. Whether a verified act has an effect
//! now is for [`crate::standing`] to say. Absent on purpose: keys, and every way to sign.

mod birth;
mod cbor;
pub mod registration;
mod signature;
pub mod sshsig;
mod verify;
pub mod webauthn;

pub use birth::{Lacks, birth_lacks};
pub use registration::credential_of;
pub use signature::{SignatureError, verify_signature};
pub use verify::{ActRefusal, Known, Signer, Verified, verify_act, verify_birth};
