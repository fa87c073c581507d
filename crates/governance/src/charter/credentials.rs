//! What a credential's bytes must look like before anybody relies on it.

use model::charter::{Credential, PasskeyKey};
use model::curve::{Curve, Ed25519};

const PLAIN: &str = "ssh-ed25519";
const TOUCH: &str = "sk-ssh-ed25519@openssh.com";

/// Kind of an OpenSSH key blob that we verify; `None` for every other kind and for odd bytes.
pub(super) fn ssh_kind(blob: &[u8]) -> Option<&'static str> {
    let (kind, rest) = field(blob)?;
    let (key, rest) = field(rest)?;
    let sound = is_point(key.try_into().ok()?);
    // RFC 8709 and OpenSSH's PROTOCOL.u2f: the second kind carries the application, `ssh:` by default.
    match kind {
        b"ssh-ed25519" if sound && rest.is_empty() => Some(PLAIN),
        b"sk-ssh-ed25519@openssh.com" if sound => {
            let (application, rest) = field(rest)?;
            (!application.is_empty() && rest.is_empty()).then_some(TOUCH)
        }
        _ => None,
    }
}

/// RFC 4251 string.
fn field(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)
}

fn is_point(key: &[u8; 32]) -> bool {
    Ed25519::point_from_bytes(key).is_some_and(|point| !Ed25519::is_identity(&point))
}

/// Why a credential verifies nothing.
pub(super) fn fault_of(credential: &Credential) -> Option<&'static str> {
    match credential {
        Credential::Ssh { blob } if ssh_kind(blob).is_none() => Some("no SSH key that we verify"),
        Credential::Service { key } if !is_point(key) => Some("no Ed25519 key"),
        Credential::Passkey { domain, .. } if !is_domain(domain) => Some("no web domain"),
        Credential::Passkey { id, .. } if id.is_empty() => Some("an empty credential id"),
        Credential::Passkey { key: PasskeyKey::Ed25519(key), .. } if !is_point(key) => {
            Some("no Ed25519 key")
        }
        Credential::Passkey { key: PasskeyKey::Es256(key), .. } if !is_p256(key) => {
            Some("no compressed P-256 key")
        }
        _ => None,
    }
}

fn is_p256(key: &[u8; 33]) -> bool {
    p256::ecdsa::VerifyingKey::from_sec1_bytes(key).is_ok()
}

/// Lower-case labels with dots between them, or `localhost`.
fn is_domain(text: &str) -> bool {
    let label = |label: &str| {
        let letters = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        !label.is_empty() && label.bytes().all(letters) && !label.starts_with('-')
    };
    text == "localhost" || (text.contains('.') && text.split('.').all(label))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blob(parts: &[&[u8]]) -> Vec<u8> {
        let field = |part: &&[u8]| {
            let length = u32::try_from(part.len()).unwrap().to_be_bytes();
            [length.as_slice(), part].concat()
        };
        parts.iter().flat_map(field).collect()
    }

    #[test]
    fn only_keys_that_we_verify_are_taken() {
        let key = ed25519_dalek::SigningKey::from_bytes(&[7; 32]).verifying_key().to_bytes();
        let check = |parts: &[&[u8]], wanted| assert_eq!(ssh_kind(&blob(parts)), wanted);
        check(&[b"ssh-ed25519", &key], Some(PLAIN));
        check(&[TOUCH.as_bytes(), &key, b"ssh:"], Some(TOUCH));
        check(&[b"ssh-ed25519", &key, b""], None);
        check(&[TOUCH.as_bytes(), &key], None);
        check(&[b"ssh-ed25519", &[0xff; 32]], None);
        check(&[b"ssh-rsa", &key], None);
        assert_eq!(ssh_kind(b""), None);
    }

    #[test]
    fn a_domain_is_lower_case_with_a_dot() {
        for good in ["a.example", "localhost", "b-1.c.example"] {
            assert!(is_domain(good), "{good}");
        }
        for bad in ["", "example", "A.example", "a..b", "https://a.example", "-a.example"] {
            assert!(!is_domain(bad), "{bad}");
        }
    }
}
