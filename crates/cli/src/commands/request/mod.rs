//! `outlast request …`

mod call;
mod list;
mod options;
mod raw;
mod replace;
mod send;
mod show;

use crate::client::Client;
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

/// What a person gives for a request: its id, or the first digits of it.
fn request_name(text: &str) -> Result<String, String> {
    let digits = text.bytes().all(|digit| digit.is_ascii_hexdigit());
    match digits && (4..=64).contains(&text.len()) {
        true => Ok(text.to_lowercase()),
        false => {
            Err("give the id, or at least its first 4 digits; `outlast request list` shows them"
                .into())
        }
    }
}

/// How many requests of each vault are looked through, newest first.
const LOOKED_THROUGH: u32 = 500;

/// A request by id or the start of it.
fn find(client: &Client, named: &str) -> Result<RequestId, CommandError> {
    // A whole id also finds a request that is older than the newest ones.
    if let Ok(id) = named.parse() {
        return Ok(id);
    }
    let mut found = Vec::new();
    for vault in client.vaults()? {
        let all = client.requests(vault.id, LOOKED_THROUGH)?;
        found.extend(all.iter().map(|r| r.id).filter(|id| id.to_string().starts_with(named)));
    }
    pick(&found, named)
}

/// The only one of those that begin as named.
fn pick(found: &[RequestId], named: &str) -> Result<RequestId, CommandError> {
    match found {
        [one] => Ok(*one),
        [] => {
            let message = format!(
                "no request begins with `{named}` among the newest {LOOKED_THROUGH} of each vault"
            );
            Err(CommandError::refused("unknown_request", message)
                .hint("`outlast request list` shows them; the whole id finds older ones too"))
        }
        many => {
            let message = format!("{} requests begin with `{named}`", many.len());
            Err(CommandError::refused("ambiguous", message).hint("give the whole id"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_that_several_requests_begin_with_choose_none() {
        let ids =
            [1, 2].map(|last| RequestId([0xab, 0xcd, last].repeat(11)[..32].try_into().unwrap()));
        assert_eq!(pick(&ids[..1], "abcd"), Ok(ids[0]));
        assert_eq!(pick(&ids, "abcd").unwrap_err().code, "ambiguous");
        assert_eq!(pick(&[], "abcd").unwrap_err().code, "unknown_request");
    }

    #[test]
    fn a_request_is_named_by_at_least_four_digits() {
        let check = |text: &str, good: bool| assert_eq!(request_name(text).is_ok(), good, "{text}");
        check("abc", false);
        check("abcd", true);
        check("0xabcd", false);
        check(&"ab".repeat(32), true);
        check(&"ab".repeat(33), false);
    }
}
