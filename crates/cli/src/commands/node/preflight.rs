//! `outlast node preflight`

use crate::context::Context;
use crate::error::CommandError;
use model::api::NodeView;
use node::home::{Home, HomeError};
use node::preflight::{self, Check, Surroundings, Verdict};
use std::path::{Path, PathBuf};

/// Test this machine before it is trusted with a node
///
/// Clock, ports both ways (trusted peers are dialled), disk, store, memory, TPM, and whether a cloud's metadata service
/// can be reached. Stop the node first: its ports are tested too. Beside the running node its own ports, journal and seal
/// are left out, and its peers' clocks are compared with this one; before it runs, those of configured chain nodes. Exit
/// code 1 if anything would keep the node from working safely.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The node's directory, if --node does not name it
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Dial this peer too, as it will be dialled once it is trusted; may be given several times
    #[arg(long, value_name = "HOST:PORT")]
    peer: Vec<String>,
}

pub(crate) fn run(args: &Args, ctx: &Context) -> Result<(), CommandError> {
    let dir = super::run::directory(args.dir.as_deref(), ctx)?;
    // As `node run` does it, so that the checks see what a node would be.
    node::harden::harden_process().map_err(|e| {
        CommandError::refused("harden", crate::error::chain(&e))
            .hint("this machine does not let a process keep secrets")
    })?;
    let surroundings = Surroundings::of_this_machine();
    let checks = match Home::open(dir) {
        Ok(home) => preflight::run(&home, &args.peer, &surroundings),
        Err(HomeError::Locked { .. }) => {
            let running = running(dir, ctx);
            let view = running.as_ref().map_err(String::as_str);
            preflight::run_beside(dir, view, &args.peer, &surroundings)
        }
        Err(error) => return Err(super::home_error(&error)),
    };
    let lines: Vec<String> = checks.iter().map(line).collect();
    ctx.say(&checks, &lines.join("\n"))?;
    match preflight::worst(&checks) {
        Verdict::Ok | Verdict::Warn => Ok(()),
        Verdict::Fail => {
            let failed = checks.iter().filter(|check| check.verdict == Verdict::Fail).count();
            let message = format!("{failed} of {} checks failed", checks.len());
            Err(CommandError::refused("preflight", message)
                .hint("each failed line above says what to do"))
        }
    }
}

/// What the node of this directory says of itself, or why not.
fn running(dir: &Path, ctx: &Context) -> Result<NodeView, String> {
    let view = ctx.node().and_then(|client| client.node()).map_err(|e| e.message)?;
    match node::home::read_card(dir) {
        Ok(card) if card.node == view.node => Ok(view),
        _ => Err("another node answers at its address".to_owned()),
    }
}

fn line(check: &Check) -> String {
    let word = match check.verdict {
        Verdict::Ok => "ok  ",
        Verdict::Warn => "WARN",
        Verdict::Fail => "FAIL",
    };
    let fix = check.fix.as_ref().map(|fix| format!("\n      fix: {fix}")).unwrap_or_default();
    format!("{word}  {:<16} {}{fix}", check.name, check.detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_check_says_what_to_do() {
        let check = Check {
            name: "fsync",
            verdict: Verdict::Fail,
            detail: "9 s".into(),
            fix: Some("use a local disk".into()),
        };
        assert_eq!(line(&check), "FAIL  fsync            9 s\n      fix: use a local disk");
    }
}
