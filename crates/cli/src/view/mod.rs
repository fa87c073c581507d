//! Drawing for people: words that a chief financial officer understands, no internals, `test` or `live` everywhere.

pub(crate) mod ceremony;
pub(crate) mod client;
pub(crate) mod intent;
pub(crate) mod node;
pub(crate) mod qr;
pub(crate) mod request;
pub(crate) mod table;
pub(crate) mod vault;

use model::keys::Purpose;

/// What to bear in mind about a vault of this purpose.
pub(crate) fn purpose_warning(purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::Test => ": never send real money to it",
        Purpose::Live => ": not audited, see SECURITY.md",
    }
}

/// The mark after `live` where a test vault needs no more than its name.
pub(crate) fn unaudited(purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::Test => "",
        Purpose::Live => ", not audited, see SECURITY.md",
    }
}

/// A long text's head and tail: `0x51A2…c09E`.
pub(crate) fn short(text: &str) -> String {
    let letters: Vec<char> = text.chars().collect();
    if letters.len() <= 16 {
        return text.to_owned();
    }
    let head: String = letters.iter().take(8).collect();
    let tail: String = letters.iter().skip(letters.len().saturating_sub(6)).collect();
    format!("{head}…{tail}")
}

/// `38 ms`, `1.2 s`.
pub(crate) fn duration_ms(ms: u64) -> String {
    match ms {
        0..1000 => format!("{ms} ms"),
        _ => format!("{}.{} s", ms / 1000, (ms % 1000) / 100),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_keep_head_and_tail() {
        assert_eq!(short("abc"), "abc");
        assert_eq!(short("0x51A2000000000000000000000000000000c09E"), "0x51A200…00c09E");
    }

    #[test]
    fn times_are_readable() {
        assert_eq!(duration_ms(38), "38 ms");
        assert_eq!(duration_ms(1_290), "1.2 s");
    }
}
