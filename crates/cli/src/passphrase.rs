//! Passphrases: typed without echo, or from the file that `OUTLAST_PASSPHRASE_FILE` names. Never an argument, never an
//! environment variable's value: both can be read by other processes of the machine.
//!
//! Each is read past the buffers of the standard library, which nobody wipes, into one that is wiped and never grows.

use crate::error::{CommandError, io};
use model::secret::Secret;
use std::fs::File;
use std::io::{ErrorKind, IsTerminal, Read, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::path::PathBuf;
use zeroize::Zeroizing;

/// Names the file with the passphrase.
pub(crate) const FILE_VARIABLE: &str = "OUTLAST_PASSPHRASE_FILE";

/// Bytes of a passphrase at most: what a terminal takes as one line.
const BYTES_MAX: usize = 4096;

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
    let text = File::open(&path).and_then(|file| read_wiped(file, false));
    not_empty(text.map_err(io("read", &path))?).map(Some)
}

/// Reads to the end, or one line, without the line breaks behind it.
fn read_wiped(mut source: impl Read, one_line: bool) -> std::io::Result<Secret<String>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(BYTES_MAX));
    let mut byte = Zeroizing::new([0u8; 1]);
    loop {
        match source.read(&mut byte[..]) {
            Ok(0) => break,
            Ok(_) if one_line && *byte == *b"\n" => break,
            Ok(_) if bytes.len() >= BYTES_MAX => {
                let text = format!("a passphrase has at most {BYTES_MAX} bytes");
                return Err(std::io::Error::new(ErrorKind::InvalidData, text));
            }
            Ok(_) => bytes.extend_from_slice(&byte[..]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    while bytes.last().is_some_and(|last| b"\r\n".contains(last)) {
        bytes.pop();
    }
    String::from_utf8(std::mem::take(&mut *bytes)).map(Secret::new).map_err(|error| {
        drop(Zeroizing::new(error.into_bytes()));
        std::io::Error::new(ErrorKind::InvalidData, "a passphrase is UTF-8")
    })
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
    let read = {
        let _silence = Silence::start(stdin.as_raw_fd());
        let terminal = stdin.as_fd().try_clone_to_owned().map(File::from);
        terminal.and_then(|terminal| read_wiped(terminal, true))
    };
    let _ = writeln!(std::io::stderr());
    not_empty(
        read.map_err(|e| CommandError::unavailable("no_answer", format!("cannot read: {e}")))?,
    )
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_passphrase_is_read_without_its_line_breaks_and_within_its_bound() {
        let check = |input: &[u8], one_line: bool, expected: Option<&str>| {
            let read = read_wiped(input, one_line).ok();
            assert_eq!(read.as_ref().map(|text| text.expose().as_str()), expected, "{input:?}");
            if let Some(text) = read {
                assert_eq!(text.expose().capacity(), BYTES_MAX, "the buffer was exchanged");
            }
        };
        check(b"correct horse\n", true, Some("correct horse"));
        check(b"correct horse\r\nbattery", true, Some("correct horse"));
        check(b" two\nlines \r\n\n", false, Some(" two\nlines "));
        check("Söhne".as_bytes(), false, Some("Söhne"));
        check(b"", true, Some(""));
        check(b"\xff\xfe\n", true, None);
        check(&[b'x'; BYTES_MAX], false, Some(&"x".repeat(BYTES_MAX)));
        check(&[b'x'; BYTES_MAX + 1], false, None);
    }
}
