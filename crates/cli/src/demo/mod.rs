//! The tour: three companies on one computer, one test vault, three signatures, one refusal.
//!
//! Everything is real but the money: separate processes, directories and keys, TLS between them, a key ceremony, the
//! nodes' own decoding and verdicts. No chain runs here, so what a chain would tell (nonce, coin, blockhash) is given
//! and said to be made up.

mod clean;
mod document;
mod scenes;
mod screen;
mod stay;

pub(crate) use clean::clean;

use crate::cluster::{Cluster, Plan};
use crate::context::Context;
use crate::error::CommandError;
use crate::settings::{DEMO_MARKER, own_name, shell_word};
use crate::signals;
use document::Document;
use screen::Screen;
use std::path::{Path, PathBuf};

/// What the tour shall do.
pub(crate) struct Tour {
    /// Where everything is made.
    pub(crate) dir: PathBuf,
    /// End after the tour.
    pub(crate) exit: bool,
    /// A local chain for trying things afterwards; the tour itself needs none.
    pub(crate) evm_chain: Option<String>,
}

impl Tour {
    /// The line that removes what this tour made, from any directory.
    fn clean_command(&self) -> String {
        clean_command(&self.dir)
    }
}

fn clean_command(dir: &Path) -> String {
    format!("{} demo --clean --dir {}", own_name(), whole(dir))
}

/// A path as a word that means the same in every directory.
fn whole(dir: &Path) -> String {
    let path = std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned());
    shell_word(&path.display().to_string())
}

/// Runs the tour.
pub(crate) fn run(tour: &Tour, ctx: &Context) -> Result<(), CommandError> {
    refuse_stale(&tour.dir)?;
    signals::watch()?;
    let screen = Screen::start(ctx);
    screen.say("Outlast demo: three companies, one vault, three signatures.");
    screen.say("Everything runs on this computer. Nothing here is real money.\n");
    let mut document = Document::default();
    let cluster = start(tour, &screen, &mut document)?;
    let vault = scenes::ceremony(&cluster, &screen, &mut document)?;
    scenes::addresses(&cluster, vault, &screen, &mut document)?;
    scenes::ethereum(&cluster, vault, &screen, &mut document)?;
    scenes::bitcoin(&cluster, vault, &screen, &mut document)?;
    scenes::solana(&cluster, vault, &screen, &mut document)?;
    scenes::fee_bomb(&cluster, vault, &screen, &mut document)?;
    screen.say(&document.times());
    scenes::announce(&screen);
    if ctx.is_json() {
        ctx.say(&document, "")?;
    }
    if !tour.exit {
        stay::stay(&cluster, vault, tour, &screen)?;
    }
    drop(cluster);
    screen.say(&format!("stopped; this removes what it made:\n  {}", tour.clean_command()));
    Ok(())
}

fn start(tour: &Tour, screen: &Screen, document: &mut Document) -> Result<Cluster, CommandError> {
    let operators = ["Company A", "Company B", "Company C"].map(String::from).to_vec();
    let chains = tour.evm_chain.iter().map(|url| format!("evm:{}={url}", scenes::CHAIN)).collect();
    let plan = Plan { dir: tour.dir.clone(), operators, auto_join: false, chains };
    let step = screen.step("Three nodes start, each with its own directory, key and passphrase");
    let cluster = Cluster::start(&plan)?;
    cluster.unseal()?;
    for member in &cluster.members {
        screen.detail(&format!(
            "{}   peers {}   API {}",
            member.operator, member.endpoint, member.api
        ));
    }
    screen.detail("(the passphrase lies in the demo's directory; a real one is typed by a person)");
    document.took("nodes_start", step.done());
    let step = screen.step("They meet by cards and six words, not by a shared configuration file");
    cluster.meet()?;
    for member in &cluster.members {
        screen.detail(&format!("{}'s six words: {}", member.operator, member.words));
    }
    screen.detail("(real operators read them to one another over the telephone)");
    cluster.wait_ready()?;
    document.took("nodes_meet", step.done());
    document.nodes(&cluster);
    Ok(cluster)
}

/// An old demo is not run over: its nodes may still be alive.
fn refuse_stale(dir: &Path) -> Result<(), CommandError> {
    if !dir.exists() {
        return Ok(());
    }
    let name = dir.display();
    if dir.join(DEMO_MARKER).is_file() {
        let message = format!("{name} is left from another demo");
        return Err(CommandError::refused("stale_demo", message)
            .hint(format!("stop it with Ctrl-C if it still runs, then: {}", clean_command(dir))));
    }
    let empty = std::fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_none());
    match empty {
        true => Ok(()),
        false => Err(CommandError::refused("foreign_dir", format!("{name} holds other files"))
            .hint("choose another place with --dir")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_in_use_is_refused_with_a_next_step() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(refuse_stale(&dir.path().join("new")), Ok(()));
        assert_eq!(refuse_stale(dir.path()), Ok(()));
        std::fs::write(dir.path().join("letter.txt"), "dear").unwrap();
        assert_eq!(refuse_stale(dir.path()).unwrap_err().code, "foreign_dir");
        std::fs::write(dir.path().join(DEMO_MARKER), "").unwrap();
        let error = refuse_stale(dir.path()).unwrap_err();
        assert_eq!(error.code, "stale_demo");
        assert!(error.hint.unwrap().contains("--clean"));
    }
}
