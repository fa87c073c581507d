//! A passkey's assertion over a challenge that we chose.
//!
//! Spec: W3C Web Authentication Level 3, section 7.2, as far as a verifier without a session needs it. The challenge is
//! the act's id, so an assertion says yes to one act and to nothing else. User presence *and* user verification are
//! required. Absent on purpose: signature counters (a synced passkey has none, and a set of acts has no order),
//! attestation, extensions, and assertions made inside another site's frame.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use model::charter::PasskeyKey;
use p256::ecdsa::signature::Verifier as _;
use serde::Deserialize;
use sha2::{Digest, Sha256};

/// Flags of authenticator data (section 6.1).
const USER_PRESENT: u8 = 0x01;
const USER_VERIFIED: u8 = 0x04;
const BACKUP_ELIGIBLE: u8 = 0x08;
const BACKED_UP: u8 = 0x10;
pub(super) const ATTESTED: u8 = 0x40;
const EXTENSIONS: u8 = 0x80;
/// Hash of the domain, flags, counter.
pub(super) const HEAD_BYTES: usize = 37;

/// Why an assertion does not count.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PasskeyError {
    /// Not what a browser or an authenticator writes.
    #[error("not a passkey's assertion: {0}")]
    Format(&'static str),
    /// Made for something else than signing in or signing.
    #[error("client data of type `{0}`, not `webauthn.get`")]
    Kind(String),
    /// Over another challenge.
    #[error("signed another challenge")]
    Challenge,
    /// Made on another site.
    #[error("signed on `{origin}`, which is not of `{domain}`")]
    Origin {
        /// The page's origin.
        origin: String,
        /// The credential's domain.
        domain: String,
    },
    /// Made inside another site's frame.
    #[error("signed inside a frame of another site")]
    CrossOrigin,
    /// The authenticator speaks for another domain.
    #[error("the authenticator signed for another domain")]
    OtherDomain,
    /// Nobody was there.
    #[error("the authenticator says that nobody was present")]
    NotPresent,
    /// Somebody was there, but did not prove who.
    #[error("the authenticator did not verify its user")]
    NotVerified,
    /// The signature is not that key's.
    #[error("the signature does not fit")]
    Forged,
}

impl PasskeyError {
    /// Stable name.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Format(_) => "passkey_format",
            Self::Kind(_) => "passkey_type",
            Self::Challenge => "passkey_challenge",
            Self::Origin { .. } => "passkey_origin",
            Self::CrossOrigin => "passkey_cross_origin",
            Self::OtherDomain => "passkey_other_domain",
            Self::NotPresent => "passkey_not_present",
            Self::NotVerified => "passkey_not_verified",
            Self::Forged => "passkey_forged",
        }
    }
}

/// What an authenticator and its browser give back.
#[derive(Debug, Clone, Copy)]
pub struct Assertion<'a> {
    /// Authenticator data.
    pub authenticator_data: &'a [u8],
    /// Client data: JSON, as the browser made it.
    pub client_data: &'a [u8],
    /// Signature.
    pub signature: &'a [u8],
}

/// The members of client data that we judge; unknown ones may stand beside them, doubled ones may not.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ClientData {
    r#type: String,
    challenge: String,
    origin: String,
    #[serde(default)]
    cross_origin: bool,
    #[serde(default)]
    top_origin: Option<serde_json::Value>,
}

