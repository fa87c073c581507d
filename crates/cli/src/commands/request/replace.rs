//! `outlast request speed-up ID` and `outlast request cancel ID`: one question to the node, two verbs.

use super::options::outcome;
use crate::context::Context;
use crate::error::CommandError;
use crate::view;
use model::api::Replace;

/// Options of both.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The request: its id or the first digits of it
    #[arg(value_parser = super::request_name)]
    request: String,
    /// EVM: new highest fee per gas in wei; without it a quarter above the last
    #[arg(long, value_name = "WEI")]
    max_fee_per_gas: Option<u64>,
    /// EVM: new highest priority fee per gas in wei; without it a quarter above the last
    #[arg(long, value_name = "WEI")]
    max_priority_fee_per_gas: Option<u64>,
    /// Bitcoin: new fee in satoshi per virtual byte; without it a quarter above the last
    #[arg(long, value_name = "SAT_PER_VB")]
    fee_rate: Option<u64>,
    /// Wait this many seconds for the signature
    #[arg(long, default_value_t = 25, value_name = "SECONDS")]
    wait: u64,
}

pub(crate) fn run(verb: &str, args: &Args, ctx: &Context) -> Result<(), CommandError> {
    let replace = Replace {
        max_fee_per_gas: args.max_fee_per_gas,
        max_priority_fee_per_gas: args.max_priority_fee_per_gas,
        fee_rate: args.fee_rate,
        wait_ms: args.wait.saturating_mul(1000),
    };
    let client = ctx.node()?;
    let request = client.replace(super::find(&client, &args.request)?, verb, &replace)?;
    ctx.say(&request, &view::request::one(&request))?;
    outcome(&request)
}
