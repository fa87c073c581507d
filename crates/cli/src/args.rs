//! The command line. Doc comments are the help; `docs/cli.md` is their snapshot.

use crate::commands::{
    address, bench, ceremony, charter, clients, decode, demo, node, request, vault, verify,
};
use std::path::PathBuf;

/// Shared custody: several companies sign together for one set of addresses, none can sign alone
///
/// Exit codes: 0 done, 1 refused (nothing happened), 2 wrong usage, 3 unavailable, timed out, or signed but not sent, 4 a fault
/// of Outlast.
#[derive(Debug, clap::Parser)]
#[command(name = "outlast", version = crate::commands::version::SHORT)]
#[command(disable_help_subcommand = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options of every command.
#[derive(Debug, clap::Args)]
pub(crate) struct Global {
    /// Words for people, or one JSON document
    #[arg(long, global = true, value_enum, default_value = "text")]
    pub(crate) output: OutputFormat,
    /// Directory of your node (made by `outlast node init`)
    #[arg(long, global = true, env = "OUTLAST_NODE", hide_env_values = true, value_name = "DIR")]
    pub(crate) node: Option<PathBuf>,
    /// Address of a node's API instead of its directory, e.g. http://127.0.0.1:7111, or https:// with --tls-pin or --tls-ca
    #[arg(
        long,
        global = true,
        env = "OUTLAST_URL",
        hide_env_values = true,
        conflicts_with = "node"
    )]
    pub(crate) url: Option<String>,
    /// File with the token for --url (or put the token into OUTLAST_TOKEN)
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// SHA-256 fingerprint of the certificate of an https:// node
    #[arg(long, global = true, env = "OUTLAST_TLS_PIN", hide_env_values = true)]
    #[arg(value_name = "FINGERPRINT", conflicts_with = "tls_ca")]
    pub(crate) tls_pin: Option<String>,
    /// CA of the certificate of an https:// node, PEM
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) tls_ca: Option<PathBuf>,
    /// Certificate to show to an https:// node, PEM; with --tls-key
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) tls_cert: Option<PathBuf>,
    /// File with the private key of --tls-cert, PEM
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) tls_key: Option<PathBuf>,
}

/// How answers are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum OutputFormat {
    /// Words.
    Text,
    /// One JSON document.
    Json,
}

