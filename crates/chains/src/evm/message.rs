//! EIP-191 personal messages.
//!
//! Spec: `docs/spec/chains.md`, EVM-MSG. The prefix keeps a message from being a transaction or typed data; what it
//! cannot stop is a contract that takes a signed digest as consent, so a message that is a digest is refused.

use crate::Refusal;
use crate::evm::text::Shown;
use alloy_primitives::eip191_hash_message;
use model::amount::Amount;
use model::intent::{Fee, Intent, Network, Operation};
use model::limits::TRANSACTION_BYTES_MAX;

/// The fee of what is no transaction.
pub(crate) fn no_fee() -> Fee {
    Fee { at_most: Amount::ZERO, detail: "a message costs nothing".to_owned() }
}

/// Characters of 32 bytes of text that may be others than small letters, digits and spaces.
const OTHER_CHARACTERS_MAX: usize = 4;

/// EVM-MSG-1: true for 32 bytes that may be a hash, or for the hex text of 32 bytes with or without `0x`.
pub(crate) fn looks_like_digest(bytes: &[u8]) -> bool {
    let digits = bytes.strip_prefix(b"0x").or(bytes.strip_prefix(b"0X")).unwrap_or(bytes);
    (bytes.len() == 32 && !is_plain_text(bytes))
        || (digits.len() == 64 && digits.iter().all(u8::is_ascii_hexdigit))
}

/// True for printable ASCII that is nearly all small letters, digits and spaces.
///
/// EIP-191 keeps the message from being a transaction, not from being consent: contracts check
/// `"\x19Ethereum Signed Message:\n32" || hash` (Safe's `eth_sign` among them). Whoever may choose what is hashed could
/// look for a hash that is printable all over: about 2^46 tries, a day's work. A hash of this form takes more
/// than 2^71 (sum of C(32,k) 37^k 58^(32-k) from k = 28 on, out of 256^32), and a login text or a nonce has it.
fn is_plain_text(bytes: &[u8]) -> bool {
    let plain = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b' ';
    let printable = bytes.iter().all(|byte| matches!(byte, b' '..=b'~'));
    printable && bytes.iter().filter(|byte| !plain(byte)).count() <= OTHER_CHARACTERS_MAX
}

/// EVM-MSG-3: what is signed.
pub fn sighash(message: &[u8]) -> [u8; 32] {
    eip191_hash_message(message).0
}

/// What a message says.
pub fn intent(network: Network, message: &[u8]) -> Result<Intent, Refusal> {
    if message.len() > TRANSACTION_BYTES_MAX {
        return Err(Refusal::TooLong { found: message.len(), max: TRANSACTION_BYTES_MAX });
    }
    if looks_like_digest(message) {
        return Err(Refusal::RawDigest);
    }
    // EVM-MSG-2: as text only where nothing in it can deceive.
    let (text, note) = Shown::of(message).with_note();
    Ok(Intent {
        network,
        format: "personal-message".to_owned(),
        from: Vec::new(),
        operations: vec![Operation::Message { text }],
        fee: no_fee(),
        single_use: "nothing: a signed message stays valid, on every chain".to_owned(),
        notes: note.map(str::to_owned).into_iter().collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(message: &[u8], wanted: Result<&str, &str>) {
        let found = intent(Network::Evm(1), message);
        let text = |intent: &Intent| match intent.operations.as_slice() {
            [Operation::Message { text }] => text.clone(),
            other => panic!("{other:?}"),
        };
        let found = found.as_ref().map(text).map_err(|e| e.code());
        assert_eq!(found.as_ref().map(String::as_str), wanted.as_ref().copied());
    }

    #[test]
    fn invariant_p1_a_message_is_shown_and_a_digest_is_refused() {
        check(b"hello", Ok("hello"));
        check(b"", Ok(""));
        check(b"line\nline", Ok("line\\nline"));
        check(&[0xff, 0x00], Ok("0xff00"));
        check(&[0x41; 32], Err("raw_digest"));
        check(&[0x61; 31], Ok(&"a".repeat(31)));
        let mut hidden = [0x61; 32];
        hidden[7] = 0x00;
        check(&hidden, Err("raw_digest"));
        check("ab".repeat(32).as_bytes(), Err("raw_digest"));
        check(format!("0x{}", "AB".repeat(32)).as_bytes(), Err("raw_digest"));
        check("ab".repeat(33).as_bytes(), Ok(&"ab".repeat(33)));
        check(&vec![b'a'; TRANSACTION_BYTES_MAX + 1], Err("too_long"));
    }

    #[test]
    fn a_text_of_32_bytes_is_no_digest_where_no_hash_can_be_made_to_look_like_it() {
        for text in [
            "Sign in to shop.example: a7f3901",
            "9f86d081884c7d659a2feaa0c55ad015",
            "please confirm your new address!",
            "A1B2 code for the login tomorrow",
        ] {
            assert_eq!(text.len(), 32, "{text}");
            check(text.as_bytes(), Ok(text));
        }
        for text in [
            "q#R7k!vT0zP@x9Lm2^Yw&u4E(s8J)d1B",
            "SIGN IN TO SHOP EXAMPLE NUMBER 7",
            "A1B2C code for the login of EXMP",
            "zahle 5 \u{20ac} an den laden nebenan",
        ] {
            assert_eq!(text.len(), 32, "{text}");
            check(text.as_bytes(), Err("raw_digest"));
        }
    }

    #[test]
    fn the_hash_is_that_of_the_prefixed_message() {
        // Vector of ethers and web3.js for "hello world".
        let wanted = "d9eba16ed0ecae432b71fe008c98cc872bb4cc214d3220a36f365326cf807d68";
        assert_eq!(hex::encode(sighash(b"hello world")), wanted);
    }
}
