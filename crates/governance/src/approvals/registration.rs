//! The key of a passkey that was just made, so that a charter can list it.
//!
//! Spec: W3C Web Authentication Level 3, sections 6.5 and 7.1, and COSE keys (RFC 9053). Attestation is not judged: who a
//! passkey belongs to is said by the governors who sign the charter, not by its maker.

use super::cbor::{Head, Items, NotCbor};
use super::webauthn::{ATTESTED, HEAD_BYTES, PasskeyError, check_head};
use model::charter::{Credential, PasskeyKey};

/// The authenticator's model, which we ignore.
const MODEL_BYTES: usize = 16;
/// Bytes of a credential id at most (section 4).
const ID_BYTES_MAX: usize = 1_023;

const BAD: PasskeyError = PasskeyError::Format("attestation object");
const BAD_KEY: PasskeyError = PasskeyError::Format("the key is neither ES256 nor Ed25519");

impl From<NotCbor> for PasskeyError {
    fn from(_: NotCbor) -> Self {
        BAD
    }
}

/// The credential within an attestation object that an authenticator of `domain` made, its user verified.
pub fn credential_of(domain: &str, attestation_object: &[u8]) -> Result<Credential, PasskeyError> {
    let data = authenticator_data(attestation_object)?;
    if check_head(data, domain)? & ATTESTED == 0 {
        return Err(PasskeyError::Format("no credential was made"));
    }
    let rest = data.get(HEAD_BYTES + MODEL_BYTES..).ok_or(BAD)?;
    let (length, rest) = rest.split_first_chunk::<2>().ok_or(BAD)?;
    let length = usize::from(u16::from_be_bytes(*length));
    let (id, rest) = rest.split_at_checked(length).ok_or(BAD)?;
    if id.is_empty() || id.len() > ID_BYTES_MAX {
        return Err(PasskeyError::Format("length of the credential id"));
    }
    let key = cose_key(&mut Items(rest))?;
    Ok(Credential::Passkey { domain: domain.to_owned(), id: id.to_vec(), key })
}

fn authenticator_data(attestation_object: &[u8]) -> Result<&[u8], PasskeyError> {
    let mut items = Items(attestation_object);
    let Head::Map(pairs) = items.next()? else { return Err(BAD) };
    let mut found = None;
    for _ in 0..pairs {
        let Head::Text(name) = items.next()? else { return Err(BAD) };
        if name != b"authData" {
            items.skip()?;
            continue;
        }
        let Head::Bytes(data) = items.next()? else { return Err(BAD) };
        if found.replace(data).is_some() {
            return Err(BAD);
        }
    }
    if items.0.is_empty() { found.ok_or(BAD) } else { Err(BAD) }
}

/// Labels 1 (kind), 3 (algorithm), -1 (curve), -2 (x), -3 (y). Extensions may follow the map.
fn cose_key(items: &mut Items<'_>) -> Result<PasskeyKey, PasskeyError> {
    let Head::Map(pairs) = items.next()? else { return Err(BAD) };
    let (mut kind, mut algorithm, mut curve, mut x, mut y) = (None, None, None, None, None);
    for _ in 0..pairs {
        let label = items.next()?;
        let value = items.next()?;
        let slot = match label {
            Head::Number(1) => &mut kind,
            Head::Number(3) => &mut algorithm,
            Head::Negative(0) => &mut curve,
            Head::Negative(1) => &mut x,
            Head::Negative(2) => &mut y,
            _ => return Err(BAD_KEY),
        };
        if slot.replace(value).is_some() {
            return Err(BAD);
        }
    }
    let point = |value: Option<Head<'_>>| match value {
        Some(Head::Bytes(bytes)) => <[u8; 32]>::try_from(bytes).map_err(|_| BAD_KEY),
        _ => Err(BAD_KEY),
    };
    match (kind, algorithm, curve) {
        (Some(Head::Number(2)), Some(Head::Negative(6)), Some(Head::Number(1))) => {
            es256(&point(x)?, &point(y)?)
        }
        (Some(Head::Number(1)), Some(Head::Negative(7)), Some(Head::Number(6))) if y.is_none() => {
            let x = point(x)?;
            ed25519_dalek::VerifyingKey::from_bytes(&x).map_err(|_| BAD_KEY)?;
            Ok(PasskeyKey::Ed25519(x))
        }
        _ => Err(BAD_KEY),
    }
}

fn es256(x: &[u8; 32], y: &[u8; 32]) -> Result<PasskeyKey, PasskeyError> {
    let whole = [[4].as_slice(), x, y].concat();
    let key = p256::ecdsa::VerifyingKey::from_sec1_bytes(&whole).map_err(|_| BAD_KEY)?;
    let packed = key.to_sec1_point(true);
    packed.as_bytes().try_into().map(PasskeyKey::Es256).map_err(|_| BAD_KEY)
}
