//! A cluster of real node processes on this computer, for the demo and the benches.
//!
//! Every node is this program again, with a directory, a key and ports of its own. They meet by the commands that
//! operators type: `node init` prints card and words, and every other node is given both by `node trust`, which compares
//! them. Unsealing and the ceremony go over each node's HTTP API, as `node unseal` and `ceremony start` and `join` do.
//! Absent on purpose: any shortcut into a node.

use crate::client::Client;
use crate::error::{CommandError, io};
use crate::settings;
use crate::signals;
use model::api::{CeremonyView, NewCeremony, NodeView};
use model::card::NodeCard;
use model::ids::VaultId;
use model::keys::Purpose;
use model::secret::Secret;
use std::io::Write;
use std::net::TcpListener;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How long nodes may take to start, meet and make pair state.
const START: Duration = Duration::from_secs(120);
/// How long a ceremony may take.
const CEREMONY: Duration = Duration::from_secs(70);

/// What kind of cluster.
pub(crate) struct Plan {
    /// Directory that will hold everything; must not exist.
    pub(crate) dir: PathBuf,
    /// Operators by name, one node each.
    pub(crate) operators: Vec<String>,
    /// Nodes say yes to ceremonies of test vaults by themselves (benches only).
    pub(crate) auto_join: bool,
    /// Chain nodes to ask, as `NETWORK=URL`.
    pub(crate) chains: Vec<String>,
}

/// One node of the cluster.
pub(crate) struct Member {
    /// `a`, `b`, `c`…
    pub(crate) name: String,
    /// Operator as on the card.
    pub(crate) operator: String,
    /// Its directory.
    pub(crate) dir: PathBuf,
    /// Where peers dial it.
    pub(crate) endpoint: String,
    /// Where its API listens.
    pub(crate) api: String,
    /// Its card, as its `init` printed it.
    pub(crate) card: NodeCard,
    /// The six words, as its `init` printed them.
    pub(crate) words: String,
    /// The file with its card that the other operators are sent.
    card_file: PathBuf,
    /// Speaks to its API as the operator.
    pub(crate) client: Client,
    /// Its process.
    pub(crate) pid: u32,
}

/// Running nodes; dropped, they are stopped.
pub(crate) struct Cluster {
    /// The nodes.
    pub(crate) members: Vec<Member>,
    passphrase: Secret<String>,
}

impl Drop for Cluster {
    fn drop(&mut self) {
        signals::stop_all();
    }
}

impl Cluster {
    /// Makes directories and keys, and starts the nodes; they are sealed and know nobody yet.
    pub(crate) fn start(plan: &Plan) -> Result<Self, CommandError> {
        let passphrase_file = prepare(&plan.dir)?;
        let passphrase = settings::read_token(&passphrase_file)?;
        let names = ('a'..='z').map(String::from);
        let count = u16::try_from(plan.operators.len()).unwrap_or(u16::MAX);
        let ports = hold_ports(7101, count)?.into_iter().zip(hold_ports(7111, count)?);
        let mut cluster = Self { members: Vec::new(), passphrase };
        for ((name, operator), (peers, apis)) in names.zip(&plan.operators).zip(ports) {
            let dir = plan.dir.join(&name);
            let (endpoint, api) = (address_of(&peers)?, address_of(&apis)?);
            let wanted = Init { dir: &dir, operator, endpoint: &endpoint, api: &api };
            let (card, words) = wanted.run(plan, &passphrase_file)?;
            let card_file = plan.dir.join(format!("{name}.card"));
            std::fs::write(&card_file, card.to_text()).map_err(io("write", &card_file))?;
            // Nobody else could take the ports while the node was made.
            drop((peers, apis));
            let pid = run(&dir)?;
            let token = settings::read_token(&dir.join("operator.token"))?;
            let client = Client::new(&format!("http://{api}"), Some(token))?;
            let operator = operator.clone();
            cluster.members.push(Member {
                name,
                operator,
                dir,
                endpoint,
                api,
                card,
                words,
                card_file,
                client,
                pid,
            });
        }
        Ok(cluster)
    }

