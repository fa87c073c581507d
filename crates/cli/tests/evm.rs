//! Existing Ethereum tools send from a vault: cast, ethers, viem, web3.py and hardhat talk to a node's JSON-RPC endpoint as
//! they would to any node with an unlocked account, and anvil mines what the three nodes signed.
//!
//! Each test has a vault, and so an account, of its own: nonces that one tool chooses do not meet another's. Node A
//! and node C ask an anvil that mines at once, node B one that mines on demand.

#[cfg(test)]
mod support;

#[cfg(test)]
mod tests {
    use super::support::anvil::{self, Anvil, quantity};
    use super::support::cluster::{Cluster, Node, outlast};
    use super::support::tools::{javascript, last_line, tool};
    use super::support::{run, stdout_of};
    use serde_json::{Value, json};
    use std::process::Command;
    use std::sync::{Arc, Mutex, PoisonError, Weak};
    use std::time::Duration;

    const PATH: &str = "m/44/60/0/0/0";
    const RECIPIENT: &str = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8";
    const TOKEN_SOURCE: &str = include_str!("js/token.sol");
    /// A bound against hanging.
    const PATIENCE: Duration = Duration::from_secs(120);
    const ETHER: u128 = 1_000_000_000_000_000_000;

    /// Three nodes and two chains, shared by the tests that run at the same time.
    struct World {
        cluster: Cluster,
        mining: Anvil,
        idle: Anvil,
    }

    static WORLD: Mutex<Weak<World>> = Mutex::new(Weak::new());

    fn world() -> Option<Arc<World>> {
        let mut shared = WORLD.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(world) = shared.upgrade() {
            return Some(world);
        }
        let (mining, idle) = (Anvil::start(&[])?, Anvil::start(&["--no-mining"])?);
        let chain = |anvil: &Anvil| [format!("evm:31337={}", anvil.url)];
        let cluster = Cluster::start([&chain(&mining), &chain(&idle), &chain(&mining)]);
        let world = Arc::new(World { cluster, mining, idle });
        *shared = Arc::downgrade(&world);
        Some(world)
    }

    /// A vault's account, and the endpoint of a node for it.
    #[derive(Clone)]
    struct Account {
        vault: String,
        address: String,
        token: String,
        url: String,
        agent: ureq::Agent,
    }

    impl Account {
        fn new(world: &World, node: &Node, name: &str) -> Self {
            let vault = world.cluster.vault(name);
            let address = node.address(&vault, "evm:31337", PATH);
            world.mining.fund(&address);
            world.idle.fund(&address);
            let token = node.client_token(&vault);
            let url = node.rpc_url(&token);
            Self { vault, address, token, url, agent: ureq::agent() }
        }

        fn at_first(world: &World, name: &str) -> Self {
            Self::new(world, &world.cluster.nodes[0], name)
        }

        fn call(&self, query: &str, method: &str, params: Value) -> Value {
            let url = format!("{}{query}", self.url);
            anvil::call(&self.agent, &url, method, &params).unwrap()
        }

        /// Hash of a transaction that the endpoint sent.
        fn send(&self, mut transaction: Value) -> String {
            transaction["from"] = json!(self.address);
            let answer = self.call("", "eth_sendTransaction", json!([transaction]));
            answer["result"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
        }

        /// Name of a refusal.
        fn refused(&self, query: &str, method: &str, params: Value) -> String {
            let answer = self.call(query, method, params);
            let code = answer["error"]["data"]["code"].as_str();
            code.unwrap_or_else(|| panic!("{method}: {answer}")).to_owned()
        }
    }

    fn hash_in(value: &Value, key: &str) -> String {
        value[key].as_str().unwrap_or_else(|| panic!("no {key}: {value}")).to_owned()
    }

    /// Init code and ABI of the token in `js/token.sol`.
    fn token() -> Option<Value> {
        let source = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(source.path(), TOKEN_SOURCE).unwrap();
        javascript("compile.cjs", &[source.path().to_str().unwrap()])
    }

    fn word(address: &str) -> String {
        format!("{:0>64}", address.trim_start_matches("0x").to_lowercase())
    }

