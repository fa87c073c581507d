//! `outlast request …`

mod call;
mod list;
mod options;
mod raw;
mod replace;
mod send;
mod show;

use crate::context::Context;
use crate::error::CommandError;
use model::ids::RequestId;

/// Ask for signatures.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    Send(send::Args),
    Call(call::Args),
    Raw(raw::Args),
    List(list::Args),
    Show(show::Args),
    /// Ask again with a higher fee, for a transaction that is stuck
    ///
    /// The fee stays inside the request's ceiling. Each node judges the new transaction by itself.
    SpeedUp(replace::Args),
    /// Replace a stuck transaction by one that pays nothing to anybody
    ///
    /// EVM: the same nonce, nothing moved. Bitcoin: the same coins come back to the vault. Solana: only with a durable
    /// nonce, which is advanced. Works only as long as the first one is not mined; a cancelled request stays cancelled.
    Cancel(replace::Args),
}

pub(crate) fn run(command: Command, ctx: &mut Context) -> Result<(), CommandError> {
    match command {
        Command::Send(args) => send::run(&args, ctx),
        Command::Call(args) => call::run(&args, ctx),
        Command::Raw(args) => raw::run(&args, ctx),
        Command::List(args) => list::run(&args, ctx),
        Command::Show(args) => show::run(&args, ctx),
        Command::SpeedUp(args) => replace::run("speed-up", &args, ctx),
        Command::Cancel(args) => replace::run("cancel", &args, ctx),
    }
}

/// A request's id from the command line.
fn request_id(text: &str) -> Result<RequestId, String> {
    text.parse().map_err(|e| format!("{e}; `outlast request list` shows the ids"))
}
