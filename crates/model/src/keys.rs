//! What a vault is to the outside: its purpose and its three root public keys.

use crate::curve::{Curve, Ed25519, Secp256k1};
use crate::hd::{ChainCode, DerivationPath, Derive, ExtendedKey, HdError};
use crate::wire::{Reader, Wire, WireError, Writer, tags};
use core::fmt;
use core::str::FromStr;

/// Which of the three root keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyKind {
    /// secp256k1 for ECDSA: Ethereum, Bitcoin wpkh.
    Ecdsa,
    /// secp256k1 for BIP-340 Schnorr: Bitcoin taproot.
    Bip340,
    /// Ed25519: Solana.
    Ed25519,
}

impl KeyKind {
    /// All three, in their order.
    pub const ALL: [Self; 3] = [Self::Ecdsa, Self::Bip340, Self::Ed25519];

    /// Name on screens and in transcripts.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ecdsa => "ecdsa",
            Self::Bip340 => "taproot",
            Self::Ed25519 => "ed25519",
        }
    }
}

impl fmt::Display for KeyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for KeyKind {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|kind| kind.name() == text);
        found.ok_or_else(|| format!("`{text}` is not one of ecdsa, taproot, ed25519"))
    }
}

impl Wire for KeyKind {
    fn write(&self, w: &mut Writer) {
        w.u8(match self {
            Self::Ecdsa => 1,
            Self::Bip340 => 2,
            Self::Ed25519 => 3,
        });
    }
    fn read(r: &mut Reader<'_>) -> Result<Self, WireError> {
        match r.u8()? {
            1 => Ok(Self::Ecdsa),
            2 => Ok(Self::Bip340),
            3 => Ok(Self::Ed25519),
            _ => Err(WireError::Range("key kind")),
        }
    }
}

/// A vault is born for tests or for real money, for ever; every output says which.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Purpose {
    /// Never real money.
    Test,
    /// Real money.
    Live,
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Test => "test",
            Self::Live => "live",
        })
    }
}

impl Wire for Purpose {
    fn write(&self, w: &mut Writer) {
        w.u8(match self {
            Self::Test => 1,
            Self::Live => 2,
        });
    }
    fn read(r: &mut Reader<'_>) -> Result<Self, WireError> {
        match r.u8()? {
            1 => Ok(Self::Test),
            2 => Ok(Self::Live),
            _ => Err(WireError::Range("purpose")),
        }
    }
}

/// The three root public keys of a vault with their chain codes.
///
/// # Security
/// Holds chain codes: confidential, given to nodes of the vault only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VaultKeys {
    /// Root of all ECDSA keys.
    pub ecdsa: ExtendedKey<Secp256k1>,
    /// Root of all BIP-340 keys, before any parity or taproot tweak.
    pub bip340: ExtendedKey<Secp256k1>,
    /// Root of all Ed25519 keys.
    pub ed25519: ExtendedKey<Ed25519>,
}

impl VaultKeys {
    /// Compressed secp256k1 key of `kind` at `path`; `Err` for Ed25519's kind.
    pub fn secp256k1_at(
        &self,
        kind: KeyKind,
        path: &DerivationPath,
    ) -> Result<ExtendedKey<Secp256k1>, HdError> {
        let root = match kind {
            KeyKind::Ecdsa => &self.ecdsa,
            KeyKind::Bip340 => &self.bip340,
            KeyKind::Ed25519 => return Err(HdError::Key),
        };
        Secp256k1::derive(root, path).map(|child| child.key)
    }

    /// Ed25519 key at `path`.
    pub fn ed25519_at(&self, path: &DerivationPath) -> Result<ExtendedKey<Ed25519>, HdError> {
        Ed25519::derive(&self.ed25519, path).map(|child| child.key)
    }

    /// Public key bytes of `kind` at `path`: 33 or 32.
    pub fn public_at(&self, kind: KeyKind, path: &DerivationPath) -> Result<Vec<u8>, HdError> {
        match kind {
            KeyKind::Ecdsa | KeyKind::Bip340 => {
                self.secp256k1_at(kind, path).map(|key| Secp256k1::point_to_bytes(&key.point))
            }
            KeyKind::Ed25519 => {
                self.ed25519_at(path).map(|key| Ed25519::point_to_bytes(&key.point))
            }
        }
    }
}

fn write_extended<C: Curve>(w: &mut Writer, key: &ExtendedKey<C>) {
    w.fixed(&C::point_to_bytes(&key.point));
    w.fixed(&key.chain_code.0);
}

fn read_extended<C: Curve, const N: usize>(
    r: &mut Reader<'_>,
) -> Result<ExtendedKey<C>, WireError> {
    let point = C::point_from_bytes(&r.fixed::<N>()?).ok_or(WireError::Range("public key"))?;
    Ok(ExtendedKey { point, chain_code: ChainCode(r.fixed()?) })
}

impl Wire for VaultKeys {
    fn write(&self, w: &mut Writer) {
        w.header(tags::VAULT_KEYS, 1);
        write_extended(w, &self.ecdsa);
        write_extended(w, &self.bip340);
        write_extended(w, &self.ed25519);
    }
    fn read(r: &mut Reader<'_>) -> Result<Self, WireError> {
        r.header(tags::VAULT_KEYS, 1)?;
        Ok(Self {
            ecdsa: read_extended::<Secp256k1, 33>(r)?,
            bip340: read_extended::<Secp256k1, 33>(r)?,
            ed25519: read_extended::<Ed25519, 32>(r)?,
        })
    }
}