    fn token_balance(chain: &Anvil, token: &str, holder: &str) -> u128 {
        let data = format!("0x70a08231{}", word(holder));
        quantity(&chain.call("eth_call", json!([{ "to": token, "data": data }, "latest"])))
    }

    #[test]
    fn cast_pays_creates_a_token_contract_and_pays_in_tokens() {
        let Some(world) = world() else { return };
        let Some(cast) = tool("cast", "OUTLAST_CAST") else { return };
        let Some(token) = token() else { return };
        let account = Account::at_first(&world, "cast");
        let send = |args: &[&str]| {
            let mut command = Command::new(&cast);
            command.args(["send", "--json", "--rpc-url", &account.url, "--unlocked"]);
            let said =
                stdout_of(&run(command.args(["--from", &account.address]).args(args), PATIENCE));
            let receipt: Value = serde_json::from_str(&said).unwrap();
            world.mining.mined(&hash_in(&receipt, "transactionHash"), &account.address)
        };
        let before = world.mining.balance(RECIPIENT);
        send(&[RECIPIENT, "--value", "1ether"]);
        assert!(world.mining.balance(RECIPIENT) >= before + ETHER);
        let created = send(&["--create", token["bytecode"].as_str().unwrap()]);
        let contract = hash_in(&created, "contractAddress");
        assert_eq!(token_balance(&world.mining, &contract, &account.address), 1_000_000);
        send(&[&contract, "transfer(address,uint256)", RECIPIENT, "1234"]);
        assert_eq!(token_balance(&world.mining, &contract, RECIPIENT), 1234);
        send(&[&contract, "approve(address,uint256)", RECIPIENT, "5"]);
        send(&[RECIPIENT, "--value", "1", "--legacy"]);
        send(&[RECIPIENT, "--value", "1", "--access-list", "[]", "--gas-price", "3gwei"]);
    }

    #[test]
    fn ethers_pays_deploys_and_its_messages_verify() {
        let Some(world) = world() else { return };
        let Some(token) = token() else { return };
        let account = Account::at_first(&world, "ethers");
        let artefact = token.to_string();
        let args = [account.url.as_str(), &account.address, RECIPIENT, &artefact];
        let Some(said) = javascript("ethers.cjs", &args) else { return };
        for key in ["transfer", "deploy", "token_transfer", "handed_over"] {
            world.mining.mined(&hash_in(&said, key), &account.address);
        }
        let contract = hash_in(&said, "contract");
        assert_eq!(token_balance(&world.mining, &contract, RECIPIENT), 77);
        for key in ["message_signer", "typed_signer"] {
            assert!(hash_in(&said, key).eq_ignore_ascii_case(&account.address), "{key}: {said}");
        }
    }

    #[test]
    fn viem_pays_and_its_messages_verify() {
        let Some(world) = world() else { return };
        let account = Account::at_first(&world, "viem");
        let args = [account.url.as_str(), &account.address, RECIPIENT];
        let Some(said) = javascript("viem.cjs", &args) else { return };
        for key in ["transfer", "handed_over"] {
            world.mining.mined(&hash_in(&said, key), &account.address);
        }
        assert_eq!((&said["message"], &said["typed"]), (&json!(true), &json!(true)), "{said}");
    }

    #[test]
    fn web3_py_pays() {
        let Some(world) = world() else { return };
        let Some(python) = tool("pip", "OUTLAST_PYTHON") else { return };
        let account = Account::at_first(&world, "web3.py");
        let script = format!("{}/tests/py/send.py", env!("CARGO_MANIFEST_DIR"));
        let mut command = Command::new(python);
        command.args([&script, &account.url, &account.address, RECIPIENT]);
        let said = last_line(&mut command);
        for key in ["transfer", "handed_over"] {
            world.mining.mined(&hash_in(&said, key), &account.address);
        }
        assert!(hash_in(&said, "signer").eq_ignore_ascii_case(&account.address), "{said}");
    }

