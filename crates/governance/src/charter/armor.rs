//! A charter with its signatures as a text that can be mailed: base64 between two lines. Nothing beside it is believed: what
//! a charter says is shown from its bytes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use model::charter::SignedCharter;
use model::wire::{Wire, WireError};

const BEGIN: &str = "-----BEGIN OUTLAST SIGNED CHARTER-----";
const END: &str = "-----END OUTLAST SIGNED CHARTER-----";
const COLUMNS: usize = 64;
/// Bytes of the text at most: the longest charter and hundreds of signatures.
pub const ARMOR_BYTES_MAX: usize = 1024 * 1024;

/// Why a text is no signed charter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ArmorError {
    /// Not the two lines with base64 between them, in the one spelling.
    #[error("not a signed charter (it begins with `{BEGIN}`)")]
    Syntax,
    /// Longer than a charter with its signatures can be.
    #[error("{found} bytes of text, at most {ARMOR_BYTES_MAX}")]
    TooLong {
        /// Bytes found.
        found: usize,
    },
    /// The bytes inside do not read.
    #[error("the bytes of the signed charter do not read")]
    Wire(#[from] WireError),
}

/// True for a text that claims to be one.
pub fn is_armored(text: &str) -> bool {
    text.starts_with(BEGIN)
}

/// The text.
pub fn to_armor(charter: &SignedCharter) -> String {
    let body = STANDARD.encode(charter.to_bytes());
    let letters: Vec<char> = body.chars().collect();
    let lines: Vec<String> = letters.chunks(COLUMNS).map(|line| line.iter().collect()).collect();
    format!("{BEGIN}\n{}\n{END}\n", lines.join("\n"))
}

/// Reads the text; nobody checked the signatures yet.
pub fn from_armor(text: &str) -> Result<SignedCharter, ArmorError> {
    if text.len() > ARMOR_BYTES_MAX {
        return Err(ArmorError::TooLong { found: text.len() });
    }
    let text = text.replace("\r\n", "\n");
    let body = text.trim_end().strip_prefix(BEGIN).and_then(|rest| rest.strip_suffix(END));
    let body: String = body.ok_or(ArmorError::Syntax)?.split('\n').collect();
    let bytes = STANDARD.decode(body).map_err(|_| ArmorError::Syntax)?;
    Ok(SignedCharter::from_bytes(&bytes)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signed_charter_reads_back_from_its_text() {
        let text = include_str!("../../../../vectors/charter/v1/good/full.toml");
        let charter = crate::charter::parse(text).unwrap();
        let signed = SignedCharter { charter, signatures: Vec::new() };
        let armor = to_armor(&signed);
        assert!(is_armored(&armor) && armor.lines().all(|line| line.len() <= COLUMNS));
        assert_eq!(from_armor(&armor), Ok(signed.clone()));
        assert_eq!(from_armor(&armor.replace('\n', "\r\n")), Ok(signed));
        for bad in [
            String::new(),
            armor.replace("BEGIN", "BEGINS"),
            armor.replace(END, ""),
            format!("{armor}more\n"),
            armor.replacen("\nCA", "\nC*", 1),
        ] {
            assert!(from_armor(&bad).is_err(), "{bad:.60}");
        }
    }
}