/// What to do.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Set up, run and look after your node
    #[command(subcommand)]
    Node(node::Command),
    /// Write, check and sign the constitution of a vault
    #[command(subcommand)]
    Charter(charter::Command),
    /// Make a vault together with the other operators
    #[command(subcommand)]
    Ceremony(ceremony::Command),
    /// Look at vaults
    #[command(subcommand)]
    Vault(vault::Command),
    /// Show addresses
    #[command(subcommand)]
    Address(address::Command),
    /// Ask for signatures
    #[command(subcommand)]
    Request(request::Command),
    /// Service keys for programs
    #[command(subcommand)]
    Client(clients::Command),
    /// Read bytes as the nodes would read them, offline
    Decode(decode::Args),
    /// Check the record of a ceremony, offline
    Verify(verify::Args),
    /// Measure
    #[command(subcommand)]
    Bench(bench::Command),
    /// See all of it on this computer: three companies, one vault, three signatures
    Demo(demo::Args),
    /// Say which version this is
    Version,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{CommandFactory, Parser};

    /// Help of every command, in the order of the command line.
    fn reference() -> String {
        let mut text = String::from(
            "# Commands of `outlast`\n\nMade from the commands' own help; \
             `OUTLAST_BLESS=1 cargo test --release --workspace the_command_reference` \
             writes it anew.\n",
        );
        let mut root = Cli::command().term_width(100);
        root.build();
        append(&mut root, &mut text);
        text
    }

    fn append(command: &mut clap::Command, text: &mut String) {
        let name = command.get_bin_name().filter(|name| !name.is_empty()).unwrap_or("outlast");
        let name = name.to_owned();
        let help = command.clone().term_width(100).render_long_help().to_string();
        let help: Vec<&str> = help.lines().map(str::trim_end).collect();
        text.push_str(&format!("\n## `{name}`\n\n```text\n{}\n```\n", help.join("\n").trim_end()));
        for sub in command.get_subcommands_mut() {
            append(sub, text);
        }
    }

    #[test]
    fn the_command_reference_is_current() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/cli.md");
        let wanted = reference();
        if std::env::var_os("OUTLAST_BLESS").is_some() {
            std::fs::write(path, &wanted).unwrap();
        }
        let found = std::fs::read_to_string(path).unwrap_or_default();
        let differs = wanted.lines().zip(found.lines()).find(|(wanted, found)| wanted != found);
        assert!(wanted == found, "docs/cli.md is old (OUTLAST_BLESS=1 renews it): {differs:?}");
    }

    #[test]
    fn every_command_explains_itself() {
        fn check(command: &clap::Command) {
            let about = command.get_about().map(ToString::to_string).unwrap_or_default();
            assert!(!about.is_empty(), "{} has no help", command.get_name());
            assert!(!about.ends_with('.') || command.has_subcommands(), "{about}");
            command.get_subcommands().for_each(check);
        }
        Cli::command().debug_assert();
        check(&Cli::command());
    }

    #[test]
    fn command_lines_are_taken_or_refused() {
        let check = |line: &str, wanted: bool| {
            let words = std::iter::once("outlast").chain(line.split_whitespace());
            let parsed = Cli::try_parse_from(words);
            assert_eq!(parsed.is_ok(), wanted, "{line}: {:?}", parsed.err());
        };
        check("demo --exit --output json", true);
        check("demo --exit --clean", false);
        check("node init --dir d --operator X --endpoint h:7100 --seal tpm2", true);
        check("node init --dir d --operator X --seal hope", false);
        check("node init --dir d --operator X --chain evm:1=https://x", true);
        check("node init --dir d --operator X --chain https://x", false);
        check("node trust", false);
        check("node trust a.card b.card", true);
        check("charter new --template solo-team --cards a.card --set vault=x", true);
        check("charter new --template castle", false);
        check("charter sign c.toml --ssh-key k --as anna", true);
        check("charter sign c.toml --ssh-key k", false);
        check("charter sign c.toml --ssh-key k --as anna --node-dir d", false);
        check("charter sign c.toml", false);
        check("charter diff a.toml", false);
        check("ceremony start --purpose test --name t", true);
        check("ceremony start --purpose fun --name t", false);
        check("address show --network evm:1 --path m/44/60/0/0/0", true);
        check("address show --network evm:1 --path m/44'/60'", false);
        check("address show --network ethereum", false);
        check("request send --network evm:1 --to 0x00 --amount 1.5ETH", true);
        check("request send --network evm:1 --to 0x00", false);
        check("request raw --format psbt --network bitcoin:main 70736274ff", true);
        check("request raw --format digest --network evm:1 00", false);
        check("request show 00", false);
        check("request show 0011aabb", true);
        check("decode evm 0x02", true);
        check("vault ceremony --out f", true);
        check("vault ceremony treasury", false);
        check("ceremony evidence abcd --out f", true);
        check("verify f", true);
        check("verify f --vault treasury", false);
        check("decode dogecoin 00", false);
        check("decode message - --network evm:1", true);
        check("bench sign --scheme ecdsa --seconds 0", false);
        check("bench sign --scheme taproot --nodes 3 --threshold 2", true);
        check("vault list --node a --url http://b", false);
        check("passphrase", false);
    }

    #[test]
    fn no_secret_is_an_argument() {
        fn check(command: &clap::Command) {
            for argument in command.get_arguments() {
                let name = argument.get_long().unwrap_or_default();
                let secret = ["passphrase", "token", "secret", "seed", "private"];
                // `request send --token` is a coin's contract, not a credential.
                let coin = name == "token" && command.get_name() == "send";
                assert!(coin || !secret.contains(&name), "{} --{name}", command.get_name());
            }
            command.get_subcommands().for_each(check);
        }
        check(&Cli::command());
    }
}