    #[test]
    fn hardhat_with_remote_accounts_pays() {
        let Some(world) = world() else { return };
        let Some(modules) = tool("npm", "OUTLAST_NODE_MODULES") else { return };
        let account = Account::at_first(&world, "hardhat");
        let project = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(&modules, project.path().join("node_modules")).unwrap();
        let config = format!(
            "module.exports = {{ solidity: '0.8.26', networks: {{ vault: {{ url: '{}', \
             accounts: 'remote' }} }} }};\n",
            account.url
        );
        std::fs::write(project.path().join("hardhat.config.js"), config).unwrap();
        let script = format!("{}/tests/js/hardhat.cjs", env!("CARGO_MANIFEST_DIR"));
        let mut command = Command::new("node");
        command.arg(modules.join("hardhat/internal/cli/bootstrap.js"));
        command.args(["run", "--no-compile", "--network", "vault", &script]);
        command.env("HARDHAT_DISABLE_TELEMETRY_PROMPT", "true").env("RECIPIENT", RECIPIENT);
        command.env("NODE_PATH", &modules).env("HOME", project.path());
        let said = last_line(command.current_dir(project.path()));
        world.mining.mined(&hash_in(&said, "transfer"), &account.address);
        assert!(hash_in(&said, "from").eq_ignore_ascii_case(&account.address), "{said}");
    }

    #[test]
    fn sends_at_the_same_time_get_consecutive_nonces_and_are_all_mined() {
        let Some(world) = world() else { return };
        let account = Account::at_first(&world, "parallel");
        // Different amounts: the same call while the first is under way is a retry of it.
        let send =
            |wei: u64| account.send(json!({ "to": RECIPIENT, "value": format!("{wei:#x}") }));
        let hashes: Vec<String> = std::thread::scope(|scope| {
            let tasks: Vec<_> = (1..5).map(|wei| scope.spawn(move || send(wei))).collect();
            tasks.into_iter().map(|task| task.join().unwrap()).collect()
        });
        let mut nonces: Vec<u128> = hashes.iter().map(|hash| nonce(&world, hash)).collect();
        nonces.sort_unstable();
        assert_eq!(nonces, [0, 1, 2, 3]);
        for hash in &hashes {
            world.mining.mined(hash, &account.address);
        }
        assert_eq!(nonce(&world, &send(1)), 4);
    }

    /// Two nodes take requests for one account and know nothing of each other's choice until they propose it.
    #[test]
    fn two_nodes_that_send_at_the_same_time_leave_no_gap_between_nonces() {
        let Some(world) = world() else { return };
        let first = Account::at_first(&world, "two entries");
        let node = &world.cluster.nodes[2];
        let url = node.rpc_url(&node.client_token(&first.vault));
        let second = Account { url, agent: ureq::agent(), ..first.clone() };
        let hashes: Vec<String> = std::thread::scope(|scope| {
            let send = |account: &Account, wei: u64| {
                account.send(json!({ "to": RECIPIENT, "value": format!("{wei:#x}") }))
            };
            let tasks: Vec<_> = (1..4)
                .flat_map(|wei| [(&first, wei), (&second, wei)])
                .map(|(account, wei)| scope.spawn(move || send(account, wei)))
                .collect();
            tasks.into_iter().map(|task| task.join().unwrap()).collect()
        });
        let mut nonces: Vec<u128> = hashes.iter().map(|hash| nonce(&world, hash)).collect();
        nonces.sort_unstable();
        assert_eq!(nonces, [0, 1, 2, 3, 4, 5]);
        for hash in &hashes {
            world.mining.mined(hash, &first.address);
        }
    }

    fn nonce(world: &World, hash: &str) -> u128 {
        quantity(&world.mining.call("eth_getTransactionByHash", json!([hash]))["nonce"])
    }

