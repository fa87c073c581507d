//! Three operators with nothing but the command line: a node of their own each, cards and words, a vault by 2 of 3, and
//! every kind of request. What a person types is typed here; the HTTP API is never called beside it.

#[cfg(test)]
mod support;

#[cfg(test)]
mod tests {
    use super::support::{Owned, free_ports, run, stdout_of, wait_for};
    use serde_json::{Value, json};
    use std::io::Write;
    use std::path::{Path, PathBuf};
    use std::process::{Command, Output, Stdio};
    use std::time::Duration;

    const NETWORK: [&str; 2] = ["--network", "evm:31337"];
    const RECIPIENT: &str = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8";
    /// A bound against hanging.
    const PATIENCE: Duration = Duration::from_secs(180);

    fn program() -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_outlast"));
        for name in ["OUTLAST_NODE", "OUTLAST_URL", "OUTLAST_TOKEN", "OUTLAST_PASSPHRASE_FILE"] {
            command.env_remove(name);
        }
        command
    }

    /// What a command said: exit code and its JSON.
    fn said(output: &Output) -> (i32, Value) {
        let shown = if output.stdout.is_empty() { &output.stderr } else { &output.stdout };
        let code = output.status.code().unwrap_or(-1);
        (code, serde_json::from_slice(shown).unwrap_or(Value::Null))
    }

    /// One operator at his machine.
    struct Operator {
        dir: PathBuf,
        secret: PathBuf,
        api: String,
        /// What `node init` printed.
        init: Value,
        process: Option<Owned>,
    }

    impl Operator {
        fn new(home: &Path, name: &str) -> Self {
            let (dir, secret) = (home.join(name), home.join("passphrase"));
            std::fs::write(&secret, "a passphrase of a test, never of a node\n").unwrap();
            let ports = free_ports(2);
            let [endpoint, api] = [0, 1].map(|at| format!("127.0.0.1:{}", ports[at]));
            let mut init = program();
            init.args(["node", "init", "--output", "json", "--operator", name, "--dir"]).arg(&dir);
            init.args(["--endpoint", &endpoint, "--api", &api]);
            init.env("OUTLAST_PASSPHRASE_FILE", &secret);
            let (code, init) = said(&run(&mut init, PATIENCE));
            assert_eq!(code, 0, "{init}");
            Self { dir, secret, api, init, process: None }
        }

        fn command(&self, args: &[&str]) -> Command {
            let mut command = program();
            command.args(["--output", "json", "--node"]).arg(&self.dir).args(args);
            command.env("OUTLAST_PASSPHRASE_FILE", &self.secret);
            command
        }

        fn says(&self, args: &[&str]) -> (i32, Value) {
            said(&run(&mut self.command(args), PATIENCE))
        }

        /// The answer of a command that must succeed.
        fn done(&self, args: &[&str]) -> Value {
            let (code, answer) = self.says(args);
            assert_eq!(code, 0, "{args:?}: {answer}");
            answer
        }

        /// A command that must be refused by this name.
        fn refused(&self, args: &[&str], code: &str) {
            let (exit, answer) = self.says(args);
            let shown = (exit, &answer["error"]["code"]);
            assert_eq!(shown, (1, &json!(code)), "{args:?}: {answer}");
        }

        /// Types a line at a command that asks for it.
        fn typed(&self, args: &[&str], line: &str) -> (i32, Value) {
            let mut command = self.command(args);
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
            let mut child = command.spawn().unwrap();
            writeln!(child.stdin.take().unwrap(), "{line}").unwrap();
            let output = child.wait_with_output().unwrap();
            // The question stands before the JSON of an error.
            let told = String::from_utf8_lossy(&output.stderr).into_owned();
            let error = told.find('{').and_then(|at| serde_json::from_str(&told[at..]).ok());
            match output.status.code() {
                Some(0) => said(&output),
                code => (code.unwrap_or(-1), error.unwrap_or(Value::Null)),
            }
        }

        fn start(&mut self) {
            let log = std::fs::File::create(self.dir.join("node.log")).unwrap();
            let mut command = program();
            command.args(["node", "run", "--dir"]).arg(&self.dir).stdin(Stdio::null());
            command.stdout(log.try_clone().unwrap()).stderr(log);
            self.process = Some(Owned(command.spawn().unwrap()));
            wait_for("the node", PATIENCE, || {
                let (_, answer) = self.says(&["node", "status"]);
                (answer["error"]["code"] == "sealed").then_some(())
            });
            self.done(&["node", "unseal"]);
        }

        fn words(&self) -> &str {
            self.init["words"].as_str().unwrap()
        }

        /// A file with the card as `node card` prints it.
        fn card(&self) -> String {
            let shown = self.done(&["node", "card"]);
            assert_eq!(shown["card"], self.init["card"]);
            assert_eq!(shown["words"], self.init["words"]);
            let path = self.dir.with_extension("card");
            std::fs::write(&path, shown["card"].as_str().unwrap()).unwrap();
            path.to_str().unwrap().to_owned()
        }
    }

    #[test]
    fn three_operators_do_everything_by_commands_alone() {
        let home = tempfile::tempdir().unwrap();
        let mut operators = ["North", "South", "West"].map(|name| Operator::new(home.path(), name));
        check_preflight(&operators[0]);
        check_stopped(&operators[0]);
        operators.iter_mut().for_each(Operator::start);
        meet(&operators);
        check_clocks(&operators);
        let vault = vault(&operators);
        check_live_plan(&operators[0]);
        check_addresses(&operators);
        check_clients(&operators[0], &vault);
        check_requests(&operators[0], home.path());
    }

    /// Before the node runs: its ports are tested too.
    fn check_preflight(operator: &Operator) {
        let (code, checks) = operator.says(&["node", "preflight"]);
        let all = checks.as_array().unwrap();
        let verdict = |name: &str| {
            let found = all.iter().find(|check| check["name"] == name);
            found.unwrap_or_else(|| panic!("no check {name}: {checks}"))["verdict"].clone()
        };
        for name in ["ports", "fsync", "store", "clock_peers"] {
            assert_ne!(verdict(name), Value::Null);
        }
        let failed = all.iter().any(|check| check["verdict"] == "fail");
        assert_eq!(code, i32::from(failed), "{checks}");
        let clocks = all.iter().find(|check| check["name"] == "clock_peers").unwrap();
        assert_eq!(
            clocks["detail"],
            "no peer to compare with: the node does not run, and no chain node told the time"
        );
    }

    /// Beside the running node: the peer whose clock differs most is named, and all are this machine's.
    fn check_clocks(operators: &[Operator; 3]) {
        let [north, ..] = operators;
        wait_for("both clocks", PATIENCE, || {
            let view = north.done(&["node", "status"]);
            let known = |peer: &&Value| peer["clock"]["far"] == false;
            (view["peers"].as_array().unwrap().iter().filter(known).count() == 2).then_some(())
        });
        let (_, checks) = north.says(&["node", "preflight"]);
        let all = checks.as_array().unwrap();
        let clocks = all.iter().find(|check| check["name"] == "clock_peers").unwrap();
        let detail = clocks["detail"].as_str().unwrap();
        let named = ["South", "West"].iter().any(|name| {
            detail.starts_with(&format!("the largest difference of peers' clocks: {name} "))
        });
        assert!(named && detail.ends_with(", of 2 asked"), "{detail}");
        assert_eq!(clocks["verdict"], "ok", "{detail}");
        assert!(all.iter().all(|check| check["name"] != "ports"), "its ports are in use by itself");
    }

    /// A card is public: no node has to run for it. A second node is not made over the first, and nobody chooses a passphrase
    /// for it in vain.
    fn check_stopped(operator: &Operator) {
        operator.card();
        let dir = operator.dir.to_str().unwrap();
        let mut init = operator.command(&["node", "init", "--operator", "X", "--dir", dir]);
        let (code, answer) = said(&run(init.env_remove("OUTLAST_PASSPHRASE_FILE"), PATIENCE));
        assert_eq!((code, &answer["error"]["code"]), (1, &json!("home_not_empty")), "{answer}");
        operator.refused(&["node", "preflight", "--dir", "/nowhere/at/all"], "home_missing");
    }

    /// Whoever proposes a live vault, or reads the plan of one, is told that nobody audited this.
    fn check_live_plan(operator: &Operator) {
        let mut start = program();
        start.args(["ceremony", "start", "--purpose", "live", "--name", "real", "--node"]);
        let shown = stdout_of(&run(start.arg(&operator.dir), PATIENCE));
        assert!(shown.contains("live vault \"real\", not audited, see SECURITY.md"), "{shown}");
    }

    /// Each imports the cards of the others with the words that those read to him; others' words are refused.
    fn meet(operators: &[Operator; 3]) {
        let cards = operators.each_ref().map(Operator::card);
        let [north, south, west] = operators;
        let wrong = west.words();
        north.refused(&["node", "trust", &cards[1], "--words", wrong], "words_differ");
        let (code, answer) = north.typed(&["node", "trust", &cards[1]], wrong);
        assert_eq!((code, &answer["error"]["code"]), (1, &json!("words_differ")), "{answer}");
        assert_eq!(north.done(&["node", "status"])["peers"], json!([]));
        let (code, answer) = north.typed(&["node", "trust", &cards[1]], south.words());
        assert_eq!(code, 0, "{answer}");
        north.done(&["node", "trust", &cards[2], "--words", west.words()]);
        for (me, [one, other]) in [(1, [0, 2]), (2, [0, 1])] {
            let words = [one, other].map(|at: usize| operators[at].words());
            let [first, second] = [&cards[one], &cards[other]];
            let args = ["node", "trust", first, second, "--words", words[0], "--words", words[1]];
            operators[me].done(&args);
        }
        for operator in operators {
            wait_for("peers and pairs", PATIENCE, || {
                let view = operator.done(&["node", "status"]);
                let ready = |p: &&Value| p["connected"] == true && p["pair"] == "ready";
                (view["peers"].as_array().unwrap().iter().filter(ready).count() == 2).then_some(())
            });
        }
    }

    /// 2 of 3; the others hear the plan's words from the proposer.
    fn vault(operators: &[Operator; 3]) -> String {
        let [north, south, west] = operators;
        let start = ["ceremony", "start", "--purpose", "test", "--name", "treasury"];
        let plan = north.done(&[&start[..], &["--threshold", "2"]].concat());
        let (id, words) = (plan["id"].as_str().unwrap(), plan["words"].as_str().unwrap());
        for operator in [south, west] {
            wait_for("the plan", PATIENCE, || {
                let all = operator.done(&["ceremony", "list"]);
                all.as_array().unwrap().iter().any(|one| one["id"] == id).then_some(())
            });
        }
        south.refused(&["ceremony", "join", id, "--words", south.words()], "words_differ");
        south.done(&["ceremony", "join", id, "--words", words]);
        let (code, answer) = west.typed(&["ceremony", "join", id, "--wait", "150"], words);
        assert_eq!((code, &answer["state"]), (0, &json!("done")), "{answer}");
        let vault = answer["vault"].as_str().unwrap().to_owned();
        for operator in operators {
            wait_for("the vault everywhere", PATIENCE, || {
                let all = operator.done(&["vault", "list"]);
                all.as_array().unwrap().iter().any(|one| one["id"] == vault.as_str()).then_some(())
            });
            // A node has an address once it heard that all shares are stored.
            wait_for("an address of the vault", PATIENCE, || {
                let (code, _) = operator.says(&["address", "show", "--network", "evm:31337"]);
                (code == 0).then_some(())
            });
        }
        let shown = north.done(&["vault", "show", "treasury"]);
        assert_eq!((&shown["threshold"], &shown["purpose"]), (&json!(2), &json!("test")));
        vault
    }

    /// Every operator's node names the same addresses and the same account.
    fn check_addresses(operators: &[Operator; 3]) {
        let account = ["vault", "account", "--network", "bitcoin:regtest", "--path", "m/86/0/0"];
        for (args, key, start) in [
            (&["address", "show", "--network", "evm:31337"][..], "address", "0x"),
            (&["address", "show", "--network", "bitcoin:regtest"], "address", "bcrt1p"),
            (&account, "extended_key", "tpub"),
        ] {
            let all = operators.each_ref().map(|operator| operator.done(args));
            assert!(all[0][key].as_str().unwrap().starts_with(start), "{}", all[0]);
            assert!(all.iter().all(|one| *one == all[0]), "{all:?}");
        }
        let descriptors = operators[0].done(&account)["descriptors"].clone();
        assert_eq!(descriptors.as_array().unwrap().len(), 2, "{descriptors}");
    }

    /// A service key sees its vault, and nothing once it is taken back.
    fn check_clients(operator: &Operator, vault: &str) {
        let key = operator.done(&["client", "add", "--name", "shop", "--vault", "treasury"]);
        let status = |expected: i32| {
            let url = format!("http://{}", operator.api);
            let mut list = program();
            list.args(["--output", "json", "--url", &url, "vault", "list"]);
            list.env("OUTLAST_TOKEN", key["token"].as_str().unwrap());
            let (code, answer) = said(&run(&mut list, PATIENCE));
            assert_eq!(code, expected, "{answer}");
            answer
        };
        assert_eq!(status(0)[0]["id"], vault);
        check_key_is_found(operator, &key);
        assert_eq!(status(1)["error"]["code"], "unknown_credential");
    }

    /// From a request that nobody wanted to the key that asked for it, and to its end.
    fn check_key_is_found(operator: &Operator, key: &Value) {
        let mut ask = program();
        ask.args(["--output", "json", "--url", &format!("http://{}", operator.api)]);
        ask.args(["request", "raw", "--format", "evm_message", "not by me"]).args(NETWORK);
        ask.env("OUTLAST_TOKEN", key["token"].as_str().unwrap());
        let (code, asked) = said(&run(&mut ask, PATIENCE));
        assert_eq!(code, 0, "{asked}");
        let shown = operator.done(&["request", "show", asked["id"].as_str().unwrap()]);
        assert_eq!(shown["client"], key["id"], "{shown}");
        operator.done(&["client", "add", "--name", "shop", "--vault", "treasury"]);
        let names = || {
            let all = operator.done(&["client", "list"]);
            all.as_array()
                .unwrap()
                .iter()
                .map(|one| (one["name"].clone(), one["id"].clone()))
                .collect::<Vec<_>>()
        };
        assert_eq!(names().len(), 2);
        assert!(names().contains(&(json!("shop"), key["id"].clone())), "{:?}", names());
        operator.refused(&["client", "remove", "shop"], "ambiguous");
        operator.refused(&["client", "remove", "shed"], "unknown_client");
        assert_eq!(names().len(), 2);
        operator.done(&["client", "remove", &key["id"].as_str().unwrap()[..8]]);
        operator.done(&["client", "remove", "shop"]);
        assert_eq!(names(), []);
    }

    /// No chain runs: nonce and fee are given.
    fn check_requests(operator: &Operator, home: &Path) {
        let fill = |name: &str, nonce: u64, gas_limit: u64| {
            let path = home.join(name);
            let fill = json!({ "chain": "evm", "nonce": nonce, "gas_limit": gas_limit,
                "max_fee_per_gas": 30_000_000_000_u64,
                "max_priority_fee_per_gas": 1_000_000_000_u64 });
            std::fs::write(&path, fill.to_string()).unwrap();
            path.to_str().unwrap().to_owned()
        };
        let send = |more: &[&str]| {
            let words = ["request", "send", "--to", RECIPIENT, "--amount", "1ETH"];
            operator.says(&[&words[..], &NETWORK, more].concat())
        };
        let (code, answer) = send(&[]);
        assert_eq!((code, &answer["problem"]["code"]), (1, &json!("no_chain_facts")), "{answer}");
        let sent = send(&["--fill", &fill("send.json", 0, 21_000)]).1;
        assert_eq!(sent["state"], "signed", "{sent}");
        check_replaced(operator, &sent);
        let data = format!("0xa9059cbb{:0>64}{:0>64}", &RECIPIENT[2..], 7);
        let call = ["request", "call", "--to", RECIPIENT, "--data", &data, "--fill"];
        let called =
            operator.done(&[&call[..], &[&fill("call.json", 1, 90_000)], &NETWORK].concat());
        assert_eq!(called["intent"]["operations"][0]["operation"], "token_transfer", "{called}");
        let away = fill("away.json", 0, 21_000);
        check_not_sent(operator, &["--path", "m/44/60/0/0/9", "--broadcast", "--fill", &away]);
        let say = |text: &str| {
            let raw = ["request", "raw", "--format", "evm_message", text];
            operator.done(&[&raw[..], &NETWORK].concat())
        };
        let [message, hex] = [say("hello"), say("0x68656c6c6f")];
        assert_eq!(message["signed"]["raw"].as_str().unwrap().len(), 132, "{message}");
        assert_eq!(message["intent"]["operations"][0]["text"], "hello", "{message}");
        assert_eq!(message["intent"]["operations"], hex["intent"]["operations"]);
        let digest = format!("0x{}", "11".repeat(32));
        let raw = ["request", "raw", "--format", "evm_message", &digest];
        operator.refused(&[&raw[..], &NETWORK].concat(), "raw_digest");
        let listed = operator.done(&["request", "list"]);
        let ids: Vec<&Value> = listed.as_array().unwrap().iter().map(|one| &one["id"]).collect();
        for id in [&sent["id"], &called["id"], &message["id"]] {
            assert!(ids.contains(&id), "{id} is not listed: {ids:?}");
        }
        check_printed_ids(operator, ids.len());
    }

    /// Signed, and no chain node to send it to: that is not "refused, nothing happened".
    fn check_not_sent(operator: &Operator, options: &[&str]) {
        let words = ["request", "send", "--to", RECIPIENT, "--amount", "1ETH"];
        let words = [&words[..], &NETWORK, options].concat();
        let output = run(&mut operator.command(&words), PATIENCE);
        let (code, shown) = said(&output);
        assert_eq!((code, &shown["state"]), (3, &json!("signed")), "{shown}");
        let error: Value = serde_json::from_slice(&output.stderr).unwrap();
        let error = (&error["error"]["kind"], &error["error"]["code"]);
        assert_eq!(error, (&json!("not_sent"), &json!("not_broadcast")), "{shown}");
    }

    /// What `request list` prints for a person is what the other commands take.
    fn check_printed_ids(operator: &Operator, count: usize) {
        let mut list = program();
        let shown =
            stdout_of(&run(list.args(["request", "list", "--node"]).arg(&operator.dir), PATIENCE));
        let ids = shown.lines().skip_while(|line| !line.starts_with("REQUEST")).skip(1);
        let ids: Vec<&str> = ids.filter_map(|line| line.split_whitespace().next()).collect();
        assert_eq!(ids.len(), count, "{shown}");
        for id in ids {
            let found = operator.done(&["request", "show", id]);
            assert!(found["id"].as_str().unwrap().starts_with(id), "{found}");
        }
        operator.refused(&["request", "show", "abcdef01"], "unknown_request");
    }

    /// Faster under its nonce, then nothing to anybody under its nonce; `request show` tells the last.
    fn check_replaced(operator: &Operator, sent: &Value) {
        let id = sent["id"].as_str().unwrap();
        let faster = operator.done(&["request", "speed-up", &id[..8]]);
        let cancelled = operator.done(&["request", "cancel", id]);
        for replaced in [&faster, &cancelled] {
            assert_eq!(replaced["intent"]["single_use"], sent["intent"]["single_use"]);
            assert_ne!(replaced["signed"]["txid"], sent["signed"]["txid"]);
        }
        assert_ne!(faster["signed"]["txid"], cancelled["signed"]["txid"]);
        let shown = operator.done(&["request", "show", id]);
        assert_eq!(shown["signed"], cancelled["signed"]);
    }

    #[test]
    fn bench_sign_measures_a_real_cluster_and_prints_one_document() {
        let mut bench = program();
        bench.args(["bench", "sign", "--scheme", "ed25519", "--seconds", "1", "--output", "json"]);
        let output = run(&mut bench, Duration::from_secs(360));
        let (code, report) = said(&output);
        assert_eq!(code, 0, "{report}{}", String::from_utf8_lossy(&output.stderr));
        for (key, expected) in
            [("scheme", json!("ed25519")), ("nodes", json!(3)), ("threshold", json!(3))]
        {
            assert_eq!(report[key], expected, "{report}");
        }
        for key in [
            "signatures",
            "signatures_per_second",
            "cpu_ms_per_signature",
            "bare_cpu_ms_per_signature",
            "limit_per_second",
            "ratio_to_limit",
            "bytes_sent_per_node_per_signature",
        ] {
            assert!(report[key].as_f64().is_some_and(|number| number > 0.0), "{key}: {report}");
        }
        for latency in ["idle", "loaded", "vault_creation"] {
            for key in ["p50_ms", "p99_ms"] {
                assert!(report[latency][key].as_f64().is_some(), "{latency} {key}: {report}");
            }
        }
    }
}