    /// Waits for every API and gives every node its passphrase.
    pub(crate) fn unseal(&self) -> Result<(), CommandError> {
        for member in &self.members {
            // Any other answer comes from somebody else at this port: this node will end by itself, and that is told.
            member.wait("its API", START, || match member.client.node() {
                Ok(_) => Ok(Some(())),
                Err(error) => Ok((error.code == "sealed").then_some(())),
            })?;
        }
        // Argon2id is slow on purpose; the nodes do it at the same time.
        std::thread::scope(|scope| {
            let tasks: Vec<_> = self
                .members
                .iter()
                .map(|m| scope.spawn(|| m.client.unseal(&self.passphrase)))
                .collect();
            tasks.into_iter().try_for_each(|task| {
                task.join().unwrap_or_else(|_| Err(CommandError::bug("unsealing panicked")))
            })
        })
    }

    /// Every operator types `node trust` with the card files of the others and the words that their `init` printed.
    pub(crate) fn meet(&self) -> Result<(), CommandError> {
        for me in &self.members {
            let mut command = Command::new(own_program()?);
            command.args(["node", "trust", "--output", "json", "--node"]).arg(&me.dir);
            for peer in self.members.iter().filter(|peer| peer.card.node != me.card.node) {
                command.arg(&peer.card_file).args(["--words", &peer.words]);
            }
            typed(&mut command, &format!("node trust at {}", me.operator), "trust_failed")?;
        }
        Ok(())
    }

    /// Waits until all links are up and all pairs can sign.
    pub(crate) fn wait_ready(&self) -> Result<(), CommandError> {
        self.members.iter().try_for_each(|member| {
            let others = self.members.len().saturating_sub(1);
            let ready = |node: &NodeView| {
                let pairs = node.peers.iter().filter(|p| p.connected && p.pair == "ready");
                pairs.count() == others
            };
            member.wait("its peers", START, || {
                member.client.node().map(|node| ready(&node).then_some(()))
            })
        })
    }

    /// The node that proposes and is asked.
    pub(crate) fn first(&self) -> Result<&Member, CommandError> {
        self.members.first().ok_or_else(|| CommandError::bug("a cluster without nodes"))
    }

    /// A ceremony among nodes that say yes to test vaults by themselves.
    pub(crate) fn automatic_ceremony(
        &self,
        name: &str,
        threshold: u16,
    ) -> Result<VaultId, CommandError> {
        self.vault_of(&self.propose(name, threshold)?)
    }

    fn propose(&self, name: &str, threshold: u16) -> Result<CeremonyView, CommandError> {
        let members = self.members.iter().map(|member| member.card.node).collect();
        let purpose = Purpose::Test;
        let new = NewCeremony { purpose, name: name.to_owned(), members, threshold };
        self.first()?.client.new_ceremony(&new)
    }

    /// Proposes a test vault at the first node; the others compare the six words and join.
    pub(crate) fn ceremony(&self, name: &str, threshold: u16) -> Result<VaultId, CommandError> {
        let proposed = self.propose(name, threshold)?;
        for member in self.members.iter().skip(1) {
            let seen = member.wait("the ceremony", CEREMONY, || {
                let all = member.client.ceremonies()?;
                Ok(all.into_iter().find(|ceremony| ceremony.id == proposed.id))
            })?;
            if seen.words != proposed.words {
                let message = format!("{} sees another plan than was proposed", member.operator);
                return Err(CommandError::refused("words_differ", message));
            }
            member.client.join(proposed.id)?;
        }
        self.vault_of(&proposed)
    }

