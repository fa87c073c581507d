//! Passphrases: typed without echo, or from the file that `OUTLAST_PASSPHRASE_FILE` names. Never an argument, never an
//! environment variable's value: both can be read by other processes of the machine.

use crate::error::{CommandError, io};
use model::secret::Secret;
use std::io::{BufRead, IsTerminal, Write};
use std::os::fd::AsRawFd;
use std::path::PathBuf;

/// Names the file with the passphrase.
pub(crate) const FILE_VARIABLE: &str = "OUTLAST_PASSPHRASE_FILE";

/// The passphrase of an existing seal.
pub(crate) fn read() -> Result<Secret<String>, CommandError> {
    match from_file()? {
        Some(passphrase) => Ok(passphrase),
        None => typed("Passphrase:"),
    }
}

/// A new passphrase: typed twice.
pub(crate) fn choose() -> Result<Secret<String>, CommandError> {
    if let Some(passphrase) = from_file()? {
        return Ok(passphrase);
    }
    let first = typed("New passphrase that will unseal this node:")?;
    let again = typed("Once more:")?;
    if first.expose() != again.expose() {
        return Err(CommandError::refused("passphrase", "the two passphrases differ"));
    }
    Ok(first)
}

fn from_file() -> Result<Option<Secret<String>>, CommandError> {
    let Some(path) = std::env::var_os(FILE_VARIABLE).map(PathBuf::from) else {
        return Ok(None);
    };
    let text = Secret::new(std::fs::read_to_string(&path).map_err(io("read", &path))?);
    not_empty(Secret::new(text.expose().trim_end_matches(['\r', '\n']).to_owned())).map(Some)
}

fn not_empty(passphrase: Secret<String>) -> Result<Secret<String>, CommandError> {
    if passphrase.expose().is_empty() {
        return Err(CommandError::refused("passphrase", "the passphrase is empty"));
    }
    Ok(passphrase)
}

fn typed(question: &str) -> Result<Secret<String>, CommandError> {
    let stdin = std::io::stdin();
    if !stdin.is_terminal() {
        return Err(CommandError::refused("passphrase", "no terminal to type the passphrase at")
            .hint(format!("put it into a file and name the file in {FILE_VARIABLE}")));
    }
    let _ = write!(std::io::stderr(), "{question} ");
    let _ = std::io::stderr().flush();
    let mut line = Secret::new(String::new());
    let read = {
        let _silence = Silence::start(stdin.as_raw_fd());
        let mut text = String::new();
        let read = stdin.lock().read_line(&mut text);
        line = match read {
            Ok(_) => Secret::new(text),
            Err(_) => line,
        };
        read
    };
    let _ = writeln!(std::io::stderr());
    read.map_err(|e| CommandError::unavailable("no_answer", format!("cannot read: {e}")))?;
    not_empty(Secret::new(line.expose().trim_end_matches(['\r', '\n']).to_owned()))
}

/// Turns the terminal's echo off while it lives.
struct Silence {
    terminal: i32,
    before: Option<libc::termios>,
}

#[expect(unsafe_code, reason = "termios has no safe door in the standard library")]
impl Silence {
    fn start(terminal: i32) -> Self {
        // SAFETY: termios is plain old data and both calls get a valid pointer to it.
        let before = unsafe {
            let mut state: libc::termios = std::mem::zeroed();
            (libc::tcgetattr(terminal, &raw mut state) == 0).then_some(state)
        };
        if let Some(mut state) = before {
            state.c_lflag &= !libc::ECHO;
            // SAFETY: as above.
            unsafe { libc::tcsetattr(terminal, libc::TCSAFLUSH, &raw const state) };
        }
        Self { terminal, before }
    }
}

#[expect(unsafe_code, reason = "termios has no safe door in the standard library")]
impl Drop for Silence {
    fn drop(&mut self) {
        if let Some(state) = self.before {
            // SAFETY: restores what tcgetattr filled in.
            unsafe { libc::tcsetattr(self.terminal, libc::TCSAFLUSH, &raw const state) };
        }
    }
}
