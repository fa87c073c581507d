//! A witness ([tlog-witness](https://c2sp.org/tlog-witness)): cosigns what continues the tree it saw last.
//!
//! The caller keeps [`Seen`] per log and makes it durable **before** the cosignature leaves; look-up and update must be
//! one step, or an earlier request could roll the record back.

use crate::checkpoint::{Checkpoint, decimal, root_hash};
use crate::hash::{Hash, empty_root};
use crate::note::{Note, NoteKey};
use crate::proof::{PROOF_HASHES_MAX, verify_consistency};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Body of `add-checkpoint`: the size the log believes the witness saw, the proof from there, the new checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddCheckpoint {
    /// Size that the witness cosigned last.
    pub old: u64,
    /// Consistency proof from there.
    pub proof: Vec<Hash>,
    /// The new checkpoint, signed by the log.
    pub checkpoint: Note,
}

/// The tree of a log that a witness cosigned last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// Its size.
    pub size: u64,
    /// Its root.
    pub root: Hash,
}

impl Default for Seen {
    fn default() -> Self {
        Self { size: 0, root: empty_root() }
    }
}

/// Why a witness does not cosign, with the HTTP status that the specification gives it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WitnessRefusal {
    /// 400: the body has another form, or the old size is over the new one.
    #[error("not an add-checkpoint request: {0}")]
    Malformed(&'static str),
    /// 404: no such log here.
    #[error("the log {0} is not known here")]
    UnknownLog(String),
    /// 403: the log did not sign it.
    #[error("no trusted key of the log signed this checkpoint")]
    Unsigned,
    /// 409: the witness saw another size last, and says which.
    #[error("size {0} was cosigned last")]
    OldSize(u64),
    /// 409: the same size under another root. The two notes prove that the log has two histories.
    #[error("another tree of size {0} was cosigned before")]
    Fork(u64),
    /// 422: the new tree does not continue the old one.
    #[error("the proof does not lead from the tree cosigned last to this one")]
    Inconsistent,
}

impl WitnessRefusal {
    /// HTTP status.
    pub fn status(&self) -> u16 {
        match self {
            Self::Malformed(_) => 400,
            Self::Unsigned => 403,
            Self::UnknownLog(_) => 404,
            Self::OldSize(_) | Self::Fork(_) => 409,
            Self::Inconsistent => 422,
        }
    }
}

impl AddCheckpoint {
    /// The body of the request.
    pub fn to_text(&self) -> String {
        let proof: String =
            self.proof.iter().map(|hash| format!("{}\n", STANDARD.encode(hash))).collect();
        format!("old {}\n{proof}\n{}", self.old, self.checkpoint.to_text())
    }

    /// Reads a body.
    pub fn from_text(text: &str) -> Result<Self, WitnessRefusal> {
        let wrong = WitnessRefusal::Malformed;
        let (head, checkpoint) = text.split_once("\n\n").ok_or(wrong("no blank line"))?;
        let mut lines = head.split('\n');
        let old = lines.next().and_then(|line| line.strip_prefix("old ")).and_then(decimal);
        let old = old.ok_or(wrong("no old size"))?;
        let proof: Option<Vec<Hash>> = lines.map(root_hash).collect();
        let proof = proof.ok_or(wrong("a line of the proof is no hash"))?;
        if proof.len() > PROOF_HASHES_MAX {
            return Err(wrong("the proof is over-long"));
        }
        let checkpoint =
            Note::from_text(checkpoint).map_err(|_| wrong("the checkpoint is no note"))?;
        Ok(Self { old, proof, checkpoint })
    }

    /// Origin that the checkpoint claims, to look the log up with.
    pub fn origin(&self) -> Option<&str> {
        self.checkpoint.text.split('\n').next()
    }

