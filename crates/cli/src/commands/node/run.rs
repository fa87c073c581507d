//! `outlast node run`

use crate::context::Context;
use crate::error::CommandError;
use std::path::{Path, PathBuf};

/// Run your node until it is stopped
///
/// A node with a passphrase starts sealed: give it the passphrase with `outlast node unseal`. SIGTERM and Ctrl-C stop it
/// in order. It writes its log to the standard error.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The node's directory, if --node does not name it
    #[arg(long)]
    dir: Option<PathBuf>,
}

pub(crate) fn run(args: &Args, ctx: &Context) -> Result<(), CommandError> {
    let dir = directory(args.dir.as_deref(), ctx)?;
    node::run(dir).map_err(|error| {
        CommandError::unavailable(error.code(), crate::error::chain(&error))
            .hint("`outlast node preflight` tests this machine; nothing was signed")
    })
}

/// The directory of `--dir`, else of `--node`.
pub(super) fn directory<'a>(
    dir: Option<&'a Path>,
    ctx: &'a Context,
) -> Result<&'a Path, CommandError> {
    dir.or(ctx.node_dir()).ok_or_else(|| {
        CommandError::usage("which node? --dir is missing")
            .hint("give the directory of `outlast node init`")
    })
}
