//! Timed Ed25519 cosignatures ([tlog-cosignature](https://c2sp.org/tlog-cosignature)): a witness says when it saw which tree.
//!
//! Only these count as evidence of time: they cover a full checkpoint and always carry a time. ML-DSA-44
//! cosignatures (`0x06`) are ignored like every unknown line; they may carry no time.

use crate::note::{Algorithm, Note, NoteError, NoteKey, NoteSignature};

/// Seconds since the Unix epoch, as a witness wrote them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct WitnessTime(pub u64);

/// What a witness signs: header, time, then the note's text.
fn message(text: &str, time: WitnessTime) -> Vec<u8> {
    format!("cosignature/v1\ntime {}\n{text}", time.0).into_bytes()
}

/// A witness's line under a checkpoint. The witness must have made sure that it never cosigned a larger or another tree.
pub fn cosign(
    text: &str,
    witness: &NoteKey,
    time: WitnessTime,
    sign: impl FnOnce(&[u8]) -> [u8; 64],
) -> NoteSignature {
    let signature = sign(&message(text, time));
    NoteSignature::new(witness, [time.0.to_be_bytes().as_slice(), &signature].concat())
}

/// The time at which `witness` cosigned this note; the latest, if it did so more than once.
pub fn verify(note: &Note, witness: &NoteKey) -> Result<WitnessTime, NoteError> {
    let mut latest = None;
    for line in note.signatures.iter().filter(|line| line.is_of(witness)) {
        let forged = || NoteError::Forged(witness.name().to_owned());
        let (time, signature) = line.bytes.split_first_chunk::<8>().ok_or_else(forged)?;
        let time = WitnessTime(u64::from_be_bytes(*time));
        let signature: &[u8; 64] = signature.try_into().map_err(|_| forged())?;
        let good = witness.algorithm() == Algorithm::Cosignature
            && time.0 <= u64::MAX / 2
            && witness.verify(&message(&note.text, time), signature);
        if !good {
            return Err(forged());
        }
        latest = latest.max(Some(time));
    }
    latest.ok_or(NoteError::Unsigned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ed25519_dalek::{Signer, SigningKey};

    #[test]
    fn a_cosignature_tells_its_time_and_no_other_time_text_or_kind_fits() {
        let secret = SigningKey::from_bytes(&[8; 32]);
        let public = secret.verifying_key().to_bytes();
        let witness = NoteKey::new("witness.example/w1", Algorithm::Cosignature, public).unwrap();
        let text = "log.example\n1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";
        let line =
            cosign(text, &witness, WitnessTime(1_679_315_147), |m| secret.sign(m).to_bytes());
        let note = Note { text: text.to_owned(), signatures: vec![line.clone()] };
        assert_eq!(verify(&note, &witness), Ok(WitnessTime(1_679_315_147)));

        let mut moved = line.clone();
        moved.bytes[7] ^= 1;
        let forged = Note { text: text.to_owned(), signatures: vec![moved] };
        assert!(matches!(verify(&forged, &witness), Err(NoteError::Forged(_))));
        let other = Note { text: text.replace("\n1\n", "\n2\n"), signatures: vec![line.clone()] };
        assert!(matches!(verify(&other, &witness), Err(NoteError::Forged(_))));
        let plain = NoteKey::new("witness.example/w1", Algorithm::Ed25519, public).unwrap();
        assert_eq!(verify(&note, &plain), Err(NoteError::Unsigned));
        assert_eq!(note.verify(&witness), Err(NoteError::Forged("witness.example/w1".into())));
    }
}