    #[test]
    fn what_must_not_be_signed_is_refused_by_name() {
        let Some(world) = world() else { return };
        let account = Account::at_first(&world, "refusals");
        let from = account.address.as_str();
        let whole = |extra: Value| {
            let mut object = json!({ "from": from, "to": RECIPIENT, "nonce": "0x0",
                "gas": "0x186a0", "maxFeePerGas": "0x3b9aca00", "maxPriorityFeePerGas": "0x1" });
            for (key, value) in extra.as_object().unwrap() {
                object[key] = value.clone();
            }
            json!([object])
        };
        let check = |query: &str, method: &str, params: Value, expected: &str| {
            let code = account.refused(query, method, params.clone());
            assert_eq!(code, expected, "{method} {params}");
        };
        let approve = format!(
            "0x095ea7b3{}{}",
            word("0x1111111111111111111111111111111111111111"),
            "f".repeat(64)
        );
        let send = "eth_sendTransaction";
        let sign = "eth_signTransaction";
        check("", send, whole(json!({ "chainId": "0x1" })), "wrong_network");
        check("", send, whole(json!({ "from": RECIPIENT })), "unknown_account");
        check("", send, json!([{ "from": RECIPIENT, "to": RECIPIENT }]), "unknown_account");
        check("?chain_id=1", sign, whole(json!({ "data": approve })), "not_allowed");
        check("?chain_id=1", sign, whole(json!({ "to": null, "data": "0x6001" })), "not_allowed");
        check("?chain_id=1", send, whole(json!({})), "chain_not_configured");
        check("", sign, whole(json!({ "data": "0xdeadbeef" })), "unknown_call");
        let dirty = format!("0xa9059cbb{}{:064x}ff", word(RECIPIENT), 1);
        check("", sign, whole(json!({ "data": dirty })), "dirty_bytes");
        let dear = json!({ "gas": "0xf4240", "maxFeePerGas": "0x48c27395000" });
        check("", sign, whole(dear), "fee_over_ceiling");
        check("", sign, whole(json!({ "type": "0x4", "authorizationList": [] })), "forbidden");
        check("", "personal_sign", json!(["0x00", RECIPIENT]), "unknown_account");
        // Nothing was used up: the first transaction that is sent has nonce 0.
        let hash = account.send(json!({ "to": RECIPIENT, "value": "0x1" }));
        assert_eq!(nonce(&world, &hash), 0);
    }

    /// A retry after a time-out must not pay twice: the second call joins the first while that is under way.
    #[test]
    fn the_same_send_twice_at_one_moment_is_one_transaction() {
        // A chain and nodes of its own: the chain is held, so that both calls are under way before either has an answer.
        let (Some(mining), Some(idle)) = (Anvil::start(&[]), Anvil::start(&[])) else { return };
        let chain = [format!("evm:31337={}", mining.url)];
        let world = World { cluster: Cluster::start([&chain, &[], &[]]), mining, idle };
        let account = Account::at_first(&world, "retry");
        let send = || account.send(json!({ "to": RECIPIENT, "value": "0x7" }));
        let send = &send;
        world.mining.signal("STOP");
        let hashes: Vec<String> = std::thread::scope(|scope| {
            let tasks: Vec<_> = (0..2).map(|_| scope.spawn(send)).collect();
            std::thread::sleep(Duration::from_secs(2));
            let early = tasks.iter().any(std::thread::ScopedJoinHandle::is_finished);
            world.mining.signal("CONT");
            assert!(!early, "an answer while the chain was held");
            tasks.into_iter().map(|task| task.join().unwrap()).collect()
        });
        assert_eq!(hashes[0], hashes[1]);
        assert_eq!(nonce(&world, &hashes[0]), 0);
        world.mining.mined(&hashes[0], &account.address);
        let count = json!([account.address, "latest"]);
        assert_eq!(quantity(&world.mining.call("eth_getTransactionCount", count)), 1);
    }

    /// A wrong key must not look like an empty wallet: each tool stops, and shows the status.
    #[test]
    fn a_wrong_key_is_401_and_each_tool_says_so() {
        let Some(world) = world() else { return };
        let url = world.cluster.nodes[0].rpc_url("ol_nobodys");
        if let Some(cast) = tool("cast", "OUTLAST_CAST") {
            let output = run(Command::new(&cast).args(["chain-id", "--rpc-url", &url]), PATIENCE);
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(!output.status.success() && said.contains("401"), "cast: {said}");
        }
        if let Some(python) = tool("pip", "OUTLAST_PYTHON") {
            let script = "import sys; from web3 import Web3; \
                          print(Web3(Web3.HTTPProvider(sys.argv[1])).eth.chain_id)";
            let output = run(Command::new(python).args(["-c", script, &url]), PATIENCE);
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(!output.status.success() && said.contains("401"), "web3.py: {said}");
        }
        if let Some(modules) = tool("npm", "OUTLAST_NODE_MODULES") {
            for script in [
                "const { ethers } = require('ethers');\
                 new ethers.JsonRpcProvider(process.argv[1], 31337, { staticNetwork: true })\
                 .send('eth_accounts', []).then(() => process.exit(0), \
                 (e) => { console.error(String(e)); process.exit(1); });",
                "const { createPublicClient, http } = require('viem');\
                 createPublicClient({ transport: http(process.argv[1], { retryCount: 0 }) })\
                 .getChainId().then(() => process.exit(0), \
                 (e) => { console.error(String(e)); process.exit(1); });",
            ] {
                let mut node = Command::new("node");
                node.args(["-e", script, &url]).env("NODE_PATH", &modules);
                let output = run(&mut node, PATIENCE);
                let said = String::from_utf8_lossy(&output.stderr).into_owned();
                assert!(!output.status.success() && said.contains("401"), "{script}: {said}");
            }
        }
    }

