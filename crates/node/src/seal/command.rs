//! Runs one outside command with a secret on its standard input or output, never in its arguments.

use super::SealError;
use model::secret::Secret;
use std::io::{self, ErrorKind, Read, Write};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A command that hangs (a TPM behind a dead socket) must not hang the node.
const COMMAND_SECS_MAX: u64 = 30;
const OUTPUT_BYTES_MAX: u64 = 64 * 1024;
const ERROR_CHARS_MAX: usize = 300;

/// How a command ended.
pub(super) struct Ended {
    /// Standard output.
    pub stdout: Secret<Vec<u8>>,
    /// The last line of standard error, when the command failed.
    pub failure: Option<String>,
}

/// Feeds `input`, waits, returns the output. `package` is named when the command is missing.
pub(super) fn run(
    tool: &'static str,
    package: &'static str,
    args: &[&str],
    input: &Secret<Vec<u8>>,
) -> Result<Ended, SealError> {
    let mut child = Command::new(tool)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| match error.kind() {
            ErrorKind::NotFound => SealError::ToolMissing { tool, package },
            _ => SealError::Io(error),
        })?;
    let stdout = drain(child.stdout.take());
    let stderr = drain(child.stderr.take());
    let fed = feed(&mut child, input);
    let succeeded = wait(&mut child)?;
    fed?;
    let stdout = stdout.join().unwrap_or_else(|_| Secret::new(Vec::new()));
    let words = stderr.join().unwrap_or_else(|_| Secret::new(Vec::new()));
    let failure = (!succeeded).then(|| last_words(words.expose()));
    Ok(Ended { stdout, failure })
}

fn feed(child: &mut Child, input: &Secret<Vec<u8>>) -> io::Result<()> {
    match child.stdin.take().map(|mut stdin| stdin.write_all(input.expose())) {
        // A command that refuses early closes its input; its own words say why.
        Some(Err(error)) if error.kind() != ErrorKind::BrokenPipe => Err(error),
        _ => Ok(()),
    }
}

fn drain<R: Read + Send + 'static>(pipe: Option<R>) -> std::thread::JoinHandle<Secret<Vec<u8>>> {
    std::thread::spawn(move || {
        let mut bytes = Vec::with_capacity(8192);
        let read = pipe.map(|pipe| pipe.take(OUTPUT_BYTES_MAX).read_to_end(&mut bytes));
        let bytes = Secret::new(bytes);
        // Half an output is no output.
        if matches!(read, Some(Ok(_))) { bytes } else { Secret::new(Vec::new()) }
    })
}

fn wait(child: &mut Child) -> io::Result<bool> {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status.success());
        }
        if start.elapsed() >= Duration::from_secs(COMMAND_SECS_MAX) {
            child.kill()?;
            child.wait()?;
            return Ok(false);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn last_words(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let line = text.lines().rev().find(|line| !line.trim().is_empty());
    line.unwrap_or("no reason given").trim().chars().take(ERROR_CHARS_MAX).collect()
}
