//! One signature of one credential over one act's id, in the four forms that an act may carry.

use super::sshsig::{SshError, SshSignature};
use super::webauthn::{Assertion, PasskeyError};
use ed25519_dalek::VerifyingKey;
use model::act::{ActSignature, SSH_NAMESPACE};
use model::charter::Credential;
use model::ids::ActId;

/// Stands before the id in what a service signs.
pub const SERVICE_TAG: &[u8] = b"outlast/act/service/v1\0";

/// Why a signature does not count.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// Signature and credential are of two kinds.
    #[error("a {signature} cannot sign for a {credential}")]
    Kind {
        /// What was found.
        signature: &'static str,
        /// What the credential is.
        credential: &'static str,
    },
    /// Made by another key.
    #[error("signed by another key")]
    OtherKey,
    /// OpenSSH.
    #[error("the SSH signature does not count")]
    Ssh(#[from] SshError),
    /// Passkey.
    #[error("the passkey's assertion does not count")]
    Passkey(#[from] PasskeyError),
    /// Service or node.
    #[error("the signature does not fit the act")]
    Forged,
}

impl SignatureError {
    /// Stable name.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Kind { .. } => "signature_kind",
            Self::OtherKey => "other_key",
            Self::Ssh(error) => error.code(),
            Self::Passkey(error) => error.code(),
            Self::Forged => "forged",
        }
    }
}

pub(super) fn kind_of(signature: &ActSignature) -> &'static str {
    match signature {
        ActSignature::Node(_) => "node signature",
        ActSignature::Ssh(_) => "SSH signature",
        ActSignature::Passkey { .. } => "passkey's assertion",
        ActSignature::Service { .. } => "service signature",
    }
}

fn kind_of_credential(credential: &Credential) -> &'static str {
    match credential {
        Credential::Ssh { .. } => "SSH key",
        Credential::Passkey { .. } => "passkey",
        Credential::Service { .. } => "service key",
    }
}

/// Checks that `credential` signed the act with this id.
pub fn verify_signature(
    id: &ActId,
    signature: &ActSignature,
    credential: &Credential,
) -> Result<(), SignatureError> {
    match (signature, credential) {
        (ActSignature::Ssh(bytes), Credential::Ssh { blob }) => {
            let message = id.to_string();
            Ok(SshSignature::read(bytes)?.verify(SSH_NAMESPACE, blob, message.as_bytes())?)
        }
        (
            ActSignature::Passkey { credential, authenticator_data, client_data, signature },
            Credential::Passkey { domain, id: own, key },
        ) => {
            if credential != own {
                return Err(SignatureError::OtherKey);
            }
            let assertion = Assertion { authenticator_data, client_data, signature };
            Ok(assertion.verify(domain, key, id.as_bytes())?)
        }
        (ActSignature::Service { key, signature }, Credential::Service { key: own }) => {
            if key != own {
                return Err(SignatureError::OtherKey);
            }
            let point = VerifyingKey::from_bytes(key).map_err(|_| SignatureError::Forged)?;
            let signature = ed25519_dalek::Signature::from_bytes(signature);
            let signed = [SERVICE_TAG, id.as_bytes()].concat();
            point.verify_strict(&signed, &signature).map_err(|_| SignatureError::Forged)
        }
        _ => Err(SignatureError::Kind {
            signature: kind_of(signature),
            credential: kind_of_credential(credential),
        }),
    }
}