    /// A client that names gas and fee gets no estimate, so only the chain's balance check is left.
    #[test]
    fn a_send_that_the_chain_cannot_take_leaves_no_gap_between_nonces() {
        let Some(world) = world() else { return };
        let account = Account::at_first(&world, "too much");
        let everything = world.mining.balance(&account.address);
        let from = account.address.as_str();
        let dear = json!({ "from": from, "to": RECIPIENT, "value": format!("{everything:#x}"),
            "gas": "0x5208", "gasPrice": "0xb2d05e00" });
        let answer = account.call("", "eth_sendTransaction", json!([dear]));
        assert!(answer["error"]["message"].is_string(), "{answer}");
        let hash = account.send(json!({ "to": RECIPIENT, "value": "0x1" }));
        world.mining.mined(&hash, from);
        assert_eq!(nonce(&world, &hash), 0);
    }

    /// Signed, it holds its nonce; until it is sped up or cancelled nothing is sent that would wait behind it.
    #[test]
    fn a_signed_transaction_that_the_chain_refuses_is_named_and_nothing_queues_up_behind_it() {
        let Some(world) = world() else { return };
        let account = Account::at_first(&world, "too cheap");
        let from = account.address.as_str();
        let cheap = json!({ "from": from, "to": RECIPIENT, "value": "0x1", "gas": "0x5208",
            "maxFeePerGas": "0x1", "maxPriorityFeePerGas": "0x1" });
        let answer = account.call("", "eth_sendTransaction", json!([cheap]));
        let words = answer["error"]["message"].as_str().unwrap();
        let id = words.split("; request ").nth(1).and_then(|rest| rest.split(' ').next()).unwrap();
        assert!(words.contains(&format!("outlast request show {id}")), "{words}");
        let node = &world.cluster.nodes[0];
        let shown = node.get(&format!("/v1/requests/{id}"));
        assert_eq!(shown["problem"]["code"], "not_broadcast", "{shown}");
        let next = json!([{ "from": from, "to": RECIPIENT, "value": "0x2" }]);
        let code = account.refused("", "eth_sendTransaction", next);
        assert_eq!(code, "nonce_blocked");
        let dir = node.dir.to_str().unwrap();
        let still = ["request", "speed-up", &id[..8], "--max-fee-per-gas", "2", "--output", "json"];
        let still = [&still[..], &["--max-priority-fee-per-gas", "2", "--node", dir]].concat();
        let still = outlast(&still, &node.dir);
        let told = String::from_utf8_lossy(&still.stderr).into_owned();
        assert_eq!(still.status.code(), Some(3), "{told}");
        assert!(told.contains("\"not_sent\"") && told.contains("not_broadcast"), "{told}");
        let how = json!({ "max_fee_per_gas": 3_000_000_000u64,
            "max_priority_fee_per_gas": 1_000_000_000u64, "wait_ms": 30_000 });
        let sped = node.post(&format!("/v1/requests/{id}/speed-up"), &how);
        assert_eq!(sped["problem"], Value::Null, "{sped}");
        let hash = sped["signed"]["txid"].as_str().unwrap();
        world.mining.mined(hash, from);
        let next = account.send(json!({ "to": RECIPIENT, "value": "0x2" }));
        assert_eq!((nonce(&world, hash), nonce(&world, &next)), (0, 1));
    }

