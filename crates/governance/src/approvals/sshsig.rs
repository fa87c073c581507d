//! OpenSSH signatures over a message in a namespace: `ssh-keygen -Y sign -n NAMESPACE`.
//!
//! Spec: `PROTOCOL.sshsig` and `PROTOCOL.u2f` of OpenSSH. Two kinds of key: `ssh-ed25519`, and
//! `sk-ssh-ed25519@openssh.com`, for which somebody must have touched the device. Absent on purpose: every other kind,
//! certificates, and signing. A blob is read whole or refused: nothing may follow it, and no field may be of another kind.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, VerifyingKey};
use sha2::{Digest, Sha256, Sha512};

const MAGIC: &[u8] = b"SSHSIG";
const ARMOR_BEGIN: &str = "-----BEGIN SSH SIGNATURE-----";
const ARMOR_END: &str = "-----END SSH SIGNATURE-----";
/// Names of the two kinds of key, which also name their signatures.
const PLAIN: &[u8] = b"ssh-ed25519";
const TOUCH: &[u8] = b"sk-ssh-ed25519@openssh.com";
/// Flag of a security key: somebody touched it.
const USER_PRESENT: u8 = 1;
/// Bytes of an armored or raw signature at most.
const BYTES_MAX: usize = 4 * 1024;

/// Why a signature does not count.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SshError {
    /// Not what `ssh-keygen -Y sign` writes.
    #[error("not an OpenSSH signature: {0}")]
    Format(&'static str),
    /// Another kind of key.
    #[error("key of kind `{0}`; `ssh-ed25519` and `sk-ssh-ed25519@openssh.com` are taken")]
    Kind(String),
    /// Made for another purpose.
    #[error("signed in the namespace `{found}`, not in `{wanted}`")]
    Namespace {
        /// Namespace found.
        found: String,
        /// Namespace wanted.
        wanted: &'static str,
    },
    /// Made by another key.
    #[error("signed by another key")]
    OtherKey,
    /// Nobody touched the security key.
    #[error("the security key says that nobody touched it")]
    NoTouch,
    /// The signature is not that key's over this message.
    #[error("the signature does not fit the message")]
    Forged,
}

impl SshError {
    /// Stable name.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Format(_) => "ssh_format",
            Self::Kind(_) => "ssh_kind",
            Self::Namespace { .. } => "ssh_namespace",
            Self::OtherKey => "ssh_other_key",
            Self::NoTouch => "ssh_no_touch",
            Self::Forged => "ssh_forged",
        }
    }
}

/// A public key of one of the two kinds, as its blob says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct SshKey<'a> {
    point: [u8; 32],
    /// `ssh:` and the like, for security keys.
    application: Option<&'a [u8]>,
}

/// A signature that was read, not checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SshSignature {
    key: Vec<u8>,
    namespace: Vec<u8>,
    hash: HashName,
    signature: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum HashName {
    Sha256,
    Sha512,
}

/// Reads `string` fields of RFC 4251.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], SshError> {
        let (head, tail) = self.0.split_at_checked(count).ok_or(SshError::Format("truncated"))?;
        self.0 = tail;
        Ok(head)
    }
    fn number(&mut self) -> Result<u32, SshError> {
        let bytes = self.take(4)?;
        let bytes = bytes.try_into().map_err(|_| SshError::Format("truncated"))?;
        Ok(u32::from_be_bytes(bytes))
    }
    fn string(&mut self) -> Result<&'a [u8], SshError> {
        let count = usize::try_from(self.number()?).map_err(|_| SshError::Format("length"))?;
        self.take(count)
    }
    fn finish(self) -> Result<(), SshError> {
        if self.0.is_empty() { Ok(()) } else { Err(SshError::Format("bytes follow")) }
    }
}

fn array<const N: usize>(bytes: &[u8]) -> Result<[u8; N], SshError> {
    bytes.try_into().map_err(|_| SshError::Format("a field has another length"))
}

impl<'a> SshKey<'a> {
    fn read(blob: &'a [u8]) -> Result<Self, SshError> {
        let mut fields = Fields(blob);
        let kind = fields.string()?;
        let key = match kind {
            PLAIN => Self { point: array(fields.string()?)?, application: None },
            TOUCH => Self { point: array(fields.string()?)?, application: Some(fields.string()?) },
            other => return Err(SshError::Kind(printable(other))),
        };
        fields.finish()?;
        Ok(key)
    }
}

/// Bytes of others, for an error that ends on a terminal.
fn printable(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    text.chars().take(64).map(|c| if c.is_control() { '?' } else { c }).collect()
}

