//! Offline proofs ([tlog-proof](https://c2sp.org/tlog-proof)): one text that shows an entry to be in a witnessed log.

use crate::checkpoint::{decimal, root_hash};
use crate::hash::{Hash, leaf};
use crate::note::{Note, NoteError};
use crate::policy::{Policy, TrustError, Trusted};
use crate::proof::{PROOF_HASHES_MAX, ProofError, verify_inclusion};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

const FIRST_LINE: &str = "c2sp.org/tlog-proof@v1";

/// An entry's place, its path to the root, and the checkpoint with that root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProofFile {
    /// Opaque bytes that nobody signed.
    pub extra: Option<Vec<u8>>,
    /// Place of the entry.
    pub index: u64,
    /// Inclusion proof, from the leaf's sibling up.
    pub path: Vec<Hash>,
    /// The checkpoint with its signatures.
    pub checkpoint: Note,
}

/// Why a proof file convinces nobody.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProofFileError {
    /// The text has another form.
    #[error("not a tlog-proof: {0}")]
    Syntax(&'static str),
    /// The checkpoint is no note.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// The checkpoint does not meet the policy.
    #[error("the checkpoint does not meet the policy")]
    Trust(#[from] TrustError),
    /// The path does not lead from this entry to the root.
    #[error("the entry is not in the log at this place")]
    Proof(#[from] ProofError),
}

impl ProofFile {
    /// The text.
    pub fn to_text(&self) -> String {
        let extra = match &self.extra {
            Some(extra) => format!("extra {}\n", STANDARD.encode(extra)),
            None => String::new(),
        };
        let path: String =
            self.path.iter().map(|hash| format!("{}\n", STANDARD.encode(hash))).collect();
        format!("{FIRST_LINE}\n{extra}index {}\n{path}\n{}", self.index, self.checkpoint.to_text())
    }

    /// Reads the text.
    pub fn from_text(text: &str) -> Result<Self, ProofFileError> {
        let syntax = ProofFileError::Syntax;
        let (head, checkpoint) = text.split_once("\n\n").ok_or(syntax("no blank line"))?;
        let mut lines = head.split('\n');
        if lines.next() != Some(FIRST_LINE) {
            return Err(syntax("another first line"));
        }
        let mut line = lines.next().ok_or(syntax("no index"))?;
        let mut extra = None;
        if let Some(encoded) = line.strip_prefix("extra ") {
            extra = Some(STANDARD.decode(encoded).map_err(|_| syntax("extra is no base64"))?);
            line = lines.next().ok_or(syntax("no index"))?;
        }
        let index = line.strip_prefix("index ").and_then(decimal).ok_or(syntax("no index"))?;
        let path: Option<Vec<Hash>> = lines.map(root_hash).collect();
        let path = path.ok_or(syntax("a line of the path is no hash"))?;
        if path.len() > PROOF_HASHES_MAX {
            return Err(syntax("the path is over-long"));
        }
        Ok(Self { extra, index, path, checkpoint: Note::from_text(checkpoint)? })
    }

    /// Checks that `entry` stands in a log of the policy, under a checkpoint that the policy's witnesses cosigned.
    pub fn verify(&self, entry: &[u8], policy: &Policy) -> Result<Trusted, ProofFileError> {
        let trusted = policy.verify(&self.checkpoint)?;
        let (size, root) = (trusted.checkpoint.size, &trusted.checkpoint.root);
        verify_inclusion(&leaf(entry), self.index, size, &self.path, root)?;
        Ok(trusted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::Checkpoint;
    use crate::hash::{Leaves, root};
    use crate::note::{Algorithm, NoteKey};
    use crate::proof::inclusion;
    use ed25519_dalek::{Signer, SigningKey};

    #[test]
    fn a_proof_reads_back_convinces_and_fits_no_other_entry_or_place() {
        let secret = SigningKey::from_bytes(&[1; 32]);
        let log =
            NoteKey::new("log.example", Algorithm::Ed25519, secret.verifying_key().to_bytes())
                .unwrap();
        let policy = Policy::from_text(&format!("log {}\nquorum none\n", log.to_text())).unwrap();
        let leaves = Leaves([b"a", b"b", b"c"].iter().map(|e| leaf(*e)).collect());
        let checkpoint =
            Checkpoint { origin: "log.example".into(), size: 3, root: root(&leaves, 3).unwrap() };
        let note = checkpoint.signed(&log, |m| secret.sign(m).to_bytes());
        let path = inclusion(&leaves, 1, 3).unwrap();
        let proof = ProofFile { extra: Some(b"x".to_vec()), index: 1, path, checkpoint: note };
        let text = proof.to_text();
        assert_eq!(ProofFile::from_text(&text), Ok(proof.clone()));
        assert_eq!(proof.verify(b"b", &policy).unwrap().checkpoint, checkpoint);
        assert!(matches!(proof.verify(b"a", &policy), Err(ProofFileError::Proof(_))));
        let moved = ProofFile { index: 0, ..proof.clone() };
        assert!(matches!(moved.verify(b"b", &policy), Err(ProofFileError::Proof(_))));
        let alone = ProofFile { extra: None, path: vec![], ..proof };
        assert_eq!(ProofFile::from_text(&alone.to_text()), Ok(alone));
        for (from, to) in [
            ("@v1", "@v2"),
            ("index 1", "index 01"),
            ("index 1", "indices 1"),
            ("\n\n", "\n"),
            ("extra eA==", "extra e"),
        ] {
            assert!(ProofFile::from_text(&text.replacen(from, to, 1)).is_err(), "{from}");
        }
    }
}
