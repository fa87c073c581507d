//! What a signing session is asked for and what it yields, as bytes.

use crate::hd::DerivationPath;
use crate::keys::KeyKind;
use crate::limits;
use crate::wire::{Reader, Wire, WireError, Writer};

/// What is added to the key at a path before it signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeyTweak {
    /// Nothing.
    None,
    /// BIP-341 output key with this script tree (`None`: BIP-86, no scripts). Only for [`KeyKind::Bip340`].
    Taproot(Option<[u8; 32]>),
}

/// One signature that a request needs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SignItem {
    /// Root key.
    pub key: KeyKind,
    /// Path below the root.
    pub path: DerivationPath,
    /// Tweak above the path.
    pub tweak: KeyTweak,
    /// ECDSA and BIP-340: the 32-byte sighash that this node rebuilt. Ed25519: the whole message.
    pub message: Vec<u8>,
}

/// A finished signature, already verified by the node that holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Signature {
    /// `r || s` with low s, and the recovery id (0 or 1).
    Ecdsa {
        /// 64 bytes.
        rs: [u8; 64],
        /// 0 or 1.
        recovery_id: u8,
    },
    /// BIP-340.
    Schnorr([u8; 64]),
    /// RFC 8032.
    Ed25519([u8; 64]),
}

impl Wire for SignItem {
    fn write(&self, w: &mut Writer) {
        self.key.write(w);
        self.path.write(w);
        match &self.tweak {
            KeyTweak::None => w.u8(0),
            KeyTweak::Taproot(root) => {
                w.u8(1);
                w.option(root.as_ref(), |w, root| w.fixed(root));
            }
        }
        w.bytes(&self.message);
    }
    fn read(r: &mut Reader<'_>) -> Result<Self, WireError> {
        let key = KeyKind::read(r)?;
        let path = DerivationPath::read(r)?;
        let tweak = match r.u8()? {
            0 => KeyTweak::None,
            1 => KeyTweak::Taproot(r.option(Reader::fixed)?),
            _ => return Err(WireError::Range("key tweak")),
        };
        let message = r.bytes(limits::TRANSACTION_BYTES_MAX)?;
        Ok(Self { key, path, tweak, message })
    }
}

impl Wire for Signature {
    fn write(&self, w: &mut Writer) {
        match self {
            Self::Ecdsa { rs, recovery_id } => {
                w.u8(1);
                w.fixed(rs);
                w.u8(*recovery_id);
            }
            Self::Schnorr(bytes) => {
                w.u8(2);
                w.fixed(bytes);
            }
            Self::Ed25519(bytes) => {
                w.u8(3);
                w.fixed(bytes);
            }
        }
    }
    fn read(r: &mut Reader<'_>) -> Result<Self, WireError> {
        match r.u8()? {
            1 => Ok(Self::Ecdsa {
                rs: r.fixed()?,
                recovery_id: match r.u8()? {
                    id @ 0..=1 => id,
                    _ => return Err(WireError::Range("recovery id")),
                },
            }),
            2 => Ok(Self::Schnorr(r.fixed()?)),
            3 => Ok(Self::Ed25519(r.fixed()?)),
            _ => Err(WireError::Range("signature")),
        }
    }
}