    #[test]
    fn the_same_whole_transaction_is_sent_once_and_its_nonce_is_taken_for_others() {
        let Some(world) = world() else { return };
        let account = Account::at_first(&world, "twice");
        let whole = json!({ "to": RECIPIENT, "value": "0x5", "nonce": "0x0", "gas": "0x5208",
            "maxFeePerGas": "0xb2d05e00", "maxPriorityFeePerGas": "0x1" });
        let hash = account.send(whole.clone());
        assert_eq!(account.send(whole.clone()), hash);
        world.mining.mined(&hash, &account.address);
        let mut rival = whole;
        rival["value"] = json!("0x6");
        rival["from"] = json!(account.address);
        let code = account.refused("", "eth_sendTransaction", json!([rival]));
        assert_eq!(code, "already_used");
        let next = account.send(json!({ "to": RECIPIENT, "value": "0x1" }));
        assert_eq!(nonce(&world, &next), 1);
    }

    #[test]
    fn permits_are_judged_as_approvals() {
        let Some(world) = world() else { return };
        let account = Account::at_first(&world, "permits");
        let permit = |chain: u64, value: &str| {
            let document = json!({
                "domain": { "name": "Token", "version": "1", "chainId": chain,
                    "verifyingContract": RECIPIENT },
                "types": {
                    "EIP712Domain": [
                        { "name": "name", "type": "string" },
                        { "name": "version", "type": "string" },
                        { "name": "chainId", "type": "uint256" },
                        { "name": "verifyingContract", "type": "address" },
                    ],
                    "Permit": [
                        { "name": "owner", "type": "address" },
                        { "name": "spender", "type": "address" },
                        { "name": "value", "type": "uint256" },
                        { "name": "nonce", "type": "uint256" },
                        { "name": "deadline", "type": "uint256" },
                    ],
                },
                "primaryType": "Permit",
                "message": { "owner": account.address, "spender": RECIPIENT, "value": value,
                    "nonce": 0, "deadline": 2_000_000_000 },
            });
            let query = format!("?chain_id={chain}");
            account.call(&query, "eth_signTypedData_v4", json!([account.address, document]))
        };
        let unlimited = format!("0x{}", "f".repeat(64));
        let answer = permit(1, &unlimited);
        assert_eq!(answer["error"]["data"]["code"], "not_allowed", "{answer}");
        for (chain, value) in [(1, "0x64"), (31337, "0x64"), (31337, &unlimited)] {
            let answer = permit(chain, value);
            assert_eq!(answer["result"].as_str().map(str::len), Some(132), "{chain}: {answer}");
        }
    }

    #[test]
    fn a_replacement_stays_inside_the_ceiling_and_a_key_stands_for_one_signature() {
        let Some(world) = world() else { return };
        let node = &world.cluster.nodes[1];
        let account = Account::new(&world, node, "ceiling");
        let new = json!({
            "network": "evm:31337", "path": PATH, "idempotency_key": "invoice 7",
            "fee_max": "200000000000000",
            "ask": { "kind": "send", "to": RECIPIENT, "amount": "7" },
            "broadcast": true, "wait_ms": 30_000,
        });
        let request = node.sign(&account.vault, &new);
        let again = node.sign(&account.vault, &new);
        assert_eq!((&request["id"], &request["signed"]), (&again["id"], &again["signed"]));
        let mut other = new.clone();
        other["ask"]["amount"] = json!("8");
        assert_eq!(node.refusal(&account.vault, &other), "idempotency_conflict");
        let id = request["id"].as_str().unwrap();
        for (price, code) in
            [(20_000_000_000_u64, "fee_over_ceiling"), (1, "fee_too_low_to_replace")]
        {
            let how = json!({ "max_fee_per_gas": price, "wait_ms": 20_000 });
            let path = format!("/v1/requests/{id}/speed-up");
            let (_, answer) = node.try_call("POST", &path, Some(&how)).unwrap();
            assert_eq!(answer["code"], code, "{answer}");
        }
        let after = node.get(&format!("/v1/requests/{id}"));
        assert_eq!(after["signed"], request["signed"], "a refused replacement changes nothing");
        let hash = hash_in(&request["signed"], "txid");
        in_mempool(&world, &hash);
        world.idle.call("anvil_mine", json!([]));
        world.idle.mined(&hash, &account.address);
    }

