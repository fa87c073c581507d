//! Signed notes ([signed-note](https://c2sp.org/signed-note)) and the text form of their keys.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, VerifyingKey};
use sha2::{Digest, Sha256};

/// Longest note that is read.
pub const NOTE_BYTES_MAX: usize = 65_536;
/// Most signatures that are read; the specification demands 16 at least.
pub const SIGNATURES_MAX: usize = 64;

/// Signature types that this room makes and checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Algorithm {
    /// `0x01`: Ed25519 over the text.
    Ed25519,
    /// `0x04`: Ed25519 cosignature with a time.
    Cosignature,
}

impl Algorithm {
    fn byte(self) -> u8 {
        match self {
            Self::Ed25519 => 0x01,
            Self::Cosignature => 0x04,
        }
    }
}

/// Why a note, a key or a signature line is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// Longer than [`NOTE_BYTES_MAX`].
    #[error("{0} bytes, at most {NOTE_BYTES_MAX}")]
    TooLong(usize),
    /// Not text, blank line and signature lines.
    #[error("not a signed note: {0}")]
    Syntax(&'static str),
    /// The key's text form does not read.
    #[error("not a verifier key: {0}")]
    Key(&'static str),
    /// A signature that names a known key is wrong.
    #[error("the signature of {0} does not fit the text")]
    Forged(String),
    /// No known key signed.
    #[error("no known key signed this note")]
    Unsigned,
}

/// A public key with its name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct NoteKey {
    name: String,
    algorithm: Algorithm,
    public: [u8; 32],
}

impl NoteKey {
    /// A key under a name that notes can carry.
    pub fn new(name: &str, algorithm: Algorithm, public: [u8; 32]) -> Result<Self, NoteError> {
        let bad = |c: char| c.is_whitespace() || c.is_control() || c == '+';
        if name.is_empty() || name.len() > 255 || name.contains(bad) {
            return Err(NoteError::Key("the name is empty, over-long, or holds a space or a plus"));
        }
        let point = VerifyingKey::from_bytes(&public).map_err(|_| NoteError::Key("no point"))?;
        if point.is_weak() {
            return Err(NoteError::Key("a point of small order, for which anybody can sign"));
        }
        Ok(Self { name: name.to_owned(), algorithm, public })
    }
    /// Name of the key.
    pub fn name(&self) -> &str {
        &self.name
    }
    /// The Ed25519 public key.
    pub fn public(&self) -> &[u8; 32] {
        &self.public
    }
    /// What the key signs.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
    /// First four bytes of `SHA-256(name || 0x0A || type || public key)`.
    pub fn id(&self) -> [u8; 4] {
        let digest = Sha256::new_with_prefix(self.name.as_bytes())
            .chain_update([0x0A, self.algorithm.byte()])
            .chain_update(self.public)
            .finalize();
        digest.first_chunk().copied().unwrap_or_default()
    }
    /// `name+hex(id)+base64(type || public key)`.
    pub fn to_text(&self) -> String {
        let id: String = self.id().iter().map(|byte| format!("{byte:02x}")).collect();
        let typed = [[self.algorithm.byte()].as_slice(), &self.public].concat();
        format!("{}+{id}+{}", self.name, STANDARD.encode(typed))
    }
    /// Reads the text form; the id must be the key's own.
    pub fn from_text(text: &str) -> Result<Self, NoteError> {
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(_), Some(typed)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(NoteError::Key("not name, id and key, divided by plus signs"));
        };
        let typed = STANDARD.decode(typed).map_err(|_| NoteError::Key("the key is no base64"))?;
        let (algorithm, public) = match typed.split_first() {
            Some((0x01, public)) => (Algorithm::Ed25519, public),
            Some((0x04, public)) => (Algorithm::Cosignature, public),
            _ => return Err(NoteError::Key("neither Ed25519 nor an Ed25519 cosignature")),
        };
        let public = public.try_into().map_err(|_| NoteError::Key("not 32 bytes"))?;
        let key = Self::new(name, algorithm, public)?;
        if key.to_text() == text {
            Ok(key)
        } else {
            Err(NoteError::Key("the id is not this key's"))
        }
    }
    /// True when `signature` is this key's over `message`, by the strict rules of RFC 8032.
    pub(crate) fn verify(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        let signature = Signature::from_bytes(signature);
        VerifyingKey::from_bytes(&self.public)
            .is_ok_and(|key| key.verify_strict(message, &signature).is_ok())
    }
}

/// A signature line: `— name base64(id || bytes)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoteSignature {
    /// Name of the key, as the line says.
    pub name: String,
    /// Id of the key, as the line says.
    pub id: [u8; 4],
    /// What follows the id.
    pub bytes: Vec<u8>,
}

impl NoteSignature {
    /// A line of `key`.
    pub fn new(key: &NoteKey, bytes: Vec<u8>) -> Self {
        Self { name: key.name.clone(), id: key.id(), bytes }
    }
    /// True when name and id are `key`'s.
    pub fn is_of(&self, key: &NoteKey) -> bool {
        self.name == key.name && self.id == key.id()
    }
    /// The line with its newline.
    pub fn to_line(&self) -> String {
        let body = [self.id.as_slice(), &self.bytes].concat();
        format!("\u{2014} {} {}\n", self.name, STANDARD.encode(body))
    }
    /// Reads a line without its newline.
    pub fn from_line(line: &str) -> Result<Self, NoteError> {
        let wrong = NoteError::Syntax("a signature line is no dash, name and base64");
        let parts = line.strip_prefix("\u{2014} ").and_then(|rest| rest.split_once(' '));
        let (name, body) = parts.filter(|(name, _)| !name.is_empty()).ok_or(wrong.clone())?;
        let body = STANDARD.decode(body).map_err(|_| wrong.clone())?;
        let (id, bytes) = body.split_first_chunk::<4>().ok_or(wrong)?;
        Ok(Self { name: name.to_owned(), id: *id, bytes: bytes.to_vec() })
    }
}

