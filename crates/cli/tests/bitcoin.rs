//! Bitcoin's own software judges what the three nodes signed: Core's consensus code in every run, and a regtest node where
//! there is one. Both kinds of address: taproot by its key path (BIP-86) and wpkh (BIP-84).

#[cfg(test)]
mod support;

#[cfg(test)]
mod tests {
    use super::support::bitcoind::Bitcoind;
    use super::support::cluster::{Cluster, Node};
    use super::support::wait_for;
    use bitcoin::consensus::encode::{deserialize_hex, serialize_hex};
    use bitcoin::hashes::Hash as _;
    use bitcoin::{
        Amount, OutPoint, ScriptBuf, Sequence, Transaction, TxIn, TxOut, Txid, Witness, absolute,
        transaction,
    };
    use serde_json::{Value, json};
    use std::time::Duration;

    const NETWORK: &str = "bitcoin:regtest";
    /// Accounts: taproot, wpkh.
    const ACCOUNTS: [&str; 2] = ["m/86/0/0", "m/84/0/0"];
    const STRANGER: &str = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080";
    /// A bound against hanging.
    const PATIENCE: Duration = Duration::from_secs(120);

    fn script(address: &str) -> ScriptBuf {
        let address: bitcoin::Address<_> = address.parse().unwrap();
        address.assume_checked().script_pubkey()
    }

    /// A payment of these amounts to `address` that no chain has seen.
    fn made_up(address: &str, sats: &[u64]) -> Transaction {
        let output =
            |sat: &u64| TxOut { value: Amount::from_sat(*sat), script_pubkey: script(address) };
        Transaction {
            version: transaction::Version::TWO,
            lock_time: absolute::LockTime::ZERO,
            input: vec![TxIn {
                previous_output: OutPoint { txid: Txid::from_byte_array([7; 32]), vout: 0 },
                script_sig: ScriptBuf::new(),
                sequence: Sequence::MAX,
                witness: Witness::new(),
            }],
            output: sats.iter().map(output).collect(),
        }
    }

    /// Core's consensus code over every input.
    fn consensus(spend: &Transaction, spent: &[TxOut]) -> Result<(), bitcoinconsensus::Error> {
        let raw = bitcoin::consensus::serialize(spend);
        let coins: Vec<bitcoinconsensus::Utxo> = spent
            .iter()
            .map(|output| bitcoinconsensus::Utxo {
                script_pubkey: output.script_pubkey.as_bytes().as_ptr(),
                script_pubkey_len: u32::try_from(output.script_pubkey.len()).unwrap(),
                value: i64::try_from(output.value.to_sat()).unwrap(),
            })
            .collect();
        let flags = bitcoinconsensus::VERIFY_ALL_PRE_TAPROOT | bitcoinconsensus::VERIFY_TAPROOT;
        assert_eq!(spend.input.len(), spent.len());
        spent.iter().enumerate().try_for_each(|(at, coin)| {
            let (script, value) = (coin.script_pubkey.as_bytes(), coin.value.to_sat());
            bitcoinconsensus::verify_with_flags(script, value, &raw, Some(&coins), at, flags)
        })
    }

    fn send(account: &str, sat: u64, fill: Option<Value>) -> Value {
        let mut new = json!({
            "network": NETWORK, "path": account, "wait_ms": 30_000,
            "ask": { "kind": "send", "to": STRANGER, "amount": sat.to_string() },
        });
        if let Some(fill) = fill {
            new["fill"] = fill;
        }
        new
    }

    fn signed(request: &Value) -> Transaction {
        deserialize_hex(request["signed"]["raw"].as_str().unwrap()).unwrap()
    }

    #[test]
    fn cores_consensus_code_accepts_taproot_and_wpkh_spends_and_no_changed_one() {
        let cluster = Cluster::start([&[], &[], &[]]);
        let vault = cluster.vault("bitcoin");
        let node = &cluster.nodes[2];
        for account in ACCOUNTS {
            let address = node.address(&vault, NETWORK, &format!("{account}/0/0"));
            let funding = made_up(&address, &[60_000, 40_000]);
            let coin = |vout: u32| {
                json!({ "transaction": serialize_hex(&funding), "vout": vout,
                    "chain": 0, "number": 0 })
            };
            let fill = json!({ "chain": "bitcoin", "inputs": [coin(0), coin(1)], "fee": 700, "change": 4 });
            let request = node.sign(&vault, &send(account, 75_000, Some(fill)));
            let spend = signed(&request);
            assert_eq!(consensus(&spend, &funding.output), Ok(()), "{account}");
            let change = node.address(&vault, NETWORK, &format!("{account}/1/4"));
            assert_eq!(spend.output[0].script_pubkey, script(STRANGER));
            assert_eq!(spend.output[1].script_pubkey, script(&change));
            assert_eq!(spend.output[1].value.to_sat(), 100_000 - 75_000 - 700);
            assert_eq!(request["signed"]["txid"], spend.compute_txid().to_string());
            check_forgeries(&spend, &funding.output);
            check_refusals(node, &vault, account, &funding);
        }
    }