impl Assertion<'_> {
    /// Checks everything: that this passkey of this domain signed this challenge with its user present and verified.
    pub fn verify(
        &self,
        domain: &str,
        key: &PasskeyKey,
        challenge: &[u8],
    ) -> Result<(), PasskeyError> {
        self.check_client_data(domain, challenge)?;
        check_authenticator_data(self.authenticator_data, domain)?;
        self.check_signature(key)
    }

    /// Section 7.2, steps 9 to 14.
    fn check_client_data(&self, domain: &str, challenge: &[u8]) -> Result<(), PasskeyError> {
        let data: ClientData = serde_json::from_slice(self.client_data)
            .map_err(|_| PasskeyError::Format("client data"))?;
        if data.r#type != "webauthn.get" {
            return Err(PasskeyError::Kind(printable(&data.r#type)));
        }
        if data.challenge != URL_SAFE_NO_PAD.encode(challenge) {
            return Err(PasskeyError::Challenge);
        }
        if !is_origin_of(&data.origin, domain) {
            let (origin, domain) = (printable(&data.origin), domain.to_owned());
            return Err(PasskeyError::Origin { origin, domain });
        }
        if data.cross_origin || data.top_origin.is_some() {
            return Err(PasskeyError::CrossOrigin);
        }
        Ok(())
    }

    /// Section 7.2, step 21: over authenticator data and the hash of client data.
    fn check_signature(&self, key: &PasskeyKey) -> Result<(), PasskeyError> {
        let hash = Sha256::digest(self.client_data);
        let signed = [self.authenticator_data, hash.as_slice()].concat();
        let fits = match key {
            PasskeyKey::Es256(point) => {
                let key = p256::ecdsa::VerifyingKey::from_sec1_bytes(point).ok();
                let signature = p256::ecdsa::Signature::from_der(self.signature).ok();
                key.zip(signature).is_some_and(|(key, made)| key.verify(&signed, &made).is_ok())
            }
            PasskeyKey::Ed25519(point) => {
                let key = ed25519_dalek::VerifyingKey::from_bytes(point).ok();
                let signature = ed25519_dalek::Signature::from_slice(self.signature).ok();
                key.zip(signature)
                    .is_some_and(|(key, made)| key.verify_strict(&signed, &made).is_ok())
            }
        };
        if fits { Ok(()) } else { Err(PasskeyError::Forged) }
    }
}

fn printable(text: &str) -> String {
    text.chars().take(128).map(|c| if c.is_control() { '?' } else { c }).collect()
}

/// `https://HOST[:PORT]` with the domain itself or one below it as host; `http` for `localhost` only.
fn is_origin_of(origin: &str, domain: &str) -> bool {
    let (host_and_port, plain) = match origin.strip_prefix("https://") {
        Some(rest) => (rest, false),
        None => match origin.strip_prefix("http://") {
            Some(rest) => (rest, true),
            None => return false,
        },
    };
    let (host, port) = host_and_port.split_once(':').unwrap_or((host_and_port, "443"));
    let is_port = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    // Whatever is no name of a host ends here: paths, user names, brackets, upper case.
    let is_name = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, b'.' | b'-');
    let below =
        host.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    let allowed = !plain || host == "localhost";
    !domain.is_empty() && is_port && host.bytes().all(is_name) && below && allowed
}

/// Section 7.2, steps 15 to 19, and nothing but what the flags announce.
fn check_authenticator_data(data: &[u8], domain: &str) -> Result<(), PasskeyError> {
    let flags = check_head(data, domain)?;
    let extra = data.get(HEAD_BYTES..).unwrap_or_default();
    if flags & ATTESTED != 0 {
        return Err(PasskeyError::Format("an assertion with a new credential"));
    }
    match (flags & EXTENSIONS != 0, extra.is_empty()) {
        (true, false) => super::cbor::skip_all(extra)
            .map_err(|_| PasskeyError::Format("extensions of the authenticator")),
        (false, true) => Ok(()),
        _ => Err(PasskeyError::Format("length of authenticator data")),
    }
}

/// Domain and flags of authenticator data; the flags.
pub(super) fn check_head(data: &[u8], domain: &str) -> Result<u8, PasskeyError> {
    let short = PasskeyError::Format("authenticator data is short");
    let Some((hash, rest)) = data.split_first_chunk::<32>() else { return Err(short) };
    let Some((&[flags, ..], _)) = rest.split_first_chunk::<5>() else { return Err(short) };
    if hash.as_slice() != Sha256::digest(domain.as_bytes()).as_slice() {
        return Err(PasskeyError::OtherDomain);
    }
    if flags & USER_PRESENT == 0 {
        return Err(PasskeyError::NotPresent);
    }
    if flags & USER_VERIFIED == 0 {
        return Err(PasskeyError::NotVerified);
    }
    if flags & BACKED_UP != 0 && flags & BACKUP_ELIGIBLE == 0 {
        return Err(PasskeyError::Format("backed up, but not eligible for it"));
    }
    Ok(flags)
}

#[cfg(test)]
mod tests;
