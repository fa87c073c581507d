//! Text of strangers, made safe to show: what a reader sees is what is signed.

/// Characters that reorder, hide or join text on a screen (Unicode `Bidi_Control`, zero-width and invisible ones).
fn is_deceptive(character: char) -> bool {
    matches!(
        character,
        '\u{00ad}'
            | '\u{034f}'
            | '\u{061c}'
            | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

/// How bytes of a stranger are shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shown {
    /// As they are.
    Plain(String),
    /// Text with line breaks: `\` is written `\\`, a line break `\n`.
    Escaped(String),
    /// `0x` hex.
    Hex(String),
}

impl Shown {
    /// Text where it is UTF-8 without control, bidirectional or invisible characters, else hex.
    pub fn of(bytes: &[u8]) -> Self {
        let hidden = |c: char| (c.is_control() && c != '\n') || is_deceptive(c);
        match core::str::from_utf8(bytes) {
            Ok(text) if text.contains(hidden) => Self::hex(bytes),
            Ok(text) if text.contains('\n') => {
                Self::Escaped(text.replace('\\', "\\\\").replace('\n', "\\n"))
            }
            Ok(text) => Self::Plain(text.to_owned()),
            Err(_) => Self::hex(bytes),
        }
    }

    fn hex(bytes: &[u8]) -> Self {
        Self::Hex(format!("0x{}", hex::encode(bytes)))
    }

    /// The text to show, and what a reader should know about it.
    pub fn with_note(self) -> (String, Option<&'static str>) {
        match self {
            Self::Plain(text) => (text, None),
            Self::Escaped(text) => (text, Some("line breaks are shown as \\n")),
            Self::Hex(text) => {
                (text, Some("shown as hex: not text, or text with hidden characters"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_that_could_deceive_is_shown_as_hex() {
        let hex = |text: &str| Shown::Hex(format!("0x{}", hex::encode(text)));
        for text in ["pay\u{202e}001", "a\u{200b}b", "\u{1b}[2K", "a\rb", "tab\t", "\u{85}"] {
            assert_eq!(Shown::of(text.as_bytes()), hex(text));
        }
        assert_eq!(Shown::of(&[0xff]), Shown::Hex("0xff".into()));
        assert_eq!(Shown::of("Grüße".as_bytes()), Shown::Plain("Grüße".into()));
        assert_eq!(Shown::of(b"a\\n\nb"), Shown::Escaped("a\\\\n\\nb".into()));
    }
}
