//! Bitcoin Core: coins of an account, their whole transactions, and a fee.
//!
//! Coins come from `scantxoutset` (no wallet, no index needed); a coin that an unconfirmed transaction spends is left
//! out (`gettxout` with the mempool). Each coin's whole transaction is fetched from its block, so that signers compute
//! its amount. Largest coins first.

use super::{Call, ChainCallError};
use engine::{Facts, FactsQuery};
use model::limits::{FRAME_BYTES_MAX, ITEMS_PER_REQUEST_MAX, TRANSACTION_BYTES_MAX};
use model::request::Coin;
use serde_json::{Value, json};
use std::time::Duration;

/// Bytes that the whole transactions of the coins may have together: a proposal must fit in one frame.
const COINS_BYTES_MAX: usize = FRAME_BYTES_MAX - 16 * 1024;
/// Child numbers that are looked at on each chain.
const RANGE: u32 = 1000;
/// Code of a refused scan while another one runs.
const SCAN_BUSY: i64 = -8;
/// How often and after which pause a scan is tried again: 20 s in all.
const SCAN_TRIES: u32 = 200;
const SCAN_PAUSE: Duration = Duration::from_millis(100);
/// Satoshi per virtual byte where the node knows no better.
const FEE_RATE_DEFAULT: u64 = 2;
/// Blocks until confirmation that the fee aims at.
const FEE_TARGET: u32 = 6;
/// Virtual bytes of one input: a P2WPKH one, the larger of the two kinds that are spent here.
const INPUT_VBYTES: u64 = 68;
/// Virtual bytes of head, two outputs of the longest common kind and change.
const BASE_VBYTES: u64 = 11 + 3 * 43;

struct Found {
    txid: String,
    vout: u32,
    satoshi: u64,
    height: u64,
    child: (u32, u32),
}

/// Asks one node for coins that cover the query and the fee that they cost.
pub fn facts(client: &dyn Call, query: &FactsQuery) -> Result<Facts, ChainCallError> {
    let receive = query.from.split('#').next().unwrap_or_default();
    let change = receive.replacen("/0/*", "/1/*", 1);
    let objects = json!([{ "desc": receive, "range": RANGE }, { "desc": change, "range": RANGE }]);
    let scan = scan(client, &json!(["start", objects]))?;
    let shape = || ChainCallError::Shape("scantxoutset");
    let unspents = scan.get("unspents").and_then(Value::as_array).ok_or_else(shape)?;
    let mut found: Vec<Found> =
        unspents.iter().map(|coin| read_coin(coin).ok_or_else(shape)).collect::<Result<_, _>>()?;
    let change = found.iter().filter(|coin| coin.child.0 == 1).map(|coin| coin.child.1).max();
    let change = change.map_or(0, |number| number.saturating_add(1));
    // Signed and not yet mined, perhaps not even sent: no chain node knows of these.
    found.retain(|coin| !query.held.contains(&format!("{}:{}", coin.txid, coin.vout)));
    found.sort_by(|a, b| b.satoshi.cmp(&a.satoshi).then_with(|| a.txid.cmp(&b.txid)));
    let rate = fee_rate(client)?;
    let (coins, fee) = select(client, found, query.satoshi, rate)?;
    Ok(Facts::Bitcoin { coins, fee, change })
}

/// Core scans for one caller at a time and refuses the others, who take their turn here.
fn scan(client: &dyn Call, params: &Value) -> Result<Value, ChainCallError> {
    let busy = |answer: &Result<Value, ChainCallError>| {
        matches!(answer, Err(ChainCallError::Refused { code: SCAN_BUSY, message, .. })
            if message.contains("already in progress"))
    };
    let mut answer = client.call("scantxoutset", params);
    for _ in 0..SCAN_TRIES {
        if !busy(&answer) {
            break;
        }
        client.pause(SCAN_PAUSE);
        answer = client.call("scantxoutset", params);
    }
    answer
}

