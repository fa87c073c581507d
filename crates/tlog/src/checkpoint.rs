//! Checkpoints ([tlog-checkpoint](https://c2sp.org/tlog-checkpoint)): origin, size and root, signed by the log.

use crate::hash::Hash;
use crate::note::{Algorithm, Note, NoteError, NoteKey, NoteSignature};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Size and root of a log at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Name of the log.
    pub origin: String,
    /// Number of entries.
    pub size: u64,
    /// Root of the tree.
    pub root: Hash,
}

/// Why a text is no checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// The note around it is not good.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// Not an origin, a size, a root.
    #[error("not a checkpoint: {0}")]
    Syntax(&'static str),
    /// Another log's.
    #[error("a checkpoint of {found}, not of {wanted}")]
    Origin {
        /// Whose it is.
        found: String,
        /// Whose was wanted.
        wanted: String,
    },
}

impl Checkpoint {
    /// The text that is signed. We write no extension lines: nobody vouches for them.
    pub fn to_text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, STANDARD.encode(self.root))
    }

    /// Reads a note's text. Extension lines are allowed and left out.
    pub fn from_text(text: &str) -> Result<Self, CheckpointError> {
        let body = text.strip_suffix('\n').ok_or(CheckpointError::Syntax("no final newline"))?;
        let mut lines = body.split('\n');
        let (Some(origin), Some(size), Some(root)) = (lines.next(), lines.next(), lines.next())
        else {
            return Err(CheckpointError::Syntax("fewer than three lines"));
        };
        if origin.is_empty() || lines.any(str::is_empty) {
            return Err(CheckpointError::Syntax("an empty line"));
        }
        let size = decimal(size).ok_or(CheckpointError::Syntax("the size is no plain number"))?;
        let root = root_hash(root).ok_or(CheckpointError::Syntax("the root is no hash"))?;
        Ok(Self { origin: origin.to_owned(), size, root })
    }

    /// The checkpoint as a note, signed by the log through `sign`.
    pub fn signed(&self, log: &NoteKey, sign: impl FnOnce(&[u8]) -> [u8; 64]) -> Note {
        let text = self.to_text();
        let signature = sign(text.as_bytes()).to_vec();
        Note { signatures: vec![NoteSignature::new(log, signature)], text }
    }

    /// Reads a note and checks that `log` signed it as its own checkpoint.
    pub fn verify(note: &Note, log: &NoteKey) -> Result<Self, CheckpointError> {
        if log.algorithm() != Algorithm::Ed25519 {
            return Err(NoteError::Key("a cosignature key cannot issue checkpoints").into());
        }
        note.verify(log)?;
        let checkpoint = Self::from_text(&note.text)?;
        if checkpoint.origin == log.name() {
            Ok(checkpoint)
        } else {
            let wanted = log.name().to_owned();
            Err(CheckpointError::Origin { found: checkpoint.origin, wanted })
        }
    }
}

/// A number without sign or leading zeroes.
pub(crate) fn decimal(text: &str) -> Option<u64> {
    let number: u64 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

/// A hash in base64.
pub(crate) fn root_hash(text: &str) -> Option<Hash> {
    STANDARD.decode(text).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_reads_back_and_other_spellings_are_refused() {
        let text =
            "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";
        let checkpoint = Checkpoint::from_text(text).unwrap();
        assert_eq!((checkpoint.size, checkpoint.to_text().as_str()), (20_852_163, text));
        let extended = format!("{text}an extension line\n");
        assert_eq!(Checkpoint::from_text(&extended), Ok(checkpoint));
        for wrong in [
            text.trim_end().to_owned(),
            text.replace("20852163", "020852163"),
            text.replace("20852163", "+20852163"),
            text.replace("CsUY", "CsU"),
            format!("{text}\n"),
            text.replace("example.com/behind-the-sofa", ""),
            "a\n1\n".to_owned(),
        ] {
            assert!(
                matches!(Checkpoint::from_text(&wrong), Err(CheckpointError::Syntax(_))),
                "{wrong:?}"
            );
        }
    }
}