    /// What the witness may remember and then cosign, given the log's keys and what it saw last.
    pub fn judge(&self, log_keys: &[NoteKey], seen: Seen) -> Result<Seen, WitnessRefusal> {
        let signed = log_keys.iter().find_map(|key| Checkpoint::verify(&self.checkpoint, key).ok());
        let new = signed.ok_or(WitnessRefusal::Unsigned)?;
        if self.old > new.size {
            return Err(WitnessRefusal::Malformed("the old size is over the new one"));
        }
        if self.old != seen.size {
            return Err(WitnessRefusal::OldSize(seen.size));
        }
        if seen.size == new.size && seen.root != new.root {
            return Err(WitnessRefusal::Fork(seen.size));
        }
        verify_consistency((seen.size, &seen.root), (new.size, &new.root), &self.proof)
            .map_err(|_| WitnessRefusal::Inconsistent)?;
        Ok(Seen { size: new.size, root: new.root })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::{Leaves, leaf, root};
    use crate::note::Algorithm;
    use crate::proof::consistency;
    use ed25519_dalek::{Signer, SigningKey};

    fn log() -> (SigningKey, NoteKey) {
        let secret = SigningKey::from_bytes(&[1; 32]);
        let public = secret.verifying_key().to_bytes();
        (secret, NoteKey::new("log.example", Algorithm::Ed25519, public).unwrap())
    }
    fn tree(first: u64) -> Leaves {
        Leaves((0..9_u64).map(|i| leaf(&(first + i).to_be_bytes())).collect())
    }
    fn request(leaves: &Leaves, old: u64, size: u64) -> AddCheckpoint {
        let (secret, key) = log();
        let origin = "log.example".to_owned();
        let checkpoint = Checkpoint { origin, size, root: root(leaves, size).unwrap() };
        let checkpoint = checkpoint.signed(&key, |m| secret.sign(m).to_bytes());
        AddCheckpoint { old, proof: consistency(leaves, old, size).unwrap_or_default(), checkpoint }
    }

    #[test]
    fn a_growing_log_is_cosigned_and_every_other_story_is_refused_by_its_status() {
        let (_, key) = log();
        let keys = [key];
        let leaves = tree(0);
        let first = request(&leaves, 0, 3);
        assert_eq!(AddCheckpoint::from_text(&first.to_text()), Ok(first.clone()));
        assert_eq!(first.origin(), Some("log.example"));
        let three = first.judge(&keys, Seen::default()).unwrap();
        let seven = request(&leaves, 3, 7).judge(&keys, three).unwrap();
        assert_eq!(request(&leaves, 7, 7).judge(&keys, seven), Ok(seven), "unchanged");

        let check = |request: &AddCheckpoint, expected: WitnessRefusal, status| {
            let refused = request.judge(&keys, seven).unwrap_err();
            assert_eq!((refused.status(), refused), (status, expected));
        };
        check(&request(&leaves, 3, 9), WitnessRefusal::OldSize(7), 409);
        check(&request(&leaves, 3, 3), WitnessRefusal::OldSize(7), 409);
        check(&request(&tree(100), 7, 7), WitnessRefusal::Fork(7), 409);
        check(&request(&tree(100), 7, 9), WitnessRefusal::Inconsistent, 422);
        let mut cut = request(&leaves, 7, 9);
        cut.proof.pop();
        check(&cut, WitnessRefusal::Inconsistent, 422);
        let mut back = request(&leaves, 7, 3);
        back.old = 7;
        check(&back, WitnessRefusal::Malformed("the old size is over the new one"), 400);
        let mut unsigned = request(&leaves, 7, 9);
        unsigned.checkpoint.signatures[0].bytes[3] ^= 1;
        check(&unsigned, WitnessRefusal::Unsigned, 403);
        assert_eq!(WitnessRefusal::UnknownLog("x".into()).status(), 404);
    }

    #[test]
    fn a_body_of_another_form_is_malformed() {
        let good = request(&tree(0), 3, 7).to_text();
        for (from, to) in
            [("old 3", "old 03"), ("old 3", "new 3"), ("\n\n", "\n"), ("old 3\n", "old 3\nAAAA\n")]
        {
            let refused = AddCheckpoint::from_text(&good.replacen(from, to, 1)).unwrap_err();
            assert_eq!(refused.status(), 400, "{from}");
        }
        let long = good.replacen(
            "old 3\n",
            &format!("old 3\n{}", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n".repeat(64)),
            1,
        );
        assert_eq!(
            AddCheckpoint::from_text(&long),
            Err(WitnessRefusal::Malformed("the proof is over-long"))
        );
    }
}
