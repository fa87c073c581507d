//! Against real `ssh-keygen`, and a signature that a security key made (sample of the crate `ssh-key`).

use super::*;
use std::process::{Command, Stdio};

const TOUCH_KEY: &str = "AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29tAAAAINSoElFleH+nN83FoLqqepJjN+y7Gs5lrn7qXjBqQZyu\
                         AAAABHNzaDo=";
const TOUCH_SIGNATURE: &str = "-----BEGIN SSH SIGNATURE-----
U1NIU0lHAAAAAQAAAEoAAAAac2stc3NoLWVkMjU1MTlAb3BlbnNzaC5jb20AAAAg1KgSUW
V4f6c3zcWguqp6kmM37LsazmWufupeMGpBnK4AAAAEc3NoOgAAAAdleGFtcGxlAAAAAAAA
AAZzaGE1MTIAAABnAAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29tAAAAQC9WcLb5NG
XRdCOHinQIS/MxdnAx7SQMYnyOt5q4+huTWh/Zk/UvWhP+wXl/ikNPlDpgliRq6o3VyKqS
LLo9lQYBAAAACQ==
-----END SSH SIGNATURE-----
";

fn touch_key() -> Vec<u8> {
    STANDARD.decode(TOUCH_KEY).unwrap()
}

#[test]
fn a_security_keys_signature_holds_and_one_without_a_touch_is_refused() {
    let signature = SshSignature::read(TOUCH_SIGNATURE.as_bytes()).unwrap();
    assert_eq!(signature.key(), touch_key());
    assert_eq!(check_key(signature.key()), Ok(true));
    assert_eq!(signature.verify("example", &touch_key(), b"testing"), Ok(()));
    assert_eq!(signature.verify("example", &touch_key(), b"testinG"), Err(SshError::Forged));

    let flags = signature.signature.len() - 5;
    let mut untouched = signature.clone();
    untouched.signature[flags] = 4;
    assert_eq!(untouched.verify("example", &touch_key(), b"testing"), Err(SshError::NoTouch));
    let mut counted = signature;
    counted.signature[flags + 4] ^= 1;
    assert_eq!(counted.verify("example", &touch_key(), b"testing"), Err(SshError::Forged));
}

#[test]
fn blobs_with_one_defect_are_refused() {
    let good = unarmor(TOUCH_SIGNATURE.as_bytes()).unwrap();
    assert!(SshSignature::read(&good).is_ok());
    for cut in 0..good.len() {
        assert!(SshSignature::read(&good[..cut]).is_err(), "{cut}");
    }
    let mut long = good.clone();
    long.push(0);
    assert_eq!(SshSignature::read(&long), Err(SshError::Format("bytes follow")));
    let mut version = good.clone();
    version[9] = 2;
    assert_eq!(SshSignature::read(&version), Err(SshError::Format("version")));
    let mut kind = good;
    kind[20] = b'x';
    assert!(matches!(SshSignature::read(&kind), Err(SshError::Kind(_))));
    assert_eq!(SshSignature::read(&[b' '; 5000]), Err(SshError::Format("too long")));
}

/// A fresh key pair's public blob and a function that signs with it; `None` without `ssh-keygen`.
pub(in crate::approvals) struct Keygen(tempfile::TempDir);

impl Keygen {
    pub(in crate::approvals) fn new() -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("key");
        let made = Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-C", "test", "-f"])
            .arg(&file)
            .stdin(Stdio::null())
            .status();
        match made {
            Ok(status) if status.success() => Some(Self(dir)),
            _ => {
                println!("SKIPPED ssh-keygen: not installed");
                None
            }
        }
    }
    pub(in crate::approvals) fn blob(&self) -> Vec<u8> {
        let text = std::fs::read_to_string(self.0.path().join("key.pub")).unwrap();
        STANDARD.decode(text.split(' ').nth(1).unwrap()).unwrap()
    }
    pub(in crate::approvals) fn sign(
        &self,
        namespace: &str,
        hash: &str,
        message: &[u8],
    ) -> Vec<u8> {
        let file = self.0.path().join("message");
        std::fs::write(&file, message).unwrap();
        let _ = std::fs::remove_file(self.0.path().join("message.sig"));
        let status = Command::new("ssh-keygen")
            .args(["-q", "-Y", "sign", "-n", namespace, "-O", &format!("hashalg={hash}"), "-f"])
            .arg(self.0.path().join("key"))
            .arg(&file)
            .stderr(Stdio::null())
            .status()
            .unwrap();
        assert!(status.success());
        std::fs::read(self.0.path().join("message.sig")).unwrap()
    }
}

/// What OpenSSH says of a signature, given the key that it is told to expect.
pub(in crate::approvals) fn openssh_accepts(
    blob: &[u8],
    namespace: &str,
    message: &[u8],
    signature: &[u8],
) -> Option<bool> {
    Keygen::new()?;
    let dir = tempfile::tempdir().unwrap();
    let kind = Fields(blob).string().unwrap();
    let line = format!("ann {} {}\n", String::from_utf8_lossy(kind), STANDARD.encode(blob));
    std::fs::write(dir.path().join("allowed"), line).unwrap();
    let armored = format!("{ARMOR_BEGIN}\n{}\n{ARMOR_END}\n", STANDARD.encode(signature));
    std::fs::write(dir.path().join("signature"), armored).unwrap();
    std::fs::write(dir.path().join("message"), message).unwrap();
    let status = Command::new("ssh-keygen")
        .args(["-q", "-Y", "verify", "-I", "ann", "-n", namespace, "-f"])
        .arg(dir.path().join("allowed"))
        .arg("-s")
        .arg(dir.path().join("signature"))
        .stdin(std::fs::File::open(dir.path().join("message")).unwrap())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    Some(status.unwrap().success())
}

#[test]
fn what_ssh_keygen_signs_holds_in_its_namespace_for_its_key_and_message_only() {
    let (Some(keygen), Some(other)) = (Keygen::new(), Keygen::new()) else { return };
    assert_eq!(check_key(&keygen.blob()), Ok(false));
    let wanted = "act@outlast";
    for hash in ["sha256", "sha512"] {
        let armored = keygen.sign(wanted, hash, b"message");
        let signature = SshSignature::read(&armored).unwrap();
        assert_eq!(signature.verify(wanted, &keygen.blob(), b"message"), Ok(()), "{hash}");
        assert_eq!(signature.verify(wanted, &keygen.blob(), b"Message"), Err(SshError::Forged));
        assert_eq!(signature.verify(wanted, &other.blob(), b"message"), Err(SshError::OtherKey));
        let raw = unarmor(&armored).unwrap();
        assert_eq!(SshSignature::read(&raw), Ok(signature));
    }
    let elsewhere = SshSignature::read(&keygen.sign("file", "sha512", b"message")).unwrap();
    let refusal = SshError::Namespace { found: "file".into(), wanted };
    assert_eq!(elsewhere.verify(wanted, &keygen.blob(), b"message"), Err(refusal));
}
