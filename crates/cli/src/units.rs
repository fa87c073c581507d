//! Amounts with their unit, so that nobody sends a billion times too much: `1.5ETH`, `20gwei`, `5000sat`, `0.1SOL`.

use model::amount::Amount;
use model::intent::Network;

/// Units by family: name, decimals. Ordered: the first is the one shown to people.
const EVM: [(&str, u8); 4] = [("ETH", 18), ("ether", 18), ("gwei", 9), ("wei", 0)];
const BITCOIN: [(&str, u8); 2] = [("BTC", 8), ("sat", 0)];
const SOLANA: [(&str, u8); 3] = [("SOL", 9), ("lamports", 0), ("lamport", 0)];
/// EVM chains whose own coin is called ETH.
const ETH_CHAINS: [u64; 8] = [1, 10, 8453, 17000, 42161, 560_048, 31337, 11_155_111];

fn family(network: Network) -> &'static [(&'static str, u8)] {
    match network {
        Network::Evm(_) => &EVM,
        Network::Bitcoin(_) => &BITCOIN,
        Network::Solana(_) => &SOLANA,
    }
}

/// Reads an amount of the chain's own coin; a bare number is refused because nobody can see its unit.
pub(crate) fn parse(text: &str, network: Network) -> Result<Amount, String> {
    let split = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let units = family(network);
    let names: Vec<&str> = units.iter().map(|(name, _)| *name).collect();
    let found = units.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit.trim()));
    let Some((_, decimals)) = found else {
        return Err(format!("`{text}` needs a unit of {network}: {}", names.join(", ")));
    };
    Amount::parse_decimal(number.trim(), *decimals).map_err(|e| format!("`{text}`: {e}"))
}

/// An amount of the chain's own coin, for people.
pub(crate) fn show(amount: Amount, network: Network) -> String {
    match network {
        Network::Evm(id) if !ETH_CHAINS.contains(&id) => {
            format!("{} coins of chain {id}", amount.with_decimals(18))
        }
        Network::Evm(_) => format!("{} ETH", amount.with_decimals(18)),
        Network::Bitcoin(_) => format!("{} BTC", amount.with_decimals(8)),
        Network::Solana(_) => format!("{} SOL", amount.with_decimals(9)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_names_its_unit() {
        let check = |text: &str, network: &str, smallest: &str| {
            let amount = parse(text, network.parse().unwrap()).unwrap();
            assert_eq!(amount.to_string(), smallest, "{text}");
        };
        check("1.5ETH", "evm:1", "1500000000000000000");
        check("1.5 ether", "evm:1", "1500000000000000000");
        check("20gwei", "evm:1", "20000000000");
        check("7wei", "evm:31337", "7");
        check("0.5btc", "bitcoin:main", "50000000");
        check("5000sat", "bitcoin:regtest", "5000");
        check("0.000000001SOL", "solana:local", "1");
    }

    #[test]
    fn an_amount_without_or_with_a_strangers_unit_is_refused() {
        for (text, network) in [
            ("15", "evm:1"),
            ("1BTC", "evm:1"),
            ("1.5wei", "evm:1"),
            ("sat", "bitcoin:main"),
            ("-1SOL", "solana:local"),
            ("0.123456789BTC", "bitcoin:main"),
        ] {
            assert!(parse(text, network.parse().unwrap()).is_err(), "{text}");
        }
    }

    #[test]
    fn a_chain_with_another_coin_is_not_called_eth() {
        let one = Amount::parse_decimal("1", 18).unwrap();
        assert_eq!(show(one, Network::Evm(1)), "1 ETH");
        assert_eq!(show(one, Network::Evm(137)), "1 coins of chain 137");
    }
}