    fn check_forgeries(spend: &Transaction, spent: &[TxOut]) {
        let mut dearer = spend.clone();
        dearer.output[0].value = Amount::from_sat(76_000);
        assert!(consensus(&dearer, spent).is_err());
        let mut flipped = spend.clone();
        let mut items: Vec<Vec<u8>> = flipped.input[1].witness.to_vec();
        items[0][40] ^= 1;
        flipped.input[1].witness = Witness::from_slice(&items);
        assert!(consensus(&flipped, spent).is_err());
    }

    fn check_refusals(node: &Node, vault: &str, account: &str, funding: &Transaction) {
        let fill = |transaction: &Transaction, number: u32, fee: u64| {
            let coin = json!({ "transaction": serialize_hex(transaction), "vout": 0, "chain": 0,
                "number": number });
            Some(json!({ "chain": "bitcoin", "inputs": [coin], "fee": fee, "change": 0 }))
        };
        let other = made_up(STRANGER, &[60_000]);
        let rich = made_up(&node.address(vault, NETWORK, &format!("{account}/0/0")), &[90_000_000]);
        for (fill, expected) in [
            // The coins of the first spend are used up for as long as it may be mined.
            (fill(funding, 0, 500), "already_used"),
            (fill(&other, 0, 500), "not_ours"),
            (fill(&rich, 3, 500), "not_ours"),
            (fill(&rich, 0, 20_000_000), "fee_over_ceiling"),
        ] {
            assert_eq!(node.refusal(vault, &send(account, 20_000, fill)), expected, "{account}");
        }
    }

    #[test]
    fn a_regtest_node_takes_spends_of_both_kinds_and_psbts_of_its_own_making() {
        let Some(bitcoind) = Bitcoind::start() else { return };
        let chain = [format!("bitcoin:regtest={}", bitcoind.url)];
        let cluster = Cluster::start([&chain, &[], &[]]);
        let vault = cluster.vault("regtest");
        let node = &cluster.nodes[0];
        for account in ACCOUNTS {
            for number in [0, 1, 2, 7, 8, 9, 10] {
                let path = format!("{account}/0/{number}");
                bitcoind.mine(&node.address(&vault, NETWORK, &path), 1);
            }
        }
        bitcoind.mature(STRANGER);
        for account in ACCOUNTS {
            check_filled_spend(&bitcoind, node, &vault, account);
            check_broadcast(&bitcoind, node, &vault, account);
            check_parallel(&bitcoind, node, &vault, account);
            check_replaced(&bitcoind, node, &vault, account);
            for version in [0, 2] {
                check_psbt(&bitcoind, node, &vault, account, version);
            }
        }
    }

    /// The node chooses coins and fee by asking bitcoind; two coinbases are needed for this amount.
    fn check_filled_spend(bitcoind: &Bitcoind, node: &Node, vault: &str, account: &str) {
        let request = node.sign(vault, &send(account, 6_000_000_000, None));
        let spend = signed(&request);
        assert_eq!((spend.input.len(), spend.output.len()), (2, 2), "{account}");
        let txid = bitcoind.accepts_and_mines(&serialize_hex(&spend), STRANGER);
        assert_eq!(request["signed"]["txid"], txid);
        let change = node.address(vault, NETWORK, &format!("{account}/1/0"));
        assert_eq!(spend.output[1].script_pubkey, script(&change));
    }

    /// The change of the spend before is found again, and the node hands the transaction over by itself.
    fn check_broadcast(bitcoind: &Bitcoind, node: &Node, vault: &str, account: &str) {
        let mut new = send(account, 100_000, None);
        new["broadcast"] = json!(true);
        let request = node.sign(vault, &new);
        await_mempool(bitcoind, &request);
        bitcoind.mined(request["signed"]["txid"].as_str().unwrap(), STRANGER);
    }

    /// What the mempool takes in place of the send before: a speed-up, one at a rate of our own, a cancel, and a cancel that
    /// is hurried. Core's consensus code verifies each; the last is mined.
    fn check_replaced(bitcoind: &Bitcoind, node: &Node, vault: &str, account: &str) {
        let mut new = send(account, 100_000, None);
        new["broadcast"] = json!(true);
        let mut last = node.sign(vault, &new);
        let id = last["id"].as_str().unwrap().to_owned();
        await_mempool(bitcoind, &last);
        let spent = spent_by(bitcoind, &signed(&last));
        let recipient = script(STRANGER);
        for (verb, rate, pays) in [
            ("speed-up", None, true),
            ("speed-up", Some(30), true),
            ("cancel", None, false),
            ("speed-up", Some(90), false),
        ] {
            let how = json!({ "fee_rate": rate, "wait_ms": 30_000 });
            let next = node.post(&format!("/v1/requests/{id}/{verb}"), &how);
            assert_eq!(next["state"], "signed", "{next}");
            let spend = signed(&next);
            assert_eq!(consensus(&spend, &spent), Ok(()), "{account} {verb}");
            let paid = spend.output.iter().any(|output| output.script_pubkey == recipient);
            assert_eq!(paid, pays, "{account} {verb}");
            await_mempool(bitcoind, &next);
            let mempool = bitcoind.call("getrawmempool", json!([]));
            let both = mempool.as_array().unwrap().contains(&last["signed"]["txid"]);
            assert!(!both, "{account} {verb}: the one before is still there");
            last = next;
        }
        bitcoind.mined(last["signed"]["txid"].as_str().unwrap(), STRANGER);
        let change =
            script(&node.address(vault, NETWORK, &format!("{account}/1/{}", change_of(&last))));
        assert_eq!(signed(&last).output[0].script_pubkey, change, "{account}");
    }

