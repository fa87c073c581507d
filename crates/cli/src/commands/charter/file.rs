//! Charter files: TOML as people write it, or a signed charter. Every command reads both, and checks both alike.

use crate::error::{CommandError, io};
use governance::charter::{self, Code, Fault, Severity};
use model::act::SignedAct;
use model::charter::{BookEntry, Charter, SignedCharter};
use model::intent::{BitcoinNetwork, Network};
use model::time::Timestamp;
use std::io::Read;
use std::path::Path;

/// A file that was read; the charter in it may still be refused.
pub(super) struct Loaded {
    /// The charter; `None` when the text does not read.
    pub(super) charter: Option<Charter>,
    /// Signatures that came with it; nobody checked them.
    pub(super) signatures: Vec<SignedAct>,
    /// True for a signed charter.
    pub(super) armored: bool,
    /// Faults and warnings, those that need a clock or a chain's own rules included.
    pub(super) faults: Vec<Fault>,
}

/// Reads a file.
pub(super) fn load(path: &Path, now: Timestamp) -> Result<Loaded, CommandError> {
    let text = read(path)?;
    let mut loaded = if charter::is_armored(&text) {
        let signed = charter::from_armor(&text)
            .map_err(|error| CommandError::refused("not_a_charter", crate::error::chain(&error)))?;
        let SignedCharter { charter, signatures } = signed;
        let faults = charter::check(&charter);
        Loaded { charter: Some(charter), signatures, armored: true, faults }
    } else {
        let charter::Reading { charter, faults } = charter::read(&text);
        Loaded { charter, signatures: Vec::new(), armored: false, faults }
    };
    let more = loaded.charter.iter().flat_map(|charter| of_this_day(charter, now));
    let more: Vec<Fault> = more.collect();
    loaded.faults.extend(more);
    Ok(loaded)
}

/// Reads a file whose charter must hold.
pub(super) fn load_holding(
    path: &Path,
    now: Timestamp,
) -> Result<(Charter, Vec<SignedAct>, bool), CommandError> {
    let loaded = load(path, now)?;
    match loaded.charter {
        Some(charter) if !loaded.faults.iter().any(Fault::refuses) => {
            Ok((charter, loaded.signatures, loaded.armored))
        }
        _ => Err(refused(path, &loaded.faults)),
    }
}

/// Why a charter is refused, in one error.
pub(super) fn refused(path: &Path, faults: &[Fault]) -> CommandError {
    let refusing: Vec<&Fault> = faults.iter().filter(|fault| fault.refuses()).collect();
    let first = refusing.first().map(|fault| format!(", first at {fault}")).unwrap_or_default();
    let message = format!("{} has {} faults{first}", path.display(), refusing.len());
    CommandError::refused("charter_refused", message)
        .hint(format!("`outlast charter check {}` says all of them", path.display()))
}

fn read(path: &Path) -> Result<String, CommandError> {
    let bound = charter::ARMOR_BYTES_MAX;
    let limit = u64::try_from(bound).unwrap_or(u64::MAX).saturating_add(1);
    let file = std::fs::File::open(path).map_err(io("read", path))?;
    let mut bytes = Vec::new();
    file.take(limit).read_to_end(&mut bytes).map_err(io("read", path))?;
    if bytes.len() > bound {
        let message = format!("{} is longer than any charter ({bound} bytes)", path.display());
        return Err(CommandError::refused("not_a_charter", message));
    }
    String::from_utf8(bytes).map_err(|_| {
        CommandError::refused("not_a_charter", format!("{} is no UTF-8 text", path.display()))
    })
}

/// What the pure check cannot know: the day, and how a chain spells its addresses.
fn of_this_day(charter: &Charter, now: Timestamp) -> Vec<Fault> {
    let fault = |code, severity, place, what, hint: &str| Fault {
        code,
        severity,
        at: None,
        place,
        what,
        hint: hint.to_owned(),
    };
    let ended = charter.people.iter().enumerate().filter(|(_, one)| one.expires_at <= now);
    let mut faults: Vec<Fault> = ended
        .map(|(index, one)| {
            let what = format!("`{}` ended on {}", one.id, charter::date_text(one.expires_at));
            let place = format!("person[{index}].expires");
            let hint = "write a later day, or take the person out";
            fault(Code::Expiry, Severity::Warning, place, what, hint)
        })
        .collect();
    for (l, level) in charter.levels.iter().enumerate() {
        for (b, entry) in level.book.iter().enumerate() {
            if let Some(what) = odd_address(entry) {
                let place = format!("level[{l}].book[{b}].address");
                let hint = "write it as the chain's own tools show it";
                faults.push(fault(Code::BadValue, Severity::Fault, place, what, hint));
            }
        }
    }
    faults
}

/// Rules compare addresses letter by letter, so another spelling would never fit.
fn odd_address(entry: &BookEntry) -> Option<String> {
    let text = entry.address.as_str();
    let sound = match entry.network {
        Network::Evm(_) => alloy_primitives::Address::parse_checksummed(text, None).is_ok(),
        Network::Bitcoin(network) => bitcoin_address(text, network),
        Network::Solana(_) => bs58::decode(text).into_vec().is_ok_and(|bytes| bytes.len() == 32),
    };
    (!sound).then(|| format!("`{text}` is no address of {} in its own spelling", entry.network))
}

fn bitcoin_address(text: &str, network: BitcoinNetwork) -> bool {
    let network = match network {
        BitcoinNetwork::Main => bitcoin::Network::Bitcoin,
        BitcoinNetwork::Test => bitcoin::Network::Testnet,
        BitcoinNetwork::Signet => bitcoin::Network::Signet,
        BitcoinNetwork::Regtest => bitcoin::Network::Regtest,
    };
    let parsed = text.parse::<bitcoin::Address<bitcoin::address::NetworkUnchecked>>();
    let checked = parsed.ok().and_then(|address| address.require_network(network).ok());
    checked.is_some_and(|address| address.to_string() == text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_taken_in_its_chains_own_spelling_only() {
        let check = |network: &str, address: &str, sound: bool| {
            let entry = BookEntry {
                name: "n".into(),
                network: network.parse().unwrap(),
                address: address.into(),
            };
            assert_eq!(odd_address(&entry).is_none(), sound, "{network} {address}");
        };
        check("evm:1", "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48", true);
        check("evm:1", "0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48", false);
        check("bitcoin:main", "bc1qcr8te4kr609gcawutmrza0j4xv80jy8z306fyu", true);
        check("bitcoin:test", "bc1qcr8te4kr609gcawutmrza0j4xv80jy8z306fyu", false);
        check("bitcoin:main", "BC1QCR8TE4KR609GCAWUTMRZA0J4XV80JY8Z306FYU", false);
        check("solana:mainnet", "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v", true);
        check("solana:mainnet", "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt", false);
    }
}
