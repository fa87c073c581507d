//! One file per command; the doc comment of a command's arguments is its help.

pub(crate) mod address;
pub(crate) mod bench;
pub(crate) mod ceremony;
pub(crate) mod charter;
pub(crate) mod clients;
pub(crate) mod decode;
pub(crate) mod demo;
pub(crate) mod node;
pub(crate) mod record;
pub(crate) mod request;
pub(crate) mod vault;
pub(crate) mod verify;
pub(crate) mod version;

use crate::args::Command;
use crate::context::Context;
use crate::error::CommandError;

/// Runs one command.
pub(crate) fn run(command: Command, ctx: &mut Context) -> Result<(), CommandError> {
    match command {
        Command::Node(command) => node::run(command, ctx),
        Command::Charter(command) => charter::run(command, ctx),
        Command::Ceremony(command) => ceremony::run(command, ctx),
        Command::Vault(command) => vault::run(command, ctx),
        Command::Address(command) => address::run(command, ctx),
        Command::Request(command) => request::run(command, ctx),
        Command::Client(command) => clients::run(command, ctx),
        Command::Decode(args) => decode::run(args, ctx),
        Command::Verify(args) => verify::run(&args, ctx),
        Command::Bench(command) => bench::run(command, ctx),
        Command::Demo(args) => demo::run(args, ctx),
        Command::Version => version::run(ctx),
    }
}
