//! `outlast request call`

use super::options::Options;
use crate::context::Context;
use crate::error::CommandError;
use crate::units;
use model::amount::Amount;
use model::api::AskView;

/// Call a contract, or create one (without --to); EVM chains only
///
/// A call that the nodes cannot read is refused by name: nothing is signed blind.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Contract; without it a new contract is created
    #[arg(long)]
    to: Option<String>,
    /// Calldata or init code, 0x…
    #[arg(long)]
    data: String,
    /// Coin sent along, with its unit
    #[arg(long)]
    value: Option<String>,
    /// Gas limit; without it the node estimates
    #[arg(long)]
    gas_limit: Option<u64>,
    #[command(flatten)]
    options: Options,
}

pub(crate) fn run(args: &Args, ctx: &Context) -> Result<(), CommandError> {
    let value = match &args.value {
        Some(text) => units::parse(text, args.options.network).map_err(CommandError::usage)?,
        None => Amount::ZERO,
    };
    let (to, data, gas_limit) = (args.to.clone(), args.data.clone(), args.gas_limit);
    args.options.submit(AskView::Call { to, value, data, gas_limit }, ctx)
}
