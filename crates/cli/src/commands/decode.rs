//! `outlast decode`: the nodes' own decoder, offline.

use crate::context::Context;
use crate::error::{CommandError, io};
use crate::view;
use model::intent::Network;
use model::limits::TRANSACTION_BYTES_MAX;
use model::request::RawKind;
use std::io::Read;
use std::path::Path;

/// Read bytes as the nodes would read them, offline
///
/// Prints what would be signed in words, or the name of the refusal (exit code 1). It is the same code that decides in
/// every node.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What the bytes are
    #[arg(value_enum)]
    format: Format,
    /// Hex, base64 (bitcoin, solana), JSON text (typed-data) or a message: `0x…` is hex, anything else the text itself;
    /// `@FILE` reads a file, `-` the standard input
    #[arg(allow_hyphen_values = true)]
    bytes: String,
    /// The chain, where the bytes do not name one
    #[arg(long)]
    network: Option<Network>,
}

/// What the bytes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// Unsigned Ethereum-type transaction.
    Evm,
    /// PSBT, version 0 or 2.
    Bitcoin,
    /// Solana message.
    Solana,
    /// EIP-712 JSON document.
    TypedData,
    /// Personal message (EIP-191).
    Message,
}

impl Format {
    fn kind(self) -> RawKind {
        match self {
            Self::Evm => RawKind::EvmTransaction,
            Self::Bitcoin => RawKind::Psbt,
            Self::Solana => RawKind::SolanaMessage,
            Self::TypedData => RawKind::EvmTypedData,
            Self::Message => RawKind::EvmMessage,
        }
    }
}

/// `-` is the standard input, `@FILE` a file, anything else itself.
pub(crate) fn read_argument(argument: &str) -> Result<String, CommandError> {
    // Hex doubles and JSON escapes: four times the limit is enough for every honest spelling.
    let limit = u64::try_from(TRANSACTION_BYTES_MAX).unwrap_or(u64::MAX).saturating_mul(4);
    let mut text = String::new();
    if argument == "-" {
        let path = Path::new("the standard input");
        std::io::stdin().take(limit).read_to_string(&mut text).map_err(io("read", path))?;
    } else if let Some(path) = argument.strip_prefix('@').map(Path::new) {
        let file = std::fs::File::open(path).map_err(io("read", path))?;
        file.take(limit).read_to_string(&mut text).map_err(io("read", path))?;
    } else {
        return Ok(argument.to_owned());
    }
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

pub(crate) fn run(args: Args, ctx: &Context) -> Result<(), CommandError> {
    let text = read_argument(&args.bytes)?;
    let kind = args.format.kind();
    let decoded = bytes(kind, &text).and_then(|b| chains::decode(kind, args.network, &b));
    match decoded {
        Ok(intent) => {
            ctx.say(&serde_json::json!({ "intent": intent }), &view::intent::full(&intent))
        }
        Err(refusal) => {
            let error = refused(&refusal);
            if ctx.is_json() {
                // The refusal is the answer that was asked for: it stands where the intent would stand.
                let refused = serde_json::json!({"code": error.code, "message": error.message});
                ctx.say(&serde_json::json!({ "refused": refused }), "")?;
            }
            Err(error)
        }
    }
}

/// True for a message that is given as its text: every one that is not written as hex with `0x`.
pub(crate) fn is_plain_message(kind: RawKind, text: &str) -> bool {
    kind == RawKind::EvmMessage && !text.starts_with("0x")
}

fn bytes(kind: RawKind, text: &str) -> Result<Vec<u8>, chains::Refusal> {
    match is_plain_message(kind, text) {
        true => Ok(text.as_bytes().to_vec()),
        false => chains::parse_raw(kind, text),
    }
}

fn refused(refusal: &chains::Refusal) -> CommandError {
    let cause = std::error::Error::source(refusal).map(|s| format!(": {s}")).unwrap_or_default();
    CommandError::refused(refusal.code(), format!("{refusal}{cause}"))
        .hint("no node would sign these bytes; nothing was sent anywhere")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_in_place_of_the_argument() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tx");
        std::fs::write(&path, "0x02c0\n").unwrap();
        assert_eq!(read_argument(&format!("@{}", path.display())), Ok("0x02c0".to_owned()));
        assert_eq!(read_argument("0x02c0"), Ok("0x02c0".to_owned()));
        assert_eq!(read_argument("@/nowhere/at/all").unwrap_err().kind.exit_code(), 1);
    }

    #[test]
    fn a_bare_digest_is_refused_by_name() {
        let digest = format!("0x{}", "ab".repeat(32));
        let kind = RawKind::EvmTransaction;
        let refusal =
            bytes(kind, &digest).and_then(|b| chains::decode(kind, None, &b)).unwrap_err();
        assert_eq!(refused(&refusal).code, "raw_digest");
    }
}
