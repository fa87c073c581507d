//! `outlast verify`: checks the record of a ceremony, offline, as a stranger.

use crate::commands::record;
use crate::context::Context;
use crate::error::{CommandError, io};
use model::ids::VaultId;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Check the record of a ceremony, offline: that a vault was made as it says, or that a node broke the protocol
///
/// Needs no node and trusts none: everything follows from signatures in the file. Exit code 0 when all of it holds; a
/// file with a changed byte is refused by name (exit code 1). `outlast vault ceremony` and `outlast ceremony evidence`
/// write such files.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The file
    file: PathBuf,
    /// Also require that it is the record of this vault
    #[arg(long, value_name = "ID")]
    vault: Option<VaultId>,
}

pub(crate) fn run(args: &Args, ctx: &Context) -> Result<(), CommandError> {
    let bytes = read(&args.file)?;
    let verified = record::verify(&bytes)?;
    if let (Some(wanted), found) = (args.vault, verified.vault())
        && found != Some(wanted)
    {
        let message = match found {
            Some(found) => format!("the record is that of vault {found}, not of {wanted}"),
            None => format!("the record is evidence of a breach, not of vault {wanted}"),
        };
        return Err(CommandError::refused("other_vault", message));
    }
    ctx.say(&verified.json(), &verified.words())
}

/// At most one byte more than any record has, so that a longer file is refused by its length.
fn read(path: &Path) -> Result<Vec<u8>, CommandError> {
    let file = std::fs::File::open(path).map_err(io("read", path))?;
    let limit = u64::try_from(node::ceremony_record::RECORD_BYTES_MAX).unwrap_or(u64::MAX);
    let mut bytes = Vec::new();
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(io("read", path))?;
    Ok(bytes)
}