    #[test]
    fn a_wrong_token_and_anothers_vault_are_refused() {
        let Some(world) = world() else { return };
        let node = &world.cluster.nodes[0];
        let (mine, other) = (Account::at_first(&world, "mine"), Account::at_first(&world, "other"));
        let (status, answer) = node.call_as("ol_wrong", "GET", "/v1/vaults", None).unwrap();
        assert_eq!((status, &answer["code"]), (401, &json!("unknown_credential")));
        let stranger = Account { url: node.rpc_url("ol_wrong"), ..Account::at_first(&world, "x") };
        for method in ["eth_accounts", "eth_blockNumber", "health_status"] {
            assert_eq!(stranger.refused("", method, json!([])), "unknown_credential", "{method}");
        }
        let accounts = mine.call("", "eth_accounts", json!([]));
        assert_eq!(accounts["result"], json!([mine.address]));
        let params = json!([{ "from": other.address, "to": RECIPIENT, "value": "0x1" }]);
        assert_eq!(mine.refused("", "eth_sendTransaction", params), "unknown_account");
        let path = format!("/v1/vaults/{}", other.vault);
        let (status, answer) = node.call_as(&mine.token, "GET", &path, None).unwrap();
        assert_eq!((status, &answer["code"]), (404, &json!("unknown_vault")));
    }

    /// A request of node B, whose chain mines on demand, sent but not mined.
    fn stuck(world: &World, account: &Account, key: &str) -> Value {
        let new = json!({
            "network": "evm:31337", "path": PATH, "idempotency_key": key,
            "ask": { "kind": "send", "to": RECIPIENT, "amount": "1000000000000000000" },
            "broadcast": true, "wait_ms": 30_000,
        });
        let request = world.cluster.nodes[1].sign(&account.vault, &new);
        in_mempool(world, &hash_in(&request["signed"], "txid"));
        request
    }

    fn in_mempool(world: &World, hash: &str) {
        super::support::wait_for(&format!("{hash} in the mempool"), PATIENCE, || {
            let found = world.idle.call("eth_getTransactionByHash", json!([hash]));
            found.is_object().then_some(())
        });
    }

    #[test]
    fn a_stuck_transaction_is_sped_up_or_cancelled_under_its_nonce() {
        let Some(world) = world() else { return };
        let node = &world.cluster.nodes[1];
        let account = Account::new(&world, node, "stuck");
        let request = stuck(&world, &account, "one");
        let first = hash_in(&request["signed"], "txid");
        let path = format!("/v1/requests/{}/speed-up", request["id"].as_str().unwrap());
        let faster = node.post(&path, &json!({ "wait_ms": 30_000 }));
        let second = hash_in(&faster["signed"], "txid");
        assert_ne!(first, second);
        in_mempool(&world, &second);
        world.idle.call("anvil_mine", json!([]));
        world.idle.mined(&second, &account.address);
        let gone = world.idle.call("eth_getTransactionReceipt", json!([first]));
        assert_eq!(gone, Value::Null, "the slower one is replaced");
        let request = stuck(&world, &account, "two");
        let id = request["id"].as_str().unwrap();
        let dir = node.dir.to_str().unwrap();
        let args = ["request", "cancel", id, "--node", dir, "--output", "json"];
        let said = stdout_of(&outlast(&args, &node.dir));
        let cancelled: Value = serde_json::from_str(&said).unwrap();
        let cancelling = hash_in(&cancelled["signed"], "txid");
        in_mempool(&world, &cancelling);
        let before = world.idle.balance(RECIPIENT);
        world.idle.call("anvil_mine", json!([]));
        let receipt = world.idle.mined(&cancelling, &account.address);
        assert!(hash_in(&receipt, "to").eq_ignore_ascii_case(&account.address), "{receipt}");
        assert_eq!(world.idle.balance(RECIPIENT), before, "the payment never happened");
        let count = json!([account.address, "latest"]);
        assert_eq!(quantity(&world.idle.call("eth_getTransactionCount", count)), 2);
    }
}
