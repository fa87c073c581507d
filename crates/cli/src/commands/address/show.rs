//! `outlast address show`

use crate::commands::vault;
use crate::context::Context;
use crate::error::CommandError;
use crate::view;
use model::hd::DerivationPath;
use model::intent::Network;

/// Show the address at a path of the key tree
///
/// Addresses are computed from the vault's public keys, so every operator's node shows the same one: ask two of them
/// before you send real money to an address for the first time.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The vault: name, id or first digits of it; needed only if there are several
    #[arg(long)]
    vault: Option<String>,
    /// evm:CHAIN_ID, bitcoin:main|test|signet|regtest or solana:mainnet|devnet|testnet|local
    #[arg(long)]
    network: Network,
    /// Path, e.g. m/44/60/0/0/0 (Ethereum), m/86/0/0/0/0 (Bitcoin), m/44/501/0/0 (Solana); that is also the default
    #[arg(long)]
    path: Option<DerivationPath>,
    /// No square code
    #[arg(long)]
    no_qr: bool,
}

/// The path that wallets use for the first address of a chain.
pub(crate) fn default_path(network: Network) -> &'static str {
    match network {
        Network::Evm(_) => "m/44/60/0/0/0",
        Network::Bitcoin(_) => "m/86/0/0/0/0",
        Network::Solana(_) => "m/44/501/0/0",
    }
}

pub(crate) fn run(args: &Args, ctx: &Context) -> Result<(), CommandError> {
    let client = ctx.node()?;
    let vault = vault::find(&client, args.vault.as_deref())?;
    let path = match &args.path {
        Some(path) => path.to_string(),
        None => default_path(args.network).to_owned(),
    };
    let address = client.address(vault.id, args.network, &path)?;
    let code = (ctx.on_terminal() && !args.no_qr).then(|| view::qr::draw(&address.address));
    let text = format!(
        "{}\n  {} at {} of vault \"{}\" ({} vault){}\n{}",
        address.address,
        address.network,
        address.path,
        vault.name,
        address.purpose,
        view::purpose_warning(address.purpose),
        code.flatten().unwrap_or_default()
    );
    ctx.say(&address, &text)
}
