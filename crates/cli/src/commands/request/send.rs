//! `outlast request send`

use super::options::Options;
use crate::context::Context;
use crate::error::CommandError;
use crate::units;
use model::amount::Amount;
use model::api::AskView;

/// Send coins or tokens
///
/// You say what shall happen and the highest fee; nonce, fee and blockhash are chosen at signing. Every node reads the
/// transaction by itself before it signs.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Recipient, in the chain's own spelling
    #[arg(long)]
    to: String,
    /// Amount with its unit (1.5ETH, 20000sat, 0.1SOL); with --token a whole number of the token's smallest units
    #[arg(long)]
    amount: String,
    /// Token contract (ERC-20) or mint (Solana)
    #[arg(long)]
    token: Option<String>,
    /// Solana tokens: the token account that pays
    #[arg(long, requires = "token")]
    source: Option<String>,
    /// Solana tokens: decimals of the mint
    #[arg(long, requires = "token")]
    decimals: Option<u8>,
    #[command(flatten)]
    options: Options,
}

pub(crate) fn run(args: &Args, ctx: &Context) -> Result<(), CommandError> {
    args.options.submit(ask(args)?, ctx)
}

fn ask(args: &Args) -> Result<AskView, CommandError> {
    let to = args.to.clone();
    match &args.token {
        None => {
            let amount = units::parse(&args.amount, args.options.network);
            Ok(AskView::Send { to, amount: amount.map_err(CommandError::usage)? })
        }
        Some(token) => {
            let amount = args.amount.parse::<Amount>().map_err(|e| {
                CommandError::usage(format!("{e}"))
                    .hint("a token's amount is a whole number of its smallest units")
            })?;
            let (source, decimals) = (args.source.clone(), args.decimals);
            Ok(AskView::SendToken { token: token.clone(), to, amount, source, decimals })
        }
    }
}
