//! `outlast vault account`

use crate::context::Context;
use crate::error::CommandError;
use crate::view;
use model::hd::DerivationPath;
use model::intent::Network;

/// Print an account's public key and output descriptors, for a watching wallet
///
/// Whoever holds them sees every address of the account, past and future; they cannot spend.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The vault: name, id or first digits of it; needed only if there are several
    #[arg(long)]
    vault: Option<String>,
    /// evm:CHAIN_ID, bitcoin:main|test|signet|regtest or solana:mainnet|devnet|testnet|local
    #[arg(long)]
    network: Network,
    /// Path of the account, e.g. m/86/0/0
    #[arg(long)]
    path: DerivationPath,
}

pub(crate) fn run(args: &Args, ctx: &Context) -> Result<(), CommandError> {
    let client = ctx.node()?;
    let vault = super::find(&client, args.vault.as_deref())?;
    let account = client.account(vault.id, args.network, &args.path.to_string())?;
    let descriptors: String =
        account.descriptors.iter().map(|d| format!("\n  descriptor {d}")).collect();
    let text = format!(
        "{} account {} of vault \"{}\" ({} vault{})\n  public key {}{descriptors}",
        args.network,
        account.path,
        vault.name,
        account.purpose,
        view::purpose_warning(account.purpose),
        account.extended_key
    );
    ctx.say(&account, &text)
}
