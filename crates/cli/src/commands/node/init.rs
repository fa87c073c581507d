//! `outlast node init`

use crate::context::Context;
use crate::error::CommandError;
use crate::passphrase;
use crate::settings::{own_name, shell_word};
use model::intent::Network;
use node::home::{Home, InitOptions, Settings};
use node::seal::{PassphraseCost, SealKind, SealWith};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// Make a new node: its directory, its key and its card
///
/// Prints the card and six words. Send the card to the other operators by any way, and read the words to them over the
/// telephone. The directory holds the node's secrets: never copy it, never put it into a backup.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// New directory for the node
    #[arg(long)]
    dir: PathBuf,
    /// The legal entity that runs this node, as it shall stand on the card
    #[arg(long)]
    operator: String,
    /// Where the other nodes reach this one, host:port; empty for a node that only dials
    #[arg(long, default_value = "")]
    endpoint: String,
    /// Where to listen for the other nodes; default: the endpoint's port on every address
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// Where to listen for you and your programs; keep it on this machine
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:7111")]
    api: SocketAddr,
    /// How the node's secrets are sealed: passphrase (asked at every start), systemd-creds or tpm2 (restart unattended)
    #[arg(long, default_value = "passphrase")]
    seal: SealKind,
    /// systemd-creds: which key seals (host, tpm2, host+tpm2, auto)
    #[arg(long, default_value = "auto")]
    systemd_key: String,
    /// tpm2: PCRs that must not change, e.g. sha256:7
    #[arg(long)]
    pcrs: Option<String>,
    /// Say yes to every ceremony of a test vault without being asked; never for a node that will hold a live vault
    #[arg(long)]
    auto_join_test_vaults: bool,
    /// A chain node to ask for nonces and fees and to send to: NETWORK=URL, e.g. evm:1=https://…; may be repeated
    #[arg(long = "chain", value_name = "NETWORK=URL", value_parser = chain)]
    chains: Vec<(Network, String)>,
}

/// `evm:31337=http://127.0.0.1:8545`
pub(crate) fn chain(text: &str) -> Result<(Network, String), String> {
    let (network, url) = text.split_once('=').ok_or("write NETWORK=URL")?;
    Ok((network.parse().map_err(|e| format!("{e}"))?, url.to_owned()))
}

impl Args {
    fn settings(&self) -> Result<Settings, CommandError> {
        let listen = match (self.listen, self.endpoint.rsplit_once(':')) {
            (Some(listen), _) => listen,
            (None, Some((host, port))) => {
                // On loopback nobody else shall be able to knock.
                let host = if host == "127.0.0.1" { host } else { "0.0.0.0" };
                let address = format!("{host}:{port}");
                address.parse().map_err(|e| CommandError::usage(format!("--endpoint: {e}")))?
            }
            (None, None) => SocketAddr::from(([0, 0, 0, 0], 7100)),
        };
        let mut settings = Settings::new(&self.operator, listen, &self.endpoint, self.api);
        settings.auto_join_test_vaults = self.auto_join_test_vaults;
        for (network, url) in &self.chains {
            let (name, url) = (network.to_string(), url.clone());
            let name = name.split_once(':').map_or(String::new(), |(_, name)| name.to_owned());
            match network {
                Network::Evm(id) => settings.rpc.evm.insert(*id, url),
                Network::Bitcoin(_) => settings.rpc.bitcoin.insert(name, url),
                Network::Solana(_) => settings.rpc.solana.insert(name, url),
            };
        }
        Ok(settings)
    }

    fn seal(&self) -> Result<SealWith, CommandError> {
        Ok(match self.seal {
            SealKind::Passphrase => SealWith::Passphrase {
                passphrase: passphrase::choose()?,
                cost: PassphraseCost::STANDARD,
            },
            SealKind::SystemdCreds => SealWith::SystemdCreds { with_key: self.systemd_key.clone() },
            SealKind::Tpm2 => SealWith::Tpm2 { pcrs: self.pcrs.clone() },
        })
    }
}

pub(crate) fn run(args: Args, ctx: &Context) -> Result<(), CommandError> {
    let settings = args.settings()?;
    // Before anybody thinks of a passphrase.
    Home::check_new(&args.dir, &settings).map_err(|e| super::home_error(&e))?;
    let options = InitOptions { settings, seal: args.seal()? };
    let card = Home::create(&args.dir, &options).map_err(|e| super::home_error(&e))?;
    let value = serde_json::json!({
        "dir": args.dir, "node": card.node, "operator": card.operator, "endpoint": card.endpoint,
        "card": card.to_text(), "words": card.words(), "seal": options.seal.kind().name(),
    });
    let text = format!(
        "node of {} made in {}\n\ncard (send it by any way, it holds no secret):\n{}\n\n\
         six words (read them aloud over the telephone):\n  {}\n\n\
         next: {}",
        card.operator,
        args.dir.display(),
        card.to_text(),
        card.words(),
        next(&args.dir, args.seal),
    );
    ctx.say(&value, &text)
}

/// What to type next, one command a line.
fn next(dir: &Path, seal: SealKind) -> String {
    let (program, dir) = (own_name(), shell_word(&dir.display().to_string()));
    let mut lines = vec![format!("{program} node run --dir {dir}")];
    if seal == SealKind::Passphrase {
        lines.push(format!("{program} node unseal --node {dir}"));
    }
    lines.push(format!("{program} node trust OTHER.card --node {dir}"));
    lines.join("\n      ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_node_with_a_passphrase_is_unsealed_by_hand() {
        let check = |seal, wanted: &[&str]| {
            let told = next(Path::new("/var/lib/my node"), seal);
            let lines: Vec<&str> = told.lines().map(str::trim).collect();
            assert_eq!(lines.len(), wanted.len(), "{told}");
            for (line, wanted) in lines.iter().zip(wanted) {
                assert!(line.contains(wanted) && line.contains("'/var/lib/my node'"), "{told}");
            }
        };
        check(SealKind::Passphrase, &["node run", "node unseal", "node trust"]);
        check(SealKind::Tpm2, &["node run", "node trust"]);
    }
}