fn select(
    client: &dyn Call,
    found: Vec<Found>,
    satoshi: u64,
    rate: u64,
) -> Result<(Vec<Coin>, u64), ChainCallError> {
    let mut coins = Vec::new();
    let (mut sum, mut fee) = (0u64, rate.saturating_mul(BASE_VBYTES));
    let (mut bytes, mut too_long) = (0usize, 0u64);
    for coin in found.into_iter().filter(|coin| coin.satoshi > rate.saturating_mul(INPUT_VBYTES)) {
        if (sum >= satoshi.saturating_add(fee) && !coins.is_empty())
            || coins.len() >= ITEMS_PER_REQUEST_MAX
        {
            break;
        }
        if client.call("gettxout", &json!([coin.txid, coin.vout, true]))?.is_null() {
            continue;
        }
        let transaction = whole_transaction(client, &coin)?;
        let with_it = bytes.saturating_add(transaction.len());
        if transaction.len() > TRANSACTION_BYTES_MAX || with_it > COINS_BYTES_MAX {
            too_long = too_long.saturating_add(coin.satoshi);
            continue;
        }
        bytes = with_it;
        coins.push(Coin { transaction, vout: coin.vout, child: coin.child });
        sum = sum.saturating_add(coin.satoshi);
        fee = fee.saturating_add(rate.saturating_mul(INPUT_VBYTES));
    }
    if sum < satoshi.saturating_add(fee) || coins.is_empty() {
        let mut message = format!(
            "the account's confirmed coins are worth {sum} satoshi; {satoshi} and a fee of {fee} are needed"
        );
        if too_long > 0 {
            message.push_str(&format!(
                "; {too_long} satoshi more are in coins whose transactions are too long to be shown to the \
                 other nodes"
            ));
        }
        let method = "scantxoutset".to_owned();
        return Err(ChainCallError::Refused { method, code: -6, message, data: None });
    }
    Ok((coins, fee))
}

fn whole_transaction(client: &dyn Call, coin: &Found) -> Result<Vec<u8>, ChainCallError> {
    let block = client.call("getblockhash", &json!([coin.height]))?;
    let text = client.call("getrawtransaction", &json!([coin.txid, false, block]))?;
    let bytes = text.as_str().and_then(|text| hex::decode(text).ok());
    bytes.ok_or(ChainCallError::Shape("getrawtransaction"))
}

/// Satoshi per virtual byte, rounded up, at least one.
fn fee_rate(client: &dyn Call) -> Result<u64, ChainCallError> {
    let answer = match client.call("estimatesmartfee", &json!([FEE_TARGET])) {
        Ok(answer) => answer,
        Err(ChainCallError::Refused { .. }) => return Ok(FEE_RATE_DEFAULT),
        Err(error) => return Err(error),
    };
    let per_kvb = answer.get("feerate").and_then(satoshi);
    Ok(per_kvb.map_or(FEE_RATE_DEFAULT, |rate| rate.div_ceil(1000).max(1)))
}

fn read_coin(coin: &Value) -> Option<Found> {
    Some(Found {
        txid: coin.get("txid")?.as_str()?.to_owned(),
        vout: coin.get("vout")?.as_u64()?.try_into().ok()?,
        satoshi: satoshi(coin.get("amount")?)?,
        height: coin.get("height")?.as_u64()?,
        child: child(coin.get("desc")?.as_str()?)?,
    })
}

/// The last two numbers of the key origin, `…[d34db33f/86/0/0/1/5]…`: chain and number below the account.
fn child(descriptor: &str) -> Option<(u32, u32)> {
    let origin = descriptor.split_once('[')?.1.split_once(']')?.0;
    let mut parts = origin.rsplit('/');
    let number = parts.next()?.parse().ok()?;
    let chain = parts.next()?.parse().ok()?;
    (chain <= 1).then_some((chain, number))
}

