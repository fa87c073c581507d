//! Six words for people: 66 bits of a hash in the English list of BIP-39, read aloud over the telephone.

use crate::hash;

/// Six words of the BIP-39 English list that stand for `bytes`.
///
/// 6 x 11 bits: a forger needs about 2^66 tries to hit the words of a given card.
pub fn six_words(bytes: &[u8]) -> String {
    let digest = hash::tagged("outlast/six-words/v1", &[bytes]);
    let list = bip39::Language::English.word_list();
    let mut bits = digest.iter().flat_map(|byte| (0..8).rev().map(move |i| (byte >> i) & 1));
    let words: Vec<&str> = (0..6)
        .map(|_| bits.by_ref().take(11).fold(0usize, |acc, bit| (acc << 1) | usize::from(bit)))
        .filter_map(|index| list.get(index).copied())
        .collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn six_words_depend_on_every_byte() {
        assert_eq!(six_words(b"a").split(' ').count(), 6);
        assert_ne!(six_words(b"a"), six_words(b"b"));
    }
}
