//! Wraps the data key, so that the disk alone opens nothing.
//!
//! Three seals: a *passphrase* (Argon2id, RFC 9106; the node starts sealed and waits for `outlast node unseal`),
//! *systemd-creds* (key of the host, or of its TPM) and *TPM 2.0* (a sealed object below the owner's primary key,
//! bound to PCRs on request); the last two let a node restart unattended. Each wrap is bound to the node's id.
//!
//! Absent on purpose: a way to weaken a seal in place. Another seal is another wrap of the same key.

mod command;
mod error;
mod passphrase;
mod systemd;
mod tpm2;

pub use error::SealError;
pub use passphrase::PassphraseCost;

use model::ids::NodeId;
use model::secret::Secret;
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::str::FromStr;

/// Asks a TPM for something that only it can answer; `tcti` chooses it, none is the tools' default.
pub(crate) fn ask_tpm(tcti: Option<&str>) -> Result<(), SealError> {
    tpm2::ask(tcti)
}

/// Which seal keeps the data key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SealKind {
    /// A passphrase that a person types at each start.
    Passphrase,
    /// The `systemd-creds` command.
    SystemdCreds,
    /// A TPM 2.0, through tpm2-tools.
    Tpm2,
}

impl SealKind {
    /// Name in files and on screens.
    pub fn name(self) -> &'static str {
        match self {
            Self::Passphrase => "passphrase",
            Self::SystemdCreds => "systemd-creds",
            Self::Tpm2 => "tpm2",
        }
    }
}

impl core::fmt::Display for SealKind {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for SealKind {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        [Self::Passphrase, Self::SystemdCreds, Self::Tpm2]
            .into_iter()
            .find(|kind| kind.name() == text)
            .ok_or_else(|| format!("`{text}` is not one of passphrase, systemd-creds, tpm2"))
    }
}

/// What a new wrap is made with.
#[derive(Debug)]
pub enum SealWith {
    /// A passphrase and how dear a guess shall be.
    Passphrase {
        /// The passphrase.
        passphrase: Secret<String>,
        /// Cost of one guess.
        cost: PassphraseCost,
    },
    /// A key of the machine.
    SystemdCreds {
        /// `--with-key=` of `systemd-creds`: `host`, `tpm2`, `host+tpm2`, `auto`.
        with_key: String,
    },
    /// A sealed object of the TPM.
    Tpm2 {
        /// PCRs that must not change, as tpm2-tools spell them (`sha256:7`); none: any boot state opens.
        pcrs: Option<String>,
    },
}

impl SealWith {
    /// Its kind.
    pub fn kind(&self) -> SealKind {
        match self {
            Self::Passphrase { .. } => SealKind::Passphrase,
            Self::SystemdCreds { .. } => SealKind::SystemdCreds,
            Self::Tpm2 { .. } => SealKind::Tpm2,
        }
    }
}

/// A wrapped data key as it stands in `sealed.json`: useless without its seal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Wrapped {
    /// Argon2id, then XChaCha20-Poly1305.
    Passphrase(passphrase::Wrap),
    /// A credential of `systemd-creds`.
    SystemdCreds(systemd::Wrap),
    /// Public and private blob of a sealed object.
    Tpm2(tpm2::Wrap),
}

/// What wrapping and unwrapping rest on besides the secret.
#[derive(Debug, Clone, Copy)]
pub struct Bounds<'a> {
    /// The node that the key belongs to.
    pub node: NodeId,
    /// A private directory for the files that tpm2-tools exchange; nothing secret is written there.
    pub scratch: &'a Path,
    /// A home marked as a test home may use a passphrase cost below the floor.
    pub test_home: bool,
}

impl Wrapped {
    /// Wraps `data_key`.
    pub fn wrap(
        with: &SealWith,
        bounds: Bounds<'_>,
        data_key: &Secret<[u8; 32]>,
    ) -> Result<Self, SealError> {
        match with {
            SealWith::Passphrase { passphrase, cost } => {
                passphrase::wrap(passphrase, *cost, bounds, data_key).map(Self::Passphrase)
            }
            SealWith::SystemdCreds { with_key } => {
                systemd::wrap(with_key, bounds.node, data_key).map(Self::SystemdCreds)
            }
            SealWith::Tpm2 { pcrs } => {
                tpm2::wrap(pcrs.as_deref(), bounds, data_key).map(Self::Tpm2)
            }
        }
    }

    /// Unwraps the data key; only a passphrase seal reads `passphrase`.
    pub fn unwrap_key(
        &self,
        passphrase: Option<&Secret<String>>,
        bounds: Bounds<'_>,
    ) -> Result<Secret<[u8; 32]>, SealError> {
        match self {
            Self::Passphrase(wrap) => {
                passphrase::unwrap(wrap, passphrase.ok_or(SealError::PassphraseMissing)?, bounds)
            }
            Self::SystemdCreds(wrap) => systemd::unwrap(wrap, bounds.node),
            Self::Tpm2(wrap) => tpm2::unwrap(wrap, bounds),
        }
    }

    /// A passphrase at a test's cost: the one kind that a fuzz test can try to open.
    pub(crate) fn is_cheap(&self) -> bool {
        matches!(self, Self::Passphrase(wrap) if wrap.is_cheap())
    }

    /// Its kind.
    pub fn kind(&self) -> SealKind {
        match self {
            Self::Passphrase(_) => SealKind::Passphrase,
            Self::SystemdCreds(_) => SealKind::SystemdCreds,
            Self::Tpm2(_) => SealKind::Tpm2,
        }
    }
}

/// 32 bytes out of what a seal returned.
fn key_from(bytes: &Secret<Vec<u8>>) -> Result<Secret<[u8; 32]>, SealError> {
    <[u8; 32]>::try_from(bytes.expose().as_slice())
        .map(Secret::new)
        .map_err(|_| SealError::Malformed("the seal does not hold a 32-byte key".into()))
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