/// A JSON number of bitcoin in satoshi, from its decimal text: no float arithmetic touches money. Core prints at most
/// eight decimals, and serde keeps the shortest text that reads back the same.
fn satoshi(value: &Value) -> Option<u64> {
    let text = match value {
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (text.as_str(), 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits: u64 = format!("{whole}{fraction}").parse().ok()?;
    let shift = 8i32.checked_add(exponent)?.checked_sub(i32::try_from(fraction.len()).ok()?)?;
    let power = 10u64.checked_pow(shift.unsigned_abs())?;
    if shift >= 0 {
        return digits.checked_mul(power);
    }
    (digits.checked_rem(power)? == 0).then(|| digits.checked_div(power))?
}

#[cfg(test)]
mod tests {
    use super::super::testing::ChainNode;
    use super::*;
    use model::intent::{BitcoinNetwork, Network};

    #[test]
    fn bitcoin_amounts_are_read_exactly() {
        for (json, expected) in [
            ("0.00000001", Some(1)),
            ("1e-8", Some(1)),
            ("0.1", Some(10_000_000)),
            ("20999999.9769", Some(2_099_999_997_690_000)),
            ("1", Some(100_000_000)),
            ("12.5", Some(1_250_000_000)),
            ("0.000000001", None),
            ("-1.0", None),
            ("\"1\"", None),
        ] {
            let value: Value = serde_json::from_str(json).unwrap();
            assert_eq!(satoshi(&value), expected, "{json}");
        }
    }

    #[test]
    fn the_child_is_read_from_the_key_origin() {
        for (descriptor, expected) in [
            ("tr([d34db33f/86/0/0/1/5]aa)#x", Some((1, 5))),
            ("wpkh([d34db33f/0/12]02aa)#x", Some((0, 12))),
            ("tr([d34db33f/2/5]aa)", None),
            ("tr(aa)", None),
        ] {
            assert_eq!(child(descriptor), expected, "{descriptor}");
        }
    }

    fn node(spent_in_mempool: &'static str) -> ChainNode {
        ChainNode::start(move |method, params| match method {
            "scantxoutset" => {
                assert_eq!(params[1][0]["desc"], "tr(xpub/0/*)");
                assert_eq!(params[1][1]["desc"], "tr(xpub/1/*)");
                Ok(json!({ "unspents": [
                    { "txid": "aa", "vout": 1, "amount": 0.5, "height": 7, "desc": "tr([00000000/0/3]k)#c" },
                    { "txid": "bb", "vout": 0, "amount": 1.5, "height": 8, "desc": "tr([00000000/1/4]k)#c" },
                ]}))
            }
            "gettxout" if params[0] == spent_in_mempool => Ok(Value::Null),
            "gettxout" => Ok(json!({})),
            "getblockhash" => Ok(json!(format!("block {}", params[0]))),
            "getrawtransaction" if params[2] == "block 8" => Ok(json!("bbbb")),
            "getrawtransaction" => Ok(json!("aaaa")),
            "estimatesmartfee" => Ok(json!({ "errors": ["Insufficient data"] })),
            other => panic!("{other}"),
        })
    }

    fn ask(spent_in_mempool: &'static str, satoshi: u64) -> Result<Facts, ChainCallError> {
        ask_beside(spent_in_mempool, satoshi, &[])
    }

    fn ask_beside(
        spent_in_mempool: &'static str,
        satoshi: u64,
        held: &[&str],
    ) -> Result<Facts, ChainCallError> {
        let query = FactsQuery {
            network: Network::Bitcoin(BitcoinNetwork::Regtest),
            from: "tr(xpub/0/*)#checksum".into(),
            to: None,
            value: "0".into(),
            data: vec![],
            satoshi,
            held: held.iter().map(|coin| (*coin).to_owned()).collect(),
        };
        facts(&node(spent_in_mempool).client(), &query)
    }

    #[test]
    fn largest_coins_first_until_amount_and_fee_are_covered() {
        let coin = |tx: u8, vout, child| Coin { transaction: vec![tx; 2], vout, child };
        let one = Facts::Bitcoin { coins: vec![coin(0xbb, 0, (1, 4))], fee: 2 * 208, change: 5 };
        assert_eq!(ask("", 100_000_000), Ok(one));
        let both = vec![coin(0xbb, 0, (1, 4)), coin(0xaa, 1, (0, 3))];
        let both = Facts::Bitcoin { coins: both, fee: 2 * 276, change: 5 };
        assert_eq!(ask("", 160_000_000), Ok(both));
        let error = ask("", 300_000_000).unwrap_err().to_string();
        assert!(error.contains("worth 200000000 satoshi"), "{error}");
    }

    #[test]
    fn coins_whose_transactions_fill_no_frame_are_passed_over_for_others() {
        let node = |lengths: [usize; 3]| {
            ChainNode::start(move |method, params| match method {
                "scantxoutset" => {
                    let coin = |height: u64, btc: f64| {
                        json!({ "txid": format!("{height}"), "vout": 0, "amount": btc,
                            "height": height, "desc": "tr([00000000/0/3]k)#c" })
                    };
                    Ok(json!({ "unspents": [coin(0, 3.0), coin(1, 2.0), coin(2, 1.0)] }))
                }
                "gettxout" => Ok(json!({})),
                "getblockhash" => Ok(params[0].clone()),
                "getrawtransaction" => {
                    let height = usize::try_from(params[2].as_u64().unwrap()).unwrap();
                    Ok(json!("aa".repeat(lengths[height])))
                }
                "estimatesmartfee" => Ok(json!({ "errors": [] })),
                other => panic!("{other}"),
            })
        };
        let query = |satoshi| FactsQuery {
            network: Network::Bitcoin(BitcoinNetwork::Regtest),
            from: "tr(xpub/0/*)#checksum".into(),
            to: None,
            value: "0".into(),
            data: vec![],
            satoshi,
            held: [].into(),
        };
        let lengths = |answer: Result<Facts, ChainCallError>| match answer {
            Ok(Facts::Bitcoin { coins, .. }) => {
                Ok(coins.iter().map(|coin| coin.transaction.len()).collect::<Vec<_>>())
            }
            Ok(other) => panic!("{other:?}"),
            Err(error) => Err(error.to_string()),
        };
        let too_long = TRANSACTION_BYTES_MAX + 1;
        let found = facts(&node([too_long, 10, 20]).client(), &query(250_000_000));
        assert_eq!(lengths(found), Ok(vec![10, 20]));
        let found = facts(&node([120_000, 126_000, 20]).client(), &query(350_000_000));
        assert_eq!(lengths(found), Ok(vec![120_000, 20]));
        let none = lengths(facts(&node([too_long, 10, 20]).client(), &query(450_000_000)));
        let text = none.unwrap_err();
        assert!(text.contains("300000000 satoshi more are in coins whose"), "{text}");
    }

    #[test]
    fn a_scan_waits_for_the_scan_of_another_caller() {
        let asked = std::sync::atomic::AtomicU32::new(0);
        let node = ChainNode::start(move |_, _| {
            match asked.fetch_add(1, std::sync::atomic::Ordering::SeqCst) {
                0 | 1 => Err((-8, "Scan already in progress, use action \"abort\"")),
                2 => Ok(json!({ "unspents": [] })),
                _ => Err((-8, "Invalid descriptor")),
            }
        });
        assert_eq!(scan(&node.client(), &json!([])), Ok(json!({ "unspents": [] })));
        assert_eq!(scan(&node.client(), &json!([])).unwrap_err().code(), "chain_refused");
    }

    #[test]
    fn a_coin_that_the_mempool_spends_is_left_out() {
        let coins = vec![Coin { transaction: vec![0xaa; 2], vout: 1, child: (0, 3) }];
        let expected = Ok(Facts::Bitcoin { coins, fee: 2 * 208, change: 5 });
        assert_eq!(ask("bb", 1000), expected);
        assert_eq!(ask_beside("", 1000, &["bb:0", "aa:0"]), expected, "held by another request");
        assert_eq!(ask_beside("", 1000, &["bb:0", "aa:1"]).unwrap_err().code(), "chain_refused");
    }
}
