//! `outlast request raw`

use super::options::Options;
use crate::commands::decode::{is_plain_message, read_argument};
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
    /// Hex, base64 (psbt, solana_message), JSON text (evm_typed_data) or a message: `0x…` is hex, anything else the text itself;
    /// `@FILE` reads a file, `-` the standard input
    #[arg(allow_hyphen_values = true)]
    bytes: String,
    #[command(flatten)]
    options: Options,
}

pub(crate) fn run(args: &Args, ctx: &Context) -> Result<(), CommandError> {
    let mut bytes = read_argument(&args.bytes)?;
    let kind = chains::raw_kind(&args.format)
        .map_err(|refusal| CommandError::usage(refusal.to_string()))?;
    if is_plain_message(kind, &bytes) {
        bytes = format!("0x{}", hex::encode(&bytes));
    }
    args.options.submit(AskView::Raw { format: args.format.clone(), bytes }, ctx)
}
