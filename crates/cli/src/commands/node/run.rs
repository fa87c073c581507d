//! `outlast node run`

use crate::context::Context;
use crate::error::CommandError;
use std::path::PathBuf;

/// Run your node until it is stopped
///
/// A node with a passphrase starts sealed: give it the passphrase with `outlast node unseal`. SIGTERM and Ctrl-C stop it
/// in order. It writes its log to the standard error.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The node's directory
    #[arg(long)]
    dir: PathBuf,
}

pub(crate) fn run(args: &Args, _ctx: &Context) -> Result<(), CommandError> {
    node::run(&args.dir).map_err(|error| {
        CommandError::unavailable("node", crate::error::chain(&error))
            .hint("`outlast node preflight` tests this machine; nothing was signed")
    })
}