/// A text and its signature lines, none of them checked yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// The text with its final newline.
    pub text: String,
    /// The lines in their order.
    pub signatures: Vec<NoteSignature>,
}

impl Note {
    /// Reads a note.
    pub fn from_text(note: &str) -> Result<Self, NoteError> {
        if note.len() > NOTE_BYTES_MAX {
            return Err(NoteError::TooLong(note.len()));
        }
        if note.contains(|c: char| c < ' ' && c != '\n') {
            return Err(NoteError::Syntax("a control character"));
        }
        let at = note.rfind("\n\n").ok_or(NoteError::Syntax("no blank line"))?;
        let (text, rest) = note.split_at(at.saturating_add(1));
        let lines = rest.strip_prefix('\n').and_then(|rest| rest.strip_suffix('\n'));
        let lines =
            lines.ok_or(NoteError::Syntax("no signature line, or no newline at its end"))?;
        let signatures: Result<Vec<_>, _> =
            lines.split('\n').map(NoteSignature::from_line).collect();
        let note = Self { text: text.to_owned(), signatures: signatures? };
        if note.signatures.len() > SIGNATURES_MAX {
            return Err(NoteError::Syntax("too many signatures"));
        }
        Ok(note)
    }
    /// The note as text.
    pub fn to_text(&self) -> String {
        let lines: String = self.signatures.iter().map(NoteSignature::to_line).collect();
        format!("{}\n{lines}", self.text)
    }
    /// Checks that `key` signed the text with a plain Ed25519 signature.
    pub fn verify(&self, key: &NoteKey) -> Result<(), NoteError> {
        let mut signed = false;
        for line in self.signatures.iter().filter(|line| line.is_of(key)) {
            let good = line.bytes.as_slice().try_into().is_ok_and(|signature| {
                key.algorithm == Algorithm::Ed25519 && key.verify(self.text.as_bytes(), signature)
            });
            if !good {
                return Err(NoteError::Forged(key.name.clone()));
            }
            signed = true;
        }
        if signed { Ok(()) } else { Err(NoteError::Unsigned) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ed25519_dalek::{Signer, SigningKey};

    /// Published in golang.org/x/mod/sumdb/note, whose format this is: a key and a note by somebody else's code.
    const VKEY: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    const NOTE: &str = "If you think cryptography is the answer to your problem,\n\
        then you don't know what your problem is.\n\n\
        \u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNX\
        gKvqfqdngotpRZb6KE6RyyBwJnAM=\n";

    #[test]
    fn a_note_by_the_reference_implementation_verifies() {
        let key = NoteKey::from_text(VKEY).unwrap();
        assert_eq!(key.to_text(), VKEY);
        let note = Note::from_text(NOTE).unwrap();
        assert_eq!(note.verify(&key), Ok(()));
        assert_eq!(note.to_text(), NOTE);
        let forged = Note::from_text(&NOTE.replace("answer", "reason")).unwrap();
        assert_eq!(forged.verify(&key), Err(NoteError::Forged("PeterNeumann".into())));
    }

    #[test]
    fn what_is_no_note_is_refused_by_name() {
        for wrong in [
            "",
            "text",
            "text\n",
            "text\n\n",
            "text\n\n\u{2014} a\n",
            "text\n\n\u{2014} a AAAA",
            "text\n\n- a AAAAAA==\n",
            "te\txt\n\n\u{2014} a AAAAAA==\n",
            "text\n\n\u{2014}  AAAAAA==\n",
        ] {
            assert!(matches!(Note::from_text(wrong), Err(NoteError::Syntax(_))), "{wrong:?}");
        }
        let many = format!("t\n\n{}", "\u{2014} a AAAAAA==\n".repeat(65));
        assert!(Note::from_text(&many).is_err());
        assert!(Note::from_text(&"x".repeat(NOTE_BYTES_MAX + 1)).is_err());
    }

    #[test]
    fn keys_with_a_wrong_id_name_or_point_are_refused() {
        for wrong in [
            "PeterNeumann+c74f20a4+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
            "Peter Neumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
            "PeterNeumann+c74f20a3+AhpcmQ==",
            "PeterNeumann",
        ] {
            assert!(matches!(NoteKey::from_text(wrong), Err(NoteError::Key(_))), "{wrong}");
        }
        let identity = {
            let mut p = [0; 32];
            p[0] = 1;
            p
        };
        assert!(NoteKey::new("a", Algorithm::Ed25519, identity).is_err(), "small order");
    }

    #[test]
    fn lines_of_unknown_keys_are_ignored_and_a_note_of_none_is_unsigned() {
        let secret = SigningKey::from_bytes(&[7; 32]);
        let key =
            NoteKey::new("log.example", Algorithm::Ed25519, secret.verifying_key().to_bytes())
                .unwrap();
        let text = "hello\n".to_owned();
        let mine = NoteSignature::new(&key, secret.sign(text.as_bytes()).to_bytes().to_vec());
        let other = NoteSignature { name: "other".into(), ..mine.clone() };
        let both = Note { text: text.clone(), signatures: vec![other.clone(), mine] };
        assert_eq!(Note::from_text(&both.to_text()).unwrap().verify(&key), Ok(()));
        let none = Note { text, signatures: vec![other] };
        assert_eq!(none.verify(&key), Err(NoteError::Unsigned));
    }
}
