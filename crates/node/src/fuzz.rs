//! One plain function per decoder of this room, for the fuzz tests: any bytes go in, and a broken promise panics.
//!
//! The promises: no decoder panics by itself; what reads is written again to the same meaning; nothing allocates more than
//! its bound. CI feeds these functions a corpus and mutations (`tests/fuzz_node.rs`); `cargo fuzz` calls the same ones.

use crate::chain;
use crate::home;
use crate::peers;
use crate::rpc;
use model::api;
use model::card::NodeCard;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Any decoder of this room; the first byte chooses it, in the order in which they stand here.
pub fn fuzz_any(data: &[u8]) {
    let Some((choice, data)) = data.split_first() else { return };
    match choice {
        0 => fuzz_frames(data),
        1 => fuzz_api(data),
        2 => fuzz_rpc(data),
        3 => fuzz_card(data),
        4 => fuzz_home(data),
        _ => fuzz_chain_answers(data),
    }
}

/// Frames of a peer's link: a stream of bytes, read as one frame after the other.
pub fn fuzz_frames(data: &[u8]) {
    let used = peers::fuzz_frames(data);
    assert!(data.starts_with(&used), "a second spelling of a frame");
}

/// Every JSON body that a caller may send, and what its texts mean to the chains.
pub fn fuzz_api(data: &[u8]) {
    same::<api::TrustPeer>(data);
    same::<api::NewCeremony>(data);
    same::<api::NewClient>(data);
    same::<api::Replace>(data);
    same::<api::DecodeRequest>(data);
    same::<api::NewRequest>(data);
    drop(serde_json::from_slice::<api::Unseal>(data));
    if let Ok(new) = serde_json::from_slice::<api::NewRequest>(data) {
        drop(chains::parse_ask(new.network, &new.ask));
        drop(new.path.parse::<model::hd::DerivationPath>());
    }
    if let Ok(asked) = serde_json::from_slice::<api::DecodeRequest>(data)
        && let Ok(kind) = chains::raw_kind(&asked.format)
        && let Ok(bytes) = chains::parse_raw(kind, &asked.bytes)
    {
        drop(chains::decode(kind, asked.network, &bytes));
    }
}

/// JSON-RPC calls, alone and in batches.
pub fn fuzz_rpc(data: &[u8]) {
    if let Ok(value) = serde_json::from_slice(data) {
        rpc::fuzz_calls(value);
    }
}

/// Node cards: a card that verifies has one text, and its words are six.
pub fn fuzz_card(data: &[u8]) {
    let Ok(text) = core::str::from_utf8(data) else { return };
    let Ok(card) = NodeCard::from_text(text) else { return };
    assert_eq!(card.to_text(), text.trim(), "a second spelling of one card");
    assert_eq!(card.words().split_whitespace().count(), 6);
}

/// The files of a home: `node.toml` and `sealed.json`.
pub fn fuzz_home(data: &[u8]) {
    if let Ok(text) = core::str::from_utf8(data) {
        home::fuzz_settings(text);
        home::fuzz_sealed(text);
    }
}

/// Answers of EVM, Bitcoin and Solana nodes, one in each line.
pub fn fuzz_chain_answers(data: &[u8]) {
    if let Ok(text) = core::str::from_utf8(data) {
        chain::fuzz_answers(text);
    }
}

/// What reads is the same after it was written and read again.
fn same<T: DeserializeOwned + Serialize + PartialEq + core::fmt::Debug>(data: &[u8]) {
    let Ok(value) = serde_json::from_slice::<T>(data) else { return };
    let again = serde_json::to_vec(&value).map(|text| serde_json::from_slice::<T>(&text));
    assert!(matches!(&again, Ok(Ok(again)) if *again == value), "{value:?} reads back otherwise");
}