    /// Waits for the vault of a ceremony that everybody joined.
    fn vault_of(&self, proposed: &CeremonyView) -> Result<VaultId, CommandError> {
        let first = self.first()?;
        let vault = first.wait("the vault", CEREMONY, || {
            let now = first.client.ceremony(proposed.id)?;
            match (now.state.as_str(), now.vault, now.failure) {
                ("failed", _, why) => Err(CommandError::unavailable(
                    "ceremony_failed",
                    format!("the ceremony failed: {}", why.unwrap_or_default()),
                )),
                (_, vault, _) => Ok(vault),
            }
        })?;
        // A node has it only once it heard that every share is stored.
        for member in self.members.iter().skip(1) {
            member.wait("the vault", CEREMONY, || match member.client.ceremony(proposed.id) {
                Ok(found) => Ok(found.vault),
                Err(error) if error.kind.exit_code() == 1 => Ok(None),
                Err(error) => Err(error),
            })?;
        }
        Ok(vault)
    }
}

impl Member {
    /// Asks again and again until there is an answer; a dead process or a late answer is an error with the node's last
    /// words.
    pub(crate) fn wait<T>(
        &self,
        what: &str,
        patience: Duration,
        mut ask: impl FnMut() -> Result<Option<T>, CommandError>,
    ) -> Result<T, CommandError> {
        let end = Instant::now().checked_add(patience);
        loop {
            if let Some(status) = signals::ended(self.pid) {
                let message = format!("node {} ended ({status}): {}", self.name, self.last_words());
                return Err(CommandError::unavailable("node_ended", message));
            }
            if let Some(found) = ask()? {
                return Ok(found);
            }
            if end.is_none_or(|end| Instant::now() >= end) {
                let seconds = patience.as_secs();
                let message = format!("node {} took over {seconds} s for {what}", self.name);
                return Err(CommandError::unavailable("timed_out", message)
                    .hint(format!("its log is {}", self.dir.join("node.log").display())));
            }
            std::thread::sleep(Duration::from_millis(15));
        }
    }

    fn last_words(&self) -> String {
        let log = std::fs::read_to_string(self.dir.join("node.log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().rev().take(3).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join(" | ")
    }
}

/// Makes the cluster's directory, its marker and a random passphrase.
fn prepare(dir: &Path) -> Result<PathBuf, CommandError> {
    std::fs::create_dir_all(dir).map_err(io("make", dir))?;
    let marker = dir.join(settings::DEMO_MARKER);
    std::fs::write(&marker, "made by outlast; deleted by `outlast demo --clean`\n")
        .map_err(io("write", &marker))?;
    let mut random = [0u8; 16];
    getrandom::fill(&mut random)
        .map_err(|e| CommandError::unavailable("entropy", format!("no random bytes: {e}")))?;
    let path = dir.join("PASSPHRASE-of-a-demo-never-do-this");
    let mut options = std::fs::OpenOptions::new();
    let file = options.write(true).create_new(true).mode(0o600).open(&path);
    file.and_then(|mut file| writeln!(file, "{}", hex::encode(random)))
        .map_err(io("write", &path))?;
    Ok(path)
}

/// `outlast node init` as an operator would type it.
struct Init<'a> {
    dir: &'a Path,
    operator: &'a str,
    endpoint: &'a str,
    api: &'a str,
}

impl Init<'_> {
    /// The card and the six words that it printed.
    fn run(&self, plan: &Plan, passphrase_file: &Path) -> Result<(NodeCard, String), CommandError> {
        let mut command = Command::new(own_program()?);
        command.args(["node", "init", "--output", "json", "--seal", "passphrase"]);
        command.arg("--dir").arg(self.dir).args(["--operator", self.operator]);
        command.args(["--endpoint", self.endpoint, "--api", self.api]);
        for chain in &plan.chains {
            command.args(["--chain", chain]);
        }
        if plan.auto_join {
            command.arg("--auto-join-test-vaults");
        }
        without_settings(&mut command).env(crate::passphrase::FILE_VARIABLE, passphrase_file);
        let what = format!("node init for {}", self.operator);
        let answer = run_to_end(&mut command, &what, "init_failed")?;
        let text = |name| answer.get(name).and_then(serde_json::Value::as_str).unwrap_or_default();
        let card = NodeCard::from_text(text("card"))
            .map_err(|e| CommandError::bug(format!("node init's card: {e}")))?;
        Ok((card, text("words").to_owned()))
    }
}

