//! `outlast request raw`

use super::options::Options;
use crate::commands::decode::read_argument;
use crate::context::Context;
use crate::error::CommandError;
use model::api::AskView;

const FORMATS: [&str; 5] =
    ["evm_transaction", "evm_typed_data", "evm_message", "psbt", "solana_message"];

/// Ask for a signature over bytes that another tool prepared
///
/// The nodes read the bytes like their own; what they cannot put into words is refused. A bare 32-byte digest is always
/// refused.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What the bytes are
    #[arg(long, value_parser = FORMATS)]
    format: String,
    /// The bytes: hex, base64 (PSBT, Solana), JSON text (typed data); `@FILE` reads a file, `-` the standard input
    bytes: String,
    #[command(flatten)]
    options: Options,
}

pub(crate) fn run(args: &Args, ctx: &Context) -> Result<(), CommandError> {
    let bytes = read_argument(&args.bytes)?;
    args.options.submit(AskView::Raw { format: args.format.clone(), bytes }, ctx)
}
