//! `outlast demo`

use crate::context::Context;
use crate::demo::{self, Tour};
use crate::error::CommandError;
use std::path::PathBuf;

/// See all of it on this computer: three companies, one vault, three signatures
///
/// Starts three separate nodes on this computer, makes a test vault whose key is never whole, signs an Ethereum, a
/// Bitcoin and a Solana transaction, and refuses a bad one. Nothing here is real money. Needs no network.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Where everything is made
    #[arg(long, default_value = "outlast-demo")]
    dir: PathBuf,
    /// A local Ethereum-type chain with id 31337 (for example anvil's http://127.0.0.1:8545), for trying cast afterwards
    #[arg(long, value_name = "URL")]
    evm_chain: Option<String>,
    /// End after the tour instead of staying up
    #[arg(long)]
    exit: bool,
    /// Remove what an earlier demo made, and nothing else
    #[arg(long, conflicts_with = "exit")]
    clean: bool,
}

pub(crate) fn run(args: Args, ctx: &Context) -> Result<(), CommandError> {
    if !args.clean {
        return demo::run(&Tour { dir: args.dir, exit: args.exit, evm_chain: args.evm_chain }, ctx);
    }
    let removed = demo::clean(&args.dir)?;
    let word = if removed { "removed" } else { "nothing to remove:" };
    let value = serde_json::json!({"dir": args.dir, "removed": removed});
    ctx.say(&value, &format!("{word} {}", args.dir.display()))
}