/// A command as an operator types it, without the caller's own settings.
fn typed(command: &mut Command, what: &str, code: &str) -> Result<(), CommandError> {
    run_to_end(without_settings(command), what, code).map(drop)
}

/// The JSON that a command printed; one that failed is an error with its words.
fn run_to_end(
    command: &mut Command,
    what: &str,
    code: &str,
) -> Result<serde_json::Value, CommandError> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|e| CommandError::unavailable("spawn", format!("cannot start myself: {e}")))?;
    if !output.status.success() {
        let told = String::from_utf8_lossy(&output.stderr);
        return Err(CommandError::unavailable(code, format!("{what} failed: {}", told.trim())));
    }
    serde_json::from_slice(&output.stdout)
        .map_err(|e| CommandError::bug(format!("{what} printed no JSON: {e}")))
}

/// `outlast node run`, its words going to `node.log`.
fn run(dir: &Path) -> Result<u32, CommandError> {
    let path = dir.join("node.log");
    let log = std::fs::File::create(&path).map_err(io("write", &path))?;
    let again = log.try_clone().map_err(io("write", &path))?;
    let mut command = Command::new(own_program()?);
    command.args(["node", "run", "--dir"]).arg(dir);
    signals::spawn(without_settings(&mut command).stdin(Stdio::null()).stdout(log).stderr(again))
}

/// The children must not see the caller's own choice of node, token or passphrase.
fn without_settings(command: &mut Command) -> &mut Command {
    command
        .env_remove("OUTLAST_NODE")
        .env_remove("OUTLAST_URL")
        .env_remove("OUTLAST_TOKEN")
        .env_remove("OUTLAST_TLS_PIN")
        .env_remove(crate::passphrase::FILE_VARIABLE)
}

fn own_program() -> Result<PathBuf, CommandError> {
    std::env::current_exe()
        .map_err(|e| CommandError::unavailable("spawn", format!("cannot find myself: {e}")))
}

/// Holds `count` free ports of loopback: from `wish` upwards where they are free, else any.
fn hold_ports(wish: u16, count: u16) -> Result<Vec<TcpListener>, CommandError> {
    let hold = |at| {
        TcpListener::bind(("127.0.0.1", wish.saturating_add(at)))
            .or_else(|_| TcpListener::bind(("127.0.0.1", 0)))
            .map_err(|e| CommandError::unavailable("no_port", format!("no free port: {e}")))
    };
    (0..count).map(hold).collect()
}

fn address_of(listener: &TcpListener) -> Result<String, CommandError> {
    let address = listener.local_addr();
    address
        .map(|address| address.to_string())
        .map_err(|e| CommandError::unavailable("no_port", format!("no free port: {e}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn taken_ports_are_replaced_by_free_ones() {
        let taken = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let wish = taken.local_addr().unwrap().port();
        let held = hold_ports(wish, 2).unwrap();
        let addresses: Vec<String> = held.iter().map(|one| address_of(one).unwrap()).collect();
        assert_eq!(addresses.len(), 2);
        assert_ne!(addresses[0], format!("127.0.0.1:{wish}"));
        assert_ne!(addresses[0], addresses[1]);
    }

    #[test]
    fn the_passphrase_of_a_demo_is_random_and_for_the_owner_alone() {
        use std::os::unix::fs::PermissionsExt;
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let first = prepare(&one.path().join("d")).unwrap();
        let second = prepare(&two.path().join("d")).unwrap();
        assert_ne!(std::fs::read(&first).unwrap(), std::fs::read(&second).unwrap());
        assert_eq!(std::fs::metadata(&first).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(one.path().join("d").join(settings::DEMO_MARKER).is_file());
    }
}