/// Checks that `blob` is a key that may stand in a charter, and tells whether it is of the kind that wants a touch.
pub fn check_key(blob: &[u8]) -> Result<bool, SshError> {
    let key = SshKey::read(blob)?;
    VerifyingKey::from_bytes(&key.point).map_err(|_| SshError::Format("not a point"))?;
    Ok(key.application.is_some())
}

impl SshSignature {
    /// Reads the raw blob, or the armored text that `ssh-keygen` writes.
    pub fn read(bytes: &[u8]) -> Result<Self, SshError> {
        if bytes.len() > BYTES_MAX {
            return Err(SshError::Format("too long"));
        }
        if bytes.starts_with(MAGIC) {
            Self::read_blob(bytes)
        } else {
            Self::read_blob(&unarmor(bytes)?)
        }
    }

    fn read_blob(bytes: &[u8]) -> Result<Self, SshError> {
        let mut fields = Fields(bytes.strip_prefix(MAGIC).ok_or(SshError::Format("no `SSHSIG`"))?);
        if fields.number()? != 1 {
            return Err(SshError::Format("version"));
        }
        let key = fields.string()?.to_vec();
        SshKey::read(&key)?;
        let namespace = fields.string()?.to_vec();
        if !fields.string()?.is_empty() {
            return Err(SshError::Format("the reserved field is not empty"));
        }
        let hash = match fields.string()? {
            b"sha256" => HashName::Sha256,
            b"sha512" => HashName::Sha512,
            _ => return Err(SshError::Format("hash")),
        };
        let signature = fields.string()?.to_vec();
        fields.finish()?;
        Ok(Self { key, namespace, hash, signature })
    }

    /// Blob of the key that is said to have signed.
    pub fn key(&self) -> &[u8] {
        &self.key
    }

    /// Checks namespace, key and signature.
    pub fn verify(
        &self,
        namespace: &'static str,
        key_blob: &[u8],
        message: &[u8],
    ) -> Result<(), SshError> {
        if self.namespace != namespace.as_bytes() {
            let found = printable(&self.namespace);
            return Err(SshError::Namespace { found, wanted: namespace });
        }
        if self.key != key_blob {
            return Err(SshError::OtherKey);
        }
        let key = SshKey::read(&self.key)?;
        let mut fields = Fields(&self.signature);
        let kind = fields.string()?;
        if kind != if key.application.is_some() { TOUCH } else { PLAIN } {
            return Err(SshError::Format("key and signature are of two kinds"));
        }
        let signature = Signature::from_bytes(&array(fields.string()?)?);
        let mut signed = self.signed(message);
        if let Some(application) = key.application {
            let flags = array::<1>(fields.take(1)?)?;
            if flags[0] & USER_PRESENT == 0 {
                return Err(SshError::NoTouch);
            }
            let counter = fields.take(4)?;
            let (application, message) = (Sha256::digest(application), Sha256::digest(&signed));
            signed = [application.as_slice(), &flags, counter, message.as_slice()].concat();
        }
        fields.finish()?;
        let point = VerifyingKey::from_bytes(&key.point).map_err(|_| SshError::Forged)?;
        point.verify_strict(&signed, &signature).map_err(|_| SshError::Forged)
    }

    /// What the key signs: magic, namespace, an empty reserved field, hash name and hash.
    fn signed(&self, message: &[u8]) -> Vec<u8> {
        let (name, hash) = match self.hash {
            HashName::Sha256 => (b"sha256", Sha256::digest(message).to_vec()),
            HashName::Sha512 => (b"sha512", Sha512::digest(message).to_vec()),
        };
        let mut out = MAGIC.to_vec();
        for field in [self.namespace.as_slice(), b"", name, &hash] {
            let length = u32::try_from(field.len()).unwrap_or(u32::MAX);
            out.extend_from_slice(&length.to_be_bytes());
            out.extend_from_slice(field);
        }
        out
    }
}

fn unarmor(bytes: &[u8]) -> Result<Vec<u8>, SshError> {
    let text = std::str::from_utf8(bytes).map_err(|_| SshError::Format("neither blob nor text"))?;
    let inner = text.trim().strip_prefix(ARMOR_BEGIN).and_then(|rest| rest.strip_suffix(ARMOR_END));
    let inner = inner.ok_or(SshError::Format("no BEGIN and END lines"))?;
    let packed: String = inner.chars().filter(|c| !matches!(c, '\n' | '\r')).collect();
    STANDARD.decode(packed).map_err(|_| SshError::Format("base64"))
}

#[cfg(test)]
pub(super) mod tests;
