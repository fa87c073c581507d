//! `outlast vault ceremony`

use crate::commands::record;
use crate::context::Context;
use crate::error::CommandError;
use std::path::PathBuf;

/// Write the public record of a vault's ceremony, for `outlast verify`
///
/// The file shows that the vault's id and keys follow from what every member signed. It holds no share and no chain code.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The vault: name, id or first digits of it; needed only if there are several
    vault: Option<String>,
    /// The new file
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

pub(crate) fn run(args: &Args, ctx: &Context) -> Result<(), CommandError> {
    let client = ctx.node()?;
    let vault = super::find(&client, args.vault.as_deref())?;
    record::export(&client.vault_ceremony(vault.id)?, &args.out, ctx)
}