    /// Number of the change address that the intent names.
    fn change_of(request: &Value) -> u32 {
        let path = request["intent"]["operations"][0]["path"].as_str().unwrap();
        path.rsplit('/').next().unwrap().parse().unwrap()
    }

    fn await_mempool(bitcoind: &Bitcoind, request: &Value) {
        wait_for("the mempool", PATIENCE, || {
            let mempool = bitcoind.call("getrawmempool", json!([]));
            mempool.as_array().unwrap().contains(&request["signed"]["txid"]).then_some(())
        });
    }

    /// The outputs that a transaction spends, from the chain.
    fn spent_by(bitcoind: &Bitcoind, spend: &Transaction) -> Vec<TxOut> {
        let output = |input: &TxIn| {
            let OutPoint { txid, vout } = input.previous_output;
            let whole = bitcoind.call("getrawtransaction", json!([txid.to_string()]));
            let whole: Transaction = deserialize_hex(whole.as_str().unwrap()).unwrap();
            whole.output[usize::try_from(vout).unwrap()].clone()
        };
        spend.input.iter().map(output).collect()
    }

    /// Sends at the same time, and one after them, spend different coins though no chain node has seen the first.
    fn check_parallel(bitcoind: &Bitcoind, node: &Node, vault: &str, account: &str) {
        let one = || signed(&node.sign(vault, &send(account, 100_000_000, None)));
        let mut spends: Vec<Transaction> = std::thread::scope(|scope| {
            let tasks: Vec<_> = (0..3).map(|_| scope.spawn(one)).collect();
            tasks.into_iter().map(|task| task.join().unwrap()).collect()
        });
        spends.push(one());
        for spend in &spends {
            bitcoind.accepts_and_mines(&serialize_hex(spend), STRANGER);
        }
    }

    /// A PSBT that Core makes and fills from the account's descriptors, signed through the API and finished.
    fn check_psbt(bitcoind: &Bitcoind, node: &Node, vault: &str, account: &str, version: u8) {
        let path = format!("/v1/vaults/{vault}/account?network={NETWORK}&path={account}");
        let descriptors = node.get(&path)["descriptors"].clone();
        let ranged: Vec<Value> = descriptors
            .as_array()
            .unwrap()
            .iter()
            .map(|d| json!({ "desc": d, "range": 50 }))
            .collect();
        let found = bitcoind.call("scantxoutset", json!(["start", ranged]));
        let coin = &found["unspents"][0];
        let value = Amount::from_btc(coin["amount"].as_f64().unwrap()).unwrap().to_sat();
        let change = node.address(vault, NETWORK, &format!("{account}/1/{}", 20 + version));
        let coins = |sat: u64| Amount::from_sat(sat).to_string_in(bitcoin::Denomination::Bitcoin);
        let inputs = json!([{ "txid": coin["txid"], "vout": coin["vout"] }]);
        let outputs = json!([{ STRANGER: coins(50_000) }, { change: coins(value - 51_000) }]);
        let params = json!([inputs, outputs, 0, true, 2, version]);
        let empty = bitcoind.call("createpsbt", params);
        let psbt = bitcoind.call("utxoupdatepsbt", json!([empty, ranged]));
        let ask = json!({ "kind": "raw", "format": "psbt", "bytes": psbt });
        let new = json!({ "network": NETWORK, "path": account, "ask": ask, "wait_ms": 30_000 });
        let request = node.sign(vault, &new);
        let intent = &request["intent"];
        assert_eq!(intent["format"], format!("psbt-v{version}"), "{intent}");
        let said = intent["operations"].to_string();
        assert!(said.contains("change"), "own change is recognised: {said}");
        let finished = bitcoind.call("finalizepsbt", json!([request["signed"]["psbt"]]));
        assert_eq!(finished["complete"], true, "{finished}");
        assert_eq!(finished["hex"], request["signed"]["raw"]);
        bitcoind.accepts_and_mines(finished["hex"].as_str().unwrap(), STRANGER);
    }
}
