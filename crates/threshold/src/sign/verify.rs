//! The last word on a signature: libsecp256k1 or ed25519-dalek, neither of which took part in making it.

use super::error::{Reason, Refusal, SignError};
use crate::shares::VaultPublic;
use model::curve::{Curve, Secp256k1};
use model::keys::KeyKind;
use model::signing::{KeyTweak, SignItem, Signature};
use secp256k1::ecdsa::{RecoverableSignature, RecoveryId};
use secp256k1::{Message, PublicKey, Scalar, XOnlyPublicKey, schnorr};

/// Verifies `signature` for `item` under the vault's key: strictly, low s only, recovery id included.
pub fn verify(
    public: &VaultPublic,
    item: &SignItem,
    signature: &Signature,
) -> Result<(), SignError> {
    let good = match (item.key, signature) {
        (KeyKind::Ecdsa, Signature::Ecdsa { rs, recovery_id }) => {
            verify_ecdsa(public, item, rs, *recovery_id)?
        }
        (KeyKind::Bip340, Signature::Schnorr(bytes)) => verify_schnorr(public, item, bytes)?,
        (KeyKind::Ed25519, Signature::Ed25519(bytes)) => verify_ed25519(public, item, bytes)?,
        _ => false,
    };
    if good { Ok(()) } else { Err(SignError::by_somebody(Reason::Signature)) }
}

fn digest(item: &SignItem) -> Result<Message, SignError> {
    let bytes = <[u8; 32]>::try_from(item.message.as_slice());
    Ok(Message::from_digest(bytes.map_err(|_| Refusal::Digest(item.message.len()))?))
}

fn secp_key(public: &VaultPublic, item: &SignItem) -> Result<PublicKey, SignError> {
    let child = public.keys.secp256k1_at(item.key, &item.path).map_err(Refusal::Path)?;
    let bytes = Secp256k1::point_to_bytes(&child.point);
    PublicKey::from_slice(&bytes).map_err(|_| SignError::Bug("a derived key is no public key"))
}

fn verify_ecdsa(
    public: &VaultPublic,
    item: &SignItem,
    rs: &[u8; 64],
    recovery_id: u8,
) -> Result<bool, SignError> {
    if item.tweak != KeyTweak::None {
        return Err(Refusal::Tweak.into());
    }
    let (message, key) = (digest(item)?, secp_key(public, item)?);
    let secp = secp256k1::Secp256k1::verification_only();
    let Ok(id) = RecoveryId::from_i32(i32::from(recovery_id)) else { return Ok(false) };
    let Ok(recoverable) = RecoverableSignature::from_compact(rs, id) else { return Ok(false) };
    // libsecp256k1 verifies low s only, so a malleated twin fails here.
    let plain = recoverable.to_standard();
    let verified = secp.verify_ecdsa(&message, &plain, &key).is_ok();
    Ok(verified && secp.recover_ecdsa(&message, &recoverable) == Ok(key))
}

fn verify_schnorr(
    public: &VaultPublic,
    item: &SignItem,
    bytes: &[u8; 64],
) -> Result<bool, SignError> {
    let (message, internal) = (digest(item)?, secp_key(public, item)?);
    let secp = secp256k1::Secp256k1::verification_only();
    let (internal, _) = internal.x_only_public_key();
    let key = match item.tweak {
        KeyTweak::None => internal,
        KeyTweak::Taproot(root) => tweaked(&secp, internal, root.as_ref())?,
    };
    let Ok(signature) = schnorr::Signature::from_slice(bytes) else { return Ok(false) };
    Ok(secp.verify_schnorr(&signature, &message, &key).is_ok())
}

/// BIP-341's output key, by libsecp256k1's own tweak: a second opinion on `quorum::taproot`.
fn tweaked(
    secp: &secp256k1::Secp256k1<secp256k1::VerifyOnly>,
    internal: XOnlyPublicKey,
    script_root: Option<&[u8; 32]>,
) -> Result<XOnlyPublicKey, SignError> {
    let hash = super::quorum::tap_tweak(&internal.serialize(), script_root);
    let scalar = Scalar::from_be_bytes(hash).map_err(|_| Refusal::Tweak)?;
    let (key, _) = internal.add_tweak(secp, &scalar).map_err(|_| Refusal::Tweak)?;
    Ok(key)
}

fn verify_ed25519(
    public: &VaultPublic,
    item: &SignItem,
    bytes: &[u8; 64],
) -> Result<bool, SignError> {
    if item.tweak != KeyTweak::None {
        return Err(Refusal::Tweak.into());
    }
    let key = public.keys.public_at(KeyKind::Ed25519, &item.path).map_err(Refusal::Path)?;
    let key = <[u8; 32]>::try_from(key.as_slice())
        .ok()
        .and_then(|key| ed25519_dalek::VerifyingKey::from_bytes(&key).ok())
        .ok_or(SignError::Bug("a derived key is no public key"))?;
    let signature = ed25519_dalek::Signature::from_bytes(bytes);
    Ok(key.verify_strict(&item.message, &signature).is_ok())
}
